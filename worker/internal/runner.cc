#include "worker/internal/runner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/core/error.h"
#include "service/rpc/convert.h"
#include "worker/internal/worker_id.h"

namespace lowmark {
namespace {

// What a call may ask for at most.
constexpr int32_t kMostLeases = 1000;
// The first call for leases waits no longer than this: only its answer tells how
// long the session lives, and so when to renew it.
constexpr absl::Duration kFirstWait = absl::Seconds(3);
// After an answer without leases that came early.
constexpr absl::Duration kShortPause = absl::Milliseconds(200);
constexpr absl::Duration kMeasureInterval = absl::Seconds(1);
// For the last answer, where there may be none.
constexpr absl::Duration kLastWait = absl::Seconds(3);
// How long handlers are waited for that were told to return.
constexpr absl::Duration kAbortTime = absl::Seconds(2);

SteadyTime Now() { return std::chrono::steady_clock::now(); }

}  // namespace

Runner::Runner(const WorkerOptions& options, std::shared_ptr<Source> source,
               std::shared_ptr<Handler> handler, const LogOptions& log,
               std::shared_ptr<ClientSecrets> secrets)
    : options_(options),
      log_(log),
      metrics_(options.stream),
      random_(std::random_device{}()),
      source_(std::move(source)),
      handlers_(loop_, std::move(handler), options.threads, trust_,
                [this](const std::string& shard) { ResumeShard(shard); }),
      source_pool_(options.source_threads),
      client_(std::make_unique<CoordinatorClient>(options.coordinator, *loop_, secrets)),
      context_{options_, loop_,     source_,  trust_, source_pool_,
               *client_, handlers_, metrics_, log_,   random_},
      sync_(context_, [this] { OnSessionExpired(); }),
      connection_(context_, std::move(secrets)),
      lease_pause_(options.retry_initial, options.retry_maximum),
      misread_pause_(options.retry_initial, options.retry_maximum),
      beat_pause_(options.retry_initial, options.retry_maximum) {}

Runner::~Runner() = default;

absl::Status Runner::Run() {
  loop_->Post([this] {
    if (stopping_) return;
    OpenSession();
    Measure();
  });
  loop_->Run();
  const size_t unfinished = shards_.size();
  // What holds shards alive goes before what they use.
  sync_.Stop();
  for (const auto& run : Shards()) run->Lose("STOPPED");
  client_.reset();
  const bool returned = handlers_.Shutdown(kAbortTime);
  source_pool_.Shutdown(kAbortTime);
  loop_->Close();
  ready_ = false;
  if (unfinished == 0 && returned) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("the grace period ended with ", unfinished,
                   " shards not released; what they had in processing is delivered again"));
}

void Runner::Stop() {
  loop_->Post([this] { BeginStop(); });
}

// --- The session ---------------------------------------------------------------

void Runner::OpenSession() {
  ++session_;
  worker_ = MakeWorkerId();
  session_open_ = false;
  proven_ = false;
  ended_.clear();
  trust_->Revoke();
  metrics_.CountSession();
  log_.Info("opening a session", {{"stream", options_.stream}, {"worker", worker_}});
  sync_.Begin(worker_);
  teller_.Begin();
  LeaseMore();
}

void Runner::OnSessionExpired() {
  if (!session_open_) return;
  log_.Warning("session expired", {{"stream", options_.stream}, {"worker", worker_}});
  session_open_ = false;
  ready_ = false;
  trust_->Revoke();
  loop_->Cancel(beat_timer_);
  loop_->Cancel(lease_timer_);
  beating_ = false;
  if (cancel_lease_) cancel_lease_();
  // Nothing is leased for the session that is over while its shards go.
  leasing_ = true;
  LoseAll(kSessionExpired);
  leasing_ = false;
  if (stopping_) {
    FinishIfDone();
  } else {
    OpenSession();
  }
}

void Runner::OnRenewed(SteadyTime sent, const google::protobuf::Duration& ttl, bool sync_shards) {
  auto duration = DurationFromProto("session_ttl", ttl);
  if (duration.ok() && *duration > absl::ZeroDuration()) ttl_ = *duration;
  const bool held = trust_->Holds(Now());
  trust_->Renew(sent, ttl_);
  if (!session_open_) {
    session_open_ = true;
    ready_ = true;
    BeatAfter(sent, /*least=*/0);
  }
  if (!stopping_) sync_.Elect(sync_shards);
  if (!held) ResumeAll();
}

// --- Leases ----------------------------------------------------------------------

