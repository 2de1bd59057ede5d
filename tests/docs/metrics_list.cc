// Prints every metric that the programs have, as JSON, from the code that makes them:
// what docs/metrics.md is written from.
//
//   metrics_list | jq .
//
// Each has "part" (coordinator, worker, lambda, both), "name", "type", "help" and
// "labels": by name, the values that there are from the start on.
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "prometheus/registry.h"
#include "service/core/error.h"
#include "service/metrics.h"
#include "service/process/process_metrics.h"
#include "service/rpc/server.h"
#include "worker/handler/lambda.h"
#include "worker/internal/lambda_metrics.h"
#include "worker/internal/metrics.h"

namespace lowmark {
namespace {

using nlohmann::json;

std::string TypeOf(prometheus::MetricType type) {
  switch (type) {
    case prometheus::MetricType::Counter:
      return "counter";
    case prometheus::MetricType::Gauge:
      return "gauge";
    case prometheus::MetricType::Histogram:
      return "histogram";
    default:
      return "unknown";
  }
}

void List(const std::string& part, const std::vector<prometheus::MetricFamily>& families,
          json& list) {
  for (const prometheus::MetricFamily& family : families) {
    std::map<std::string, std::set<std::string>> labels;
    for (const prometheus::ClientMetric& metric : family.metric) {
      for (const auto& label : metric.label) labels[label.name].insert(label.value);
    }
    list.push_back({{"part", part},
                    {"name", family.name},
                    {"type", TypeOf(family.type)},
                    {"help", family.help},
                    {"labels", labels}});
  }
}

void ListCoordinator(json& list) {
  prometheus::Registry registry;
  Metrics metrics(registry);
  const CallMetrics calls(registry, Server::Services());
  metrics.CountLease("s", /*lost=*/false, 0);
  metrics.CountStoreError("update", Unavailable(""));
  metrics.SetCertificateExpiry(absl::UnixEpoch());
  metrics.CountRefusedCall(absl::UnauthenticatedError(""));
  metrics.CountRefusedCall(absl::PermissionDeniedError(""));
  List("coordinator", registry.Collect(), list);
}

void ListWorker(json& list) {
  WorkerMetrics metrics("s");
  metrics.CountCallError("ReportBatch", kUnavailable);
  metrics.CountLeaseLost(kLeaseFenced);
  List("worker", metrics.registry()->Collect(), list);
}

absl::Status ListLambda(json& list) {
  LambdaOptions options;
  options.listen = "127.0.0.1:0";
  auto handler = LambdaHandler::Create(options);
  if (!handler.ok()) return handler.status();
  List("lambda", LambdaMetrics("s", *std::move(handler)).Collect(), list);
  return absl::OkStatus();
}

}  // namespace
}  // namespace lowmark

int main() {
  nlohmann::json list = nlohmann::json::array();
  lowmark::ListCoordinator(list);
  lowmark::ListWorker(list);
  if (const absl::Status status = lowmark::ListLambda(list); !status.ok()) {
    std::cerr << "metrics_list: " << status.message() << "\n";
    return 1;
  }
  lowmark::List("both", lowmark::ProcessMetrics().Collect(), list);
  std::cout << list.dump(1) << "\n";
  return 0;
}
