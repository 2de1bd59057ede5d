// lowmark-worker: processes a stream's records with a handler in any language.
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "service/process/endpoint.h"
#include "service/process/logging.h"
#include "service/process/options.h"
#include "service/process/process_metrics.h"
#include "service/process/shutdown.h"
#include "service/rpc/quiet.h"
#include "service/security/connection_flags.h"
#include "worker/command/handlers.h"
#include "worker/command/sources.h"
#include "worker/internal/runner.h"

namespace lowmark {
namespace {

constexpr char kExample[] =
    "lowmark-worker --coordinator localhost:7070 --stream orders \\\n"
    "    --source-path /var/spool/orders --handler exec --handler-command ./process-orders\n";
// How often it is looked whether the worker can still do its work.
constexpr absl::Duration kHealthInterval = absl::Seconds(5);
constexpr int kStuck = 70;  // EX_SOFTWARE

struct Flags {
  WorkerOptions worker;
  SourceFlags source;
  HandlerFlags handler;
  std::string http_listen = "127.0.0.1:0";
  std::string log_level = "info";
};

void Declare(Options& options, Flags& flags) {
  CLI::App& app = options.app();
  WorkerOptions& worker = flags.worker;
  options.Add(app, "coordinator", worker.coordinator, "Coordinator's address, host:port")
      ->group("Work");
  options.Require(app, "coordinator");
  AddConnectionFlags(options, app, worker.security, "Connection");
  options.Add(app, "stream", worker.stream, "Stream to process")->group("Work");
  options.Require(app, "stream");
  options.Add(app, "max-leases", worker.max_leases, "Shards held at most")
      ->check(Range(1, 100000))
      ->group("Work");
  options.Add(app, "capacity", worker.capacity, "Weight when shards are shared out among workers")
      ->check(Range(1, 1000000))
      ->group("Work");
  options.Add(app, "threads", worker.threads, "Batches processed at a time")
      ->check(Range(1, 1000))
      ->group("Work");
  options.Add(app, "source-threads", worker.source_threads, "Reads of the source at a time")
      ->check(Range(1, 1000))
      ->group("Work");
  options.Add(app, "grace", worker.grace, "Time for batches in processing after SIGTERM")
      ->group("Work");

  DeclareSource(options, flags.source);
  options.Add(app, "sync-interval", worker.sync_interval, "How often new shards are looked for")
      ->group("Source");
  options
      .Add(app, "poll-interval", worker.poll_interval,
           "How long a shard without new records is left alone at most")
      ->group("Source");
  options
      .Add(app, "idle-after", worker.idle_after,
           "A shard with nothing new for so long counts as idle when workers are scaled")
      ->group("Source");

  DeclareHandler(options, flags.handler);
  options
      .Add(app, "http-listen", flags.http_listen,
           "Address of /metrics, /livez and /readyz; port 0 takes a free one")
      ->group("Process");
  options.Add(app, "log-format", worker.log_format, "Log lines for people or machines")
      ->type_name("console|json")
      ->check(OneOf({"console", "json"}))
      ->group("Process");
  options.Add(app, "log-level", flags.log_level, "Log lines below are left out")
      ->type_name("debug|info|warning|error")
      ->check(OneOf({"debug", "info", "warning", "error"}))
      ->group("Process");
  options.AddConfig(app);
}

// Stops the worker when the process is asked to end. A worker that a handler
// holds up for good ends at once: its shards can only go on elsewhere.
void Watch(Shutdown& shutdown, Runner& runner, Logger& log) {
  while (!shutdown.Wait(kHealthInterval)) {
    if (runner.healthy()) continue;
    log.Error("ending, so that another process takes the shards over");
    std::_Exit(kStuck);
  }
  runner.Stop();
}

absl::Status Serve(const Flags& flags, Shutdown& shutdown) {
  WorkerOptions worker = flags.worker;
  if (auto s = worker.Validate(); !s.ok()) return s;
  auto format = ParseLogFormat(flags.worker.log_format);
  auto level = ParseLogLevel(flags.log_level);
  if (!format.ok()) return format.status();
  if (!level.ok()) return level.status();
  LogOptions log_options;
  log_options.format = *format;
  log_options.level = *level;
  Logger log(log_options);

  auto secrets = ClientSecrets::Load(worker.security, worker.coordinator);
  if (!secrets.ok()) return secrets.status();
  auto made = MakeHandler(flags.handler, worker.stream, log, &worker.threads);
  if (!made.ok()) return made.status();
  auto source = MakeSource(flags.source, log);
  if (!source.ok()) return source.status();

  Runner runner(worker, *std::move(source), std::move(made->handler), log_options,
                *std::move(secrets));
  EndpointOptions http;
  http.listen = flags.http_listen;
  http.metrics = {runner.metrics().registry(), std::make_shared<ProcessMetrics>()};
  if (made->metrics != nullptr) http.metrics.push_back(made->metrics);
  http.ready = [&runner] {
    return runner.ready() ? absl::OkStatus() : absl::UnavailableError("no session");
  };
  auto endpoint = Endpoint::Start(http);
  if (!endpoint.ok()) return endpoint.status();
  log.Info("worker started", {{"stream", flags.worker.stream},
                              {"coordinator", flags.worker.coordinator},
                              {"http", (*endpoint)->address()}});

  std::thread watcher([&] { Watch(shutdown, runner, log); });
  const absl::Status end = runner.Run();
  shutdown.Request();
  watcher.join();
  log.Info("worker ended", {{"stream", flags.worker.stream}, {"status", end}});
  return end;
}

int Main(int argc, char** argv) {
  QuietLibraries();
  Flags flags;
  Options options("lowmark-worker",
                  "Leases shards of a stream, reads their records from a source, and hands them "
                  "batch by batch to a handler.",
                  kExample);
  Declare(options, flags);
  if (auto exit = options.Parse(argc, argv)) return *exit;
  Shutdown shutdown;
  const absl::Status end = Serve(flags, shutdown);
  if (end.ok()) return 0;
  if (absl::IsInvalidArgument(end)) return options.Refuse(end, std::cerr);
  std::cerr << "lowmark-worker: " << end.message() << "\n";
  return 1;
}

}  // namespace
}  // namespace lowmark

int main(int argc, char** argv) { return lowmark::Main(argc, argv); }