void Runner::LeaseMore() {
  if (stopping_ || leasing_ || lease_timer_ != 0) return;
  const auto wanted = options_.max_leases - static_cast<int32_t>(shards_.size());
  if (wanted <= 0) return;
  leasing_ = true;
  v1::LeaseShardRequest request;
  request.set_stream(options_.stream);
  request.set_worker(worker_);
  request.set_max_leases(std::min(wanted, kMostLeases));
  request.set_capacity(options_.capacity);
  request.set_held_leases(static_cast<int32_t>(shards_.size()));
  const absl::Duration wait = session_open_ ? options_.lease_wait : kFirstWait;
  cancel_lease_ = client_->LeaseShard(
      request, wait,
      [this, sent = Now(), session = session_](const absl::StatusOr<v1::LeaseShardResponse>& a) {
        OnLeases(sent, session, a);
      });
}

void Runner::OnLeases(SteadyTime sent, uint64_t session,
                      const absl::StatusOr<v1::LeaseShardResponse>& answer) {
  if (session != session_) return;
  leasing_ = false;
  cancel_lease_ = nullptr;
  const auto again = [this](absl::Duration pause) {
    lease_timer_ = loop_->After(pause, [this] {
      lease_timer_ = 0;
      LeaseMore();
    });
  };
  if (answer.ok()) {
    OnRenewed(sent, answer->session_ttl(), answer->sync_shards());
    const size_t before = shards_.size();
    bool understood = true;
    for (const v1::Lease& lease : answer->leases()) understood = AddLease(lease) && understood;
    lease_pause_.Reset();
    if (understood) misread_pause_.Reset();
    const bool early = absl::FromChrono(Now() - sent) < kShortPause;
    if (!understood) {
      // Given back, it comes again.
      again(misread_pause_.Next(random_));
    } else if (shards_.size() == before && early) {
      again(kShortPause);
    } else {
      LeaseMore();
    }
  } else if (stopping_) {
    // Cancelled by BeginStop.
  } else if (absl::IsCancelled(answer.status())) {
    LeaseMore();
  } else if (Reason(answer.status()) == kSessionExpired) {
    session_open_ = true;
    OnSessionExpired();
  } else if (absl::IsDeadlineExceeded(answer.status()) && session_open_) {
    // None was free, and the answer that says so was late.
    again(kShortPause);
  } else {
    metrics_.CountCallError("LeaseShard", Reason(answer.status()));
    const std::string reason = Reason(answer.status());
    if (lease_pause_.attempts() == 0 || reason != lease_trouble_) {
      lease_trouble_ = reason;
      log_.Warning("no leases from the coordinator, tried again",
                   {{"stream", options_.stream},
                    {"coordinator", options_.coordinator},
                    {"error", answer.status()}});
    }
    again(lease_pause_.Next(random_));
    connection_.OnFailure(answer.status(), lease_pause_.attempts());
    LoseAllOf(answer.status());
  }
  FinishIfDone();
}

bool Runner::AddLease(const v1::Lease& proto) {
  auto found = shards_.find(proto.shard());
  if (found != shards_.end()) {
    // An answer may repeat the leases that the worker has.
    if (found->second->epoch() >= proto.epoch()) return true;
    found->second->Lose(kLeaseFenced);
  }
  if (auto ended = ended_.find(proto.shard());
      ended != ended_.end() && ended->second >= proto.epoch()) {
    // An answer that was long on its way, or a failover that lost the lease's end. What
    // was under way when it ended must not begin again under the same epoch.
    GiveBack(proto);
    return true;
  }
  auto lease = LeaseFromProto(proto);
  if (!lease.ok()) {
    log_.Error("lease not understood, giving the shard back",
               {{"stream", options_.stream}, {"shard", proto.shard()}, {"error", lease.status()}});
  }
  if (!lease.ok() || stopping_) {
    GiveBack(proto);
    return lease.ok();
  }
  log_.Info("shard leased", {{"stream", options_.stream},
                             {"shard", proto.shard()},
                             {"epoch", proto.epoch()},
                             {"delivery", proto.delivery().delivery()},
                             {"position", lease->delivery.delivery.start.ToString()}});
  auto run = std::make_shared<ShardRun>(
      context_, worker_, *std::move(lease),
      ShardRun::Owner{[this](const std::string& shard, bool lost) { OnShardEnded(shard, lost); },
                      [this] { OnReported(); }, [this] { OnSessionExpired(); }});
  shards_.emplace(proto.shard(), run);
  run->Start();
  return true;
}

