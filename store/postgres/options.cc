#include "store/postgres/options.h"

#include <libpq-fe.h>

#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

using Settings = std::map<std::string, std::string>;

// What a connection string sets itself.
absl::StatusOr<Settings> Parse(const char* field, const std::string& connection) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
      PQconninfoParse(connection.c_str(), &error), &PQconninfoFree);
  if (parsed == nullptr) {
    const std::unique_ptr<char, decltype(&PQfreemem)> owned(error, &PQfreemem);
    // The string may hold a password: it is not repeated.
    return MakeError(
        absl::StatusCode::kInvalidArgument, kInvalidArgument,
        absl::StrCat(field, " cannot be read as a PostgreSQL connection string: ",
                     absl::StripSuffix(error == nullptr ? "out of memory" : error, "\n")));
  }
  Settings settings;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) settings[option->keyword] = option->val;
  }
  return settings;
}

std::string Format(const Settings& settings) {
  std::string text;
  for (const auto& [key, value] : settings) {
    absl::StrAppend(&text, text.empty() ? "" : " ", key, "='",
                    absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
  }
  return text;
}

// Set by name, so that they do not depend on the database's or the role's.
Settings ServerSettings(const PostgresOptions& options, ConnectionKind kind) {
  const auto ms = [](absl::Duration d) { return absl::StrCat(absl::ToInt64Milliseconds(d)); };
  if (kind == ConnectionKind::kMigrating) {
    return {{"statement_timeout", "0"},
            {"lock_timeout", "30000"},
            {"idle_in_transaction_session_timeout", "60000"}};
  }
  return {// Nothing less than a warning is told, and that is taken for one.
          {"client_min_messages", "warning"},
          // Rows are looked up by their keys, and those that are in use are in memory:
          // found so, a page costs little more than a row.
          {"random_page_cost", "0.1"},
          {"statement_timeout", ms(options.statement_timeout)},
          {"lock_timeout", ms(options.lock_timeout)},
          {"idle_in_transaction_session_timeout", ms(options.idle_in_transaction_timeout)}};
}

}  // namespace

absl::Status PostgresOptions::Validate() const {
  if (pool_size < 1 || pool_size > 100) {
    return InvalidField("postgres.pool_size", pool_size, "must be 1..100");
  }
  for (const absl::Status& status : {
           CheckDuration("postgres.connect_timeout", connect_timeout, absl::Seconds(1),
                         absl::Minutes(1)),
           CheckDuration("postgres.statement_timeout", statement_timeout, absl::Milliseconds(10),
                         absl::Minutes(10)),
           CheckDuration("postgres.lock_timeout", lock_timeout, absl::Milliseconds(10),
                         absl::Minutes(10)),
           CheckDuration("postgres.idle_in_transaction_timeout", idle_in_transaction_timeout,
                         absl::Milliseconds(10), absl::Minutes(10)),
           Parse("database", connection).status(),
           Parse("listen-database", listen_connection).status(),
       }) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ConnectionString(const PostgresOptions& options, ConnectionKind kind,
                                             bool with_settings) {
  const bool direct = kind == ConnectionKind::kListening && !options.listen_connection.empty();
  auto settings = direct ? Parse("listen-database", options.listen_connection)
                         : Parse("database", options.connection);
  if (!settings.ok()) return settings.status();
  settings->insert({
      {"application_name", "lowmark"},
      {"client_encoding", "UTF8"},
      // A demoted primary is not to be taken for the primary.
      {"target_session_attrs", "read-write"},
      {"connect_timeout", absl::StrCat(absl::ToInt64Seconds(options.connect_timeout))},
      // Find out that the other side is gone: while data is on its way, and idle.
      {"tcp_user_timeout", "3000"},
      {"keepalives_idle", "10"},
      {"keepalives_interval", "3"},
      {"keepalives_count", "3"},
  });
  if (with_settings) {
    std::string text;
    for (const auto& [name, value] : ServerSettings(options, kind)) {
      absl::StrAppend(&text, "-c ", name, "=", value, " ");
    }
    // The user's come last, and win.
    (*settings)["options"] = text + (*settings)["options"];
  }
  return Format(*settings);
}

std::string SettingsOfTransaction(const PostgresOptions& options) {
  std::string text;
  for (const auto& [name, value] : ServerSettings(options, ConnectionKind::kPooled)) {
    absl::StrAppend(&text, "SET LOCAL ", name, " = ", value, ";");
  }
  return text;
}

}  // namespace lowmark
