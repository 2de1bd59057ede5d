// lowmark-bench-empty HOST:PORT: serves an RPC that does nothing, with the limits,
// the callback API and the build flags of the coordinator's server. Prints the
// port it serves at, and ends with SIGTERM.
#include <grpcpp/grpcpp.h>

#include <csignal>
#include <iostream>

#include "empty.grpc.pb.h"
#include "service/process/deadlock_detection.h"
#include "service/rpc/server.h"

namespace lowmark {
namespace {

class EmptyServiceImpl final : public bench::EmptyService::CallbackService {
  grpc::ServerUnaryReactor* Nothing(grpc::CallbackServerContext* context,
                                    const bench::NothingRequest*,
                                    bench::NothingResponse*) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

int Main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: lowmark-bench-empty HOST:PORT\n";
    return 2;
  }
  DisableDeadlockDetection();
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  // Before gRPC's threads are made, so that they inherit it.
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  EmptyServiceImpl service;
  ServerOptions options;
  options.listen = argv[1];
  grpc::ServerBuilder builder;
  SetLimits(builder, options);
  int port = 0;
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server || port == 0) {
    std::cerr << "cannot listen on " << options.listen << "\n";
    return 1;
  }
  std::cout << port << std::endl;
  int signal = 0;
  sigwait(&stop, &signal);
  server->Shutdown();
  return 0;
}

}  // namespace
}  // namespace lowmark

int main(int argc, char** argv) { return lowmark::Main(argc, argv); }
