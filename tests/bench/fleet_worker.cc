#include "tests/bench/fleet_worker.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/rpc/convert.h"

namespace lowmark {
namespace {

// As the worker library has them.
constexpr absl::Duration kRetryInitial = absl::Milliseconds(100);
constexpr absl::Duration kRetryMaximum = absl::Seconds(5);
constexpr absl::Duration kFirstWait = absl::Seconds(1);
constexpr absl::Duration kShortPause = absl::Milliseconds(200);
constexpr absl::Duration kCallTimeout = absl::Seconds(10);

SteadyTime Now() { return std::chrono::steady_clock::now(); }

}  // namespace

FleetWorker::Held::Held(const v1::Lease& lease)
    : shard(lease.shard()),
      epoch(lease.epoch()),
      config_etag(lease.config_etag()),
      delivery(lease.delivery()),
      last(SequenceOf(lease.delivery().start())),
      pause(kRetryInitial, kRetryMaximum) {}

FleetWorker::FleetWorker(FleetWorkerOptions options, const FleetShared& shared,
                         CoordinatorClient& client)
    : options_(std::move(options)),
      shared_(shared),
      client_(client),
      lease_pause_(kRetryInitial, kRetryMaximum),
      beat_pause_(kRetryInitial, kRetryMaximum) {}

template <typename Response>
CoordinatorClient::Callback<Response> FleetWorker::Measured(
    FleetMethod method,
    std::function<void(SteadyTime sent, const absl::StatusOr<Response>&)> callback) {
  return [this, method, callback = std::move(callback), sent = Now(),
          session = session_](const absl::StatusOr<Response>& answer) {
    if (dead_) return;
    bool served = answer.ok();
    if constexpr (std::is_same_v<Response, v1::LeaseShardResponse>) {
      served = served && answer->leases_size() > 0;
    }
    shared_.calls.NoteAnswer(method, sent, answer.status(), served);
    if (session == session_) callback(sent, answer);
  };
}

// --- The session -----------------------------------------------------------------

void FleetWorker::OpenSession() {
  ++session_;
  id_ = session_ == 1 ? options_.name : absl::StrCat(options_.name, "-", session_);
  session_open_ = false;
  proven_ = false;
  leasing_ = false;
  beating_ = false;
  LeaseMore();
}

void FleetWorker::OnSessionExpired() {
  shared_.loop.Cancel(beat_timer_);
  shared_.loop.Cancel(lease_timer_);
  if (cancel_lease_) cancel_lease_();
  const std::map<std::string, HeldShard> shards = std::exchange(shards_, {});
  for (const auto& [shard, held] : shards) {
    shared_.ledger.OnLost(id_, shard, held->epoch);
    End(held);
  }
  if (!stopping_) OpenSession();
}

void FleetWorker::OnRenewed(SteadyTime sent, const google::protobuf::Duration& ttl) {
  auto duration = DurationFromProto("session_ttl", ttl);
  if (duration.ok() && *duration > absl::ZeroDuration()) ttl_ = *duration;
  if (session_open_) return;
  session_open_ = true;
  beat_timer_ = shared_.loop.At(sent + absl::ToChronoNanoseconds(ttl_ / 3), [this] { Beat(); });
}

void FleetWorker::Stop() {
  stopping_ = true;
  shared_.loop.Cancel(lease_timer_);
  if (cancel_lease_) cancel_lease_();
  const std::map<std::string, HeldShard> shards = shards_;
  for (const auto& [shard, held] : shards) HandOver(held);
}

void FleetWorker::Kill() {
  dead_ = true;
  shared_.loop.Cancel(lease_timer_);
  shared_.loop.Cancel(beat_timer_);
  if (cancel_lease_) cancel_lease_();
  if (cancel_beat_) cancel_beat_();
  for (const auto& [shard, held] : std::exchange(shards_, {})) {
    if (held->cancel) held->cancel();
    shared_.ledger.OnLost(id_, shard, held->epoch);
    End(held);
  }
}

// --- Leases ------------------------------------------------------------------------

void FleetWorker::SetMaxLeases(int max_leases) {
  options_.max_leases = max_leases;
  const std::map<std::string, HeldShard> shards = shards_;
  int excess = held() - max_leases;
  for (auto it = shards.begin(); it != shards.end() && excess > 0; ++it, --excess) {
    HandOver(it->second);
  }
  LeaseMore();
}

void FleetWorker::LeaseMore() {
  if (stopping_ || dead_ || leasing_ || lease_timer_ != 0) return;
  const int wanted = options_.max_leases - held();
  if (wanted <= 0) return;
  leasing_ = true;
  v1::LeaseShardRequest request;
  request.set_stream(options_.stream);
  request.set_worker(id_);
  request.set_max_leases(std::min(wanted, 1000));
  request.set_held_leases(held());
  const absl::Duration wait = session_open_ ? options_.lease_wait : kFirstWait;
  cancel_lease_ = client_.LeaseShard(
      request, wait,
      Measured<v1::LeaseShardResponse>(
          FleetMethod::kLeaseShard,
          [this](SteadyTime sent, const absl::StatusOr<v1::LeaseShardResponse>& answer) {
            OnLeases(sent, answer);
          }));
}

void FleetWorker::OnLeases(SteadyTime sent, const absl::StatusOr<v1::LeaseShardResponse>& answer) {
  leasing_ = false;
  cancel_lease_ = nullptr;
  if (answer.ok()) {
    lease_pause_.Reset();
    OnRenewed(sent, answer->session_ttl());
    const int before = held();
    for (const v1::Lease& lease : answer->leases()) AddLease(lease);
    const bool early = absl::FromChrono(Now() - sent) < kShortPause;
    if (held() == before && early) return LeaseAfter(kShortPause);
    LeaseMore();
  } else if (stopping_) {
    // Cancelled by Stop.
  } else if (Reason(answer.status()) == kSessionExpired) {
    OnSessionExpired();
  } else if (absl::IsDeadlineExceeded(answer.status()) && session_open_) {
    LeaseAfter(kShortPause);
  } else {
    LeaseAfter(lease_pause_.Next(shared_.random));
  }
}

void FleetWorker::LeaseAfter(absl::Duration pause) {
  lease_timer_ = shared_.loop.After(pause, [this] {
    lease_timer_ = 0;
    LeaseMore();
  });
}

void FleetWorker::AddLease(const v1::Lease& lease) {
  auto found = shards_.find(lease.shard());
  if (found != shards_.end()) {
    if (found->second->epoch >= lease.epoch()) return;
    End(found->second);
    shards_.erase(found);
  }
  shared_.ledger.OnLease(id_, lease);
  auto held = std::make_shared<Held>(lease);
  shards_[lease.shard()] = held;
  if (stopping_) return HandOver(held);
  ReportSoon(held);
}

// --- Heartbeats ----------------------------------------------------------------------

void FleetWorker::Beat() {
  beat_timer_ = 0;
  if (beating_ || !session_open_) return;
  beating_ = true;
  v1::HeartbeatRequest request;
  request.set_stream(options_.stream);
  request.set_worker(id_);
  const absl::Duration timeout = std::clamp(ttl_ / 3, absl::Milliseconds(100), kCallTimeout);
  cancel_beat_ = client_.Heartbeat(
      request, timeout,
      Measured<v1::HeartbeatResponse>(
          FleetMethod::kHeartbeat,
          [this](SteadyTime sent, const absl::StatusOr<v1::HeartbeatResponse>& answer) {
            OnHeartbeat(sent, answer);
          }));
}

void FleetWorker::OnHeartbeat(SteadyTime sent,
                              const absl::StatusOr<v1::HeartbeatResponse>& answer) {
  beating_ = false;
  cancel_beat_ = nullptr;
  if (answer.ok()) {
    beat_pause_.Reset();
    OnRenewed(sent, answer->session_ttl());
    beat_timer_ = shared_.loop.At(sent + absl::ToChronoNanoseconds(ttl_ / 3), [this] { Beat(); });
    for (const std::string& shard : answer->hand_over_shards()) {
      auto found = shards_.find(shard);
      if (found != shards_.end()) HandOver(HeldShard(found->second));
    }
  } else if (Reason(answer.status()) == kSessionExpired) {
    OnSessionExpired();
  } else {
    beat_timer_ = shared_.loop.After(std::min(beat_pause_.Next(shared_.random), ttl_ / 6),
                                     [this] { Beat(); });
  }
}

// --- Reports ---------------------------------------------------------------------------

void FleetWorker::ReportSoon(const HeldShard& held) {
  if (options_.report_pause <= absl::ZeroDuration()) return;
  const double share = std::uniform_real_distribution<>(0.5, 1.5)(shared_.random);
  After(held, options_.report_pause * share, &FleetWorker::Report);
}

void FleetWorker::Report(const HeldShard& held) {
  const int64_t last = held->last + kBatch;
  v1::ReportBatchRequest report;
  report.set_stream(options_.stream);
  report.set_shard(held->shard);
  report.set_worker(id_);
  report.set_epoch(held->epoch);
  report.set_delivery(held->delivery.delivery());
  report.set_config_etag(held->config_etag);
  report.set_first_sequence(absl::StrCat(held->last + 1));
  report.set_last_sequence(absl::StrCat(last));
  report.set_record_count(kBatch);
  if (held->delivery.declare()) {
    for (int64_t i = held->last + 1; i <= last; ++i) {
      report.mutable_started()->add_sequences(absl::StrCat(i));
    }
  } else {
    report.mutable_success();
    shared_.ledger.OnReportSent(held->shard, last);
  }
  SendReport(held, report, last);
}

void FleetWorker::SendReport(const HeldShard& held, const v1::ReportBatchRequest& report,
                             int64_t last) {
  held->calling = true;
  held->cancel = client_.ReportBatch(
      report, kCallTimeout,
      Measured<v1::ReportBatchResponse>(
          FleetMethod::kReportBatch,
          [this, held, report, last](SteadyTime,
                                     const absl::StatusOr<v1::ReportBatchResponse>& answer) {
            OnReport(held, report, last, answer);
          }));
}

void FleetWorker::OnReport(const HeldShard& held, const v1::ReportBatchRequest& report,
                           int64_t last, const absl::StatusOr<v1::ReportBatchResponse>& answer) {
  if (held->ended) return;
  held->calling = false;
  held->cancel = nullptr;
  if (!answer.ok()) {
    if (EndsLease(held, answer.status())) return;
    // The same again: what it came to is not known. Its lease may be lost meanwhile.
    held->calling = true;
    held->timer = shared_.loop.After(held->pause.Next(shared_.random), [this, held, report, last] {
      held->timer = 0;
      SendReport(held, report, last);
    });
    return;
  }
  held->pause.Reset();
  if (report.has_started()) {
    held->delivery.set_declare(false);
    if (answer->hand_over()) held->hand_over = true;
    return held->hand_over ? Release(held) : Report(held);
  }
  shared_.ledger.OnReported(held->shard, last, *answer);
  held->last = last;
  held->delivery = answer->next();
  if (!proven_ && session_open_) {
    proven_ = true;
    if (!beating_) {
      shared_.loop.Cancel(beat_timer_);
      Beat();
    }
  }
  if (answer->hand_over()) held->hand_over = true;
  return held->hand_over ? Release(held) : ReportSoon(held);
}

// --- The end -------------------------------------------------------------------------

void FleetWorker::HandOver(const HeldShard& held) {
  if (held->hand_over) return;
  held->hand_over = true;
  if (!held->calling) Release(held);
}

void FleetWorker::Release(const HeldShard& held) {
  shared_.loop.Cancel(held->timer);
  held->calling = true;
  v1::ReleaseShardRequest request;
  request.set_stream(options_.stream);
  request.set_shard(held->shard);
  request.set_worker(id_);
  request.set_epoch(held->epoch);
  held->cancel = client_.ReleaseShard(
      request, kCallTimeout,
      Measured<v1::ReleaseShardResponse>(
          FleetMethod::kReleaseShard,
          [this, held](SteadyTime, const absl::StatusOr<v1::ReleaseShardResponse>& answer) {
            OnRelease(held, answer.status());
          }));
}

void FleetWorker::OnRelease(const HeldShard& held, const absl::Status& status) {
  if (held->ended) return;
  held->cancel = nullptr;
  if (!status.ok()) {
    if (EndsLease(held, status)) return;
    return After(held, held->pause.Next(shared_.random), &FleetWorker::Release);
  }
  shared_.ledger.OnReleased(id_, held->shard, held->epoch);
  End(held);
  shards_.erase(held->shard);
  LeaseMore();
}

bool FleetWorker::EndsLease(const HeldShard& held, const absl::Status& error) {
  if (Reason(error) == kSessionExpired) {
    OnSessionExpired();
    return true;
  }
  if (!absl::IsAborted(error) && !absl::IsNotFound(error) && !absl::IsFailedPrecondition(error)) {
    if (absl::IsInvalidArgument(error)) {
      shared_.ledger.NoteViolation(absl::StrCat("a call was refused: ", error.ToString()));
    }
    return false;
  }
  shared_.ledger.OnLost(id_, held->shard, held->epoch);
  End(held);
  shards_.erase(held->shard);
  LeaseMore();
  return true;
}

void FleetWorker::End(const HeldShard& held) {
  held->ended = true;
  held->cancel = nullptr;
  shared_.loop.Cancel(held->timer);
}

void FleetWorker::After(const HeldShard& held, absl::Duration pause,
                        void (FleetWorker::*next)(const HeldShard&)) {
  shared_.loop.Cancel(held->timer);
  held->timer = shared_.loop.After(pause, [this, held, next] {
    held->timer = 0;
    (this->*next)(held);
  });
}

}  // namespace lowmark
