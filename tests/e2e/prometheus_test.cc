// A real Prometheus scrapes the real programs and evaluates the alerts that we ship,
// in seconds where they have minutes: the one for retries fires while a handler fails,
// says where its runbook is, and clears when the handler is mended.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/e2e/world.h"

namespace lowmark {
namespace {

using nlohmann::json;

constexpr int kShards = 4;
constexpr int kRecords = 20;

class PrometheusTest : public testing::Test {
 protected:
  PrometheusTest() : broken_(world_.directory() + "/broken"), address_(world_.Address(0)) {
    // A port beside the coordinator's, of the address that this process has for itself.
    address_ = absl::StrCat(address_.substr(0, address_.rfind(':')), ":19090");
  }

  // The handler fails for as long as the mark is there.
  void BreakHandler() { std::ofstream(broken_).flush(); }
  void MendHandler() { std::filesystem::remove(broken_); }

  void StartLowmark() {
    world_.OpenShards(kShards);
    world_.Append(kRecords);
    world_.StartPostgres();
    world_.StartCoordinator();
    ASSERT_TRUE(world_.AwaitReady()) << world_.Log("coordinator-0");
    world_.CreateStream("t", {"maximum_retry_attempts=-1", "bisect_batch_on_failure=false"});
    world_.UseHandler(absl::StrCat("cat > /dev/null; test ! -e ", broken_));
    world_.StartWorker(0);
    ASSERT_TRUE(world_.Await([&] { return !world_.HttpAddress("worker-0").empty(); }))
        << world_.Log("worker-0");
  }

  // The alerts as they are shipped, but for their times.
  void WriteRules() {
    std::ifstream file(ALERTS);
    const std::string rules((std::istreambuf_iterator<char>(file)), {});
    ASSERT_FALSE(rules.empty());
    std::ofstream(world_.directory() + "/alerts.yaml")
        << absl::StrReplaceAll(rules, {{"[5m]", "[3s]"},
                                       {"[10m]", "[3s]"},
                                       {"for: 1m", "for: 1s"},
                                       {"for: 2m", "for: 1s"},
                                       {"for: 5m", "for: 1s"},
                                       {"for: 10m", "for: 1s"}});
  }

  void StartPrometheus() {
    WriteRules();
    const std::string home = world_.directory();
    std::ofstream(home + "/prometheus.yaml")
        << "global: {scrape_interval: 250ms, evaluation_interval: 250ms}\n"
        << "rule_files: [alerts.yaml]\n"
        << "scrape_configs:\n"
        << "  - job_name: lowmark\n"
        << "    static_configs:\n"
        << "      - targets: ['" << world_.HttpAddress("coordinator-0") << "', '"
        << world_.HttpAddress("worker-0") << "']\n";
    ProcessOptions options;
    options.argv = {"prometheus", "--config.file=" + home + "/prometheus.yaml",
                    "--storage.tsdb.path=" + home + "/tsdb", "--web.listen-address=" + address_,
                    "--log.level=warn"};
    options.out = Output::File(home + "/prometheus.log");
    options.err = Output::Stdout();
    auto started = ChildProcess::Start(options);
    ASSERT_TRUE(started.ok()) << started.status();
    prometheus_ = *std::move(started);
  }

  // What its HTTP API answers; null where it does not yet.
  json Api(const std::string& path, const std::string& query = "") {
    std::vector<std::string> argv = {"curl", "-s", "-G",
                                     absl::StrCat("http://", address_, "/api/v1/", path)};
    if (!query.empty()) argv.insert(argv.end(), {"--data-urlencode", "query=" + query});
    auto answer = RunCommand({.argv = std::move(argv)}, absl::Seconds(30));
    if (!answer.ok() || !answer->exit.ok()) return nullptr;
    const json parsed = json::parse(answer->output, nullptr, /*allow_exceptions=*/false);
    return parsed.is_object() ? parsed.value("data", json()) : nullptr;
  }

  // The value that a query for one number has; -1 where it has none.
  double Ask(const std::string& query) {
    const json data = Api("query", query);
    if (!data.is_object() || data.at("result").size() != 1) return -1;
    return std::stod(data.at("result").at(0).at("value").at(1).get<std::string>());
  }

  // That alert, where it is pending or fires; null where it is neither.
  json Alert(const std::string& name) {
    const json data = Api("alerts");
    if (!data.is_object()) return nullptr;
    for (const json& alert : data.at("alerts")) {
      if (alert.at("labels").at("alertname") == name) return alert;
    }
    return nullptr;
  }

  std::string Logs() const {
    return absl::StrCat(world_.Log("prometheus"), world_.Log("coordinator-0"),
                        world_.Log("worker-0"));
  }

  World world_;
  const std::string broken_;
  std::string address_;
  std::unique_ptr<ChildProcess> prometheus_;
};

TEST_F(PrometheusTest, TheAlertForRetriesFiresAndClears) {
  BreakHandler();
  StartLowmark();
  StartPrometheus();
  ASSERT_TRUE(world_.Await([&] { return Ask("sum(up)") == 2; })) << Logs();

  json alert;
  ASSERT_TRUE(world_.Await([&] {
    alert = Alert("LowmarkRetriesHigh");
    return alert.is_object() && alert.at("state") == "firing";
  })) << Api("alerts")
      << Logs();
  EXPECT_EQ(alert.at("labels").at("stream"), "t");
  EXPECT_EQ(alert.at("annotations").at("runbook_url"), "docs/runbook.md#lowmarkretrieshigh");
  EXPECT_TRUE(Alert("LowmarkNoCoordinator").is_null());
  EXPECT_GT(Ask("sum(lowmark_retries_total{stream='t'})"), 0);

  MendHandler();
  ASSERT_TRUE(world_.Await([&] {
    return Ask("sum(lowmark_records_processed_total)") == kShards * kRecords;
  })) << Logs();
  ASSERT_TRUE(world_.Await([&] {
    return Api("alerts").is_object() && Alert("LowmarkRetriesHigh").is_null();
  })) << Api("alerts")
      << Logs();

  // What dashboards for gRPC ask, and for processes: of both programs.
  EXPECT_GE(Ask("sum(grpc_server_handled_total{grpc_method='ReportBatch',grpc_code='OK'})"),
            kShards);
  EXPECT_EQ(Ask("sum(grpc_server_handled_total{grpc_service='_other'})"), 0);
  EXPECT_EQ(Ask("count(process_cpu_seconds_total)"), 2);
  EXPECT_EQ(Ask("count(lowmark_build_info)"), 2);
  // Prometheus took every sample: none was out of order or stood twice.
  EXPECT_EQ(Ask("sum(scrape_samples_scraped) - sum(scrape_samples_post_metric_relabeling)"), 0);
  EXPECT_TRUE(world_.Stop(*world_.worker(0)));
  EXPECT_TRUE(world_.Stop(*prometheus_)) << Logs();
}

}  // namespace
}  // namespace lowmark
