// What Prometheus' own clients tell of any process: its CPU time, memory, open
// files and start, under their usual names, and Lowmark's version.
#ifndef LOWMARK_SERVICE_PROCESS_PROCESS_METRICS_H_
#define LOWMARK_SERVICE_PROCESS_PROCESS_METRICS_H_

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <vector>

namespace lowmark {

// Thread-safe. What the system does not tell is left out.
class ProcessMetrics : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_PROCESS_METRICS_H_
