// What KEDA asks, over the wire, on every store.
#include "keda/external_scaler.grpc.pb.h"
#include "service/core/error.h"
#include "service/rpc/scaler_service.h"
#include "tests/integration/wire_fixture.h"
#include "tests/support/fault_store.h"

namespace lowmark {
namespace {

using externalscaler::ExternalScaler;
using Metadata = std::map<std::string, std::string>;

class ScalerCalls : public WireTest {
 protected:
  static externalscaler::ScaledObjectRef Ref(const Metadata& metadata) {
    externalscaler::ScaledObjectRef ref;
    ref.mutable_scalermetadata()->insert(metadata.begin(), metadata.end());
    return ref;
  }
  absl::StatusOr<bool> IsActive(const Metadata& metadata = {{"stream", "s"}}) {
    externalscaler::IsActiveResponse response;
    auto s = Call(&ExternalScaler::Stub::IsActive, *stub_, Ref(metadata), &response);
    if (!s.ok()) return s;
    return response.result();
  }
  absl::StatusOr<double> Value(const std::string& metric,
                               const Metadata& metadata = {{"stream", "s"}}) {
    externalscaler::GetMetricsRequest request;
    *request.mutable_scaledobjectref() = Ref(metadata);
    request.set_metricname(metric);
    externalscaler::GetMetricsResponse response;
    auto s = Call(&ExternalScaler::Stub::GetMetrics, *stub_, request, &response);
    if (!s.ok()) return s;
    EXPECT_EQ(response.metricvalues_size(), 1);
    EXPECT_EQ(response.metricvalues(0).metricname(), metric);
    return response.metricvalues(0).metricvaluefloat();
  }
  void Tell(const v1::Lease& lease, bool idle, int64_t lag_seconds = 0) {
    v1::HeartbeatRequest request;
    request.set_stream("s");
    request.set_worker("w");
    v1::ShardStat* stat = request.add_stats();
    stat->set_shard(lease.shard());
    stat->set_epoch(lease.epoch());
    stat->set_idle(idle);
    stat->mutable_lag_age()->set_seconds(lag_seconds);
    v1::HeartbeatResponse response;
    EXPECT_EQ(Call(&Workers::Heartbeat, server_.workers(), request, &response), absl::OkStatus());
  }

