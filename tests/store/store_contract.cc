#include "tests/store/store_contract.h"

#include <utility>

#include "tests/support/one_call.h"

namespace lowmark {

void StoreContract::SetUp() {
  under_test_ = GetParam()();
  ASSERT_NE(under_test_, nullptr);
  auto stream = store().CreateStream("s", TestPolicy());
  ASSERT_TRUE(stream.ok()) << stream.status();
}

void StoreContract::SetPaused(bool paused) {
  const auto changed =
      store().UpdateStream("s", "", [paused](Policy policy) -> absl::StatusOr<Policy> {
        policy.paused = paused;
        return policy;
      });
  ASSERT_TRUE(changed.ok()) << changed.status();
}

Policy StoreContract::TestPolicy() {
  Policy policy;
  policy.maximum_retry_attempts = 1;
  policy.bisect_batch_on_failure = false;
  return policy;
}

void StoreContract::AddShards(const std::vector<std::string>& shards, const std::string& stream) {
  std::vector<SourceShard> listed;
  for (const std::string& shard : shards) listed.push_back({shard, {}});
  auto added = store().AddShards(stream, listed);
  ASSERT_TRUE(added.ok()) << added.status();
  ASSERT_EQ(*added, static_cast<int32_t>(shards.size()));
}

OneCall StoreContract::Call(const std::string& worker, int32_t max_leases, int32_t held,
                            const std::string& stream) {
  OneCall call;
  call.stream = stream;
  call.worker = worker;
  call.max_leases = max_leases;
  call.held = held;
  call.session_ttl = absl::Minutes(10);
  call.wait = absl::Minutes(5);
  return call;
}

LeaseGrant StoreContract::MustLease(const std::string& worker, int32_t max_leases, int32_t held) {
  auto grant = LeaseOne(store(), Call(worker, max_leases, held));
  EXPECT_TRUE(grant.ok()) << grant.status();
  if (!grant.ok()) return {};
  EXPECT_FALSE(grant->leases.empty());
  return *std::move(grant);
}

std::map<std::string, WorkerLoad> StoreContract::Loads() {
  std::map<std::string, WorkerLoad> loads;
  auto census = store().ReadCensus("s");
  EXPECT_TRUE(census.ok()) << census.status();
  for (const WorkerLoad& load : census->workers) loads[load.worker] = load;
  return loads;
}

Shard StoreContract::MustGet(const std::string& shard, const std::string& stream) {
  auto record = store().GetShard(stream, shard);
  EXPECT_TRUE(record.ok()) << record.status();
  return record.ok() ? record->shard : Shard();
}

ShardUpdate StoreContract::Report(const std::string& shard, const std::string& worker,
                                  int64_t epoch, int64_t delivery, const Event& event) {
  return {shard, [=](const ShardView& view) -> absl::StatusOr<ShardChange> {
            ShardChange change;
            auto kind = CheckReport(view.shard, worker, epoch, delivery);
            if (!kind.ok()) return kind.status();
            if (*kind == ReportKind::kRepeated) return change;
            auto step = Step(view.shard.state, view.policy, event, view.now, 0.5);
            if (!step.ok()) return step.status();
            change.changed = true;
            change.shard = view.shard;
            change.shard.state = step->state;
            if (step->state.done()) change.shard.owner.clear();
            for (const DeadLetterRange& range : step->dead_letters) {
              DeadLetter letter;
              letter.range = range;
              letter.epoch = epoch;
              letter.delivery = delivery;
              letter.worker = worker;
              letter.records = {{range.first, AwkwardBytes(), absl::FromUnixMicros(1234567),
                                 AwkwardBytes(), AwkwardHeaders()},
                                {range.last, "", absl::UnixEpoch(), ""}};
              change.dead_letters.push_back(std::move(letter));
            }
            return change;
          }};
}

ShardUpdate StoreContract::Report(const LeaseGrant::Lease& lease, const Event& event) {
  return Report(lease.shard.shard, lease.shard.owner, lease.shard.epoch, lease.delivery.delivery,
                event);
}

ShardUpdate StoreContract::ReleaseOf(const Shard& shard) {
  return {shard.shard, [shard](const ShardView& view) -> absl::StatusOr<ShardChange> {
            auto released = Release(view.shard, shard.owner, shard.epoch);
            if (!released.ok()) return released.status();
            ShardChange change;
            change.changed = !(*released == view.shard);
            change.shard = *std::move(released);
            return change;
          }};
}

absl::Status StoreContract::Update(ShardUpdate update, const std::string& stream) {
  std::vector<ShardUpdate> updates;
  updates.push_back(std::move(update));
  const std::vector<absl::Status> statuses = store().UpdateShards(stream, updates);
  return statuses.size() == 1 ? statuses[0] : absl::InternalError("not one status");
}

std::function<void(const std::string&)> FreeHints::Callback() {
  return [this](const std::string& stream) {
    {
      MutexLock lock(mutex_);
      streams_.push_back(stream);
    }
    changed_.NotifyAll();
  };
}

void FreeHints::Clear() {
  MutexLock lock(mutex_);
  streams_.clear();
}

bool FreeHints::Await(const std::string& stream, absl::Duration timeout) {
  const SteadyTime deadline = SteadyDeadline(timeout);
  MutexLock lock(mutex_);
  for (;;) {
    for (const std::string& each : streams_) {
      if (each == stream || each.empty()) return true;
    }
    if (!changed_.WaitUntil(mutex_, deadline)) return false;
  }
}

}  // namespace lowmark
