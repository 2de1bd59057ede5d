// lowmark-fleet: real coordinators on a real PostgreSQL, with simulated workers by
// the thousand. Prints each figure beside its limit, and fails where one is missed.
// docs/benchmarks.md says what the figures mean.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/process/deadlock_detection.h"
#include "service/rpc/quiet.h"
#include "tests/bench/fleet_phases.h"
#include "tests/bench/machine.h"

namespace lowmark {
namespace {

struct Phase {
  const char* name;
  absl::Status (*run)(FleetRun&);
};

constexpr Phase kPhases[] = {
    {"cold", &RunColdStart},  {"reports", &RunReports}, {"wake-up", &RunWakeUp}, {"herd", &RunHerd},
    {"handoff", &RunHandoff}, {"outage", &RunOutage},   {"hostile", &RunHostile}};

struct Arguments {
  bool quick = false;
  bool brief = false;
  bool no_limits = false;
  std::vector<std::string> phases;
  std::string json;
  std::string directory = "/var/tmp";
  std::string coordinator = LOWMARK_COORDINATOR;
};

// About a minute.
void MakeQuick(FleetOptions& options) {
  options.session_ttl = absl::Seconds(9);
  options.outage_ttl = absl::Seconds(4);
  options.load = absl::Milliseconds(600);
  options.rounds = 3;
  options.hostile_ttls = 4;
}

// As short as can be: whether it works, not how fast.
void MakeBrief(FleetOptions& options) {
  options.session_ttl = absl::Seconds(2);
  options.statistics_lag = absl::ZeroDuration();
  options.outage_ttl = absl::Seconds(1);
  options.load = absl::Milliseconds(100);
  options.rounds = 1;
  options.in_flight = {64};
  options.wake_ups = 5;
  options.waiters = 20;
  options.handoff_shards = 20;
  options.balance_interval = absl::Milliseconds(100);
  options.balance_settling = absl::Milliseconds(500);
  options.hostile_ttls = 1;
}

// Runs the phases that are asked for, all where none is.
absl::Status RunPhases(const Arguments& arguments, FleetRun& run) {
  for (const Phase& phase : kPhases) {
    const auto& asked = arguments.phases;
    if (!asked.empty() && std::find(asked.begin(), asked.end(), phase.name) == asked.end()) {
      continue;
    }
    std::cerr << phase.name << std::endl;
    if (absl::Status status = phase.run(run); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat(phase.name, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status Run(const Arguments& arguments, const FleetOptions& options, FleetResults& results) {
  results.time = absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone());
  results.machine = Machine();
  results.shards = options.shards;
  results.workers = options.workers;
  auto servers = FleetServers::Start(arguments.directory, arguments.coordinator);
  if (!servers.ok()) return servers.status();
  auto described = DescribePostgres((*servers)->postgres());
  if (!described.ok()) return described.status();
  results.postgresql = absl::StrCat(*described, ", shared_buffers 512MB");
  FleetRun run{options, **servers, results};
  return RunPhases(arguments, run);
}

int Main(int argc, char** argv) {
  DisableDeadlockDetection();
  QuietLibraries();
  Arguments arguments;
  FleetOptions options;
  CLI::App app(
      "Measures a fleet of simulated workers with real coordinators on a real PostgreSQL, and "
      "fails where a figure misses its limit.");
  app.add_flag("--quick", arguments.quick, "10,000 shards, 200 workers; about a minute");
  app.add_flag("--brief", arguments.brief, "Phases as short as can be; few figures mean much");
  app.add_flag("--no-limits", arguments.no_limits,
               "Fail only for what is wrong, not for what is slow");
  std::vector<std::string> names;
  for (const Phase& phase : kPhases) names.push_back(phase.name);
  app.add_option("--phase", arguments.phases,
                 "Run this phase alone, or these; idle belongs to cold")
      ->check(CLI::IsMember(names));
  app.add_option("--json", arguments.json, "Write all figures to this file");
  auto* shards = app.add_option("--shards", options.shards, "Shards of the large streams")
                     ->check(CLI::Range(100, 1000000));
  auto* workers = app.add_option("--workers", options.workers, "Simulated workers")
                      ->check(CLI::Range(10, 20000));
  app.add_option("--directory", arguments.directory,
                 "PostgreSQL's files are kept below it meanwhile; on a disk");
  app.add_option("--coordinator", arguments.coordinator, "The program to measure")
      ->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  if (arguments.quick) MakeQuick(options);
  if (arguments.brief) MakeBrief(options);
  if (arguments.quick && shards->empty()) options.shards = 10000;
  if (arguments.quick && workers->empty()) options.workers = 200;
  FleetResults results;
  const absl::Status status = Run(arguments, options, results);
  PrintTable(results, !arguments.no_limits, std::cout);
  if (!arguments.json.empty()) {
    std::ofstream file(arguments.json);
    file << ToJson(results).dump(2) << "\n";
    if (!file.flush()) {
      std::cerr << "lowmark-fleet: cannot write " << arguments.json << "\n";
      return 1;
    }
  }
  if (!status.ok()) std::cerr << "lowmark-fleet: " << status.message() << "\n";
  return status.ok() && Passed(results, !arguments.no_limits) ? 0 : 1;
}

}  // namespace
}  // namespace lowmark

int main(int argc, char** argv) { return lowmark::Main(argc, argv); }
