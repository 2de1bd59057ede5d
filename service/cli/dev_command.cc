#include "service/cli/dev_command.h"

#include <unistd.h>

#include <filesystem>
#include <iomanip>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/cli/admin_client.h"
#include "service/cli/stream_fields.h"
#include "service/dev/address.h"

namespace lowmark::cli {
namespace {

namespace fs = std::filesystem;
using Stub = AdminClient::Stub;

constexpr char kDatabase[] = "lowmark";
constexpr absl::Duration kReadyTimeout = absl::Minutes(1);
constexpr absl::Duration kTendInterval = absl::Milliseconds(200);
// Parts need those of lower stages.
constexpr int kPostgresStage = 0;
constexpr int kCoordinatorStage = 1;
constexpr int kWorkerStage = 2;

// Root's PostgreSQL runs as another user, who cannot enter root's home.
std::string DefaultDirectory() { return geteuid() == 0 ? "/var/lib/lowmark-dev" : "lowmark-dev"; }

// A program of Lowmark's: beside this one, as installed; where the build puts it;
// or on PATH.
absl::Status FindPart(const std::string& name, std::string& program) {
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  std::vector<std::string> candidates = {name};
  for (const char* directory : {"../../worker", "..", "."}) {
    candidates.push_back((here / directory / name).lexically_normal().string());
  }
  while (!candidates.empty()) {
    if (auto found = FindProgram(candidates.back()); found.ok()) {
      program = *std::move(found);
      return absl::OkStatus();
    }
    candidates.pop_back();
  }
  return absl::NotFoundError(absl::StrCat("cannot find the program ", name, ": it must be in ",
                                          here.string(), " or on PATH"));
}

// A variable that is meant for us must not configure our parts.
std::vector<std::pair<std::string, std::string>> PartEnvironment() {
  // Here all is plain, and on loopback, whatever coordinators elsewhere ask for.
  return {
      {"LOWMARK_CONFIG", ""},     {"LOWMARK_TLS_CA", ""},        {"LOWMARK_TLS_CERT", ""},
      {"LOWMARK_TLS_KEY", ""},    {"LOWMARK_TLS_CLIENT_CA", ""}, {"LOWMARK_TLS_SERVER_NAME", ""},
      {"LOWMARK_TOKEN_FILE", ""}, {"LOWMARK_ADMIN_TOKENS", ""},  {"LOWMARK_WORKER_TOKENS", ""}};
}

}  // namespace

DevCommand::DevCommand(Options& options, std::ostream& out)
    : command_(options.AddCommand(
          options.app(), "dev",
          "Run everything on this machine: PostgreSQL, a coordinator, and workers for a stream",
          "lowmark dev --stream orders --source-path ./orders --handler-command ./process-orders "
          "--workers 2")),
      out_(out),
      data_(DefaultDirectory()) {
  options.Add(command_, "data", data_, "Where all is kept; made where it is missing")
      ->type_name("DIRECTORY");
  options
      .Add(command_, "listen", listen_, "Where the coordinator listens; port 0 takes a free one")
      ->type_name("HOST:PORT");
  options.Add(command_, "http-listen", http_listen_, "Where the coordinator's /metrics are")
      ->type_name("HOST:PORT");
  options.AddConfig(command_);
  options.Add(command_, "stream", stream_, "Stream to process; created where it is missing")
      ->group("Stream");
  command_.add_option("--preset", preset_, "Whose defaults a new stream takes")
      ->type_name("lowmark|lambda")
      ->check(OneOf({"lowmark", "lambda"}))
      ->capture_default_str()
      ->group("Stream");
  command_
      .add_option("--set", settings_,
                  "A field of a new stream's policy, such as batch_size=10;\nmay be repeated")
      ->type_name("FIELD=VALUE")
      ->allow_extra_args(false)
      ->group("Stream");
  options.Add(command_, "workers", workers_, "How many workers to run")
      ->check(Range(0, 100))
      ->group("Workers");
  options
      .Add(command_, "source-path", source_path_,
           "Directory with a file SHARD.jsonl for each shard, a JSON text a line")
      ->type_name("DIRECTORY")
      ->group("Workers");
  options
      .Add(command_, "handler-command", handler_command_,
           "Command run for each batch: event on stdin, answer on stdout")
      ->type_name("COMMAND")
      ->group("Workers");
  options.Add(command_, "handler-url", handler_url_, "Or where batches are POSTed to")
      ->type_name("URL")
      ->group("Workers");
}

absl::Status DevCommand::Validate() const {
  const bool handler = !handler_command_.empty() || !handler_url_.empty();
  if (stream_.empty()) {
    const bool workers = command_.get_option("--workers")->count() > 0 && workers_ > 0;
    if (!handler && !workers && source_path_.empty() && settings_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "--stream is missing: say which stream the workers are to process");
  }
  if (workers_ > 0 && source_path_.empty()) {
    return absl::InvalidArgumentError("--source-path is missing: say where the records are");
  }
  if (workers_ > 0 && handler_command_.empty() == handler_url_.empty()) {
    return absl::InvalidArgumentError(
        "give one of --handler-command and --handler-url: what processes the records");
  }
  if (workers_ > 0 && !fs::is_directory(source_path_)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--source-path is \"", source_path_, "\": must be a directory with files SHARD.jsonl"));
  }
  v1::StreamConfig config;
  for (const std::string& setting : settings_) {
    if (auto field = SetField(setting, config); !field.ok()) return field.status();
  }
  return absl::OkStatus();
}

