#include "tests/integration/wire_fixture.h"

#include "service/rpc/convert.h"

namespace lowmark {

void WireTest::MakeStream(const std::vector<std::string>& shards, const v1::StreamConfig& config) {
  v1::CreateStreamRequest request;
  request.set_stream("s");
  *request.mutable_config() = config;
  v1::CreateStreamResponse response;
  ASSERT_EQ(Call(&Admin::CreateStream, server_.admin(), request, &response), absl::OkStatus());
  OpenSession("w");
  ASSERT_EQ(Sync(shards), absl::OkStatus());
}

void WireTest::OpenSession(const std::string& worker) {
  ASSERT_EQ(Lease(worker, 1, 0).status(), absl::OkStatus());
}

absl::Status WireTest::Sync(const std::vector<std::string>& shards) {
  v1::SyncShardsRequest request;
  request.set_stream("s");
  request.set_worker("w");
  for (const std::string& shard : shards) request.add_shards()->set_shard(shard);
  v1::SyncShardsResponse response;
  return Call(&Workers::SyncShards, server_.workers(), request, &response);
}

absl::StatusOr<v1::LeaseShardResponse> WireTest::Lease(const std::string& worker, int max_leases,
                                                       int held, absl::Duration timeout) {
  v1::LeaseShardRequest request;
  request.set_stream("s");
  request.set_worker(worker);
  request.set_max_leases(max_leases);
  request.set_held_leases(held);
  v1::LeaseShardResponse response;
  if (auto s = Call(&Workers::LeaseShard, server_.workers(), request, &response, timeout);
      !s.ok()) {
    return s;
  }
  return response;
}

absl::StatusOr<v1::ReportBatchResponse> WireTest::Send(const v1::ReportBatchRequest& report) {
  v1::ReportBatchResponse response;
  if (auto s = Call(&Workers::ReportBatch, server_.workers(), report, &response); !s.ok()) {
    return s;
  }
  return response;
}

absl::Status WireTest::Release(const std::string& shard, const std::string& worker, int64_t epoch) {
  v1::ReleaseShardRequest request;
  request.set_stream("s");
  request.set_shard(shard);
  request.set_worker(worker);
  request.set_epoch(epoch);
  v1::ReleaseShardResponse response;
  return Call(&Workers::ReleaseShard, server_.workers(), request, &response);
}

absl::StatusOr<v1::Stream> WireTest::GetStream(const std::string& name) {
  v1::GetStreamRequest request;
  request.set_stream(name);
  v1::GetStreamResponse response;
  if (auto s = Call(&Admin::GetStream, server_.admin(), request, &response); !s.ok()) return s;
  return response.stream();
}

v1::Shard WireTest::GetShard(const std::string& shard) {
  v1::GetShardRequest request;
  request.set_stream("s");
  request.set_shard(shard);
  v1::GetShardResponse response;
  EXPECT_EQ(Call(&Admin::GetShard, server_.admin(), request, &response), absl::OkStatus());
  return response.shard();
}

std::vector<v1::Worker> WireTest::ListWorkers() {
  v1::ListWorkersRequest request;
  request.set_stream("s");
  v1::ListWorkersResponse response;
  EXPECT_EQ(Call(&Admin::ListWorkers, server_.admin(), request, &response), absl::OkStatus());
  return {response.workers().begin(), response.workers().end()};
}

v1::ReportBatchRequest WireTest::Report(const v1::Lease& lease, int64_t delivery, int first,
                                        int last) {
  v1::ReportBatchRequest report;
  report.set_stream("s");
  report.set_shard(lease.shard());
  report.set_worker("w");
  report.set_epoch(lease.epoch());
  report.set_delivery(delivery);
  report.set_first_sequence(std::to_string(first));
  report.set_last_sequence(std::to_string(last));
  report.set_record_count(last - first + 1);
  report.set_config_etag(lease.config_etag());
  return report;
}

v1::ReportBatchRequest WireTest::Success(const v1::Lease& lease, int64_t delivery, int first,
                                         int last) {
  v1::ReportBatchRequest report = Report(lease, delivery, first, last);
  report.mutable_success();
  return report;
}

v1::ReportBatchRequest WireTest::Failure(const v1::Lease& lease, int64_t delivery, int first,
                                         int last, const std::vector<int>& failed) {
  v1::ReportBatchRequest report = Report(lease, delivery, first, last);
  v1::BatchFailure* failure = report.mutable_failure();
  for (int i = first; i <= last; ++i) failure->add_sequences(std::to_string(i));
  for (int i : failed) failure->add_failed_sequences(std::to_string(i));
  failure->set_error_type("TestError");
  failure->set_error_message("it failed");
  return report;
}

std::string Text(const v1::Position& position) {
  auto read = PositionFromProto("position", position, SequenceOrder::kNumeric);
  return read.ok() ? read->ToString() : std::string(read.status().message());
}

}  // namespace lowmark
