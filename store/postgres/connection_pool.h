// A small pool of connections, and what becomes of a transaction that fails.
//
// Connections are opened when they are needed, so that the pool can be made while
// the database is down. A connection on which anything went wrong is closed, never
// reused: libpqxx would go on, silently, on a new session.
#ifndef LOWMARK_STORE_POSTGRES_CONNECTION_POOL_H_
#define LOWMARK_STORE_POSTGRES_CONNECTION_POOL_H_

#include <atomic>
#include <functional>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/process/mutex.h"
#include "store/postgres/options.h"

namespace lowmark {

// A connection that is never silently replaced by another, and prints nothing. What
// the server says beside its answers is kept, not printed.
class Connection {
 public:
  // UNAVAILABLE where the database is out of reach. `settings_refused`, where
  // given, is set when a pooler refused the timeouts and the connection was made
  // without them.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const PostgresOptions& options,
                                                          ConnectionKind kind,
                                                          bool* settings_refused = nullptr);

  pqxx::connection& get() { return connection_; }

  ~Connection();

  // What the server has said since this was last asked; empty where it said nothing.
  std::string TakeNotices();
  // Ends what another thread is doing with the connection, as far as it is at the
  // server, also a commit that waits for a standby.
  void Cancel();

 private:
  class Notices;

  explicit Connection(const std::string& text);

  // Declared first to outlive the connection, which takes its leave of it.
  std::unique_ptr<Notices> notices_;
  pqxx::connection connection_;
};

// Why a call failed that was not its body's own decision.
enum class Failure {
  kNone,
  kUnavailable,  // out of reach, too busy, or the outcome unknown
  kRefusedData,  // the database would not take the data: nothing was changed
  kDefect,       // nothing was changed
};

// Runs `body`, which may throw what libpqxx throws; an exception becomes a status
// and its `failure`. For what is done outside of the pool.
absl::Status CatchPostgres(const std::function<absl::Status()>& body, Failure* failure = nullptr);

// Thread-safe.
class ConnectionPool {
 public:
  // What a call does to the database; run again, from the start, when the
  // transaction was rolled back or its outcome is unknown. An error rolls back
  // and becomes the call's status. It may throw what libpqxx throws.
  using Body = std::function<absl::Status(pqxx::transaction_base&)>;

  enum class Mode {
    kTransaction,
    kStatement,  // the body runs one statement, which commits by itself
  };

  // `options` must be valid. A closed pool answers UNAVAILABLE, without a
  // connection, until it is opened.
  explicit ConnectionPool(const PostgresOptions& options, bool closed = false)
      : options_(options), closed_(closed) {}
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  // Runs `body` and commits. Conflicts with other transactions are repeated a
  // few times; a lost connection once, on a new one. UNAVAILABLE where that did
  // not help; INTERNAL where the database refused the data or the statement.
  absl::Status Run(Mode mode, const Body& body, Failure* failure = nullptr);

  void Open() { closed_ = false; }
  // For the end: calls are answered UNAVAILABLE from now on, those on their way too.
  // Returns when there are none.
  void Close();

 private:
  struct Attempt;

  absl::StatusOr<std::unique_ptr<Connection>> Take();
  void Return(std::unique_ptr<Connection> connection);
  // Closes the connection; `lost`: those that are idle are most likely lost too.
  void Discard(std::unique_ptr<Connection> connection, bool lost);
  Attempt Try(Mode mode, const Body& body);
  absl::Status RunOn(Connection& connection, Mode mode, const Body& body) const;

  const PostgresOptions options_;
  std::atomic<bool> closed_;
  // Whether a pooler stands between that takes no settings with a connection:
  // each transaction begins with them, then.
  std::atomic<bool> settings_refused_ = false;
  Mutex mutex_;
  CondVar returned_;
  std::vector<std::unique_ptr<Connection>> idle_ LOWMARK_GUARDED_BY(mutex_);
  std::unordered_set<Connection*> in_use_ LOWMARK_GUARDED_BY(mutex_);
  int open_ LOWMARK_GUARDED_BY(mutex_) = 0;  // idle, in use, or being opened
};

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_CONNECTION_POOL_H_