absl::Status DevCommand::Run() {
  if (auto s = Validate(); !s.ok()) return s;
  Shutdown shutdown;
  Supervisor supervisor(out_);
  if (const absl::Status started = StartAll(supervisor, shutdown); !started.ok()) {
    return absl::IsCancelled(started) ? absl::OkStatus() : started;
  }
  SayWhatNext();
  while (!shutdown.Wait(kTendInterval)) supervisor.Tend(absl::Now());
  out_ << "\nStopping." << std::endl;
  supervisor.Stop();
  out_ << "Stopped. The data is in " << directory_ << "; `lowmark dev` goes on from there."
       << std::endl;
  return absl::OkStatus();
}

absl::Status DevCommand::StartAll(Supervisor& supervisor, Shutdown& shutdown) {
  // Before anything runs: the commonest mistakes.
  for (std::string* address : {&listen_, &http_listen_}) {
    auto claimed = ClaimAddress(*address);
    if (absl::IsUnavailable(claimed.status())) {
      return absl::UnavailableError(absl::StrCat(claimed.status().message(),
                                                 ". Does another `lowmark dev` run? --listen and "
                                                 "--http-listen take other ports, 0 a free one"));
    }
    if (!claimed.ok()) return claimed.status();
    *address = *claimed;
  }
  if (auto s = FindPart("lowmark-coordinator", coordinator_program_); !s.ok()) return s;
  if (!stream_.empty() && workers_ > 0) {
    if (auto s = FindPart("lowmark-worker", worker_program_); !s.ok()) return s;
  }
  std::error_code error;
  directory_ = fs::absolute(data_, error).lexically_normal().string();
  fs::create_directories(directory_ + "/logs", error);
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot write to ", directory_, ": ", error.message(), "; --data takes another directory"));
  }
  out_ << "Lowmark on this machine. Data and logs are in " << directory_ << ".\n" << std::endl;
  if (auto s = StartPostgres(supervisor, shutdown); !s.ok()) return s;
  if (auto s = StartCoordinator(supervisor, shutdown); !s.ok()) return s;
  if (stream_.empty()) return absl::OkStatus();
  if (auto s = CreateStream(); !s.ok()) return s;
  for (int number = 1; number <= workers_; ++number) {
    if (auto s = StartWorker(supervisor, shutdown, number); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status DevCommand::StartPostgres(Supervisor& supervisor, Shutdown& shutdown) {
  auto cluster = PostgresCluster::Create({.directory = directory_ + "/postgres"});
  if (!cluster.ok()) return cluster.status();
  auto part = std::make_unique<PostgresPart>(*std::move(cluster));
  PostgresCluster& postgres = part->cluster();
  auto added = supervisor.Add(std::move(part), kPostgresStage, kReadyTimeout,
                              [&] { return shutdown.requested(); });
  if (!added.ok()) return added;
  absl::Status created = postgres.CreateDatabase(kDatabase);
  if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
  connection_ = postgres.ConnectionString(kDatabase);
  Say("PostgreSQL", absl::StrCat("psql \"", connection_, "\""));
  return absl::OkStatus();
}

absl::Status DevCommand::StartCoordinator(Supervisor& supervisor, Shutdown& shutdown) {
  ProgramPart::Options options;
  options.name = "coordinator";
  options.log = directory_ + "/logs/coordinator.log";
  options.process.argv = {coordinator_program_, "serve",
                          "--database",         connection_,
                          "--listen",           listen_,
                          "--http-listen",      http_listen_,
                          "--migrate",          "--log-format=console",
                          "--drain-delay=0s",   "--drain-timeout=3s"};
  options.process.env = PartEnvironment();
  // Asked, not killed: it ends the sooner for having lost its database.
  options.process.parent_death_signal = SIGTERM;
  options.ready = [this] {
    if (!AcceptsConnections(listen_)) return false;
    AdminClient client(listen_, absl::Seconds(1));
    v1::ListStreamsRequest request;
    request.set_page_size(1);
    return client.Call(&Stub::ListStreams, request).ok();
  };
  auto added = supervisor.Add(std::make_unique<ProgramPart>(options), kCoordinatorStage,
                              kReadyTimeout, [&] { return shutdown.requested(); });
  if (!added.ok()) return added;
  Say("coordinator",
      absl::StrCat("gRPC ", listen_, "   metrics http://", http_listen_, "/metrics"));
  return absl::OkStatus();
}

absl::Status DevCommand::CreateStream() {
  AdminClient client(listen_, absl::Seconds(10));
  v1::CreateStreamRequest request;
  request.set_stream(stream_);
  if (preset_ == "lambda") request.set_preset(v1::PRESET_LAMBDA);
  for (const std::string& setting : settings_) {
    if (auto field = SetField(setting, *request.mutable_config()); !field.ok()) {
      return field.status();
    }
  }
  absl::Status created = client.Call(&Stub::CreateStream, request).status();
  if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
  Say(absl::StrCat("stream ", stream_),
      created.ok() ? "created" : "there already; its policy stays as it was");
  return absl::OkStatus();
}

absl::Status DevCommand::StartWorker(Supervisor& supervisor, Shutdown& shutdown, int number) {
  auto http = ClaimAddress("127.0.0.1:0");
  if (!http.ok()) return http.status();
  ProgramPart::Options options;
  options.name = absl::StrCat("worker ", number);
  options.log = absl::StrCat(directory_, "/logs/worker-", number, ".log");
  options.process.argv = {worker_program_, "--coordinator", listen_, "--stream",
                          stream_,         "--source",      "file",  "--source-path",
                          source_path_,    "--http-listen", *http,   "--log-format=console",
                          "--grace=5s"};
  if (handler_command_.empty()) {
    options.process.argv.insert(options.process.argv.end(),
                                {"--handler", "http", "--handler-url", handler_url_});
  } else {
    options.process.argv.insert(options.process.argv.end(),
                                {"--handler", "exec", "--handler-command", handler_command_});
  }
  options.process.env = PartEnvironment();
  // Asked, not killed, so that it ends its handlers.
  options.process.parent_death_signal = SIGTERM;
  options.ready = [address = *http] { return AcceptsConnections(address); };
  const std::string log = options.log;
  auto added = supervisor.Add(std::make_unique<ProgramPart>(options), kWorkerStage, kReadyTimeout,
                              [&] { return shutdown.requested(); });
  if (!added.ok()) return added;
  Say(absl::StrCat("worker ", number),
      absl::StrCat("metrics http://", *http, "/metrics   log ", log));
  return absl::OkStatus();
}

void DevCommand::Say(const std::string& part, const std::string& what) {
  out_ << "  " << std::left << std::setw(14) << part << what << std::endl;
}

void DevCommand::SayWhatNext() {
  out_ << "\nAll is running. In another terminal:\n";
  out_ << "  export LOWMARK_COORDINATOR=" << listen_ << " POSTGRES=\"" << connection_ << "\"\n";
  if (stream_.empty()) {
    out_ << "  lowmark streams create orders\n"
         << "  lowmark-worker --stream orders \\\n"
         << "      --source-path DIRECTORY --handler-command COMMAND\n";
  } else {
    out_ << "  lowmark shards list " << stream_ << "\n"
         << "  lowmark dead-letters list " << stream_ << "\n"
         << "  lowmark streams get " << stream_ << "\n";
  }
  out_ << "Ctrl-C stops it all." << std::endl;
}

}  // namespace lowmark::cli
