// What a worker tells Prometheus. docs/metrics.md has the list for people.
#ifndef LOWMARK_WORKER_INTERNAL_METRICS_H_
#define LOWMARK_WORKER_INTERNAL_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "lowmark/v1/coordinator.pb.h"
#include "service/core/step.h"

namespace lowmark {

// Thread safe. Every series has the label `stream`.
class WorkerMetrics {
 public:
  explicit WorkerMetrics(const std::string& stream);

  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }
  // All of it in Prometheus' text format.
  std::string Text() const;

  // A batch that the handler had for `duration`, and what is reported of it;
  // `cause` where its records had been delivered before.
  void CountBatch(const v1::ReportBatchRequest& report, Redelivery cause, absl::Duration duration);
  void CountSetAside(Condition condition, int64_t records);
  // Records set aside, or about to be, whose data no report can hold.
  void CountWithoutData(int32_t records) { without_data_.Increment(records); }
  // A read that failed: for now (`passing`), or because of the shard itself.
  void CountSourceError(bool passing);
  // A shard that is over though not all of it was read.
  void CountVanished() { vanished_.Increment(); }
  // Records that the source no longer has, at most so many, and that no handler saw.
  void CountLostRecords(int64_t records) { lost_records_.Increment(static_cast<double>(records)); }
  // A report that has to be sent again.
  void CountReportRetry() { report_retries_.Increment(); }
  // A call to the coordinator that failed, with the error's reason.
  void CountCallError(const std::string& method, const std::string& reason);
  // A lease that ended without being released or done.
  void CountLeaseLost(const std::string& reason);
  // A shard given to another worker because the coordinator asked for it.
  void CountHandoff() { handoffs_.Increment(); }
  void CountSession() { sessions_.Increment(); }

  // What is true now.
  struct Levels {
    int64_t leases = 0;
    absl::Duration lag_age;   // of the oldest record that waits
    int64_t lag_records = 0;  // that wait, over all shards
    int64_t buffered_bytes = 0;
    int64_t overruns = 0;
    int64_t shards_in_trouble = 0;
    bool listing_in_trouble = false;
  };
  void SetLevels(const Levels& levels);

 private:
  enum class BatchOutcome { kSuccess, kPartial, kFailure, kTimeout, kNotRun };
  static BatchOutcome OutcomeOf(const v1::ReportBatchRequest& report);

  using Labels = std::map<std::string, std::string>;
  prometheus::Counter& Counter(const std::string& name, const std::string& help,
                               const Labels& labels = {});
  prometheus::Gauge& Gauge(const std::string& name, const std::string& help);

  const std::string stream_;
  const std::shared_ptr<prometheus::Registry> registry_;
  std::map<BatchOutcome, prometheus::Counter*> batches_;
  std::map<Redelivery, prometheus::Counter*> redelivered_;
  std::map<Condition, prometheus::Counter*> set_aside_;
  prometheus::Counter& records_;
  prometheus::Counter& without_data_;
  prometheus::Counter& passing_errors_;
  prometheus::Counter& shard_errors_;
  prometheus::Counter& vanished_;
  prometheus::Counter& wrong_keys_;
  prometheus::Counter& other_invalid_;
  prometheus::Counter& lost_records_;
  prometheus::Counter& report_retries_;
  prometheus::Counter& handoffs_;
  prometheus::Counter& sessions_;
  prometheus::Histogram& duration_;
  prometheus::Gauge& leases_;
  prometheus::Gauge& lag_age_;
  prometheus::Gauge& lag_records_;
  prometheus::Gauge& buffered_bytes_;
  prometheus::Gauge& overruns_;
  prometheus::Gauge& shards_in_trouble_;
  prometheus::Gauge& listing_in_trouble_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_METRICS_H_
