// lowmark-coordinator: leases shards to workers and keeps their checkpoints in
// PostgreSQL.
#include <iostream>
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
  options.Add(command, "log-format", log.format, "Log lines for people or machines")
      ->type_name("console|json")
      ->check(OneOf({"console", "json"}))
      ->group("Logging");
  options.Add(command, "log-level", log.level, "Log lines below are left out")
      ->type_name("debug|info|warning|error")
      ->check(OneOf({"debug", "info", "warning", "error"}))
      ->group("Logging");
}

void AddSecurityOptions(Options& options, CLI::App& command, ServerSecurity& security) {
  const auto add_file = [&](const char* name, std::string& value, const char* description) {
    options.Add(command, name, value, description)->type_name("FILE")->group("Security");
  };
  add_file("tls-cert", security.tls_cert,
           "Certificate of the gRPC port, PEM, with what lies between it and its CA");
  add_file("tls-key", security.tls_key, "Key of that certificate");
  add_file("tls-client-ca", security.tls_client_ca,
           "Ask clients for a certificate of one of these CAs");
  add_file("admin-tokens", security.admin_tokens,
           "Tokens that may call everything, one a line; calls without a token are refused");
  add_file("worker-tokens", security.worker_tokens, "Tokens that may only do what workers do");
  options
      .Add(command, "allow-insecure-tokens", security.allow_insecure_tokens,
           "Take tokens without TLS on any address, where something else encrypts")
      ->group("Security");
}

void AddServeOptions(Options& options, CLI::App& command, ServeOptions& serve) {
  options
      .Add(command, "listen-database", serve.postgres.listen_connection,
           "Connection string for LISTEN, where --database leads to a pooler: one past it")
      ->group("Database");
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
      .Add(command, "metrics-max-streams", serve.metrics_max_streams,
           "Streams with metrics of their own; the others are counted together as \"_other\"")
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
      .Add(command, "audit-retention", serve.audit_retention,
           "Events of the audit are deleted when they are older")
      ->group("Audit");
  options
      .Add(command, "dead-letter-retention", serve.dead_letter_retention,
           "Dead letters are deleted when they are older, but for those that wait to be sent on")
      ->group("Dead letters");
  options
      .Add(command, "on-failure-directory-root", serve.coordinator.destinations.directory_root,
           "Streams may have dead letters written to directories below this one")
      ->type_name("DIRECTORY")
      ->group("Dead letters");
  options
      .Add(command, "on-failure-secrets", serve.coordinator.destinations.secrets,
           "Directory of files that ${secret:NAME} in a stream's on_failure stands for")
      ->type_name("DIRECTORY")
      ->group("Dead letters");
  options
      .Add(command, "on-failure-longest-pause", serve.on_failure_longest_pause,
           "A destination that takes no dead letters is tried again after at most this long")
      ->group("Dead letters");
  options
      .Add(command, "drain-delay", serve.drain_delay,
           "After SIGTERM serve on for this long, saying \"not ready\"; a second signal ends it")
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

// What the user gave is answered as Parse does it; the rest is for the log.
int Run(bool migrate_only, const ServeOptions& serve, const LogOptions& log_options,
        Options& options) {
  absl::Status status = migrate_only ? serve.postgres.Validate() : serve.Validate();
  if (!status.ok()) return options.Refuse(status, std::cerr);
  Logger log(log_options);
  status = migrate_only ? Migrate(serve.postgres) : Serve(serve, log);
  if (absl::IsInvalidArgument(status)) return options.Refuse(status, std::cerr);
  if (!status.ok()) {
    log.Error(status.message());
    return 1;
  }
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
  AddSecurityOptions(options, serve, settings.server.security);
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
  if (!log_options.ok()) return options.Refuse(log_options.status(), std::cerr);
  return Run(migrate.parsed(), settings, *log_options, options);
}

}  // namespace
}  // namespace lowmark

int main(int argc, char** argv) { return lowmark::Main(argc, argv); }
