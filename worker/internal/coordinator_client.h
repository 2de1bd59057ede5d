// The coordinator as a worker sees it: calls that do not block, whose answers
// come back on the worker's loop.
#ifndef LOWMARK_WORKER_INTERNAL_COORDINATOR_CLIENT_H_
#define LOWMARK_WORKER_INTERNAL_COORDINATOR_CLIENT_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lowmark/v1/coordinator.grpc.pb.h"
#include "service/process/mutex.h"
#include "service/security/client_secrets.h"
#include "worker/internal/event_loop.h"

namespace lowmark {

// The gRPC target for a coordinator's address: "dns:///" is put before
// "host:port", so that every address of the name is used; anything that names
// its scheme stays as it is.
std::string GrpcTarget(const std::string& address);

// Used on the loop only.
class CoordinatorClient {
 public:
  template <typename Response>
  using Callback = std::function<void(absl::StatusOr<Response>)>;
  // Ends a call early; its callback still comes, with CANCELLED unless the answer
  // was there first.
  using Cancel = std::function<void()>;

  // Plain and without a token, unless there are secrets.
  CoordinatorClient(
      const std::string& address, EventLoop& loop,
      std::shared_ptr<const ClientSecrets> secrets = std::make_shared<const ClientSecrets>());
  // Ends all calls and waits for them; their callbacks are posted to the loop.
  ~CoordinatorClient();

  // Makes new connections for the calls to come, with what the secrets have now.
  void Reconnect();

  // `callback` runs on the loop exactly once, unless the loop ends first. Errors
  // have their reason (Reason in service/core/error.h).
  Cancel LeaseShard(const v1::LeaseShardRequest& request, absl::Duration timeout,
                    Callback<v1::LeaseShardResponse> callback);
  Cancel ReportBatch(const v1::ReportBatchRequest& request, absl::Duration timeout,
                     Callback<v1::ReportBatchResponse> callback);
  Cancel Heartbeat(const v1::HeartbeatRequest& request, absl::Duration timeout,
                   Callback<v1::HeartbeatResponse> callback);
  Cancel ReleaseShard(const v1::ReleaseShardRequest& request, absl::Duration timeout,
                      Callback<v1::ReleaseShardResponse> callback);
  Cancel SyncShards(const v1::SyncShardsRequest& request, absl::Duration timeout,
                    Callback<v1::SyncShardsResponse> callback);

 private:
  struct Context;
  struct AnyCall;
  template <typename Request, typename Response>
  struct Call;

  // What went wrong. A call that its caller did not cancel, and that was cancelled
  // nevertheless, met a coordinator that stops: UNAVAILABLE.
  template <typename Request, typename Response>
  static absl::Status ErrorOf(const Call<Request, Response>& call);

  template <typename Request, typename Response, typename Start>
  Cancel Run(const Request& request, absl::Duration timeout, Callback<Response> callback,
             const Start& start);
  // On the loop: a call that is over goes from calls_ to the caller.
  std::unique_ptr<AnyCall> Take(AnyCall* call);

  const std::string address_;
  EventLoop& loop_;
  const std::shared_ptr<const ClientSecrets> secrets_;
  std::shared_ptr<v1::CoordinatorService::Stub> stub_;
  // A call holds on to the channel, and the channel must not end on a thread of
  // gRPC, which would wait for itself. So calls are owned here, and gRPC's threads
  // only look at them.
  std::map<AnyCall*, std::unique_ptr<AnyCall>> calls_;
  Mutex mutex_;
  CondVar changed_;
  int unanswered_ LOWMARK_GUARDED_BY(mutex_) = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_COORDINATOR_CLIENT_H_
