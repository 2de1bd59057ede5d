// The gRPC server of a coordinator: its services, health and reflection on one
// port, with the limits that keep one client from hurting the others.
#ifndef LOWMARK_SERVICE_RPC_SERVER_H_
#define LOWMARK_SERVICE_RPC_SERVER_H_

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/process/ticker.h"
#include "service/rpc/admin_service.h"
#include "service/rpc/call_metrics.h"
#include "service/rpc/coordinator_service.h"
#include "service/rpc/scaler_service.h"
#include "service/security/server_secrets.h"

namespace lowmark {

struct ServerOptions {
  // HOST:PORT (port 0: a free one) or unix:PATH.
  std::string listen = "127.0.0.1:7070";
  // A connection is closed gently after this, so that clients spread over
  // replicas that were added since. Longer than the longest long poll.
  absl::Duration connection_age = absl::Minutes(10);
  // Who may connect and call: everybody, in the clear, unless it says otherwise.
  ServerSecurity security;

  // INVALID_ARGUMENT naming what is wrong.
  absl::Status Validate() const;
};

// Sets the limits of a coordinator's server; the benchmark's baseline has the same.
void SetLimits(grpc::ServerBuilder& builder, const ServerOptions& options);

class Server {
 public:
  // Hears from a thread of the server's what became of files of certificates and
  // tokens that were changed.
  using NoteSecrets = std::function<void(const SecretsNews&)>;

  // Serves at once; not yet healthy. Its calls are counted in `registry`, which must
  // outlive it. INVALID_ARGUMENT for options that are wrong; FAILED_PRECONDITION,
  // saying what to do, where it cannot listen.
  static absl::StatusOr<std::unique_ptr<Server>> Start(Coordinator& coordinator,
                                                       prometheus::Registry& registry,
                                                       const ServerOptions& options,
                                                       NoteSecrets note = nullptr);
  ~Server();

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The full names of its services, without health and reflection.
  static std::vector<std::string> Services();

  // HOST:PORT with the real port, or unix:PATH.
  const std::string& address() const { return address_; }

  // What grpc.health.v1 says of the server and of each of its services.
  void SetServing(bool serving);

  // Takes no more calls, finishes those in flight within `grace`, and returns.
  void Shutdown(absl::Duration grace);

 private:
  Server(Coordinator& coordinator, prometheus::Registry& registry,
         std::unique_ptr<ServerSecrets> secrets);

  // Looks whether the files of certificates and tokens have changed.
  void Refresh(Metrics& metrics, const NoteSecrets& note);

  const std::unique_ptr<ServerSecrets> secrets_;
  std::shared_ptr<grpc::ServerCredentials> credentials_;
  CallMetrics calls_;
  CoordinatorServiceImpl coordinator_service_;
  AdminServiceImpl admin_service_;
  ScalerServiceImpl scaler_service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::optional<Ticker> refresh_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_SERVER_H_
