// lowmark-bench: how many durable reports a second a coordinator takes, beside
// what gRPC and PostgreSQL do on their own on the same machine in the same
// minutes. docs/benchmarks.md says what the figures mean.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "service/dev/postgres_cluster.h"
#include "service/process/deadlock_detection.h"
#include "tests/bench/cpu.h"
#include "tests/bench/load.h"
#include "tests/bench/machine.h"
#include "tests/bench/pgbench.h"
#include "tests/bench/reports.h"
#include "tests/bench/results.h"
#include "tests/bench/servers.h"

namespace lowmark {
namespace {

constexpr char kDatabase[] = "lowmark";
constexpr char kStream[] = "bench";

struct Options {
  int rounds = 5;
  double seconds = 3;
  int shards = 1000;
  std::vector<int> in_flight = {1, 64, 256, 1000};
  std::vector<int> pgbench_clients = {8, 32, 64};
  std::string json;
  std::string directory = "/var/tmp";
  std::string coordinator = LOWMARK_COORDINATOR;
  std::string empty_server = LOWMARK_BENCH_EMPTY;
};

// Everything that is measured, and what it is measured with.
class Bench {
 public:
  explicit Bench(const Options& options) : options_(options) {}

  absl::StatusOr<Results> Run();

 private:
  absl::Status StartPostgres();
  absl::Status StartServers();
  absl::Status RunRound(int round);
  // One load, with what it costs around it.
  absl::StatusOr<LoadFigures> Measure(const std::vector<std::unique_ptr<Slot>>& slots,
                                      const ServerProcess& server);
  // Every acknowledged checkpoint is in the database, and nothing else.
  absl::Status CheckDatabase();

