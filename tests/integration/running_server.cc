#include "tests/integration/running_server.h"

#include <gtest/gtest.h>

#include "service/rpc/message_size.h"
#include "service/rpc/status.h"

namespace lowmark {

RunningServer::RunningServer(Store& store, CoordinatorOptions options, const std::string& listen)
    : coordinator_(store, metrics_, options) {
  ServerOptions server;
  server.listen = listen;
  auto started = Server::Start(coordinator_, registry_, server);
  EXPECT_TRUE(started.ok()) << started.status();
  server_ = *std::move(started);
  // A channel of its own: channels to the same address share connections.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(kLargestMessage);
  channel_ =
      grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(), arguments);
  workers_ = v1::CoordinatorService::NewStub(channel_);
  admin_ = v1::AdminService::NewStub(channel_);
}

RunningServer::~RunningServer() {
  coordinator_.Drain();
  server_->Shutdown(absl::Seconds(10));
}

CoordinatorOptions RunningServer::DefaultOptions() {
  CoordinatorOptions options;
  options.session_ttl = absl::Hours(1);
  options.destinations.directory_root = "/nowhere";
  return options;
}

absl::Status StatusOf(const grpc::Status& status) { return FromGrpc(status); }

}  // namespace lowmark
