#include "tests/e2e/reporter.h"

#include <grpcpp/grpcpp.h>
#include <poll.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/rpc/status.h"

namespace lowmark {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);
constexpr absl::Duration kCallTimeout = absl::Seconds(5);

bool IsDefinite(const absl::Status& status) {
  return !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status) &&
         !absl::IsCancelled(status);
}

// Calls until the answer is definite.
template <typename Request, typename Response>
absl::StatusOr<Response> Call(v1::CoordinatorService::Stub& stub,
                              grpc::Status (v1::CoordinatorService::Stub::*method)(
                                  grpc::ClientContext*, const Request&, Response*),
                              const Request& request) {
  const absl::Time give_up = absl::Now() + kPatience;
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         absl::ToChronoMilliseconds(kCallTimeout));
    Response response;
    const absl::Status status = FromGrpc((stub.*method)(&context, request, &response));
    if (status.ok()) return response;
    if (IsDefinite(status) || absl::Now() > give_up) return status;
    poll(nullptr, 0, /*timeout_ms=*/20);
  }
}

}  // namespace

Reporter::Reporter(const std::string& target, std::string stream, std::string worker)
    : stream_(std::move(stream)), worker_(std::move(worker)) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  stub_ = v1::CoordinatorService::NewStub(
      grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments));
}

absl::Status Reporter::AddShards(const std::vector<std::string>& shards) {
  v1::LeaseShardRequest session;
  session.set_stream(stream_);
  session.set_worker(worker_);
  session.set_max_leases(1);
  auto opened = Call(*stub_, &v1::CoordinatorService::Stub::LeaseShard, session);
  if (!opened.ok()) return opened.status();
  v1::SyncShardsRequest request;
  request.set_stream(stream_);
  request.set_worker(worker_);
  for (const std::string& shard : shards) request.add_shards()->set_shard(shard);
  return Call(*stub_, &v1::CoordinatorService::Stub::SyncShards, request).status();
}

absl::StatusOr<v1::Lease> Reporter::Lease() {
  v1::LeaseShardRequest request;
  request.set_stream(stream_);
  request.set_worker(worker_);
  request.set_max_leases(1);
  const absl::Time give_up = absl::Now() + kPatience;
  while (absl::Now() < give_up) {
    auto answer = Call(*stub_, &v1::CoordinatorService::Stub::LeaseShard, request);
    if (!answer.ok()) return answer.status();
    if (answer->leases_size() > 0) return answer->leases(0);
  }
  return absl::DeadlineExceededError("no shard became free");
}

absl::StatusOr<v1::ReportBatchResponse> Reporter::Report(const v1::Lease& lease, int64_t delivery,
                                                         int64_t number) {
  v1::ReportBatchRequest request;
  request.set_stream(stream_);
  request.set_shard(lease.shard());
  request.set_worker(worker_);
  request.set_epoch(lease.epoch());
  request.set_delivery(delivery);
  request.set_first_sequence(absl::StrCat(number));
  request.set_last_sequence(absl::StrCat(number));
  request.set_record_count(1);
  request.mutable_success();
  return Call(*stub_, &v1::CoordinatorService::Stub::ReportBatch, request);
}

absl::Status Reporter::Release(const v1::Lease& lease) {
  v1::ReleaseShardRequest request;
  request.set_stream(stream_);
  request.set_shard(lease.shard());
  request.set_worker(worker_);
  request.set_epoch(lease.epoch());
  return Call(*stub_, &v1::CoordinatorService::Stub::ReleaseShard, request).status();
}

}  // namespace lowmark
