#include "store/postgres/connection_pool.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "service/core/error.h"
#include "service/core/expiry.h"

namespace lowmark {
namespace {

// Conflicts with other transactions are repeated so often, after growing pauses,
// as long as this leaves the caller time to hear of it.
constexpr int kConflictAttempts = 5;
constexpr absl::Duration kConflictPause = absl::Milliseconds(5);
constexpr absl::Duration kConflictPatience = absl::Seconds(5);

// What is on its way is cancelled so often until it has ended: it may not have been at
// the server yet.
constexpr absl::Duration kCancelInterval = absl::Milliseconds(100);

// What went wrong with one try.
enum class Trouble {
  kNone,
  kConflict,    // rolled back; another try may succeed
  kLost,        // the connection is lost, the outcome perhaps unknown
  kOutOfReach,  // nothing was done; trying again at once would not help
  kRefusedData,
  kDefect,
};

struct Diagnosis {
  Trouble trouble = Trouble::kNone;
  absl::Status status;
};

// By PostgreSQL's error classes.
Trouble Classify(absl::string_view sqlstate) {
  const absl::string_view kind = sqlstate.substr(0, 2);
  if (sqlstate == "40003") return Trouble::kLost;  // completion unknown
  if (kind == "40" || sqlstate == "55P03" || sqlstate == "57014") return Trouble::kConflict;
  // What the row refers to was deleted meanwhile: a stream. The next try finds it gone.
  if (sqlstate == "23503") return Trouble::kConflict;
  // A demoted primary, a shutdown, a full disk: what another connection, or a
  // little later the same, may do.
  if (kind == "08" || kind == "53" || kind == "57" || kind == "58" || sqlstate == "25006" ||
      sqlstate == "25P03") {
    return Trouble::kLost;
  }
  // The schema is not there yet.
  if (sqlstate == "42P01" || sqlstate == "3F000") return Trouble::kOutOfReach;
  if (kind == "22" || kind == "23" || kind == "54" || kind == "LM" || sqlstate == "P0001") {
    return Trouble::kRefusedData;
  }
  return Trouble::kDefect;
}

Failure FailureOf(Trouble trouble) {
  switch (trouble) {
    case Trouble::kNone:
      return Failure::kNone;
    case Trouble::kConflict:
    case Trouble::kLost:
    case Trouble::kOutOfReach:
      return Failure::kUnavailable;
    case Trouble::kRefusedData:
      return Failure::kRefusedData;
    case Trouble::kDefect:
      break;
  }
  return Failure::kDefect;
}

std::string OneLine(absl::string_view text) {
  return absl::StrReplaceAll(absl::StripTrailingAsciiWhitespace(text),
                             {{"\n\t", " "}, {"\n", "; "}, {"\t", " "}});
}

Diagnosis Diagnose(Trouble trouble, absl::string_view text) {
  const std::string message = absl::StrCat("PostgreSQL: ", OneLine(text));
  if (trouble == Trouble::kConflict) return {trouble, MarkReached(Unavailable(message))};
  if (FailureOf(trouble) == Failure::kUnavailable) return {trouble, Unavailable(message)};
  return {trouble, MakeError(absl::StatusCode::kInternal, kInternal, message)};
}

Diagnosis Catch(const std::function<absl::Status()>& body) {
  try {
    return {Trouble::kNone, body()};
  } catch (const pqxx::broken_connection& error) {
    return Diagnose(Trouble::kLost, error.what());
  } catch (const pqxx::in_doubt_error& error) {
    return Diagnose(Trouble::kLost, error.what());
  } catch (const pqxx::statement_completion_unknown& error) {
    return Diagnose(Trouble::kLost, error.what());
  } catch (const pqxx::transaction_rollback& error) {  // no sql_error, in libpqxx 6.4
    return Diagnose(Trouble::kConflict, error.what());
  } catch (const pqxx::sql_error& error) {
    return Diagnose(Classify(error.sqlstate()),
                    absl::StrCat(OneLine(error.what()), " (", error.sqlstate(), ")"));
  } catch (const std::exception& error) {
    return Diagnose(Trouble::kDefect, error.what());
  }
}

void Pause(int attempt) {
  static thread_local std::minstd_rand random{std::random_device()()};
  const double share = std::uniform_real_distribution<>(0.5, 1.5)(random);
  std::this_thread::sleep_for(absl::ToChronoMicroseconds(kConflictPause * (1 << attempt) * share));
}

// PgBouncer does not pass settings on, and refuses them.
bool IsRefusalOfSettings(absl::string_view text) {
  return absl::StrContains(text, "unsupported startup parameter");
}

absl::Status Closed() {
  return Unavailable("the coordinator waits for its database, or is stopping; retry with backoff");
}

}  // namespace

absl::Status CatchPostgres(const std::function<absl::Status()>& body, Failure* failure) {
  Diagnosis diagnosis = Catch(body);
  if (failure != nullptr) *failure = FailureOf(diagnosis.trouble);
  return std::move(diagnosis.status);
}

class Connection::Notices : public pqxx::errorhandler {
 public:
  explicit Notices(pqxx::connection_base& connection) : pqxx::errorhandler(connection) {}

  bool operator()(const char message[]) noexcept override {
    text += message;
    return false;  // no other handler is to see it
  }

