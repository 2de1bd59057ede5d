// lowmark-coordinator: leases shards to workers and keeps their checkpoints in
// PostgreSQL.
#include <optional>
#include <string>

#include "service/process/deadlock_detection.h"
#include "service/process/logging.h"
#include "service/process/options.h"
#include "service/rpc/quiet.h"
#include "service/serve.h"
#include "store/postgres/migrate.h"

namespace lowmark {
namespace {

struct LogSettings {
  std::string format = "console";
  std::string level = "info";
};

void AddDatabaseOptions(Options& options, CLI::App& command, PostgresOptions& postgres) {
  options
      .Add(command, "database", postgres.connection,
           "PostgreSQL connection string: \"host=db dbname=lowmark user=...\" or postgresql://...")
      ->group("Database");
  options.Require(command, "database");
}

void AddLogOptions(Options& options, CLI::App& command, LogSettings& log) {
  options.Add(command, "log-format", log.format, "console or json")->group("Logging");
  options.Add(command, "log-level", log.level, "debug, info, warning or error")->group("Logging");
}

void AddServeOptions(Options& options, CLI::App& command, ServeOptions& serve) {
  options
      .Add(command, "migrate", serve.migrate,
           "Bring the schema up to date at start; where false, wait until it is")
      ->group("Database");
  options
      .Add(command, "unsafe", serve.postgres.unsafe,
           "Serve although PostgreSQL may lose what it acknowledged (fsync or the like is off)")
      ->group("Database");
  options
      .Add(command, "listen", serve.server.listen,
           "gRPC address: HOST:PORT (port 0: a free one) or unix:PATH")
      ->group("Network");
  options
      .Add(command, "http-listen", serve.http_listen,
           "Address of /metrics, /livez and /readyz: HOST:PORT")
      ->group("Network");
  options
      .Add(command, "connection-age", serve.server.connection_age,
           "Ask clients to reconnect after this, so that they spread over new replicas")
      ->group("Network");
  options
      .Add(command, "session-ttl", serve.coordinator.session_ttl,
           "A worker without heartbeat for this long may lose its shards")
      ->group("Leases");
  options
      .Add(command, "balance-interval", serve.coordinator.balance_interval,
           "How often the sharing-out of a stream's shards is looked at")
      ->group("Leases");
  options
      .Add(command, "balance-settling", serve.coordinator.balance_settling,
           "A shard that came to its worker less than this ago stays there")
      ->group("Leases");
  options
      .Add(command, "balance-moves", serve.coordinator.balance_moves,
           "Share of a stream's shards that may be on the move at a time")
      ->group("Leases");
  options
      .Add(command, "committers", serve.coordinator.committer.committers,
           "Groups of reports committed at the same time, each on a connection")
      ->group("Leases");
  options
      .Add(command, "drain-delay", serve.drain_delay,
           "After SIGTERM serve on for this long, saying \"not ready\"")
      ->group("Stopping");
  options
      .Add(command, "drain-timeout", serve.drain_timeout,
           "Then let calls in flight finish for at most this long")
      ->group("Stopping");
}

absl::StatusOr<LogOptions> ParseLog(const LogSettings& settings) {
  auto format = ParseLogFormat(settings.format);
  if (!format.ok()) return format.status();
  auto level = ParseLogLevel(settings.level);
  if (!level.ok()) return level.status();
  return LogOptions{.format = *format, .level = *level};
}

// Says what is wrong, in one line; the exit code is 2 for what the user gave.
int Fail(const absl::Status& status, Logger& log) {
  log.Error(status.message());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

int Run(bool migrate_only, const ServeOptions& serve, Logger& log) {
  for (const absl::Status& status :
       {serve.postgres.Validate(), serve.coordinator.Validate(), serve.server.Validate()}) {
    if (!status.ok()) return Fail(status, log);
  }
  const absl::Status status = migrate_only ? Migrate(serve.postgres) : Serve(serve, log);
  if (!status.ok()) return Fail(status, log);
  if (migrate_only) log.Info("the schema is up to date");
  return 0;
}

int Main(int argc, char** argv) {
  DisableDeadlockDetection();
  QuietLibraries();
  Options options("lowmark-coordinator",
                  "Leases the shards of streams to workers and keeps their checkpoints in "
                  "PostgreSQL.",
                  "lowmark-coordinator serve --database \"host=/run/postgresql dbname=lowmark\"");
  ServeOptions settings;
  LogSettings logging;
  CLI::App& serve = options.AddCommand(
      options.app(), "serve", "Serve workers and operators.",
      "lowmark-coordinator serve --database dbname=lowmark --listen 0.0.0.0:7070");
  AddDatabaseOptions(options, serve, settings.postgres);
  AddServeOptions(options, serve, settings);
  AddLogOptions(options, serve, logging);
  options.AddConfig(serve);
  CLI::App& migrate =
      options.AddCommand(options.app(), "migrate", "Bring the database's schema up to date.",
                         "lowmark-coordinator migrate --database dbname=lowmark");
  AddDatabaseOptions(options, migrate, settings.postgres);
  AddLogOptions(options, migrate, logging);
  options.AddConfig(migrate);
  if (std::optional<int> exit = options.Parse(argc, argv)) return *exit;

  auto log_options = ParseLog(logging);
  Logger log(log_options.ok() ? *log_options : LogOptions());
  if (!log_options.ok()) return Fail(log_options.status(), log);
  return Run(migrate.parsed(), settings, log);
}

}  // namespace
}  // namespace lowmark

int main(int argc, char** argv) { return lowmark::Main(argc, argv); }