void Runner::GiveBack(const v1::Lease& lease) {
  v1::ReleaseShardRequest request;
  request.set_stream(options_.stream);
  request.set_shard(lease.shard());
  request.set_worker(worker_);
  request.set_epoch(lease.epoch());
  ++giving_back_;
  client_->ReleaseShard(request, options_.call_timeout,
                        [this](const absl::StatusOr<v1::ReleaseShardResponse>&) {
                          --giving_back_;
                          FinishIfDone();
                        });
}

// --- Shards --------------------------------------------------------------------------

void Runner::ResumeShard(const std::string& shard) {
  if (auto found = shards_.find(shard); found != shards_.end()) {
    const auto run = found->second;
    run->Resume();
  }
  FinishIfDone();
}

void Runner::ResumeAll() {
  for (const auto& run : Shards()) run->Resume();
}

void Runner::OnShardEnded(const std::string& shard, bool lost) {
  const auto ended = shards_.find(shard);
  ended_[shard] = ended->second->epoch();
  shards_.erase(ended);
  // The call that waits says that the shard is held. Where a failover has made that
  // true again, only another call makes the coordinator tell of it.
  if (lost && cancel_lease_) cancel_lease_();
  LeaseMore();
  FinishIfDone();
}

void Runner::LoseAll(const std::string& reason) {
  for (const auto& run : Shards()) run->Lose(reason);
}

void Runner::LoseAllOf(const absl::Status& error) {
  if (Reason(error) == kStreamNotFound) LoseAll(kStreamNotFound);
}

std::vector<std::shared_ptr<ShardRun>> Runner::Shards() const {
  std::vector<std::shared_ptr<ShardRun>> runs;
  runs.reserve(shards_.size());
  for (const auto& [shard, run] : shards_) runs.push_back(run);
  return runs;
}

void Runner::Measure() {
  connection_.Refresh();
  WorkerMetrics::Levels levels;
  const absl::Time now = absl::Now();
  levels.leases = static_cast<int64_t>(shards_.size());
  levels.buffered_bytes = context_.buffered_bytes;
  levels.overruns = handlers_.overruns();
  for (const auto& [shard, run] : shards_) {
    levels.lag_age = std::max(levels.lag_age, run->lag_age(now));
    levels.lag_records += run->waiting();
    levels.shards_in_trouble += run->in_trouble() ? 1 : 0;
  }
  const auto listing = sync_.stat(Now());
  levels.listing_in_trouble = listing && listing->trouble;
  metrics_.SetLevels(levels);
  const bool healthy = handlers_.longest_overrun(Now()) <= options_.overrun_limit;
  if (healthy_.exchange(healthy) && !healthy) {
    log_.Error("a handler does not return although its time is long over",
               {{"stream", options_.stream}, {"handlers", handlers_.overruns()}});
  }
  measure_timer_ = loop_->After(kMeasureInterval, [this] { Measure(); });
}

// --- The end -------------------------------------------------------------------------

void Runner::BeginStop() {
  if (stopping_) return;
  stopping_ = true;
  log_.Info("stopping", {{"stream", options_.stream}, {"leases", shards_.size()}});
  sync_.Stop();
  loop_->Cancel(lease_timer_);
  if (cancel_lease_) {
    // Its answer may be on its way, with leases.
    cut_off_ = true;
    cancel_lease_();
  }
  loop_->After(options_.grace, [this] { OnGraceOver(); });
  for (const auto& run : Shards()) run->HandOver();
  FinishIfDone();
}

void Runner::OnGraceOver() {
  log_.Warning("grace period over", {{"stream", options_.stream}, {"leases", shards_.size()}});
  handlers_.Abort();
  loop_->Quit();
}

void Runner::FinishIfDone() {
  if (!stopping_ || !shards_.empty() || leasing_ || giving_back_ > 0) return;
  if (std::exchange(cut_off_, false)) {
    AskForUnknown();
  } else {
    loop_->Quit();
  }
}

// Leases that an answer would have brought are given back: otherwise they would be
// nobody's until the session ends. Where no session was open yet, this opens one, which
// ends by itself.
void Runner::AskForUnknown() {
  leasing_ = true;
  v1::LeaseShardRequest request;
  request.set_stream(options_.stream);
  request.set_worker(worker_);
  request.set_max_leases(0);
  request.set_capacity(options_.capacity);
  client_->LeaseShard(request, std::min(options_.call_timeout, kLastWait),
                      [this](const absl::StatusOr<v1::LeaseShardResponse>& answer) {
                        leasing_ = false;
                        if (answer.ok()) {
                          for (const v1::Lease& lease : answer->leases()) GiveBack(lease);
                        }
                        FinishIfDone();
                      });
}

}  // namespace lowmark
