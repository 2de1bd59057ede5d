// One leased shard: reads it, hands its records to the handler batch by batch,
// reports, and does what the answers say, until the lease ends.
//
//   assembling -> (delay) -> (declared) -> handler -> report -> assembling ...
//        \-> set aside -> report -> assembling
//
// A lease ends released, done (the shard has no more records), or lost.
#ifndef LOWMARK_WORKER_INTERNAL_SHARD_RUN_H_
#define LOWMARK_WORKER_INTERNAL_SHARD_RUN_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "worker/internal/assemble.h"
#include "worker/internal/context.h"
#include "worker/internal/lease.h"
#include "worker/internal/load_meter.h"
#include "worker/internal/report.h"
#include "worker/internal/retry_pause.h"
#include "worker/internal/shard_reading.h"
#include "worker/internal/trouble_watch.h"

namespace lowmark {

// Used on the loop only. Must be held by a shared_ptr.
class ShardRun : public std::enable_shared_from_this<ShardRun> {
 public:
  // How the owner learns of what matters beyond the shard.
  struct Owner {
    // The lease has ended; called once, last of all, from inside a call. `lost`: not by
    // our own doing.
    std::function<void(const std::string& shard, bool lost)> ended;
    // A report was accepted.
    std::function<void()> reported;
    // The coordinator says that the worker's session is over.
    std::function<void()> session_expired;
  };

  ShardRun(WorkerContext& context, std::string worker, WorkerLease lease, Owner owner);
  ~ShardRun();

  int64_t epoch() const { return epoch_; }
  // What the shard weighs in the measure of its stream's policy; nullopt where the
  // policy asks for none.
  std::optional<ShardWeight> weight(SteadyTime now) {
    return meter_.Weight(policy_.balance_by, now);
  }
  bool handing_over() const { return hand_over_; }
  // Its records that wait, and how long the oldest has.
  int64_t waiting() const { return reading_->waiting(); }
  absl::Duration lag_age(absl::Time now) const;
  bool in_trouble() const { return reading_->in_trouble(); }
  // What is known of it; nullopt where nothing is yet.
  std::optional<ShardStat> stat(absl::Time now, SteadyTime steady) const;

  void Start();
  // Gives the lease back as soon as the batch in processing, if any, is reported.
  void HandOver();
  // The lease is gone: forgets it, whatever is in processing.
  void Lose(const std::string& reason);
  // The handler is free again for this shard, or the leases can be relied on again.
  void Resume();

 private:
  enum class Phase {
    kAssembling,  // until a batch is complete
    kDelaying,    // until the delivery's time has come
    kReporting,   // until the coordinator has answered
    kBlocked,     // until Resume
    kHandling,    // until the handler has returned
    kReleasing,   // until the coordinator has answered
    kEnded,
  };

  void OpenReading();
  void TakeDelivery(WorkerDelivery delivery);
  void Assemble();
  void DemandRecords(bool needed);
  void Delay();
  void Declare();
  void Handle();
  void OnHandlerEnd(const HandlerRuns::End& end);
  // Counts the times in a row that the handler could not run. Whether it is to be logged.
  bool NoteHandler(const HandlerResult& result);
  // Says that so many records go without their data.
  void NoteLeftOut(int32_t records);

  v1::ReportBatchRequest NewReport() const;
  void SendReport(v1::ReportBatchRequest report);
  void TryReport();
  void OnReportError(const absl::Status& error);
  void OnReportAnswer(const v1::ReportBatchResponse& answer);
  // Whether a report's error means that the lease is over; ends it or gives it back.
  bool EndsLease(const absl::Status& error);
  void StartAnew(absl::Duration pause);

  void Release();
  void TryRelease();
  void End(bool lost = false);
  // Logs what happened to this delivery.
  void Say(LogLevel level, const char* message, const std::string& detail);
  // Sets the one timer of the shard; what it was set for before is forgotten.
  void At(SteadyTime time, void (ShardRun::*function)());

  WorkerContext& context_;
  const std::string worker_;
  const std::string shard_;
  const int64_t epoch_;
  const Owner owner_;
  Policy policy_;
  std::string config_etag_;
  std::shared_ptr<ShardReading> reading_;

  Phase phase_ = Phase::kAssembling;
  bool hand_over_ = false;
  WorkerDelivery current_;
  SteadyTime not_before_;   // no handler before this time
  Records batch_;           // point into reading_'s records
  bool shard_end_ = false;  // nothing follows the batch
  bool declared_ = false;   // `started` was answered for the current delivery
  v1::ReportBatchRequest report_;
  RetryPause call_pause_;  // for reports and releases
  ShardMeter meter_{std::chrono::steady_clock::now()};
  int not_runs_ = 0;  // deliveries in a row whose handler could not run
  TroubleWatch handler_trouble_{Trouble::Kind::kHandler};
  EventLoop::TimerId timer_ = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_SHARD_RUN_H_
