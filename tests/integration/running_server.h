// A coordinator's real gRPC server in this process, on any store, and a client.
#ifndef LOWMARK_TESTS_INTEGRATION_RUNNING_SERVER_H_
#define LOWMARK_TESTS_INTEGRATION_RUNNING_SERVER_H_

#include <grpcpp/grpcpp.h>
#include <prometheus/registry.h>

#include <memory>
#include <string>

#include "lowmark/v1/admin.grpc.pb.h"
#include "lowmark/v1/coordinator.grpc.pb.h"
#include "service/coordinator.h"
#include "service/metrics.h"
#include "service/rpc/server.h"
#include "store/store.h"

namespace lowmark {

class RunningServer {
 public:
  // Serves on a free port of 127.0.0.1, or on `listen`. Sessions live an hour, so
  // that none ends under a test, unless options say otherwise. Streams may name
  // directories for their dead letters; nothing is sent there.
  explicit RunningServer(Store& store, CoordinatorOptions options = DefaultOptions(),
                         const std::string& listen = "127.0.0.1:0");
  ~RunningServer();

  static CoordinatorOptions DefaultOptions();

  const std::string& address() const { return server_->address(); }
  Server& server() { return *server_; }
  Coordinator& coordinator() { return coordinator_; }
  prometheus::Registry& registry() { return registry_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  v1::CoordinatorService::Stub& workers() { return *workers_; }
  v1::AdminService::Stub& admin() { return *admin_; }

 private:
  prometheus::Registry registry_;
  Metrics metrics_{registry_};
  Coordinator coordinator_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::CoordinatorService::Stub> workers_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

// Calls a stub's method with a deadline that no good call meets:
//   Call(&v1::AdminService::Stub::GetStream, server.admin(), request, &response)
template <typename Stub, typename Request, typename Response>
absl::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  Stub& stub, const Request& request, Response* response,
                  absl::Duration timeout = absl::Seconds(30));

// --- Implementation ---------------------------------------------------------

absl::Status StatusOf(const grpc::Status& status);

template <typename Stub, typename Request, typename Response>
absl::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  Stub& stub, const Request& request, Response* response, absl::Duration timeout) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
  response->Clear();
  return StatusOf((stub.*method)(&context, request, response));
}

}  // namespace lowmark

#endif  // LOWMARK_TESTS_INTEGRATION_RUNNING_SERVER_H_
