// What the coordinator tells Prometheus. docs/metrics.md has the list for people.
//
// The one label that users choose is `stream`; beyond the first `max_streams`
// names the rest is counted together under "_other", so that a scrape stays
// small whatever is created. Shards and workers are never labels.
#ifndef LOWMARK_SERVICE_METRICS_H_
#define LOWMARK_SERVICE_METRICS_H_

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "service/core/step.h"
#include "service/process/mutex.h"
#include "store/store.h"

namespace lowmark {

// Thread-safe.
class Metrics {
 public:
  // With so many a scrape stays below 1 MB whatever their names are.
  static constexpr size_t kMaxStreams = 100;

  // Registers all families; the registry must outlive this.
  explicit Metrics(prometheus::Registry& registry, size_t max_streams = kMaxStreams);
  ~Metrics();

  // A report that was applied.
  void CountReport(const std::string& stream, const StepResult& step);
  // A report that was a repetition of one applied before.
  void CountRepeated(const std::string& stream);
  // A report that was refused; only ABORTED ones are counted.
  void CountRefused(const std::string& stream, const absl::Status& status);
  // A call that its caller may not make: UNAUTHENTICATED or PERMISSION_DENIED.
  void CountRefusedCall(const absl::Status& status);
  // Files of certificates or tokens that changed, and are of no use.
  void CountRefusedSecrets();
  // When the server's certificate expires.
  void SetCertificateExpiry(absl::Time time);
  // A lease that was granted; `lost`: the delivery before it was, `discarded`: the
  // records that this set aside.
  void CountLease(const std::string& stream, bool lost, int64_t discarded);
  // A shard that was handed over when asked, or had to be taken away.
  void CountHandoff(const std::string& stream, bool forced);
  // A transaction of a commit group.
  void CountCommit(size_t updates, absl::Duration duration);
  // An operation on the database that failed as a whole.
  void CountStoreError(const std::string& operation, const absl::Status& status);
  // What a dead letter's destination said of it; CANCELLED, not tried, counts not.
  void CountForward(const std::string& stream, const absl::Status& answer);
  // All streams that have dead letters to be forwarded now.
  void SetOutboxes(const std::vector<Outbox>& outboxes);
  // All streams that have shards that nobody holds now.
  void SetUnowned(const std::vector<UnownedShards>& unowned);
  // LeaseShard calls that wait for a free shard now.
  void SetWaiting(size_t calls);

 private:
  struct StreamMetrics;

  StreamMetrics& For(const std::string& stream);

  const size_t max_streams_;
  prometheus::Family<prometheus::Counter>& batches_;
  prometheus::Family<prometheus::Counter>& processed_;
  prometheus::Family<prometheus::Counter>& retries_;
  prometheus::Family<prometheus::Counter>& splits_;
  prometheus::Family<prometheus::Counter>& discarded_;
  prometheus::Family<prometheus::Counter>& redelivered_;
  prometheus::Family<prometheus::Counter>& lost_;
  prometheus::Family<prometheus::Counter>& repeated_;
  prometheus::Family<prometheus::Counter>& refused_;
  prometheus::Family<prometheus::Counter>& leases_;
  prometheus::Family<prometheus::Counter>& handoffs_;
  prometheus::Family<prometheus::Counter>& store_errors_;
  prometheus::Family<prometheus::Counter>& forwards_;
  prometheus::Family<prometheus::Gauge>& waiting_letters_;
  prometheus::Family<prometheus::Gauge>& waiting_age_;
  prometheus::Family<prometheus::Gauge>& unowned_;
  prometheus::Family<prometheus::Counter>& refused_calls_;
  prometheus::Counter& refused_secrets_;
  prometheus::Family<prometheus::Gauge>& certificate_expiry_;
  prometheus::Histogram& group_size_;
  prometheus::Histogram& commit_seconds_;
  prometheus::Gauge& waiting_;

  Mutex mutex_;
  std::unordered_map<std::string, std::unique_ptr<StreamMetrics>> streams_
      LOWMARK_GUARDED_BY(mutex_);
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_METRICS_H_