  std::string text;
};

Connection::~Connection() = default;

Connection::Connection(const std::string& text) : connection_(text) {
  notices_ = std::make_unique<Notices>(connection_);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  connection_.inhibit_reactivation(true);
#pragma GCC diagnostic pop
}

std::string Connection::TakeNotices() { return std::exchange(notices_->text, ""); }

void Connection::Cancel() {
  // Where the server cannot be reached, what was sent there ends by itself.
  (void)Catch([&] {
    connection_.cancel_query();
    return absl::OkStatus();
  });
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const PostgresOptions& options,
                                                             ConnectionKind kind,
                                                             bool* settings_refused) {
  const bool with_settings = settings_refused == nullptr || !*settings_refused;
  auto text = ConnectionString(options, kind, with_settings);
  if (!text.ok()) return text.status();
  try {
    return std::unique_ptr<Connection>(new Connection(*text));
  } catch (const std::exception& error) {
    if (settings_refused != nullptr && with_settings && IsRefusalOfSettings(error.what())) {
      *settings_refused = true;
      return Open(options, kind, settings_refused);
    }
    return Diagnose(Trouble::kOutOfReach, error.what()).status;
  }
}

// One try of a call.
struct ConnectionPool::Attempt : Diagnosis {};

absl::Status ConnectionPool::Run(Mode mode, const Body& body, Failure* failure) {
  const SteadyTime give_up = SteadyDeadline(kConflictPatience);
  bool lost_before = false;
  for (int attempt = 1;; ++attempt) {
    if (closed_) {
      if (failure != nullptr) *failure = Failure::kUnavailable;
      return Closed();
    }
    Attempt tried = Try(mode, body);
    if (tried.trouble == Trouble::kLost && !lost_before) {
      lost_before = true;
      continue;
    }
    if (tried.trouble == Trouble::kConflict && attempt < kConflictAttempts &&
        std::chrono::steady_clock::now() < give_up) {
      Pause(attempt);
      continue;
    }
    if (failure != nullptr) *failure = FailureOf(tried.trouble);
    return std::move(tried.status);
  }
}

void ConnectionPool::Close() {
  closed_ = true;
  MutexLock lock(mutex_);
  returned_.NotifyAll();
  while (!in_use_.empty()) {
    for (Connection* connection : in_use_) connection->Cancel();
    returned_.WaitUntil(mutex_, SteadyDeadline(kCancelInterval));
  }
}

ConnectionPool::Attempt ConnectionPool::Try(Mode mode, const Body& body) {
  auto connection = Take();
  if (!connection.ok()) return {{Trouble::kOutOfReach, connection.status()}};
  (*connection)->TakeNotices();
  Attempt attempt{Catch([&] { return RunOn(**connection, mode, body); })};
  if (attempt.trouble == Trouble::kNone && attempt.status.ok()) {
    // There is one warning that goes with what a pool is for: the commit is done here,
    // and its wait for the synchronous standby was cancelled. A failover may lose it.
    const std::string warning = (*connection)->TakeNotices();
    if (!warning.empty()) attempt = {Diagnose(Trouble::kLost, warning)};
  }
  if (attempt.trouble == Trouble::kNone) {
    Return(*std::move(connection));
  } else {
    Discard(*std::move(connection), attempt.trouble == Trouble::kLost);
  }
  return attempt;
}

absl::Status ConnectionPool::RunOn(Connection& connection, Mode mode, const Body& body) const {
  // Where a pooler took no settings, only a transaction has its timeouts.
  if (mode == Mode::kStatement && !settings_refused_) {
    pqxx::nontransaction statement(connection.get());
    return body(statement);
  }
  pqxx::work transaction(connection.get());
  if (settings_refused_) transaction.exec(SettingsOfTransaction(options_));
  absl::Status status = body(transaction);
  if (status.ok()) {
    transaction.commit();
  } else {
    transaction.abort();
  }
  return status;
}

absl::StatusOr<std::unique_ptr<Connection>> ConnectionPool::Take() {
  {
    const SteadyTime deadline = SteadyDeadline(options_.connect_timeout);
    MutexLock lock(mutex_);
    while (idle_.empty() && open_ >= options_.pool_size) {
      if (closed_) return Closed();
      if (!returned_.WaitUntil(mutex_, deadline)) {
        return MarkReached(Unavailable("all connections to PostgreSQL are in use"));
      }
    }
    // Under the lock: what is in use from here on is seen by Close.
    if (closed_) return Closed();
    if (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      in_use_.insert(connection.get());
      return connection;
    }
    ++open_;
  }
  bool refused = settings_refused_;
  auto connection = Connection::Open(options_, ConnectionKind::kPooled, &refused);
  if (refused) settings_refused_ = true;
  {
    MutexLock lock(mutex_);
    if (connection.ok() && !closed_) {
      in_use_.insert(connection->get());
      return connection;
    }
    --open_;
    returned_.NotifyOne();
  }
  if (connection.ok()) return Closed();
  return connection;
}

void ConnectionPool::Return(std::unique_ptr<Connection> connection) {
  MutexLock lock(mutex_);
  in_use_.erase(connection.get());
  idle_.push_back(std::move(connection));
  returned_.NotifyOne();
}

void ConnectionPool::Discard(std::unique_ptr<Connection> connection, bool lost) {
  std::vector<std::unique_ptr<Connection>> doomed;
  doomed.push_back(std::move(connection));
  {
    MutexLock lock(mutex_);
    in_use_.erase(doomed.front().get());
    if (lost) {
      for (auto& each : idle_) doomed.push_back(std::move(each));
      idle_.clear();
    }
    open_ -= static_cast<int>(doomed.size());
  }
  returned_.NotifyAll();
  doomed.clear();  // closing may take its time: not with the lock held
}

}  // namespace lowmark
