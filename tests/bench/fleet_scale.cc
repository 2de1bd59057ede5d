// The phases that take the whole fleet: cold start, idle, reports.
#include <algorithm>
#include <chrono>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "service/core/error.h"
#include "tests/bench/cpu.h"
#include "tests/bench/fleet_phases.h"
#include "tests/bench/load.h"
#include "tests/bench/reports.h"
#include "tests/bench/results.h"

namespace lowmark {
namespace {

constexpr char kColdStart[] = "cold start";
constexpr char kIdle[] = "idle";
constexpr char kReports[] = "reports";
constexpr int kFewShards = 1000;
constexpr absl::Duration kPatience = absl::Minutes(5);
// Of a heartbeat, idle: for the odd row that is written beside it.
constexpr double kWritesOfHeartbeat = 1.3;

SteadyTime Now() { return std::chrono::steady_clock::now(); }
double SecondsSince(SteadyTime time) { return std::chrono::duration<double>(Now() - time).count(); }

// What the processes have spent so far.
struct Spent {
  absl::Duration coordinator;
  absl::Duration postgres;
};

Spent ReadSpent(FleetServers& servers) {
  return {CpuTime(servers.coordinators()[0].process->pid()),
          CpuTimeOfChildren(servers.postgres().pid())};
}

// As shares of one core, in percent.
void AddProcessorShares(FleetRun& run, const char* phase, const Spent& before, double seconds) {
  const Spent after = ReadSpent(run.servers);
  const auto share = [&](absl::Duration d) { return absl::ToDoubleSeconds(d) / seconds * 100; };
  run.results.Add(phase, "coordinator's processor time",
                  share(after.coordinator - before.coordinator), "% of a core");
  run.results.Add(phase, "PostgreSQL's processor time", share(after.postgres - before.postgres),
                  "% of a core");
}

absl::Status MeasureIdle(FleetRun& run, Fleet& fleet) {
  const absl::Duration beat = run.options.session_ttl / 3;
  // Until every worker has shown itself once more, and PostgreSQL has counted all.
  fleet.Pause(std::max(beat, run.options.statistics_lag));
  auto before = run.servers.RowsWritten();
  if (!before.ok()) return before.status();
  const Spent spent = ReadSpent(run.servers);
  const SteadyTime start = Now();
  size_t moves = 0;
  fleet.Run([&] {
    fleet.calls().Reset();
    moves = fleet.ledger().moves().size();
  });
  fleet.Pause(2 * beat);
  const double seconds = SecondsSince(start);
  auto after = run.servers.RowsWritten();
  if (!after.ok()) return after.status();
  CallFigures beats;
  CallFigures polls;
  fleet.Run([&] {
    beats = fleet.calls().Figures(FleetMethod::kHeartbeat);
    polls = fleet.calls().Figures(FleetMethod::kLeaseShard);
    moves = fleet.ledger().moves().size() - moves;
  });
  FleetResults& results = run.results;
  const auto rate = [&](int64_t count) { return static_cast<double>(count) / seconds; };
  results.Add(kIdle, "heartbeats", rate(beats.answered), "/s");
  results.Add(kIdle, "LeaseShard polls", rate(polls.answered), "/s");
  results.AddLatencies(kIdle, "Heartbeat", beats.latencies_ms);
  int64_t all = 0;
  for (const auto& [table, rows] : *after) {
    const int64_t written = rows - (*before)[table];
    all += written;
    if (written > 0 && table != "shards") {
      results.Add(kIdle, absl::StrCat("rows written to ", table), rate(written), "/s");
    }
  }
  results.Add(kIdle, "rows written to shards", rate((*after)["shards"] - (*before)["shards"]), "/s",
              Limit::AtMost(0));
  results.Add(kIdle, "rows written to all tables", rate(all), "/s",
              Limit::AtMost(kWritesOfHeartbeat * rate(beats.answered) + rate(polls.answered)));
  results.Add(kIdle, "shards that moved", static_cast<double>(moves), "", Limit::AtMost(0));
  AddProcessorShares(run, kIdle, spent, seconds);
  results.Add(
      kIdle, "coordinator's memory",
      static_cast<double>(ResidentBytes(run.servers.coordinators()[0].process->pid()) >> 20),
      "MiB");
  return absl::OkStatus();
}

// The rounds of one stream at one number of calls in flight.
struct Loads {
  ReportBench& bench;
  std::vector<LoadFigures> rounds;
  // Of a report, in each round: the WAL it wrote, and the processor time it cost.
  std::vector<double> wal_bytes;
  std::vector<double> coordinator_us;
  std::vector<double> postgres_us;
};

absl::StatusOr<double> ReadWalPosition(const FleetServers& servers) {
  auto text = servers.Query("SELECT pg_current_wal_insert_lsn() - '0/0'");
  if (!text.ok()) return text.status();
  double bytes = 0;
  if (!absl::SimpleAtod(*text, &bytes)) return absl::InternalError("not a WAL position: " + *text);
  return bytes;
}

// One more round.
absl::Status MeasureLoad(FleetRun& run, const Channels& channels, int in_flight, Loads& loads) {
  const absl::Duration duration = run.options.load;
  auto before = ReadWalPosition(run.servers);
  if (!before.ok()) return before.status();
  const Spent spent = ReadSpent(run.servers);
  auto load = RunLoad(loads.bench.Slots(channels, in_flight), duration / 5, duration);
  if (!load.ok()) return load.status();
  const Spent spent_after = ReadSpent(run.servers);
  auto after = ReadWalPosition(run.servers);
  if (!after.ok()) return after.status();
  const auto each = [&](absl::Duration time) {
    return absl::ToDoubleMicroseconds(time) / static_cast<double>(load->all_calls);
  };
  loads.coordinator_us.push_back(each(spent_after.coordinator - spent.coordinator));
  loads.postgres_us.push_back(each(spent_after.postgres - spent.postgres));
  LoadFigures figures;
  figures.per_second = load->rate();
  figures.p50_ms = Quantile(load->latencies_ms, 0.5);
  figures.p99_ms = Quantile(load->latencies_ms, 0.99);
  loads.rounds.push_back(figures);
  loads.wal_bytes.push_back((*after - *before) / static_cast<double>(load->all_calls));
  std::cerr << absl::StrFormat("  %.0f", figures.per_second) << std::flush;
  return absl::OkStatus();
}

void AddLoads(FleetResults& results, int in_flight, int shards, const Loads& few,
              const Loads& many) {
  const LoadFigures of_few = Median(few.rounds);
  const LoadFigures of_many = Median(many.rounds);
  const std::string name = absl::StrFormat("%d in flight: ", in_flight);
  const auto add = [&](int count, const Loads& loads, double per_second) {
    const std::string what = absl::StrCat(name, count, " shards");
    results.Add(kReports, what, per_second, "/s");
    results.Add(kReports, what + ", a report in the coordinator", Median(loads.coordinator_us),
                "us of cpu");
    results.Add(kReports, what + ", in PostgreSQL", Median(loads.postgres_us), "us of cpu");
    // A page's first change after a checkpoint writes all of it: where this differs,
    // so does what was measured, and longer loads are wanted.
    results.Add(kReports, what + ", its WAL", Median(loads.wal_bytes), "bytes");
  };
  add(kFewShards, few, of_few.per_second);
  add(shards, many, of_many.per_second);
  results.Add(kReports, name + "all shards, ReportBatch, p50", of_many.p50_ms, "ms");
  results.Add(kReports, name + "all shards, ReportBatch, p99", of_many.p99_ms, "ms");
  results.Add(kReports, name + "all shards as a share of the few",
              of_few.per_second > 0 ? of_many.per_second / of_few.per_second : 0, "",
              Limit::AtLeast(0.8));
}

}  // namespace

std::string FlagText(absl::Duration duration) { return absl::FormatDuration(duration); }

void AddLateness(FleetResults& results, const std::string& phase, const Fleet& fleet) {
  results.AddLatencies(phase, "the driver's own timers, late by", fleet.LatenessMs());
}

absl::Status RunColdStart(FleetRun& run) {
  const FleetOptions& options = run.options;
  if (auto s = run.servers.StartCoordinators(1, {"--session-ttl", FlagText(options.session_ttl)});
      !s.ok()) {
    return s;
  }
  SteadyTime start = Now();
  if (auto s = run.servers.MakeStream("cold", options.shards); !s.ok()) return s;
  run.results.Add(kColdStart, "shards registered", options.shards / SecondsSince(start), "/s");
  Fleet fleet(run.servers.Addresses());
  const Spent spent = ReadSpent(run.servers);
  start = Now();
  fleet.Run([&] {
    for (int i = 0; i < options.workers; ++i) {
      fleet.Add({.stream = "cold", .name = absl::StrCat("cold-", i)}).Start();
    }
  });
  if (!fleet.Await([&] { return fleet.Held() == options.shards; }, kPatience)) {
    return absl::DeadlineExceededError("the shards were never all leased");
  }
  const double leased = SecondsSince(start);
  std::cerr << absl::StrFormat("  all leased after %.1f s\n", leased);
  const bool fair =
      fleet.Await([&] { return fleet.Held() == options.shards && fleet.Fair(); }, kPatience);
  const double seconds = SecondsSince(start);
  CallFigures leases;
  int64_t moves = 0;
  fleet.Run([&] {
    leases = fleet.calls().Figures(FleetMethod::kLeaseShard);
    moves = static_cast<int64_t>(fleet.ledger().moves().size());
  });
  FleetResults& results = run.results;
  // Workers learn of each other while they start; a heartbeat tells who is to give.
  const double limit = std::max(10.0, 30.0 * options.shards / 100000);
  results.Add(kColdStart, "until all shards are leased", leased, "s", Limit::AtMost(limit));
  results.Add(kColdStart, "until they are shared out within one", seconds, "s",
              Limit::AtMost(limit));
  results.Add(kColdStart, "shards that moved meanwhile", static_cast<double>(moves), "");
  results.AddLatencies(kColdStart, "LeaseShard that leased", leases.latencies_ms);
  AddProcessorShares(run, kColdStart, spent, seconds);
  if (!fair) return absl::DeadlineExceededError("the shards were never shared out fairly");
  std::cerr << absl::StrFormat("  fair after %.1f s; idle\n", seconds);
  if (auto s = MeasureIdle(run, fleet); !s.ok()) return s;
  fleet.Run([&] {
    results.Add(kIdle, "sessions lost", static_cast<double>(fleet.calls().Errors(kSessionExpired)),
                "", Limit::AtMost(0));
    AddLateness(results, kIdle, fleet);
    results.AddViolations(kIdle, fleet.ledger().violations());
  });
  return absl::OkStatus();
}

absl::Status RunReports(FleetRun& run) {
  const FleetOptions& options = run.options;
  // The one worker sends no heartbeats.
  if (auto s = run.servers.StartCoordinators(1, {"--session-ttl", "1h"}); !s.ok()) return s;
  auto channels = Channels::Connect(run.servers.coordinators()[0].address);
  if (!channels.ok()) return channels.status();
  auto few = ReportBench::Create(*channels, "few", kFewShards);
  if (!few.ok()) return few.status();
  auto many = ReportBench::Create(*channels, "many", options.shards);
  if (!many.ok()) return many.status();
  for (const int in_flight : options.in_flight) {
    Loads of_few{**few, {}, {}, {}, {}};
    Loads of_many{**many, {}, {}, {}, {}};
    std::cerr << absl::StrFormat("  %d in flight:", in_flight);
    for (int round = 0; round < options.rounds; ++round) {
      // In turn also who is first, so that it is not always the same one.
      std::vector<Loads*> order = {&of_few, &of_many};
      if (round % 2 == 1) std::swap(order[0], order[1]);
      for (Loads* loads : order) {
        if (auto s = MeasureLoad(run, *channels, in_flight, *loads); !s.ok()) return s;
      }
    }
    std::cerr << std::endl;
    AddLoads(run.results, in_flight, options.shards, of_few, of_many);
  }
  return absl::OkStatus();
}

}  // namespace lowmark
