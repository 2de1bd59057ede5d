// The phase about an outage of PostgreSQL that is longer than every session's TTL.
#include <algorithm>
#include <chrono>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "service/core/error.h"
#include "tests/bench/fleet_phases.h"

namespace lowmark {
namespace {

constexpr char kPhase[] = "outage";
constexpr char kStream[] = "outage";
constexpr int kMostShards = 10000;
constexpr int kMostWorkers = 1000;
constexpr absl::Duration kReportPause = absl::Seconds(5);
constexpr absl::Duration kPatience = absl::Minutes(2);
constexpr double kRecoverySeconds = 10;
constexpr double kRequestRatio = 2;

SteadyTime Now() { return std::chrono::steady_clock::now(); }

double Seconds(SteadyTime::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// All shards are shared out and reported, and workers have shown themselves.
absl::Status Warm(Fleet& fleet, int shards, absl::Duration ttl) {
  const auto reached = [&] {
    return fleet.Held() == shards && fleet.Fair() &&
           fleet.ledger().ReportedSince(SteadyTime::min() + std::chrono::hours(1)) == shards;
  };
  if (!fleet.Await(reached, kPatience)) {
    return absl::DeadlineExceededError("the shards were never all leased and reported");
  }
  fleet.Pause(ttl / 2);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunOutage(FleetRun& run) {
  const absl::Duration ttl = run.options.outage_ttl;
  const int shards = std::min(run.options.shards, kMostShards);
  const int workers = std::min(run.options.workers, kMostWorkers);
  if (auto s = run.servers.StartCoordinators(1, {"--session-ttl", FlagText(ttl)}); !s.ok()) {
    return s;
  }
  if (auto s = run.servers.MakeStream(kStream, shards); !s.ok()) return s;
  Fleet fleet(run.servers.Addresses());
  fleet.Run([&] {
    for (int i = 0; i < workers; ++i) {
      fleet
          .Add({.stream = kStream,
                .name = absl::StrCat("outage-", i),
                .report_pause = std::min(kReportPause, ttl)})
          .Start();
    }
  });
  if (auto s = Warm(fleet, shards, ttl); !s.ok()) return s;
  const SteadyTime normal = Now();
  fleet.Pause(ttl);
  size_t moves = 0;
  fleet.Run([&] {
    fleet.calls().Reset();
    moves = fleet.ledger().moves().size();
  });
  const SteadyTime down = Now();
  if (auto s = run.servers.postgres().Kill(); !s.ok()) return s;
  fleet.Pause(2 * ttl);
  if (auto s = run.servers.postgres().Start(); !s.ok()) return s;
  const SteadyTime up = Now();
  std::cerr << absl::StrFormat("  down for %.1f s\n", Seconds(up - down));
  const bool recovered = fleet.Await(
      [&] { return fleet.Held() == shards && fleet.ledger().ReportedSince(up) == shards; },
      kPatience);
  const SteadyTime end = Now();
  fleet.Pause(ttl);
  const SteadyTime later = Now();
  FleetResults& results = run.results;
  fleet.Run([&] {
    FleetCalls& calls = fleet.calls();
    const FleetCalls::Sent rate = calls.Rate(normal, down);
    const FleetCalls::Sent busiest = calls.BusiestSecond(up, later);
    moves = fleet.ledger().moves().size() - moves;
    results.Add(kPhase, "down for", Seconds(up - down), "s");
    results.Add(kPhase, "until all shards are leased and reported", Seconds(end - up), "s",
                Limit::AtMost(kRecoverySeconds));
    results.Add(kPhase, "sessions lost", static_cast<double>(calls.Errors(kSessionExpired)), "",
                Limit::AtMost(0));
    results.Add(kPhase, "shards that moved", static_cast<double>(moves), "", Limit::AtMost(0));
    results.Add(kPhase, "calls before", rate.calls, "/s");
    results.Add(kPhase, "calls while it was down", calls.Rate(down, up).calls, "/s");
    results.Add(kPhase, "calls in the busiest second after", busiest.calls, "/s",
                Limit::AtMost(kRequestRatio * rate.calls));
    // With the tries that the client library does not tell of, at their most.
    results.Add(kPhase, "requests in the busiest second after, at most", busiest.requests, "/s",
                Limit::AtMost(kRequestRatio * rate.calls));
    results.Add(kPhase, "calls not answered in time",
                static_cast<double>(calls.Errors("DEADLINE_EXCEEDED")), "");
    AddLateness(results, kPhase, fleet);
    for (const auto& worker : fleet.workers()) worker->Kill();
  });
  if (!recovered) return absl::DeadlineExceededError("the fleet never recovered");
  if (auto s = run.servers.CheckCheckpoints(kStream, fleet.ledger()); !s.ok()) return s;
  results.AddViolations(kPhase, fleet.ledger().violations());
  return absl::OkStatus();
}

}  // namespace lowmark
