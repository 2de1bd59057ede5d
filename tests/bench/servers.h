// The servers that the benchmark measures, as processes of their own.
#ifndef LOWMARK_TESTS_BENCH_SERVERS_H_
#define LOWMARK_TESTS_BENCH_SERVERS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "service/dev/child_process.h"

namespace lowmark {

struct ServerProcess {
  std::unique_ptr<ChildProcess> process;
  std::string address;       // of gRPC
  std::string http_address;  // of /metrics; empty where there is none
};

// `program` is lowmark-coordinator; its log is written below `directory`.
absl::StatusOr<ServerProcess> StartCoordinator(const std::string& program,
                                               const std::string& connection,
                                               const std::string& directory);
// `program` is lowmark-bench-empty.
absl::StatusOr<ServerProcess> StartEmptyServer(const std::string& program);

// What a coordinator's /metrics say of its commits so far.
struct Commits {
  double groups = 0;
  double updates = 0;
};
absl::StatusOr<Commits> ReadCommits(const std::string& http_address);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_SERVERS_H_
