// A private PostgreSQL, made from the server programs that are installed: for
// `lowmark dev` and for tests. It can be reached through a unix socket alone, by
// this user alone, and ends with this process, however that ends.
//
//   auto cluster = PostgresCluster::Create({});  // temporary; or {.directory = "dev/pg"}
//   if (!cluster.ok()) return cluster.status();
//   if (absl::Status s = (*cluster)->Start(); !s.ok()) return s;
//   pqxx::connection connection((*cluster)->ConnectionString("postgres"));
//
// PostgreSQL does not run as root: where this process does, the server and its
// files belong to the user `postgres`, or else `nobody`.
#ifndef LOWMARK_SERVICE_DEV_POSTGRES_CLUSTER_H_
#define LOWMARK_SERVICE_DEV_POSTGRES_CLUSTER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/process/child_process.h"

namespace lowmark {

struct PostgresClusterOptions {
  // Holds data/, socket/ and postgres.log; made where it is missing. What is in
  // data/ is used as it is. Empty: a temporary one, removed with the object.
  std::string directory = {};
  // Whether commits reach the disk. Without, data is lost with the machine's
  // power, though not with the server's death.
  bool fsync = true;
  // Further settings of the server, as "name=value".
  std::vector<std::string> settings = {};
  // How long the server may take to start or stop: crash recovery takes its time.
  absl::Duration timeout = absl::Seconds(60);
};

// Not thread-safe. The destructor stops the server.
class PostgresCluster {
 public:
  // Makes the cluster's files where there are none. NOT_FOUND where PostgreSQL's
  // server programs are not installed; errors say what to do.
  static absl::StatusOr<std::unique_ptr<PostgresCluster>> Create(PostgresClusterOptions options);
  ~PostgresCluster();
  PostgresCluster(const PostgresCluster&) = delete;
  PostgresCluster& operator=(const PostgresCluster&) = delete;

  // Returns when the server takes connections. FAILED_PRECONDITION where it runs
  // already, here or in another process.
  absl::Status Start();
  // Stops it in order, cutting connections (a "fast" shutdown). OK when it did
  // not run.
  absl::Status Stop();
  // Kills the server and its processes with SIGKILL, as a crash would; returns
  // when all are gone. OK when it did not run.
  absl::Status Kill();
  // Whether the server's first process lives.
  bool running() const;

  // For libpq and libpqxx. The superuser is "postgres" and has no password.
  std::string ConnectionString(const std::string& database = "postgres") const;
  // Runs SQL with psql: its rows one a line, columns separated by "|". An error's
  // message is the server's.
  absl::StatusOr<std::string> Query(const std::string& database, const std::string& sql) const;
  // ALREADY_EXISTS where there is one of that name.
  absl::Status CreateDatabase(const std::string& name);

  // The process that stands for the server, -1 when it does not run.
  pid_t pid() const { return server_ == nullptr ? -1 : server_->pid(); }
  const std::string& log_path() const { return log_path_; }
  // Where PostgreSQL's programs are (pgbench, psql, ...).
  const std::string& bin_directory() const { return bin_directory_; }
  const std::string& socket_directory() const { return socket_directory_; }

 private:
  explicit PostgresCluster(PostgresClusterOptions options) : options_(std::move(options)) {}
  absl::Status MakeDirectories();
  absl::Status MakeSocketDirectory();
  absl::Status Initialize();
  absl::Status RemoveStaleLock();
  absl::Status AwaitReady();
  absl::Status FailedStart(const ExitStatus& exit) const;

  PostgresClusterOptions options_;
  std::string directory_;  // absolute
  bool temporary_ = false;
  std::string data_directory_;
  std::string socket_directory_;
  bool temporary_socket_ = false;
  std::string log_path_;
  std::string bin_directory_;
  std::optional<Account> account_;  // set where root is dropped
  std::unique_ptr<ChildProcess> server_;
};

// The directory of PostgreSQL's server programs: of that major version where it
// is installed ("15"), otherwise the newest. NOT_FOUND where there is none.
absl::StatusOr<std::string> FindPostgres(const std::string& version = "");

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_DEV_POSTGRES_CLUSTER_H_
