// The HTTP port for operators and their machines:
//
//   /metrics  Prometheus' text format
//   /livez    200 while the process answers at all
//   /readyz   200 when it can do its work, otherwise 503 and why
#ifndef LOWMARK_SERVICE_PROCESS_ENDPOINT_H_
#define LOWMARK_SERVICE_PROCESS_ENDPOINT_H_

#include <prometheus/collectable.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

class CivetServer;

namespace lowmark {

struct EndpointOptions {
  // "host:port"; port 0 takes a free one.
  std::string listen = "127.0.0.1:0";
  // What /metrics shows; called on each scrape, from any thread.
  std::vector<std::shared_ptr<prometheus::Collectable>> metrics = {};
  // OK when ready, otherwise why not. Called from any thread; must not block.
  std::function<absl::Status()> ready = [] { return absl::OkStatus(); };
};

// Serves until it is destroyed.
class Endpoint {
 public:
  // Errors say which address could not be listened on, and why.
  static absl::StatusOr<std::unique_ptr<Endpoint>> Start(EndpointOptions options);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // "host:port", with the port that is really listened on.
  const std::string& address() const { return address_; }
  int port() const { return port_; }

 private:
  class StartLog;
  class Handler;

  Endpoint();

  std::string host_;
  std::string address_;
  int port_ = 0;
  std::unique_ptr<StartLog> start_log_;
  std::unique_ptr<Handler> handler_;
  std::unique_ptr<CivetServer> server_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_ENDPOINT_H_
