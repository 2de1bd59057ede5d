// What a server's calls tell Prometheus: each is counted once, under its method and
// its code, and nothing that a client makes up becomes a label.
#include "service/rpc/call_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <ctime>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "store/memory/memory_store.h"
#include "tests/integration/good_requests.h"
#include "tests/integration/health.h"
#include "tests/integration/raw_call.h"
#include "tests/integration/running_server.h"
#include "tests/service/answers.h"
#include "tests/support/series.h"

namespace lowmark {
namespace {

constexpr char kAdmin[] = "lowmark.v1.AdminService";
constexpr char kWorkers[] = "lowmark.v1.CoordinatorService";

class CallMetricsTest : public testing::Test {
 protected:
  using Admin = v1::AdminService::Stub;
  using Workers = v1::CoordinatorService::Stub;

  static std::string Labels(const std::string& service, const std::string& method,
                            const std::string& type = "unary") {
    return absl::StrCat("grpc_method=\"", method, "\",grpc_service=\"", service, "\",grpc_type=\"",
                        type, "\"}");
  }
  // A series without a code; -1 where it does not exist.
  double Value(const std::string& name, const std::string& labels) {
    const auto series = SeriesOf(server_.registry());
    const auto found = series.find(absl::StrCat(name, "{", labels));
    return found == series.end() ? -1 : found->second;
  }
  double Handled(const std::string& code, const std::string& labels) {
    return Value("grpc_server_handled_total", absl::StrCat("grpc_code=\"", code, "\",", labels));
  }
  double Sum(const std::string& name) {
    double sum = 0;
    for (const auto& [series, value] : SeriesOf(server_.registry())) {
      if (absl::StartsWith(series, name + "{")) sum += value;
    }
    return sum;
  }

