#include "worker/internal/metrics.h"

#include <prometheus/text_serializer.h>

#include "worker/handler/answer.h"

namespace lowmark {
namespace {

constexpr char kSetAside[] = "lowmark_worker_records_set_aside_total";
constexpr char kSetAsideHelp[] = "Records set aside before a handler saw them.";
constexpr char kBatches[] = "lowmark_worker_batches_total";
constexpr char kBatchesHelp[] = "Batches handed to the handler, by outcome.";
constexpr char kRedelivered[] = "lowmark_worker_records_redelivered_total";
constexpr char kRedeliveredHelp[] =
    "Records handed to the handler that had been delivered before, by cause.";
constexpr char kSourceErrors[] = "lowmark_worker_source_errors_total";
constexpr char kSourceErrorsHelp[] =
    "Reads that failed (passing: tried again; shard: this shard cannot be read).";

constexpr char kInvalidAnswers[] = "lowmark_worker_invalid_answers_total";
constexpr char kInvalidAnswersHelp[] =
    "Answers that failed their batch because of what they say (wrong_key: failures seem to be "
    "listed under another key than batchItemFailures).";

const prometheus::Histogram::BucketBoundaries kSeconds = {
    .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900};

}  // namespace

WorkerMetrics::WorkerMetrics(const std::string& stream)
    : stream_(stream),
      registry_(std::make_shared<prometheus::Registry>()),
      records_(Counter("lowmark_worker_records_total", "Records handed to the handler.")),
      without_data_(Counter("lowmark_worker_records_without_data_total",
                            "Records set aside, or about to be, whose data does not fit in a "
                            "report and so not in a dead letter.")),
      passing_errors_(Counter(kSourceErrors, kSourceErrorsHelp, {{"kind", "passing"}})),
      shard_errors_(Counter(kSourceErrors, kSourceErrorsHelp, {{"kind", "shard"}})),
      vanished_(Counter("lowmark_worker_shards_vanished_total",
                        "Shards that ended though not all of them was read: the source had the "
                        "rest no more.")),
      wrong_keys_(Counter(kInvalidAnswers, kInvalidAnswersHelp, {{"kind", "wrong_key"}})),
      other_invalid_(Counter(kInvalidAnswers, kInvalidAnswersHelp, {{"kind", "other"}})),
      lost_records_(Counter("lowmark_worker_records_lost_total",
                            "Records that the source no longer had when they were to be read, at "
                            "most: deleted before they were processed.")),
      report_retries_(
          Counter("lowmark_worker_report_retries_total", "Reports that had to be sent again.")),
      handoffs_(Counter("lowmark_worker_handoffs_total",
                        "Shards given to another worker because the coordinator asked for it.")),
      sessions_(
          Counter("lowmark_worker_sessions_total", "Sessions opened; more than one: one expired.")),
      duration_(prometheus::BuildHistogram()
                    .Name("lowmark_worker_handler_duration_seconds")
                    .Help("How long the handler took for a batch.")
                    .Register(*registry_)
                    .Add({{"stream", stream_}}, kSeconds)),
      leases_(Gauge("lowmark_worker_leases", "Leases held.")),
      lag_age_(Gauge("lowmark_worker_lag_age_seconds",
                     "Age of the oldest record known and not yet processed, the highest of the "
                     "shards held.")),
      lag_records_(Gauge("lowmark_worker_lag_records",
                         "Records not yet processed in the shards held, as far as the source can "
                         "tell; an estimate.")),
      buffered_bytes_(Gauge("lowmark_worker_buffered_bytes",
                            "Bytes of record data read and not yet processed.")),
      overruns_(Gauge("lowmark_worker_handlers_overrun",
                      "Handler calls that have not returned although their time is over.")),
      shards_in_trouble_(Gauge("lowmark_worker_shards_in_trouble",
                               "Shards held whose source cannot be read now.")),
      listing_in_trouble_(Gauge("lowmark_worker_listing_in_trouble",
                                "1 while this worker cannot list the source's shards, as it is to, "
                                "so that new ones are not found.")) {
  using O = BatchOutcome;
  for (const auto& [outcome, name] : std::map<O, std::string>{{O::kSuccess, "success"},
                                                              {O::kPartial, "partial"},
                                                              {O::kFailure, "failure"},
                                                              {O::kTimeout, "timeout"},
                                                              {O::kNotRun, "not_run"}}) {
    batches_[outcome] = &Counter(kBatches, kBatchesHelp, {{"outcome", name}});
  }
  for (const auto& [cause, name] :
       std::map<Redelivery, std::string>{{Redelivery::kRetry, "retry"},
                                         {Redelivery::kSplit, "split"},
                                         {Redelivery::kPartial, "partial"},
                                         {Redelivery::kLost, "lost"},
                                         {Redelivery::kOperator, "operator"}}) {
    redelivered_[cause] = &Counter(kRedelivered, kRedeliveredHelp, {{"cause", name}});
  }
  for (const auto& [condition, name] :
       std::map<Condition, std::string>{{Condition::kRecordAgeExceeded, "record_age_exceeded"},
                                        {Condition::kRecordTooLarge, "record_too_large"},
                                        {Condition::kRecordUnreadable, "record_unreadable"}}) {
    set_aside_[condition] = &Counter(kSetAside, kSetAsideHelp, {{"condition", name}});
  }
}

std::string WorkerMetrics::Text() const {
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

void WorkerMetrics::CountBatch(const v1::ReportBatchRequest& report, Redelivery cause,
                               absl::Duration duration) {
  batches_.at(OutcomeOf(report))->Increment();
  const std::string& error = report.failure().error_type();
  if (error == kWrongKey) wrong_keys_.Increment();
  if (error == kInvalidAnswer) other_invalid_.Increment();
  // An endpoint that is down refuses at once: that is no duration of a handler's.
  if (!report.has_not_run()) duration_.Observe(absl::ToDoubleSeconds(duration));
  // Zero where the handler did not run.
  records_.Increment(report.record_count());
  if (cause != Redelivery::kNone) redelivered_.at(cause)->Increment(report.record_count());
}

WorkerMetrics::BatchOutcome WorkerMetrics::OutcomeOf(const v1::ReportBatchRequest& report) {
  if (report.has_not_run()) return BatchOutcome::kNotRun;
  if (!report.has_failure()) return BatchOutcome::kSuccess;
  if (report.failure().failed_sequences_size() > 0) return BatchOutcome::kPartial;
  return report.failure().error_type() == "Timeout" ? BatchOutcome::kTimeout
                                                    : BatchOutcome::kFailure;
}

void WorkerMetrics::CountSetAside(Condition condition, int64_t records) {
  auto found = set_aside_.find(condition);
  if (found != set_aside_.end()) found->second->Increment(static_cast<double>(records));
}

void WorkerMetrics::CountSourceError(bool passing) {
  (passing ? passing_errors_ : shard_errors_).Increment();
}

void WorkerMetrics::CountCallError(const std::string& method, const std::string& reason) {
  Counter("lowmark_worker_call_errors_total", "Calls to the coordinator that failed.",
          {{"method", method}, {"reason", reason}})
      .Increment();
}

void WorkerMetrics::CountLeaseLost(const std::string& reason) {
  Counter("lowmark_worker_leases_lost_total", "Leases that ended without being released.",
          {{"reason", reason}})
      .Increment();
}

void WorkerMetrics::SetLevels(const Levels& levels) {
  leases_.Set(static_cast<double>(levels.leases));
  lag_age_.Set(absl::ToDoubleSeconds(levels.lag_age));
  lag_records_.Set(static_cast<double>(levels.lag_records));
  buffered_bytes_.Set(static_cast<double>(levels.buffered_bytes));
  overruns_.Set(static_cast<double>(levels.overruns));
  shards_in_trouble_.Set(static_cast<double>(levels.shards_in_trouble));
  listing_in_trouble_.Set(levels.listing_in_trouble ? 1 : 0);
}

prometheus::Counter& WorkerMetrics::Counter(const std::string& name, const std::string& help,
                                            const Labels& labels) {
  Labels all = labels;
  all["stream"] = stream_;
  return prometheus::BuildCounter().Name(name).Help(help).Register(*registry_).Add(all);
}

prometheus::Gauge& WorkerMetrics::Gauge(const std::string& name, const std::string& help) {
  return prometheus::BuildGauge()
      .Name(name)
      .Help(help)
      .Register(*registry_)
      .Add({{"stream", stream_}});
}

}  // namespace lowmark
