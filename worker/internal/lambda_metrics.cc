#include "worker/internal/lambda_metrics.h"

#include <prometheus/metric_family.h>

#include <utility>

namespace lowmark {
namespace {

prometheus::MetricFamily Family(const std::string& stream, prometheus::MetricType type,
                                const char* name, const char* help, int64_t value) {
  prometheus::ClientMetric metric;
  metric.label = {{"stream", stream}};
  if (type == prometheus::MetricType::Counter) {
    metric.counter.value = static_cast<double>(value);
  } else {
    metric.gauge.value = static_cast<double>(value);
  }
  return {name, help, type, {std::move(metric)}};
}

}  // namespace

std::vector<prometheus::MetricFamily> LambdaMetrics::Collect() const {
  const LambdaStats stats = handler_->stats();
  const auto counter = [this](const char* name, const char* help, int64_t value) {
    return Family(stream_, prometheus::MetricType::Counter, name, help, value);
  };
  const auto gauge = [this](const char* name, const char* help, int64_t value) {
    return Family(stream_, prometheus::MetricType::Gauge, name, help, value);
  };
  return {gauge("lowmark_worker_runtimes_ready", "Runtimes that wait for a batch.", stats.ready),
          gauge("lowmark_worker_runtimes_busy", "Runtimes that process a batch.", stats.busy),
          counter("lowmark_worker_runtime_starts_total", "Runtimes started.", stats.starts),
          counter("lowmark_worker_runtime_failed_starts_total",
                  "Times that the function did not start.", stats.failed_starts),
          counter("lowmark_worker_runtimes_lost_total",
                  "Runtimes that ended while they processed a batch.", stats.lost),
          counter("lowmark_worker_runtimes_killed_total",
                  "Runtimes killed because they had not answered in time.", stats.killed),
          counter("lowmark_worker_late_answers_total",
                  "Answers refused because nothing waited for them: late, repeated or unknown.",
                  stats.late_answers)};
}

}  // namespace lowmark