  const Options& options_;
  std::unique_ptr<PostgresCluster> cluster_;
  ServerProcess coordinator_;
  ServerProcess empty_;
  Channels to_coordinator_;
  Channels to_empty_;
  std::unique_ptr<ReportBench> reports_;
  std::unique_ptr<Pgbench> pgbench_;
  Results results_;
};

absl::StatusOr<Results> Bench::Run() {
  results_.time = absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone());
  results_.machine = Machine();
  results_.seconds = options_.seconds;
  results_.shards = options_.shards;
  for (const int in_flight : options_.in_flight) results_.levels.push_back({in_flight, {}, {}});
  for (const int clients : options_.pgbench_clients) results_.pgbench.push_back({clients, {}});
  if (auto s = StartPostgres(); !s.ok()) return s;
  if (auto s = StartServers(); !s.ok()) return s;
  for (int round = 1; round <= options_.rounds; ++round) {
    if (auto s = RunRound(round); !s.ok()) return s;
  }
  if (auto s = CheckDatabase(); !s.ok()) return s;
  return results_;
}

absl::Status Bench::StartPostgres() {
  auto cluster = StartDurablePostgres(options_.directory, {});
  if (!cluster.ok()) return cluster.status();
  cluster_ = *std::move(cluster);
  auto described = DescribePostgres(*cluster_);
  if (!described.ok()) return described.status();
  results_.postgresql = *described;
  return cluster_->CreateDatabase(kDatabase);
}

absl::Status Bench::StartServers() {
  // The benchmark's one worker sends no heartbeats.
  auto coordinator =
      StartCoordinator(options_.coordinator, cluster_->ConnectionString(kDatabase),
                       cluster_->socket_directory() + "/coordinator.log", {"--session-ttl", "1h"});
  if (!coordinator.ok()) return coordinator.status();
  coordinator_ = *std::move(coordinator);
  auto empty = StartEmptyServer(options_.empty_server);
  if (!empty.ok()) return empty.status();
  empty_ = *std::move(empty);
  auto to_coordinator = Channels::Connect(coordinator_.address);
  if (!to_coordinator.ok()) return to_coordinator.status();
  to_coordinator_ = *std::move(to_coordinator);
  auto to_empty = Channels::Connect(empty_.address);
  if (!to_empty.ok()) return to_empty.status();
  to_empty_ = *std::move(to_empty);
  auto reports = ReportBench::Create(to_coordinator_, kStream, options_.shards);
  if (!reports.ok()) return reports.status();
  reports_ = *std::move(reports);
  auto pgbench = Pgbench::Create(*cluster_, kDatabase, options_.shards);
  if (!pgbench.ok()) return pgbench.status();
  pgbench_ = *std::move(pgbench);
  return absl::OkStatus();
}

absl::Status Bench::RunRound(int round) {
  std::cerr << absl::StrFormat("round %d of %d:", round, options_.rounds) << std::flush;
  for (Level& level : results_.levels) {
    auto reports = Measure(reports_->Slots(to_coordinator_, level.in_flight), coordinator_);
    if (!reports.ok()) return reports.status();
    level.reports.push_back(*reports);
    auto empty = Measure(EmptySlots(to_empty_, level.in_flight), empty_);
    if (!empty.ok()) return empty.status();
    level.empty.push_back(*empty);
    std::cerr << absl::StrFormat("  %d: %.0f / %.0f", level.in_flight, reports->per_second,
                                 empty->per_second)
              << std::flush;
  }
  for (PgbenchFigures& figures : results_.pgbench) {
    auto rate = pgbench_->Run(figures.clients, absl::Seconds(options_.seconds));
    if (!rate.ok()) return rate.status();
    figures.per_second.push_back(*rate);
    std::cerr << absl::StrFormat("  pgbench %d: %.0f", figures.clients, *rate) << std::flush;
  }
  std::cerr << std::endl;
  return absl::OkStatus();
}

absl::StatusOr<LoadFigures> Bench::Measure(const std::vector<std::unique_ptr<Slot>>& slots,
                                           const ServerProcess& server) {
  Commits before;
  Commits after;
  auto read_commits = [&](Commits& commits) {
    if (server.http_address.empty()) return absl::OkStatus();
    auto read = ReadCommits(server.http_address);
    if (read.ok()) commits = *read;
    return read.status();
  };
  if (auto s = read_commits(before); !s.ok()) return s;
  const absl::Duration client = CpuTime(getpid());
  const absl::Duration service = CpuTime(server.process->pid());
  const absl::Duration postgres = CpuTimeOfChildren(cluster_->pid());
  const absl::Duration duration = absl::Seconds(options_.seconds);
  auto load = RunLoad(slots, duration / 5, duration);
  if (!load.ok()) return load.status();
  // The processor time is that of the warm-up as well; so is this count of calls.
  const double calls = static_cast<double>(load->all_calls);
  LoadFigures figures;
  figures.client_cpu_us = absl::ToDoubleMicroseconds(CpuTime(getpid()) - client) / calls;
  figures.server_cpu_us =
      absl::ToDoubleMicroseconds(CpuTime(server.process->pid()) - service) / calls;
  figures.postgres_cpu_us =
      absl::ToDoubleMicroseconds(CpuTimeOfChildren(cluster_->pid()) - postgres) / calls;
  if (auto s = read_commits(after); !s.ok()) return s;
  figures.per_second = load->rate();
  figures.p50_ms = Quantile(load->latencies_ms, 0.5);
  figures.p99_ms = Quantile(load->latencies_ms, 0.99);
  const double groups = after.groups - before.groups;
  figures.group_size = groups > 0 ? (after.updates - before.updates) / groups : 0;
  return figures;
}

absl::Status Bench::CheckDatabase() {
  auto rows = cluster_->Query(
      kDatabase,
      "SELECT shard, epoch, delivery, position, sequence FROM lowmark.shards ORDER BY shard");
  if (!rows.ok()) return rows.status();
  std::vector<LeasedShard> shards = reports_->shards();
  std::sort(shards.begin(), shards.end(),
            [](const LeasedShard& a, const LeasedShard& b) { return a.shard < b.shard; });
  std::string expected;
  for (const LeasedShard& shard : shards) {
    const bool reported = shard.acknowledged != ReportBench::kFirstSequence;
    absl::StrAppend(&expected, expected.empty() ? "" : "\n", shard.shard, "|", shard.epoch, "|",
                    shard.delivery, "|",
                    reported ? absl::StrCat("AFTER|", shard.acknowledged) : "TRIM_HORIZON|");
  }
  if (*rows == expected) return absl::OkStatus();
  return absl::InternalError("the database does not hold exactly what was acknowledged");
}

int Main(int argc, char** argv) {
  DisableDeadlockDetection();
  Options options;
  bool quick = false;
  CLI::App app(
      "Measures durable reports through a real coordinator on a real PostgreSQL, beside an empty "
      "RPC and pgbench in the same run.");
  app.add_flag("--quick", quick, "Three short rounds, under half a minute");
  app.add_option("--json", options.json, "Write all rounds, medians and ratios to this file");
  auto* rounds =
      app.add_option("--rounds", options.rounds, "Alternating rounds")->check(CLI::Range(1, 1000));
  auto* seconds = app.add_option("--seconds", options.seconds, "Measured time of a load in a round")
                      ->check(CLI::Range(0.05, 600.0));
  app.add_option("--in-flight", options.in_flight, "Calls in flight, one level each")
      ->check(CLI::Range(1, 100000))
      ->delimiter(',');
  auto* clients = app.add_option("--pgbench-clients", options.pgbench_clients,
                                 "Clients of pgbench; the best number counts")
                      ->check(CLI::Range(1, 90))
                      ->delimiter(',');
  app.add_option("--directory", options.directory,
                 "PostgreSQL's files are kept below it meanwhile; on a disk");
  app.add_option("--coordinator", options.coordinator, "The program to measure")
      ->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  if (quick) {
    if (rounds->empty()) options.rounds = 3;
    if (seconds->empty()) options.seconds = 0.6;
    if (clients->empty()) options.pgbench_clients = {16, 48};
  }
  auto results = Bench(options).Run();
  if (!results.ok()) {
    std::cerr << "\nlowmark-bench: " << results.status().message() << "\n";
    return 1;
  }
  PrintTable(*results, std::cout);
  if (!options.json.empty()) {
    std::ofstream file(options.json);
    file << ToJson(*results).dump(2) << "\n";
    if (!file.flush()) {
      std::cerr << "lowmark-bench: cannot write " << options.json << "\n";
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace lowmark

int main(int argc, char** argv) { return lowmark::Main(argc, argv); }
