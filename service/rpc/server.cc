#include "service/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/rpc/listen_address.h"
#include "service/rpc/message_size.h"

namespace lowmark {
namespace {

constexpr int kLargestMetadata = 16 << 10;
constexpr int kStreamsPerConnection = 4096;

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

}  // namespace

void SetLimits(grpc::ServerBuilder& builder, const ServerOptions& options) {
  // Without this a second server on the port would silently take half the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kLargestMetadata);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Milliseconds(absl::Seconds(5)));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(absl::Seconds(30)));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(absl::Seconds(10)));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(absl::Seconds(10)));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, Milliseconds(options.connection_age));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Milliseconds(absl::Minutes(2)));
  builder.SetMaxReceiveMessageSize(kLargestMessage);
}

absl::Status ServerOptions::Validate() const {
  if (connection_age < absl::Seconds(1) || connection_age > absl::Hours(24 * 7)) {
    return InvalidField("connection-age", absl::FormatDuration(connection_age), "must be 1s..168h");
  }
  return CheckListenAddress(listen);
}

Server::Server(Coordinator& coordinator, prometheus::Registry& registry)
    : calls_(registry, Services()),
      coordinator_service_(coordinator),
      admin_service_(coordinator) {}

Server::~Server() {
  if (server_) Shutdown(absl::ZeroDuration());
}

std::vector<std::string> Server::Services() {
  return {v1::CoordinatorService::service_full_name(), v1::AdminService::service_full_name()};
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(Coordinator& coordinator,
                                                      prometheus::Registry& registry,
                                                      const ServerOptions& options) {
  if (auto s = options.Validate(); !s.ok()) return s;
  if (auto s = CheckSocketIsFree(options.listen); !s.ok()) return s;
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  std::unique_ptr<Server> server(new Server(coordinator, registry));
  grpc::ServerBuilder builder;
  SetLimits(builder, options);
  server->calls_.AddTo(builder);
  int port = 0;
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&server->coordinator_service_);
  builder.RegisterService(&server->admin_service_);
  server->server_ = builder.BuildAndStart();
  if (!server->server_ || port == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen on ", options.listen, WhyNotListen(options.listen),
                     ": choose an address of this machine and a port that is free (--listen)"));
  }
  server->address_ =
      absl::StartsWith(options.listen, "unix:")
          ? options.listen
          : absl::StrCat(options.listen.substr(0, options.listen.rfind(':')), ":", port);
  server->SetServing(false);
  return server;
}

void Server::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus(serving);
  for (const std::string& service : Services()) health->SetServingStatus(service, serving);
}

void Server::Shutdown(absl::Duration grace) {
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace));
  server_->Wait();
}

}  // namespace lowmark
