// What every gRPC client can ask a server, beside its own services: the standard
// health and reflection services, spoken by hand since Debian ships no client.
#ifndef LOWMARK_TESTS_INTEGRATION_HEALTH_H_
#define LOWMARK_TESTS_INTEGRATION_HEALTH_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

namespace lowmark {

// "SERVING", "NOT_SERVING", or the name of the error's code. A channel without a
// server yet is waited for.
std::string Health(const std::shared_ptr<grpc::Channel>& channel, const std::string& service);

// The services that the server names.
std::vector<std::string> ListServices(const std::shared_ptr<grpc::Channel>& channel);

// A socket file that nobody listens on.
void MakeStaleSocket(const std::string& path);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_INTEGRATION_HEALTH_H_
