#include "worker/internal/shard_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/core/error.h"
#include "service/rpc/convert.h"

namespace lowmark {

ShardRun::ShardRun(WorkerContext& context, std::string worker, WorkerLease lease, Owner owner)
    : context_(context),
      worker_(std::move(worker)),
      shard_(std::move(lease.shard)),
      epoch_(lease.epoch),
      owner_(std::move(owner)),
      policy_(std::move(lease.policy)),
      config_etag_(std::move(lease.config_etag)),
      current_(std::move(lease.delivery)),
      call_pause_(context.options.retry_initial, context.options.retry_maximum) {}

ShardRun::~ShardRun() {
  context_.loop->Cancel(timer_);
  if (reading_) reading_->Stop();
}

void ShardRun::Start() {
  OpenReading();
  TakeDelivery(current_);
}

void ShardRun::OpenReading() {
  reading_ = std::make_shared<ShardReading>(context_, shard_, current_.delivery.start,
                                            [self = weak_from_this()] {
                                              auto run = self.lock();
                                              if (!run) return;
                                              if (run->phase_ == Phase::kAssembling) {
                                                run->Assemble();
                                              } else {
                                                run->DemandRecords(/*needed=*/false);
                                              }
                                            });
}

void ShardRun::HandOver() {
  hand_over_ = true;
  switch (phase_) {
    case Phase::kAssembling:
    case Phase::kDelaying:
    case Phase::kBlocked:
      Release();
      return;
    case Phase::kHandling:
      // Waiting for a thread is not processing.
      if (context_.handlers.Withdraw(shard_)) Release();
      return;
    case Phase::kReporting:
    case Phase::kReleasing:
    case Phase::kEnded:
      return;
  }
}

void ShardRun::Lose(const std::string& reason) {
  if (phase_ == Phase::kEnded) return;
  context_.metrics.CountLeaseLost(reason);
  Say(LogLevel::kWarning, "lease lost", reason);
  End(/*lost=*/true);
}

void ShardRun::Resume() {
  if (phase_ == Phase::kBlocked) Handle();
}

// --- From a delivery to the handler ------------------------------------------

void ShardRun::TakeDelivery(WorkerDelivery delivery) {
  current_ = std::move(delivery);
  batch_.clear();
  declared_ = false;
  not_before_ = SteadyDeadline(current_.delivery.delay);
  reading_->MoveTo(current_.delivery.start);
  phase_ = Phase::kAssembling;
  hand_over_ ? Release() : Assemble();
}

void ShardRun::Assemble() {
  context_.loop->Cancel(timer_);
  if (reading_->resolved()) {
    auto report = NewReport();
    SetResolved(*reading_->resolved(), &report);
    return SendReport(std::move(report));
  }
  const ReadAhead& read = reading_->read();
  const Assembly assembly = lowmark::Assemble(read, current_.delivery, policy_, absl::Now(),
                                              std::chrono::steady_clock::now());
  batch_.clear();
  for (int32_t i = 0; i < assembly.count; ++i) batch_.push_back(&read.records[i]);
  shard_end_ = assembly.shard_end;
  switch (assembly.kind) {
    case Assembly::Kind::kWait:
      batch_.clear();
      DemandRecords(/*needed=*/true);
      if (assembly.wake != SteadyTime::max()) At(assembly.wake, &ShardRun::Assemble);
      return;
    case Assembly::Kind::kNothingLeft: {
      auto report = NewReport();
      SetNothingLeft(shard_end_, &report);
      return SendReport(std::move(report));
    }
    case Assembly::Kind::kSetAside: {
      auto report = NewReport();
      NoteLeftOut(SetSetAside(batch_, assembly.set_aside, assembly.condition, &report));
      context_.metrics.CountSetAside(assembly.condition, assembly.set_aside);
      Say(LogLevel::kWarning, "records set aside",
          absl::StrCat(assembly.set_aside, " from ", report.first_sequence(),
                       " on: ", report.set_aside().error_message()));
      return SendReport(std::move(report));
    }
    case Assembly::Kind::kDeliver:
      DemandRecords(/*needed=*/false);
      return Delay();
  }
}

void ShardRun::DemandRecords(bool needed) {
  if (phase_ == Phase::kEnded || phase_ == Phase::kReleasing || hand_over_) return;
  ReadDemand demand;
  demand.needed = needed;
  if (needed) demand.end_sequence = current_.delivery.end_sequence;
  demand.batch_size = policy_.batch_size;
  demand.batch_bytes = policy_.maximum_batch_bytes;
  demand.order = policy_.sequence_order;
  reading_->Demand(demand);
}

void ShardRun::Delay() {
  phase_ = Phase::kDelaying;
  if (std::chrono::steady_clock::now() < not_before_) {
    At(not_before_, &ShardRun::Delay);
  } else {
    Declare();
  }
}

// After the delay, so that a worker that dies waiting is no loss of the batch.
void ShardRun::Declare() {
  if (!current_.delivery.declare || declared_) return Handle();
  auto report = NewReport();
  SetStarted(batch_, &report);
  SendReport(std::move(report));
}

void ShardRun::Handle() {
  if (!context_.trust->Holds(std::chrono::steady_clock::now()) || context_.handlers.busy(shard_)) {
    phase_ = Phase::kBlocked;
    return;
  }
  phase_ = Phase::kHandling;
  Batch batch;
  batch.stream = context_.options.stream;
  batch.origin = context_.source->origin();
  batch.shard = shard_;
  batch.epoch = epoch_;
  batch.batch_id = current_.batch_id;
  batch.attempt = current_.delivery.attempt;
  batch.report_batch_item_failures = policy_.report_batch_item_failures;
  batch.records.reserve(batch_.size());
  for (const SourceRecord* record : batch_) batch.records.push_back(record->record);
  context_.handlers.Run(
      std::move(batch), policy_.handler_timeout,
      [self = shared_from_this()](const HandlerRuns::End& end) { self->OnHandlerEnd(end); });
}

void ShardRun::OnHandlerEnd(const HandlerRuns::End& end) {
  if (phase_ != Phase::kHandling) return;
  if (end.kind == HandlerRuns::End::Kind::kUntrusted) {
    // The lease may be trusted again by now, and whoever renewed it has seen this run as one
    // that is under way.
    hand_over_ ? Release() : Handle();
    return;
  }
  meter_.Count(batch_.size(), end.duration, std::chrono::steady_clock::now());
  const bool news = NoteHandler(end.result);
  auto report = NewReport();
  NoteLeftOut(
      SetResult(batch_, end.result, policy_, current_.delivery.final_attempt, shard_end_, &report));
  context_.metrics.CountBatch(report, current_.delivery.cause, end.duration);
  if (!report.has_success() && news) {
    Say(LogLevel::kWarning, report.has_not_run() ? "handler out of reach" : "batch failed",
        absl::StrCat("attempt ", current_.delivery.attempt, ", records ",
                     batch_.front()->record.sequence, " to ", batch_.back()->record.sequence, ": ",
                     end.result.error_type, ": ", end.result.error_message));
  }
  SendReport(std::move(report));
}

void ShardRun::NoteLeftOut(int32_t records) {
  if (records == 0) return;
  context_.metrics.CountWithoutData(records);
  Say(LogLevel::kWarning, "records are set aside without their data, which fits in no report",
      absl::StrCat(records, " records"));
}

// --- Reporting ---------------------------------------------------------------

v1::ReportBatchRequest ShardRun::NewReport() const {
  v1::ReportBatchRequest report;
  report.set_stream(context_.options.stream);
  report.set_shard(shard_);
  report.set_worker(worker_);
  report.set_epoch(epoch_);
  report.set_delivery(current_.delivery.delivery);
  report.set_config_etag(config_etag_);
  return report;
}

void ShardRun::SendReport(v1::ReportBatchRequest report) {
  phase_ = Phase::kReporting;
  context_.loop->Cancel(timer_);
  report_ = std::move(report);
  SetVanished(reading_->vanished(), &report_);
  call_pause_.Reset();
  TryReport();
}

void ShardRun::TryReport() {
  // Data takes its time to arrive, and to be stored.
  const absl::Duration for_data = absl::Seconds(report_.ByteSizeLong() >> 20);
  context_.client.ReportBatch(
      report_, context_.options.call_timeout + for_data,
      [self = shared_from_this()](absl::StatusOr<v1::ReportBatchResponse> answer) {
        if (self->phase_ != Phase::kReporting) return;
        answer.ok() ? self->OnReportAnswer(*answer) : self->OnReportError(answer.status());
      });
}

void ShardRun::OnReportError(const absl::Status& error) {
  context_.metrics.CountCallError("ReportBatch", Reason(error));
  if (EndsLease(error)) return;
  const absl::Duration pause = call_pause_.Next(context_.random);
  if (absl::IsInvalidArgument(error)) {
    // The coordinator does not take this report, now or ever. Nothing was lost:
    // the delivery is current still, and is made anew from the source.
    Say(LogLevel::kError, "report refused, the batch is delivered again", error.ToString());
    StartAnew(std::max(pause, absl::Seconds(1)));
    return;
  }
  // The outcome is not known. A repeat is harmless, and it is the one way on.
  if (call_pause_.attempts() == 1) {
    Say(LogLevel::kWarning, "report not answered, sending it again", error.ToString());
  }
  context_.metrics.CountReportRetry();
  At(SteadyDeadline(pause), &ShardRun::TryReport);
}

bool ShardRun::EndsLease(const absl::Status& error) {
  const std::string reason = Reason(error);
  if (reason == kSessionExpired) {
    // The owner loses all shards, this one too.
    const auto self = shared_from_this();
    owner_.session_expired();
    Lose(reason);
    return true;
  }
  if (reason == kStaleDelivery) {
    // A failover lost deliveries; under this epoch others would have their numbers.
    Say(LogLevel::kWarning, "deliveries lost, giving the shard back", error.ToString());
    Release();
    return true;
  }
  if (absl::IsAborted(error) || absl::IsNotFound(error) || absl::IsFailedPrecondition(error)) {
    Lose(reason);
    return true;
  }
  return false;
}

void ShardRun::StartAnew(absl::Duration pause) {
  if (hand_over_) return Release();
  current_.delivery.delay = pause;
  // Nothing that was read is trusted.
  batch_.clear();
  reading_->Stop();
  Start();
}

void ShardRun::OnReportAnswer(const v1::ReportBatchResponse& answer) {
  if (answer.has_config()) {
    auto policy = PolicyFromProto(answer.config(), Policy());
    if (policy.ok()) {
      policy_ = *std::move(policy);
      config_etag_ = answer.config_etag();
    } else {
      Say(LogLevel::kError, "stream's policy not understood, keeping the one before",
          policy.status().ToString());
    }
  }
  owner_.reported();
  if (!answer.has_next()) {
    Say(LogLevel::kInfo, "shard is at its end", "");
    return End();
  }
  auto next = DeliveryFromProto(answer.next(), policy_.sequence_order);
  if (!next.ok()) {
    Say(LogLevel::kError, "delivery not understood, giving the shard back",
        next.status().ToString());
    return Release();
  }
  if (answer.hand_over() && !hand_over_) {
    context_.metrics.CountHandoff();
    hand_over_ = true;
  }
  const bool same = next->delivery.delivery == current_.delivery.delivery;
  if (report_.has_started() && same && !hand_over_) {
    declared_ = true;
    return Handle();
  }
  if (not_runs_ > 0) {
    // Nothing is spent while the handler is out of reach, so nothing but this
    // makes the tries rarer.
    const absl::Duration pause = Backoff(policy_.retry_backoff, not_runs_,
                                         std::uniform_real_distribution<>()(context_.random));
    next->delivery.delay = std::max(next->delivery.delay, pause);
  }
  TakeDelivery(*std::move(next));
}

// --- The end -----------------------------------------------------------------

void ShardRun::Release() {
  phase_ = Phase::kReleasing;
  context_.loop->Cancel(timer_);
  reading_->Stop();
  call_pause_.Reset();
  TryRelease();
}

void ShardRun::TryRelease() {
  v1::ReleaseShardRequest request;
  request.set_stream(context_.options.stream);
  request.set_shard(shard_);
  request.set_worker(worker_);
  request.set_epoch(epoch_);
  context_.client.ReleaseShard(
      request, context_.options.call_timeout,
      [self = shared_from_this()](const absl::StatusOr<v1::ReleaseShardResponse>& answer) {
        if (self->phase_ != Phase::kReleasing) return;
        const absl::Status& error = answer.status();
        if (error.ok()) {
          self->End();
          return;
        }
        self->context_.metrics.CountCallError("ReleaseShard", Reason(error));
        if (self->EndsLease(error)) return;
        self->At(SteadyDeadline(self->call_pause_.Next(self->context_.random)),
                 &ShardRun::TryRelease);
      });
}

void ShardRun::End(bool lost) {
  phase_ = Phase::kEnded;
  context_.loop->Cancel(timer_);
  reading_->Stop();
  context_.handlers.Abandon(shard_);
  owner_.ended(shard_, lost);
}

void ShardRun::Say(LogLevel level, const char* message, const std::string& detail) {
  context_.log.Log(level, message,
                   {{"stream", context_.options.stream},
                    {"shard", shard_},
                    {"epoch", epoch_},
                    {"delivery", current_.delivery.delivery},
                    {"detail", detail}});
}

void ShardRun::At(SteadyTime time, void (ShardRun::*function)()) {
  context_.loop->Cancel(timer_);
  timer_ = context_.loop->At(time, [self = weak_from_this(), function] {
    auto run = self.lock();
    if (!run) return;
    run->timer_ = 0;
    ((*run).*function)();
  });
}

}  // namespace lowmark
