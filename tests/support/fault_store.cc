#include "tests/support/fault_store.h"

#include <utility>

#include "service/core/error.h"

namespace lowmark {

void FaultStore::Inject(StoreCall call, Fault fault, int count) {
  Inject(call, fault, count, Unavailable("injected by the test"));
}

void FaultStore::Inject(StoreCall call, Fault fault, int count, const absl::Status& status) {
  MutexLock lock(mutex_);
  injected_[call] = {fault, status, count};
}

void FaultStore::SetDown(bool down) {
  MutexLock lock(mutex_);
  down_ = down;
}

void FaultStore::Hold(StoreCall call) {
  MutexLock lock(mutex_);
  gates_[call].closed = true;
}

void FaultStore::Release(StoreCall call) {
  {
    MutexLock lock(mutex_);
    gates_[call].closed = false;
  }
  changed_.NotifyAll();
}

bool FaultStore::AwaitHeld(StoreCall call, int count, absl::Duration timeout) {
  const SteadyTime deadline = SteadyDeadline(timeout);
  MutexLock lock(mutex_);
  while (gates_[call].waiting < count) {
    if (!changed_.WaitUntil(mutex_, deadline)) return gates_[call].waiting >= count;
  }
  return true;
}

int64_t FaultStore::Calls(StoreCall call) const {
  MutexLock lock(mutex_);
  auto found = calls_.find(call);
  return found == calls_.end() ? 0 : found->second;
}

std::optional<FaultStore::Injected> FaultStore::Enter(StoreCall call) {
  MutexLock lock(mutex_);
  ++calls_[call];
  Gate& gate = gates_[call];
  if (gate.closed) {
    ++gate.waiting;
    changed_.NotifyAll();
    while (gate.closed) changed_.Wait(mutex_);
    --gate.waiting;
  }
  if (down_) return Injected{Fault::kBefore, Unavailable("down, says the test"), 1};
  auto found = injected_.find(call);
  if (found == injected_.end() || found->second.left == 0) return std::nullopt;
  --found->second.left;
  return found->second;
}

template <typename T>
T FaultStore::Run(StoreCall call, const std::function<T()>& run) {
  const std::optional<Injected> injected = Enter(call);
  if (!injected) return run();
  if (injected->fault == Fault::kAfter) (void)run();
  return injected->status;
}

std::vector<absl::Status> FaultStore::UpdateShards(const std::string& stream,
                                                   std::vector<ShardUpdate>& updates) {
  const std::optional<Injected> injected = Enter(StoreCall::kUpdateShards);
  if (!injected) return inner_.UpdateShards(stream, updates);
  if (injected->fault == Fault::kAfter) inner_.UpdateShards(stream, updates);
  return std::vector<absl::Status>(updates.size(), injected->status);
}

absl::StatusOr<Stream> FaultStore::CreateStream(const std::string& name, const Policy& policy) {
  return Run<absl::StatusOr<Stream>>(StoreCall::kCreateStream,
                                     [&] { return inner_.CreateStream(name, policy); });
}

absl::StatusOr<Stream> FaultStore::GetStream(const std::string& name) {
  return Run<absl::StatusOr<Stream>>(StoreCall::kGetStream, [&] { return inner_.GetStream(name); });
}

absl::StatusOr<std::vector<Stream>> FaultStore::ListStreams(const std::string& after,
                                                            int32_t limit) {
  return Run<absl::StatusOr<std::vector<Stream>>>(StoreCall::kListStreams,
                                                  [&] { return inner_.ListStreams(after, limit); });
}

absl::StatusOr<Stream> FaultStore::UpdateStream(
    const std::string& name, const std::string& etag,
    const std::function<absl::StatusOr<Policy>(const Policy&)>& change) {
  return Run<absl::StatusOr<Stream>>(StoreCall::kUpdateStream,
                                     [&] { return inner_.UpdateStream(name, etag, change); });
}

absl::Status FaultStore::DeleteStream(const std::string& name, const std::string& etag) {
  return Run<absl::Status>(StoreCall::kDeleteStream,
                           [&] { return inner_.DeleteStream(name, etag); });
}

absl::StatusOr<int32_t> FaultStore::AddShards(const std::string& stream,
                                              const std::vector<SourceShard>& shards) {
  return Run<absl::StatusOr<int32_t>>(StoreCall::kAddShards,
                                      [&] { return inner_.AddShards(stream, shards); });
}

absl::StatusOr<ShardRecord> FaultStore::GetShard(const std::string& stream,
                                                 const std::string& shard) {
  return Run<absl::StatusOr<ShardRecord>>(StoreCall::kGetShard,
                                          [&] { return inner_.GetShard(stream, shard); });
}

absl::StatusOr<std::vector<ShardRecord>> FaultStore::ListShards(const std::string& stream,
                                                                const std::string& after,
                                                                int32_t limit) {
  return Run<absl::StatusOr<std::vector<ShardRecord>>>(
      StoreCall::kListShards, [&] { return inner_.ListShards(stream, after, limit); });
}

absl::StatusOr<LeaseAnswers> FaultStore::LeaseShards(const LeaseRound& round) {
  return Run<absl::StatusOr<LeaseAnswers>>(StoreCall::kLeaseShards,
                                           [&] { return inner_.LeaseShards(round); });
}

absl::StatusOr<std::vector<absl::StatusOr<SessionView>>> FaultStore::RenewSessions(
    const std::string& stream, const std::vector<Renewal>& renewals, absl::Duration ttl) {
  return Run<absl::StatusOr<std::vector<absl::StatusOr<SessionView>>>>(
      StoreCall::kRenewSessions, [&] { return inner_.RenewSessions(stream, renewals, ttl); });
}

absl::Status FaultStore::CheckSession(const std::string& stream, const std::string& worker) {
  return Run<absl::Status>(StoreCall::kCheckSession,
                           [&] { return inner_.CheckSession(stream, worker); });
}

absl::StatusOr<Census> FaultStore::ReadCensus(const std::string& stream) {
  return Run<absl::StatusOr<Census>>(StoreCall::kReadCensus,
                                     [&] { return inner_.ReadCensus(stream); });
}

absl::StatusOr<Workload> FaultStore::ReadWorkload(const std::string& stream) {
  return Run<absl::StatusOr<Workload>>(StoreCall::kReadWorkload,
                                       [&] { return inner_.ReadWorkload(stream); });
}

absl::StatusOr<std::vector<UnownedShards>> FaultStore::ListUnowned() {
  return Run<absl::StatusOr<std::vector<UnownedShards>>>(StoreCall::kListUnowned,
                                                         [&] { return inner_.ListUnowned(); });
}

absl::StatusOr<Holdings> FaultStore::ListHeld(const std::string& stream,
                                              const std::string& worker) {
  return Run<absl::StatusOr<Holdings>>(StoreCall::kListHeld,
                                       [&] { return inner_.ListHeld(stream, worker); });
}

absl::StatusOr<std::vector<WorkerRecord>> FaultStore::ListWorkers(const std::string& stream,
                                                                  const std::string& after,
                                                                  int32_t limit) {
  return Run<absl::StatusOr<std::vector<WorkerRecord>>>(
      StoreCall::kListWorkers, [&] { return inner_.ListWorkers(stream, after, limit); });
}

absl::StatusOr<WorkerRecord> FaultStore::ChangeWorker(const std::string& stream,
                                                      const std::string& worker,
                                                      const WorkerChange& change) {
  return Run<absl::StatusOr<WorkerRecord>>(
      StoreCall::kChangeWorker, [&] { return inner_.ChangeWorker(stream, worker, change); });
}

absl::StatusOr<std::vector<DeadLetter>> FaultStore::ListDeadLetters(const std::string& stream,
                                                                    const std::string& shard,
                                                                    int64_t after_id,
                                                                    int32_t limit) {
  return Run<absl::StatusOr<std::vector<DeadLetter>>>(StoreCall::kListDeadLetters, [&] {
    return inner_.ListDeadLetters(stream, shard, after_id, limit);
  });
}

absl::StatusOr<DeadLetter> FaultStore::GetDeadLetter(const std::string& stream, int64_t id) {
  return Run<absl::StatusOr<DeadLetter>>(StoreCall::kGetDeadLetter,
                                         [&] { return inner_.GetDeadLetter(stream, id); });
}

absl::StatusOr<std::vector<ShardEvent>> FaultStore::ListEvents(const std::string& stream,
                                                               const std::string& shard,
                                                               int64_t after_id, int32_t limit) {
  return Run<absl::StatusOr<std::vector<ShardEvent>>>(
      StoreCall::kListEvents, [&] { return inner_.ListEvents(stream, shard, after_id, limit); });
}

absl::StatusOr<std::vector<Outbox>> FaultStore::ListOutboxes(const std::string& after,
                                                             int32_t limit) {
  return Run<absl::StatusOr<std::vector<Outbox>>>(
      StoreCall::kListOutboxes, [&] { return inner_.ListOutboxes(after, limit); });
}

absl::StatusOr<ClaimedLetters> FaultStore::ClaimLetters(const std::string& stream, int32_t limit,
                                                        absl::Duration lease) {
  return Run<absl::StatusOr<ClaimedLetters>>(
      StoreCall::kClaimLetters, [&] { return inner_.ClaimLetters(stream, limit, lease); });
}

absl::Status FaultStore::SettleLetters(const std::string& stream,
                                       const std::vector<ForwardResult>& results) {
  return Run<absl::Status>(StoreCall::kSettleLetters,
                           [&] { return inner_.SettleLetters(stream, results); });
}

absl::Status FaultStore::Check() {
  return Run<absl::Status>(StoreCall::kCheck, [&] { return inner_.Check(); });
}

void FaultStore::WatchFreeShards(std::function<void(const std::string& stream)> on_free) {
  inner_.WatchFreeShards(std::move(on_free));
}

}  // namespace lowmark
