// How to reach PostgreSQL, and how patient to be with it.
#ifndef LOWMARK_STORE_POSTGRES_OPTIONS_H_
#define LOWMARK_STORE_POSTGRES_OPTIONS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace lowmark {

struct PostgresOptions {
  // As libpq takes it: "host=... dbname=..." or "postgresql://...". What it leaves
  // open comes from PGHOST etc., then from libpq. Names what is set here as well
  // (connect_timeout, options, ...) and wins.
  std::string connection;
  // A direct connection for LISTEN, where `connection` leads to a pooler, which
  // passes no notifications on. Empty: `connection`.
  std::string listen_connection;
  // Whether to listen for hints about free shards at all. Without, workers wait
  // for theirs until a coordinator tries again by itself.
  bool listen = true;
  // Connections at most, beside the one that listens: 1..100. Each serves one call
  // at a time.
  int pool_size = 8;
  // How long a call waits for a connection of the pool, and to connect (whole
  // seconds, libpq takes no less than 2): 1..60 s.
  absl::Duration connect_timeout = absl::Seconds(2);
  // What the server ends: a statement, a wait for a lock, a transaction whose
  // coordinator went silent. 10 ms..10 min.
  absl::Duration statement_timeout = absl::Seconds(3);
  absl::Duration lock_timeout = absl::Seconds(1);
  absl::Duration idle_in_transaction_timeout = absl::Seconds(2);
  // Accept a server that may lose or damage what it acknowledged (fsync,
  // full_page_writes or synchronous_commit off, or local though there is a synchronous
  // standby). For experiments alone: an epoch
  // that is lost and given again lets two workers write.
  bool unsafe = false;

  // INVALID_ARGUMENT naming the field and what is allowed.
  absl::Status Validate() const;
};

// What a connection is for.
enum class ConnectionKind {
  kPooled,
  kListening,
  kMigrating,  // its statements may take long
};

// The full connection string, in the form of "key='value' ...". `with_settings`:
// whether the timeouts go into libpq's `options`, which PgBouncer refuses.
// INVALID_ARGUMENT where libpq does not understand what is given.
absl::StatusOr<std::string> ConnectionString(const PostgresOptions& options, ConnectionKind kind,
                                             bool with_settings);

// The timeouts as statements for one transaction, where `options` were refused.
std::string SettingsOfTransaction(const PostgresOptions& options);

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_OPTIONS_H_
