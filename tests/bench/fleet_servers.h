// The servers that a fleet works with: a durable PostgreSQL for the whole run, and
// coordinators that each phase starts as it wants them.
#ifndef LOWMARK_TESTS_BENCH_FLEET_SERVERS_H_
#define LOWMARK_TESTS_BENCH_FLEET_SERVERS_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/dev/postgres_cluster.h"
#include "tests/bench/fleet_ledger.h"
#include "tests/bench/servers.h"

namespace lowmark {

class FleetServers {
 public:
  // PostgreSQL's files go below `directory`; `coordinator` is the program.
  static absl::StatusOr<std::unique_ptr<FleetServers>> Start(const std::string& directory,
                                                             const std::string& coordinator);

  // So many coordinators in place of those before, with these arguments.
  absl::Status StartCoordinators(int count, const std::vector<std::string>& arguments);
  const std::vector<ServerProcess>& coordinators() const { return coordinators_; }
  std::vector<std::string> Addresses() const;
  PostgresCluster& postgres() { return *cluster_; }

  // Creates a stream through the first coordinator, with shards "000000" and so on.
  absl::Status MakeStream(const std::string& stream, int shards);
  // Adds the shard of that number to a stream that MakeStream made.
  absl::Status AddShard(const std::string& stream, int number);

  absl::StatusOr<std::string> Query(const std::string& sql) const;
  // Rows inserted, updated and deleted so far, by table. May lag by a second where
  // the database is busy, by ten where it is not.
  absl::StatusOr<std::map<std::string, int64_t>> RowsWritten() const;
  // What was acknowledged to workers must be in the database.
  absl::Status CheckCheckpoints(const std::string& stream, FleetLedger& ledger) const;

  // Has PostgreSQL note each statement; not for long, since that is slow.
  absl::Status NoteTransactions(bool on);
  // Transactions of the coordinators since the last call, with NoteTransactions on.
  int64_t CountTransactions();

 private:
  FleetServers() = default;

  std::string program_;
  std::unique_ptr<PostgresCluster> cluster_;
  std::vector<ServerProcess> coordinators_;
  int started_ = 0;
  int64_t log_read_ = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_FLEET_SERVERS_H_
