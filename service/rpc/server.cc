#include "service/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/rpc/listen_address.h"
#include "service/rpc/message_size.h"
#include "service/rpc/reloading_credentials.h"

namespace lowmark {
namespace {

constexpr int kLargestMetadata = 16 << 10;
constexpr int kStreamsPerConnection = 4096;
// How often the files of certificates and tokens are looked at.
constexpr absl::Duration kRefreshInterval = absl::Seconds(1);

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
  if (auto s = CheckListenAddress(listen); !s.ok()) return s;
  return security.Validate(listen);
}

Server::Server(Coordinator& coordinator, prometheus::Registry& registry,
               std::unique_ptr<ServerSecrets> secrets)
    : secrets_(std::move(secrets)),
      credentials_(secrets_->tls() == nullptr ? grpc::InsecureServerCredentials()
                                              : ReloadingCredentials(*secrets_->tls())),
      calls_(registry, Services()),
      coordinator_service_(coordinator, secrets_->access()),
      admin_service_(coordinator, secrets_->access()),
      scaler_service_(coordinator) {}

Server::~Server() {
  refresh_.reset();
  if (server_) Shutdown(absl::ZeroDuration());
}

std::vector<std::string> Server::Services() {
  return {v1::CoordinatorService::service_full_name(), v1::AdminService::service_full_name(),
          externalscaler::ExternalScaler::service_full_name()};
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(Coordinator& coordinator,
                                                      prometheus::Registry& registry,
                                                      const ServerOptions& options,
                                                      NoteSecrets note) {
  if (auto s = options.Validate(); !s.ok()) return s;
  auto secrets = ServerSecrets::Load(options.security);
  if (!secrets.ok()) return secrets.status();
  if (auto s = CheckSocketIsFree(options.listen); !s.ok()) return s;
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  std::unique_ptr<Server> server(new Server(coordinator, registry, *std::move(secrets)));
  grpc::ServerBuilder builder;
  SetLimits(builder, options);
  server->calls_.AddTo(builder);
  int port = 0;
  builder.AddListeningPort(options.listen, server->credentials_, &port);
  builder.RegisterService(&server->coordinator_service_);
  builder.RegisterService(&server->admin_service_);
  builder.RegisterService(&server->scaler_service_);
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
  Metrics& metrics = coordinator.metrics();
  if (server->secrets_->tls() != nullptr) {
    metrics.SetCertificateExpiry(server->secrets_->tls()->current()->expires);
  }
  if (server->secrets_->tls() != nullptr || server->secrets_->access() != nullptr) {
    server->refresh_.emplace(kRefreshInterval,
                             [server = server.get(), &metrics, note = std::move(note)] {
                               server->Refresh(metrics, note);
                             });
  }
  return server;
}

void Server::Refresh(Metrics& metrics, const NoteSecrets& note) {
  const SecretsNews found = secrets_->Refresh();
  if (found.replaced.empty() && found.wrong.empty()) return;
  if (secrets_->tls() != nullptr) {
    metrics.SetCertificateExpiry(secrets_->tls()->current()->expires);
  }
  for (size_t i = 0; i < found.wrong.size(); ++i) metrics.CountRefusedSecrets();
  if (note) note(found);
}

void Server::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus(serving);
  for (const std::string& service : Services()) health->SetServingStatus(service, serving);
}

void Server::Shutdown(absl::Duration grace) {
  scaler_service_.EndStreams();
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace));
  server_->Wait();
}

}  // namespace lowmark