  MemoryStore store_;
  RunningServer server_{store_};
};

TEST_F(CallMetricsTest, CountsACallByItsCode) {
  const std::string labels = Labels(kAdmin, "GetStream");
  EXPECT_EQ(Value("grpc_server_started_total", labels), 0);
  EXPECT_EQ(Handled("NotFound", labels), 0);
  v1::GetStreamRequest request;
  v1::GetStreamResponse response;
  EXPECT_EQ(Call(&Admin::GetStream, server_.admin(), request, &response).code(),
            absl::StatusCode::kInvalidArgument);
  request.set_stream("none");
  EXPECT_EQ(Call(&Admin::GetStream, server_.admin(), request, &response).code(),
            absl::StatusCode::kNotFound);
  MakeGoodRequests(server_);
  request.set_stream("orders");
  EXPECT_TRUE(Call(&Admin::GetStream, server_.admin(), request, &response).ok());
  EXPECT_EQ(Handled("InvalidArgument", labels), 1);
  EXPECT_EQ(Handled("NotFound", labels), 1);
  EXPECT_EQ(Handled("OK", labels), 1);
  EXPECT_EQ(Value("grpc_server_started_total", labels), 3);
  EXPECT_EQ(Value("grpc_server_msg_received_total", labels), 3);
  EXPECT_EQ(Value("grpc_server_msg_sent_total", labels), 1);
  EXPECT_EQ(Value("grpc_server_handling_seconds_count", labels), 3);
}

// Those of the callback API, of the synchronous one, and gRPC's own.
TEST_F(CallMetricsTest, CountsTheCallsOfEveryService) {
  const std::vector<GoodRequest> good = MakeGoodRequests(server_);
  for (const auto* method : AllMethods()) {
    const std::string labels = Labels(method->service()->full_name(), method->name());
    const double before = Value("grpc_server_started_total", labels);
    RawCall(server_.channel(),
            absl::StrCat("/", method->service()->full_name(), "/", method->name()), "\xff\xff")
        .IgnoreError();
    EXPECT_EQ(Value("grpc_server_started_total", labels), before + 1) << labels;
  }
  Health(server_.channel(), "");
  EXPECT_EQ(Handled("OK", Labels("grpc.health.v1.Health", "Check")), 1);
  std::vector<std::string> services = ListServices(server_.channel());
  const std::string reflection = "grpc.reflection.v1alpha.ServerReflection";
  EXPECT_TRUE(Eventually([&] {
    return Handled("OK", Labels(reflection, "ServerReflectionInfo", "bidi_stream")) == 1;
  }));
  // Whatever a server offers is counted by its name.
  const auto series = SeriesOf(server_.registry());
  for (const std::string& service : services) {
    EXPECT_TRUE(std::any_of(series.begin(), series.end(), [&](const auto& each) {
      return absl::StrContains(each.first, absl::StrCat("\"", service, "\""));
    })) << service;
  }
  EXPECT_EQ(Value("grpc_server_started_total", Labels("_other", "_other", "_other")), 0);
  EXPECT_EQ(Sum("grpc_server_started_total"), Sum("grpc_server_handled_total"));
}

// gRPC answers these before any code of ours; they are calls all the same.
TEST_F(CallMetricsTest, CountsWhatIsNoRequest) {
  const std::string bytes = "\xff\xff\xff\xff";
  RawCall(server_.channel(), "/lowmark.v1.AdminService/GetStream", bytes).IgnoreError();
  RawCall(server_.channel(), "/lowmark.v1.CoordinatorService/Heartbeat", bytes).IgnoreError();
  EXPECT_EQ(Handled("Internal", Labels(kAdmin, "GetStream")), 1);
  EXPECT_EQ(Handled("Unimplemented", Labels(kWorkers, "Heartbeat")), 1);
  EXPECT_EQ(Value("grpc_server_msg_received_total", Labels(kAdmin, "GetStream")), 0);
  EXPECT_EQ(Value("grpc_server_msg_received_total", Labels(kWorkers, "Heartbeat")), 0);
}

TEST_F(CallMetricsTest, UnknownMethodsMakeNoSeries) {
  const size_t before = SeriesOf(server_.registry()).size();
  constexpr int kCalls = 200;
  for (int i = 0; i < kCalls; ++i) {
    const std::string path = i % 2 == 0 ? absl::StrCat("/lowmark.v1.AdminService/Made", i)
                                        : absl::StrCat("/made.up.Service", i, "/Method");
    EXPECT_EQ(RawCall(server_.channel(), path, "").code(), absl::StatusCode::kUnimplemented);
  }
  EXPECT_EQ(SeriesOf(server_.registry()).size(), before);
  EXPECT_EQ(Handled("Unimplemented", Labels("_other", "_other", "_other")), kCalls);
}

TEST_F(CallMetricsTest, ALongPollIsInFlightUntilItIsAnswered) {
  MakeGoodRequests(server_);
  const std::string labels = Labels(kWorkers, "LeaseShard");
  v1::LeaseShardRequest request;
  request.set_stream("orders");
  request.set_worker("v");
  request.set_max_leases(1);
  v1::LeaseShardResponse response;
  ASSERT_TRUE(Call(&Workers::LeaseShard, server_.workers(), request, &response).ok());
  request.set_held_leases(response.leases_size());
  const double started = Value("grpc_server_started_total", labels);
  const double handled = Handled("OK", labels);
  EXPECT_EQ(started, handled);
  std::thread waiting([&] {
    Call(&Workers::LeaseShard, server_.workers(), request, &response, absl::Minutes(5))
        .IgnoreError();
  });
  EXPECT_TRUE(
      Eventually([&] { return Value("grpc_server_started_total", labels) == started + 1; }));
  EXPECT_EQ(Handled("OK", labels), handled);
  server_.coordinator().Drain();
  waiting.join();
  EXPECT_EQ(Handled("OK", labels), handled + 1);
}

// A caller that goes away is counted once, whatever its call ends with.
TEST_F(CallMetricsTest, ACallThatIsCancelledEnds) {
  MakeGoodRequests(server_);
  v1::LeaseShardRequest request;
  request.set_stream("orders");
  request.set_worker("v");
  request.set_max_leases(1);
  request.set_held_leases(1);
  const double before = Sum("grpc_server_started_total");
  grpc::ClientContext context;
  v1::LeaseShardResponse response;
  std::thread waiting([&] { server_.workers().LeaseShard(&context, request, &response); });
  EXPECT_TRUE(Eventually([&] { return Sum("grpc_server_started_total") == before + 1; }));
  context.TryCancel();
  waiting.join();
  server_.coordinator().Drain();
  EXPECT_TRUE(Eventually(
      [&] { return Sum("grpc_server_started_total") == Sum("grpc_server_handled_total"); }));
  EXPECT_EQ(Sum("grpc_server_started_total"), before + 1);
}

// Whatever is created, and however it is called: one scrape of a coordinator.
TEST(ScrapeSize, IsBoundedForAHundredThousandStreams) {
  prometheus::Registry registry;
  Metrics metrics(registry);
  const CallMetrics calls(registry, Server::Services());
  StepResult step;
  step.facts.outcome = Outcome::kPartial;
  std::vector<Outbox> outboxes;
  const absl::Time now = absl::UnixEpoch();
  for (int i = 0; i < 100000; ++i) {
    std::string stream = absl::StrCat(i);
    stream.insert(0, 128 - stream.size(), 's');  // names have no more
    metrics.CountLease(stream, /*lost=*/true, 1);
    metrics.CountReport(stream, step);
    metrics.CountForward(stream, absl::OkStatus());
    outboxes.push_back({stream, "", 1, now, true, now});
  }
  metrics.SetOutboxes(outboxes);
  const std::clock_t start = std::clock();
  const std::string scrape = prometheus::TextSerializer().Serialize(registry.Collect());
  EXPECT_LT(scrape.size(), 1000000u);
  EXPECT_THAT(scrape, testing::HasSubstr("lowmark_leases_granted_total{stream=\"_other\"} 99900"));
  // To be read in the test's XML; machines differ too much to ask for it.
  RecordProperty("bytes", static_cast<int>(scrape.size()));
  RecordProperty("processor_milliseconds",
                 static_cast<int>((std::clock() - start) * 1000 / CLOCKS_PER_SEC));
}

}  // namespace
}  // namespace lowmark
