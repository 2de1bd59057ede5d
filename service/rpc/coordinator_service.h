// CoordinatorService on the wire: admit, convert, call, convert. Callback API:
// no method blocks, and a long poll holds no thread.
#ifndef LOWMARK_SERVICE_RPC_COORDINATOR_SERVICE_H_
#define LOWMARK_SERVICE_RPC_COORDINATOR_SERVICE_H_

#include "lowmark/v1/coordinator.grpc.pb.h"
#include "service/coordinator.h"
#include "service/rpc/gate.h"
#include "service/rpc/message_arena.h"

namespace lowmark {

class CoordinatorServiceImpl final : public v1::CoordinatorService::CallbackService {
 public:
  // `access` null: calls need no token.
  CoordinatorServiceImpl(Coordinator& coordinator, const Access* access)
      : coordinator_(coordinator), gate_(access, Scope::kWorker, coordinator.metrics()) {
    SetMessageAllocatorFor_ReportBatch(&report_messages_);
  }

  grpc::ServerUnaryReactor* LeaseShard(grpc::CallbackServerContext* context,
                                       const v1::LeaseShardRequest* request,
                                       v1::LeaseShardResponse* response) override;
  grpc::ServerUnaryReactor* ReportBatch(grpc::CallbackServerContext* context,
                                        const v1::ReportBatchRequest* request,
                                        v1::ReportBatchResponse* response) override;
  grpc::ServerUnaryReactor* Heartbeat(grpc::CallbackServerContext* context,
                                      const v1::HeartbeatRequest* request,
                                      v1::HeartbeatResponse* response) override;
  grpc::ServerUnaryReactor* ReleaseShard(grpc::CallbackServerContext* context,
                                         const v1::ReleaseShardRequest* request,
                                         v1::ReleaseShardResponse* response) override;
  grpc::ServerUnaryReactor* SyncShards(grpc::CallbackServerContext* context,
                                       const v1::SyncShardsRequest* request,
                                       v1::SyncShardsResponse* response) override;

 private:
  Coordinator& coordinator_;
  const Gate gate_;
  MessageArena<v1::ReportBatchRequest, v1::ReportBatchResponse> report_messages_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_COORDINATOR_SERVICE_H_
