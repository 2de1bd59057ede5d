// A real coordinator process on a real PostgreSQL, both private and temporary.
#ifndef LOWMARK_TESTS_CONFORMANCE_SERVERS_H_
#define LOWMARK_TESTS_CONFORMANCE_SERVERS_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/dev/postgres_cluster.h"
#include "service/process/child_process.h"

namespace lowmark::conformance {

// The destructor ends both. channel() may be used from many threads, also while
// the coordinator is being restarted: calls then wait.
class Servers {
 public:
  // `coordinator` is the program.
  static absl::StatusOr<std::unique_ptr<Servers>> Start(const std::string& coordinator);
  ~Servers();
  Servers(const Servers&) = delete;
  Servers& operator=(const Servers&) = delete;

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // Kills the coordinator with SIGKILL and starts it again.
  absl::Status RestartCoordinator();

 private:
  Servers() = default;
  absl::Status StartCoordinator();

  std::string program_;
  std::string directory_;  // the coordinator's socket and log
  std::unique_ptr<PostgresCluster> postgres_;
  std::unique_ptr<ChildProcess> coordinator_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace lowmark::conformance

#endif  // LOWMARK_TESTS_CONFORMANCE_SERVERS_H_
