// The servers that the benchmark measures, as processes of their own.
#ifndef LOWMARK_TESTS_BENCH_SERVERS_H_
#define LOWMARK_TESTS_BENCH_SERVERS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "service/process/child_process.h"

namespace lowmark {

struct ServerProcess {
  std::unique_ptr<ChildProcess> process;
  std::string address;       // of gRPC
  std::string http_address;  // of /metrics; empty where there is none
};

// `program` is lowmark-coordinator, `log` a file of its own that it writes its log
// to, and `arguments` what it is told beside where to listen.
absl::StatusOr<ServerProcess> StartCoordinator(const std::string& program,
                                               const std::string& connection,
                                               const std::string& log,
                                               const std::vector<std::string>& arguments);
// `program` is lowmark-bench-empty.
absl::StatusOr<ServerProcess> StartEmptyServer(const std::string& program);

// What a coordinator's /metrics say of its commits so far.
struct Commits {
  double groups = 0;
  double updates = 0;
};
absl::StatusOr<Commits> ReadCommits(const std::string& http_address);

// The sum over what /metrics has of that name, of the series with all `labels`,
// which look like `stream="orders"`; 0 where there is none.
absl::StatusOr<double> SumMetric(const std::string& http_address, const std::string& name,
                                 const std::vector<std::string>& labels);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_SERVERS_H_
