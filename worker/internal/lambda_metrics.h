// What the runtimes of a Lambda function tell Prometheus. docs/metrics.md has the
// list for people.
#ifndef LOWMARK_WORKER_INTERNAL_LAMBDA_METRICS_H_
#define LOWMARK_WORKER_INTERNAL_LAMBDA_METRICS_H_

#include <prometheus/collectable.h>

#include <memory>
#include <string>
#include <vector>

#include "worker/handler/lambda.h"

namespace lowmark {

// Thread safe. Looks at the handler whenever it is asked.
class LambdaMetrics : public prometheus::Collectable {
 public:
  LambdaMetrics(std::string stream, std::shared_ptr<const LambdaHandler> handler)
      : stream_(std::move(stream)), handler_(std::move(handler)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::string stream_;
  const std::shared_ptr<const LambdaHandler> handler_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_LAMBDA_METRICS_H_
