#include "tests/bench/streams.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "lowmark/v1/admin.grpc.pb.h"
#include "lowmark/v1/coordinator.grpc.pb.h"
#include "service/rpc/status.h"

namespace lowmark {
namespace {

constexpr size_t kShardsInCall = 10000;
// Many shards in one call take their time.
constexpr absl::Duration kPatience = absl::Seconds(60);

void SetDeadline(grpc::ClientContext& context, absl::Duration patience) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + patience));
}

}  // namespace

absl::Status CreateStream(const std::shared_ptr<grpc::Channel>& channel,
                          const std::string& stream) {
  grpc::ClientContext context;
  SetDeadline(context, kPatience);
  v1::CreateStreamRequest request;
  request.set_stream(stream);
  v1::CreateStreamResponse response;
  return FromGrpc(v1::AdminService::Stub(channel).CreateStream(&context, request, &response));
}

absl::StatusOr<v1::LeaseShardResponse> Lease(const std::shared_ptr<grpc::Channel>& channel,
                                             const std::string& stream, const std::string& worker,
                                             size_t held, absl::Duration patience) {
  grpc::ClientContext context;
  SetDeadline(context, patience);
  v1::LeaseShardRequest request;
  request.set_stream(stream);
  request.set_worker(worker);
  request.set_max_leases(1000);
  request.set_held_leases(static_cast<int32_t>(held));
  v1::LeaseShardResponse response;
  const grpc::Status status =
      v1::CoordinatorService::Stub(channel).LeaseShard(&context, request, &response);
  if (auto s = FromGrpc(status); !s.ok()) return s;
  return response;
}

absl::Status AddShards(const std::shared_ptr<grpc::Channel>& channel, const std::string& stream,
                       const std::string& worker, const std::vector<std::string>& shards) {
  v1::CoordinatorService::Stub stub(channel);
  for (size_t i = 0; i < shards.size(); i += kShardsInCall) {
    grpc::ClientContext context;
    SetDeadline(context, kPatience);
    v1::SyncShardsRequest request;
    request.set_stream(stream);
    request.set_worker(worker);
    for (size_t k = i; k < std::min(i + kShardsInCall, shards.size()); ++k) {
      request.add_shards()->set_shard(shards[k]);
    }
    v1::SyncShardsResponse response;
    if (auto s = FromGrpc(stub.SyncShards(&context, request, &response)); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace lowmark
