// AdminService on the wire: admit, convert, call, convert. Blocking methods,
// on gRPC's own threads: operators are few.
#ifndef LOWMARK_SERVICE_RPC_ADMIN_SERVICE_H_
#define LOWMARK_SERVICE_RPC_ADMIN_SERVICE_H_

#include "lowmark/v1/admin.grpc.pb.h"
#include "service/coordinator.h"
#include "service/rpc/gate.h"

namespace lowmark {

class AdminServiceImpl final : public v1::AdminService::Service {
 public:
  // `access` null: calls need no token.
  AdminServiceImpl(Coordinator& coordinator, const Access* access)
      : coordinator_(coordinator), gate_(access, Scope::kAdmin, coordinator.metrics()) {}

  grpc::Status CreateStream(grpc::ServerContext* context, const v1::CreateStreamRequest* request,
                            v1::CreateStreamResponse* response) override;
  grpc::Status GetStream(grpc::ServerContext* context, const v1::GetStreamRequest* request,
                         v1::GetStreamResponse* response) override;
  grpc::Status ListStreams(grpc::ServerContext* context, const v1::ListStreamsRequest* request,
                           v1::ListStreamsResponse* response) override;
  grpc::Status UpdateStream(grpc::ServerContext* context, const v1::UpdateStreamRequest* request,
                            v1::UpdateStreamResponse* response) override;
  grpc::Status DeleteStream(grpc::ServerContext* context, const v1::DeleteStreamRequest* request,
                            v1::DeleteStreamResponse* response) override;
  grpc::Status GetShard(grpc::ServerContext* context, const v1::GetShardRequest* request,
                        v1::GetShardResponse* response) override;
  grpc::Status ListShards(grpc::ServerContext* context, const v1::ListShardsRequest* request,
                          v1::ListShardsResponse* response) override;
  grpc::Status SeekShard(grpc::ServerContext* context, const v1::SeekShardRequest* request,
                         v1::SeekShardResponse* response) override;
  grpc::Status ListWorkers(grpc::ServerContext* context, const v1::ListWorkersRequest* request,
                           v1::ListWorkersResponse* response) override;
  grpc::Status CordonWorker(grpc::ServerContext* context, const v1::CordonWorkerRequest* request,
                            v1::CordonWorkerResponse* response) override;
  grpc::Status UncordonWorker(grpc::ServerContext* context,
                              const v1::UncordonWorkerRequest* request,
                              v1::UncordonWorkerResponse* response) override;
  grpc::Status DrainWorker(grpc::ServerContext* context, const v1::DrainWorkerRequest* request,
                           v1::DrainWorkerResponse* response) override;
  grpc::Status GetDeadLetter(grpc::ServerContext* context, const v1::GetDeadLetterRequest* request,
                             v1::GetDeadLetterResponse* response) override;
  grpc::Status ListDeadLetters(grpc::ServerContext* context,
                               const v1::ListDeadLettersRequest* request,
                               v1::ListDeadLettersResponse* response) override;

 private:
  // Whether this coordinator may send to the policy's destination.
  absl::Status CheckDestination(const Policy& policy) const;

  Coordinator& coordinator_;
  const Gate gate_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_ADMIN_SERVICE_H_
