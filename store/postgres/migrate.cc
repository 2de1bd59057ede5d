#include "store/postgres/migrate.h"

#include <map>
#include <memory>
#include <pqxx/pqxx>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "store/postgres/connection_pool.h"
#include "store/postgres/migrations.h"
#include "store/postgres/queries.h"

namespace lowmark {
namespace {

constexpr int kOldestServer = 140000;

// Hands what the server says to the caller instead of standard error.
class NoticeHandler : public pqxx::errorhandler {
 public:
  NoticeHandler(pqxx::connection_base& connection,
                const std::function<void(const std::string&)>& on_notice)
      : pqxx::errorhandler(connection), on_notice_(on_notice) {}

  bool operator()(const char message[]) noexcept override {
    if (on_notice_) on_notice_(message);
    return false;  // no other handler is to see it
  }

 private:
  const std::function<void(const std::string&)>& on_notice_;
};

absl::Status Refuse(const std::string& message) { return absl::FailedPreconditionError(message); }

absl::Status TooNew(int version) {
  return Refuse(absl::StrCat("the database has schema version ", version,
                             ", this program knows versions up to ", Migrations().back().version,
                             ": run a newer lowmark-coordinator"));
}

// The checksums of the migrations that were applied, by version.
using Applied = std::map<int, std::string>;

Applied ReadApplied(pqxx::transaction_base& transaction) {
  Applied applied;
  if (!transaction.exec1(sql::kHasMigrations)[0].as<bool>()) return applied;
  for (const pqxx::row& row : transaction.exec(sql::kSelectMigrations)) {
    applied[row[0].as<int>()] = row[1].as<std::string>();
  }
  return applied;
}

std::string Checksum(pqxx::transaction_base& transaction, const Migration& migration) {
  return transaction.exec_params1(sql::kChecksum, migration.sql)[0].as<std::string>();
}

// Whether a migration is still to be applied; an error where what was applied is
// not what this program has.
absl::StatusOr<bool> IsMissing(pqxx::transaction_base& transaction, const Applied& applied,
                               const Migration& migration) {
  if (!applied.empty() && applied.rbegin()->first > Migrations().back().version) {
    return TooNew(applied.rbegin()->first);
  }
  auto found = applied.find(migration.version);
  if (found == applied.end()) return true;
  if (found->second == Checksum(transaction, migration)) return false;
  return Refuse(absl::StrCat("migration ", migration.name,
                             " was applied with another text than this program has"));
}

absl::StatusOr<bool> IsAnyMissing(pqxx::connection& connection) {
  pqxx::work transaction(connection);
  const Applied applied = ReadApplied(transaction);
  for (const Migration& migration : Migrations()) {
    auto missing = IsMissing(transaction, applied, migration);
    if (!missing.ok() || *missing) return missing;
  }
  return false;
}

absl::Status ApplyOne(pqxx::connection& connection, const Migration& migration) {
  pqxx::work transaction(connection);
  // A standby that is away would hold it up for ever, unseen. What needs the migration
  // waits for the standby itself, which then has the migration as well.
  transaction.exec(sql::kCommitAlone);
  // From PostgreSQL 16 on who makes a role may not act as it, unless this is set.
  if (transaction.conn().server_version() >= 160000) transaction.exec(sql::kActAsMadeRoles);
  transaction.exec(sql::kLockMigrations);
  transaction.exec(sql::kCreateMigrations);
  auto missing = IsMissing(transaction, ReadApplied(transaction), migration);
  if (!missing.ok()) return missing.status();
  if (!*missing) return absl::OkStatus();
  const std::string checksum = Checksum(transaction, migration);
  transaction.exec(migration.sql);
  transaction.exec_params(sql::kInsertMigration, migration.version, migration.name, checksum);
  transaction.commit();
  return absl::OkStatus();
}

absl::Status CheckSettings(const pqxx::row& row, const PostgresOptions& options) {
  if (row[3].as<std::string>() != "UTF8") {
    return Refuse(absl::StrCat("the database's encoding is ", row[3].c_str(), ": it must be UTF8"));
  }
  if (row[4].as<int>() < kOldestServer) {
    return Refuse(absl::StrCat("the server is PostgreSQL ", row[4].as<int>() / 10000,
                               ": version 14 or newer is needed"));
  }
  if (options.unsafe) return absl::OkStatus();
  const std::pair<const char*, int> settings[] = {
      {"fsync", 0}, {"full_page_writes", 1}, {"synchronous_commit", 2}};
  for (const auto& [name, column] : settings) {
    if (row[column].as<std::string>() != "off") continue;
    return Refuse(absl::StrCat("PostgreSQL's ", name,
                               " is off: a crash would lose acknowledged reports and leases. "
                               "Turn it on, or pass --unsafe to accept that"));
  }
  if (row[2].as<std::string>() == "local" && !row[6].as<std::string>().empty()) {
    return Refuse(
        "PostgreSQL's synchronous_commit is local though synchronous_standby_names is set: a "
        "failover would lose acknowledged reports and leases. Set it to on or remote_apply, or "
        "pass --unsafe to accept that");
  }
  return absl::OkStatus();
}

absl::Status CheckConnected(pqxx::connection& connection, const PostgresOptions& options) {
  pqxx::work transaction(connection);
  const pqxx::row settings = transaction.exec1(sql::kReadSettings);
  if (auto s = CheckSettings(settings, options); !s.ok()) return s;
  const Applied applied = ReadApplied(transaction);
  const int version = applied.empty() ? 0 : applied.rbegin()->first;
  const int wanted = Migrations().back().version;
  if (version > wanted) return TooNew(version);
  if (version < wanted) {
    return Unavailable(absl::StrCat("the database has schema version ", version, ", version ",
                                    wanted, " is needed: run lowmark-coordinator migrate"));
  }
  if (settings[5].as<std::string>() != "off") return Unavailable("the database is read-only");
  return absl::OkStatus();
}

}  // namespace

absl::Status Migrate(const PostgresOptions& options,
                     const std::function<void(const std::string&)>& on_notice) {
  if (auto s = options.Validate(); !s.ok()) return s;
  bool refused = false;
  auto connection = Connection::Open(options, ConnectionKind::kMigrating, &refused);
  if (!connection.ok()) return connection.status();
  const NoticeHandler handler((*connection)->get(), on_notice);
  return CatchPostgres([&]() -> absl::Status {
    auto missing = IsAnyMissing((*connection)->get());
    if (!missing.ok()) return missing.status();
    if (!*missing) return absl::OkStatus();
    for (const Migration& migration : Migrations()) {
      if (auto s = ApplyOne((*connection)->get(), migration); !s.ok()) return s;
    }
    return absl::OkStatus();
  });
}

absl::Status CheckDatabase(const PostgresOptions& options) {
  if (auto s = options.Validate(); !s.ok()) return s;
  bool refused = false;
  auto connection = Connection::Open(options, ConnectionKind::kPooled, &refused);
  if (!connection.ok()) return connection.status();
  return CatchPostgres([&] { return CheckConnected((*connection)->get(), options); });
}

}  // namespace lowmark
