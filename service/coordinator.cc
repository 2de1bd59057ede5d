#include "service/coordinator.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/report.h"

namespace lowmark {
namespace {

// Tasks that may wait for the executor.
constexpr size_t kTaskLimit = 20000;

double Jitter() {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

// An operator's move as the store carries it out.
absl::StatusOr<ShardChange> DecideSeek(const ShardView& view, const Position& position,
                                       const std::string& reason, bool dry_run,
                                       SeekAnswer& answer) {
  auto moved = Seek(view.shard, position, view.timeline, view.policy);
  if (!moved.ok()) return moved.status();
  answer.before.shard = view.shard;
  answer.after.shard = *moved;
  ShardChange change;
  if (dry_run) return change;
  change.changed = true;
  change.shard = *std::move(moved);
  ShardEvent event;
  event.kind = "seek";
  event.epoch = change.shard.epoch;
  event.delivery = change.shard.state.delivery;
  event.actor = "operator";
  event.detail = absl::StrCat("from ", view.shard.state.position.ToString(), " to ",
                              position.ToString(), ": ", reason);
  change.events.push_back(std::move(event));
  return change;
}

}  // namespace

absl::Status CoordinatorOptions::Validate() const {
  for (const absl::Status& status :
       {CheckDuration("session-ttl", session_ttl, absl::Milliseconds(100), absl::Hours(1)),
        CheckDuration("balance-interval", balance_interval, absl::Milliseconds(10),
                      absl::Minutes(1)),
        CheckDuration("balance-settling", balance_settling, absl::ZeroDuration(), absl::Hours(1)),
        CheckDuration("longest-wait", longest_wait, absl::Seconds(1), absl::Minutes(10)),
        CheckDuration("lease-retry", lease_retry, absl::Milliseconds(10), absl::Minutes(1))}) {
    if (!status.ok()) return status;
  }
  if (!(balance_moves >= 0.001 && balance_moves <= 1)) {
    return InvalidField("balance-moves", absl::StrCat(balance_moves), "must be 0.001..1");
  }
  if (threads < 1 || threads > 64) return InvalidField("threads", threads, "must be 1..64");
  if (committer.committers < 1 || committer.committers > 16) {
    return InvalidField("committers", committer.committers, "must be 1..16");
  }
  if (committer.group_limit < 1 || committer.queue_limit < 1) {
    return InvalidField("committer limits", 0, "must be at least 1");
  }
  return destinations.Validate();
}

Coordinator::Coordinator(Store& store, Metrics& metrics, const CoordinatorOptions& options)
    : store_(store),
      metrics_(metrics),
      options_(options),
      handovers_(store, metrics,
                 {options.balance_interval, options.session_ttl, options.balance_settling,
                  options.balance_moves}),
      leases_(store, metrics, {options.threads, options.lease_retry, options.session_ttl}),
      heartbeats_(store, executor_, options.session_ttl),
      executor_(options.threads, kTaskLimit),
      committer_(store, metrics, options.committer),
      hints_(std::make_shared<Hints>()) {
  {
    MutexLock lock(hints_->mutex);
    hints_->leases = &leases_;
  }
  store_.WatchFreeShards([hints = hints_](const std::string& stream) {
    MutexLock lock(hints->mutex);
    if (hints->leases != nullptr) hints->leases->Wake(stream);
  });
}

Coordinator::~Coordinator() {
  MutexLock lock(hints_->mutex);
  hints_->leases = nullptr;
}

template <typename T>
void Coordinator::RunBlocking(const Done<T>& done, std::function<absl::StatusOr<T>()> task) {
  if (!executor_.Run([done, task = std::move(task)] { done(task()); })) {
    done(Unavailable("the coordinator has more calls than it can answer; retry with backoff"));
  }
}

void Coordinator::ReportBatch(std::shared_ptr<const Report> report, Done<ReportAnswer> done) {
  auto decision = std::make_shared<ReportDecision>();
  ShardUpdate update;
  update.shard = report->shard;
  update.decide = [report, decision, jitter = Jitter()](const ShardView& view) {
    return DecideReport(*report, view, jitter, *decision);
  };
  committer_.Submit(report->stream, std::move(update),
                    [this, report, decision, done = std::move(done)](absl::Status status) {
                      if (!status.ok()) {
                        metrics_.CountRefused(report->stream, status);
                        metrics_.CountStoreError("report", status);
                        done(std::move(status));
                        return;
                      }
                      if (decision->step) {
                        metrics_.CountReport(report->stream, *decision->step);
                      } else {
                        metrics_.CountRepeated(report->stream);
                      }
                      if (handovers_.Ask(report->stream, report->shard, report->epoch)) {
                        decision->answer.hand_over = true;
                      }
                      done(std::move(decision->answer));
                    });
}

void Coordinator::LeaseShard(const std::string& stream, LeaseCall call,
                             std::function<bool()> cancelled, Done<LeaseGrant> done) {
  handovers_.NoteActivity(stream);
  call.wait = std::min(call.wait, options_.longest_wait);
  leases_.Wait(stream, call, std::move(cancelled),
               [this, stream, done = std::move(done)](absl::StatusOr<LeaseGrant> grant) {
                 if (grant.ok()) {
                   for (const LeaseGrant::Lease& lease : grant->leases) {
                     if (lease.repeated) continue;
                     metrics_.CountLease(stream, lease.lost, lease.discarded);
                   }
                 }
                 done(std::move(grant));
               });
}

void Coordinator::Heartbeat(const std::string& stream, Renewal renewal,
                            std::function<bool()> cancelled, Done<HeartbeatAnswer> done) {
  handovers_.NoteActivity(stream);
  const std::string worker = renewal.worker;
  heartbeats_.Beat(
      stream, std::move(renewal), std::move(cancelled),
      [this, stream, worker, done = std::move(done)](const absl::StatusOr<SessionView>& session) {
        leases_.NoteStore(stream, session.status());
        if (!session.ok()) {
          metrics_.CountStoreError("heartbeat", session.status());
          done(session.status());
          return;
        }
        done(HeartbeatAnswer{handovers_.AskAll(stream, worker), session->elected,
                             session->stats_token});
      });
}

void Coordinator::ReleaseShard(const std::string& stream, const std::string& shard,
                               const std::string& worker, int64_t epoch,
                               std::function<void(absl::Status)> done) {
  ShardUpdate update;
  update.shard = shard;
  update.decide = [worker, epoch](const ShardView& view) -> absl::StatusOr<ShardChange> {
    auto released = Release(view.shard, worker, epoch);
    if (!released.ok()) return released.status();
    ShardChange change;
    change.changed = !(*released == view.shard);
    change.shard = *std::move(released);
    ShardEvent event;
    event.kind = "released";
    event.epoch = epoch;
    event.delivery = change.shard.state.delivery;
    event.actor = worker;
    change.events.push_back(std::move(event));
    return change;
  };
  // Before: afterwards nobody would know any more.
  const bool asked = handovers_.Withdraw(stream, shard, epoch);
  committer_.Submit(stream, std::move(update),
                    [this, stream, asked, done = std::move(done)](absl::Status status) {
                      if (status.ok() && asked) metrics_.CountHandoff(stream, /*forced=*/false);
                      metrics_.CountStoreError("release", status);
                      done(std::move(status));
                    });
}

void Coordinator::SyncShards(const std::string& stream, const std::string& worker,
                             std::vector<SourceShard> shards, Done<int32_t> done) {
  RunBlocking<int32_t>(
      done, [this, stream, worker, shards = std::move(shards)]() -> absl::StatusOr<int32_t> {
        if (auto s = store_.CheckSession(stream, worker); !s.ok()) {
          metrics_.CountStoreError("sync", s);
          return s;
        }
        auto added = store_.AddShards(stream, shards);
        metrics_.CountStoreError("sync", added.status());
        return added;
      });
}

absl::StatusOr<SeekAnswer> Coordinator::Seek(const std::string& stream, const std::string& shard,
                                             const Position& position, const std::string& reason,
                                             bool dry_run) {
  auto record = store_.GetShard(stream, shard);
  if (!record.ok()) return record.status();
  SeekAnswer answer{*record, *record};
  answer.after.stat.reset();  // its lease ends
  std::vector<ShardUpdate> updates(1);
  updates[0].shard = shard;
  updates[0].decide = [&](const ShardView& view) {
    return DecideSeek(view, position, reason, dry_run, answer);
  };
  if (absl::Status status = store_.UpdateShards(stream, updates)[0]; !status.ok()) return status;
  return answer;
}

absl::StatusOr<Workload> Coordinator::ReadWorkload(const std::string& stream) {
  auto load = store_.ReadWorkload(stream);
  metrics_.CountStoreError("workload", load.status());
  return load;
}

}  // namespace lowmark