  std::unique_ptr<ExternalScaler::Stub> stub_ = ExternalScaler::NewStub(server_.channel());
};
INSTANTIATE_TEST_SUITE_P(Stores, ScalerCalls, EveryStore(), StoreName);

constexpr char kShards[] = "lowmark-shards-with-work";
constexpr char kLagAge[] = "lowmark-lag-age-seconds";

TEST_P(ScalerCalls, SaysWhatIsMeasured) {
  externalscaler::GetMetricSpecResponse specs;
  ASSERT_EQ(Call(&ExternalScaler::Stub::GetMetricSpec, *stub_, Ref({{"stream", "s"}}), &specs),
            absl::OkStatus());
  ASSERT_EQ(specs.metricspecs_size(), 1);
  EXPECT_EQ(specs.metricspecs(0).metricname(), kShards);
  EXPECT_EQ(specs.metricspecs(0).targetsize(), 10);
  EXPECT_EQ(specs.metricspecs(0).targetsizefloat(), 10);
  ASSERT_EQ(Call(&ExternalScaler::Stub::GetMetricSpec, *stub_,
                 Ref({{"streamFromEnv", "s"},
                      {"shardsPerWorker", "3"},
                      {"targetLagAge", "1.5s"},
                      {"scalerAddress", "here:7070"},
                      {"enableTLS", "false"}}),
                 &specs),
            absl::OkStatus());
  ASSERT_EQ(specs.metricspecs_size(), 2);
  EXPECT_EQ(specs.metricspecs(0).targetsize(), 3);
  EXPECT_EQ(specs.metricspecs(1).metricname(), kLagAge);
  EXPECT_EQ(specs.metricspecs(1).targetsize(), 2);
  EXPECT_EQ(specs.metricspecs(1).targetsizefloat(), 1.5);
}

TEST_P(ScalerCalls, MeasuresWhatThereIsToDo) {
  MakeStream({"1", "2"});
  EXPECT_EQ(IsActive().value(), true) << "they were never read";
  EXPECT_EQ(Value(kShards).value(), 2);
  auto leased = Lease("w", 2);
  ASSERT_TRUE(leased.ok() && leased->leases_size() == 2) << leased.status();
  Tell(leased->leases(0), true);
  Tell(leased->leases(1), true);
  EXPECT_EQ(IsActive().value(), false);
  EXPECT_EQ(Value(kShards).value(), 0);
  const Metadata lag = {{"stream", "s"}, {"targetLagAge", "30s"}};
  EXPECT_EQ(Value(kLagAge, lag).value(), 0);
  Tell(leased->leases(1), false, 20);
  EXPECT_EQ(IsActive().value(), true);
  EXPECT_EQ(Value(kShards).value(), 1);
  EXPECT_EQ(Value(kLagAge, lag).value(), 20);
  Tell(leased->leases(1), false, 900);
  EXPECT_EQ(Value(kLagAge, lag).value(), 30) << "one shard with work keeps one worker busy";
}

TEST_P(ScalerCalls, WhatIsWrongIsNamed) {
  const std::map<std::string, Metadata> wrong = {
      {"scalerMetadata.stream is \"\": must match [A-Za-z0-9._:-]{1,128}", {}},
      {"scalerMetadata.stream is \"a b\": must match [A-Za-z0-9._:-]{1,128}", {{"stream", "a b"}}},
      {"scalerMetadata.shardsPerWorker is \"0\": must be 1..100000",
       {{"stream", "s"}, {"shardsPerWorker", "0"}}},
      {"scalerMetadata.shardsPerWorker is \"2.5\": must be 1..100000",
       {{"stream", "s"}, {"shardsPerWorker", "2.5"}}},
      {"scalerMetadata.targetLagAge is \"30\": must be a duration, 1s..24h",
       {{"stream", "s"}, {"targetLagAge", "30"}}},
      {"scalerMetadata.wakeEvery is \"1s\": must be a duration, 10s..24h",
       {{"stream", "s"}, {"wakeEvery", "1s"}}},
      {"scalerMetadata.wakeEvery is \"inf\": must be a duration, 10s..24h",
       {{"stream", "s"}, {"wakeEvery", "inf"}}},
      {"scalerMetadata.shardPerWorker is \"2\": is not read by anybody: the keys are stream, "
       "shardsPerWorker, targetLagAge and wakeEvery",
       {{"stream", "s"}, {"shardPerWorker", "2"}}},
  };
  for (const auto& [message, metadata] : wrong) {
    const absl::Status status = IsActive(metadata).status();
    EXPECT_EQ(Reason(status), kInvalidArgument);
    EXPECT_EQ(status.message(), message);
    EXPECT_EQ(Reason(Value(kShards, metadata).status()), kInvalidArgument);
    grpc::ClientContext context;
    auto stream = stub_->StreamIsActive(&context, Ref(metadata));
    externalscaler::IsActiveResponse response;
    EXPECT_FALSE(stream->Read(&response));
    EXPECT_EQ(stream->Finish().error_message(), message);
  }
  EXPECT_EQ(Value("s0-lowmark").status().message(),
            "metricName is \"s0-lowmark\": must be lowmark-shards-with-work, or with targetLagAge "
            "lowmark-lag-age-seconds");
  EXPECT_EQ(Reason(Value(kLagAge).status()), kInvalidArgument) << "nobody asked for it";
  EXPECT_EQ(Reason(IsActive().status()), kStreamNotFound);
}

TEST_P(ScalerCalls, AStreamSaysWhatChangesUntilItsCallerGoes) {
  MakeStream({"1"});
  grpc::ClientContext context;
  auto stream = stub_->StreamIsActive(&context, Ref({{"stream", "s"}}));
  externalscaler::IsActiveResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_TRUE(response.result());
  auto leased = Lease("w", 1);
  ASSERT_TRUE(leased.ok() && leased->leases_size() == 1) << leased.status();
  Tell(leased->leases(0), true);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_FALSE(response.result());
  context.TryCancel();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_P(ScalerCalls, AShutdownEndsStreamsInOrderAndAtOnce) {
  MakeStream({"1"});
  grpc::ClientContext context;
  auto stream = stub_->StreamIsActive(&context, Ref({{"stream", "s"}}));
  externalscaler::IsActiveResponse response;
  ASSERT_TRUE(stream->Read(&response));
  server_.server().Shutdown(absl::Minutes(10));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_P(ScalerCalls, TheStreamsDeletionEndsItsStreams) {
  MakeStream({"1"});
  grpc::ClientContext context;
  auto stream = stub_->StreamIsActive(&context, Ref({{"stream", "s"}}));
  externalscaler::IsActiveResponse response;
  ASSERT_TRUE(stream->Read(&response));
  v1::DeleteStreamRequest request;
  request.set_stream("s");
  v1::DeleteStreamResponse deleted;
  ASSERT_EQ(Call(&Admin::DeleteStream, server_.admin(), request, &deleted), absl::OkStatus());
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

// Reading a stream's workload reads all of its shards: those who ask for the same stream
// share what was read, however many they are.
TEST(ScalerLoop, ReadsAStreamOnceForAllThatWatchIt) {
  const auto open = MemoryKind().open();
  FaultStore store(open->store());
  RunningServer coordinator(store);
  ScalerServiceImpl service(coordinator.coordinator(), /*look_interval=*/absl::Hours(1));
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const auto stub = ExternalScaler::NewStub(
      grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  ASSERT_TRUE(store.CreateStream("s", Policy()).ok());
  ASSERT_TRUE(store.AddShards("s", {{"1", {}}}).ok());

  constexpr int kWatchers = 5;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<externalscaler::IsActiveResponse>>> watchers;
  const auto watch = [&] {
    externalscaler::ScaledObjectRef ref;
    (*ref.mutable_scalermetadata())["stream"] = "s";
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    watchers.push_back(stub->StreamIsActive(contexts.back().get(), ref));
  };
  // The first look is of the first alone; each look that follows brings in another at least.
  store.Hold(StoreCall::kReadWorkload);
  watch();
  ASSERT_TRUE(store.AwaitHeld(StoreCall::kReadWorkload, 1, absl::Seconds(30)));
  while (watchers.size() < kWatchers) watch();
  store.Release(StoreCall::kReadWorkload);
  for (const auto& watcher : watchers) {
    externalscaler::IsActiveResponse response;
    EXPECT_TRUE(watcher->Read(&response));
    EXPECT_TRUE(response.result());
  }
  EXPECT_LE(store.Calls(StoreCall::kReadWorkload), kWatchers);
  for (const auto& context : contexts) context->TryCancel();
  for (const auto& watcher : watchers) watcher->Finish();
  server->Shutdown();
}

}  // namespace
}  // namespace lowmark
