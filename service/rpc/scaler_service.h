// KEDA's external scaler on the wire: how many workers a stream needs. Every coordinator
// gives the same answer, which is read from the store each time.
#ifndef LOWMARK_SERVICE_RPC_SCALER_SERVICE_H_
#define LOWMARK_SERVICE_RPC_SCALER_SERVICE_H_

#include <memory>
#include <set>
#include <thread>

#include "absl/time/time.h"
#include "keda/external_scaler.grpc.pb.h"
#include "service/coordinator.h"
#include "service/process/mutex.h"
#include "service/rpc/scaler_metadata.h"

namespace lowmark {

// Unary methods block, on gRPC's own threads: they come a few times a minute. Streams hold
// no thread: one looks for all of them.
class ScalerServiceImpl final
    : public externalscaler::ExternalScaler::WithCallbackMethod_StreamIsActive<
          externalscaler::ExternalScaler::Service> {
 public:
  // `look_interval`: how often it is looked for streams whether their answer has changed.
  explicit ScalerServiceImpl(Coordinator& coordinator,
                             absl::Duration look_interval = absl::Seconds(5));
  // No call may be running.
  ~ScalerServiceImpl() override;

  // Ends all streams, and those to come, so that a server can be shut down.
  void EndStreams();

  grpc::Status IsActive(grpc::ServerContext* context,
                        const externalscaler::ScaledObjectRef* request,
                        externalscaler::IsActiveResponse* response) override;
  grpc::ServerWriteReactor<externalscaler::IsActiveResponse>* StreamIsActive(
      grpc::CallbackServerContext* context,
      const externalscaler::ScaledObjectRef* request) override;
  grpc::Status GetMetricSpec(grpc::ServerContext* context,
                             const externalscaler::ScaledObjectRef* request,
                             externalscaler::GetMetricSpecResponse* response) override;
  grpc::Status GetMetrics(grpc::ServerContext* context,
                          const externalscaler::GetMetricsRequest* request,
                          externalscaler::GetMetricsResponse* response) override;

 private:
  // A stream that is open.
  class Subscriber;

  void Remove(const std::shared_ptr<Subscriber>& subscriber);
  void Loop();

  Coordinator& coordinator_;
  const absl::Duration look_interval_;
  Mutex mutex_;
  CondVar changed_;
  std::set<std::shared_ptr<Subscriber>> subscribers_ LOWMARK_GUARDED_BY(mutex_);
  bool look_ LOWMARK_GUARDED_BY(mutex_) = false;  // at once: one is new
  bool ending_ LOWMARK_GUARDED_BY(mutex_) = false;
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_SCALER_SERVICE_H_
