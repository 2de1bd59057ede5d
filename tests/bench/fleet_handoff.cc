// The phase about handoffs: a worker joins four others whose shards all report
// without a pause, and leaves again.
#include <algorithm>
#include <iostream>
#include <set>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "tests/bench/fleet_phases.h"

namespace lowmark {
namespace {

constexpr char kPhase[] = "handoff";
constexpr char kStream[] = "handoff";
constexpr int kWorkers = 4;
constexpr absl::Duration kReportPause = absl::Milliseconds(35);
constexpr absl::Duration kPatience = absl::Minutes(2);
// A shard that is to move after all does so within a few looks at the balance.
constexpr int kAftermath = 3;
constexpr double kGapMs = 100;

std::vector<float> Gaps(const std::vector<Move>& moves) {
  std::vector<float> gaps;
  for (const Move& move : moves) gaps.push_back(static_cast<float>(move.gap_ms()));
  std::sort(gaps.begin(), gaps.end());
  return gaps;
}

int64_t MovedTwice(const std::vector<Move>& moves) {
  std::set<std::string> shards;
  for (const Move& move : moves) shards.insert(move.shard);
  return static_cast<int64_t>(moves.size() - shards.size());
}

// Waits until all shards are held and shared out among the workers, and for what
// comes after; returns what has moved since `before` moves.
absl::StatusOr<std::vector<Move>> AwaitShared(const FleetRun& run, Fleet& fleet, size_t before,
                                              const std::function<bool()>& shared) {
  const int shards = run.options.handoff_shards;
  const auto reached = [&] { return fleet.Held() == shards && shared(); };
  if (!fleet.Await(reached, kPatience)) {
    return absl::DeadlineExceededError("the shards were never shared out among the workers");
  }
  fleet.Pause(kAftermath * run.options.balance_interval);
  std::vector<Move> moves;
  fleet.Run([&] {
    moves.assign(fleet.ledger().moves().begin() + static_cast<std::ptrdiff_t>(before),
                 fleet.ledger().moves().end());
  });
  return moves;
}

void AddMoves(FleetResults& results, const std::string& when, const std::vector<Move>& moves,
              int64_t most) {
  const auto count = [&](auto predicate) {
    return static_cast<double>(std::count_if(moves.begin(), moves.end(), predicate));
  };
  results.Add(kPhase, absl::StrCat(when, ": shards that moved"), static_cast<double>(moves.size()),
              "", Limit::AtMost(static_cast<double>(most)));
  results.Add(kPhase, absl::StrCat(when, ": moved twice"), static_cast<double>(MovedTwice(moves)),
              "", Limit::AtMost(0));
  results.Add(kPhase, absl::StrCat(when, ": taken away, not released"),
              count([](const Move& move) { return !move.graceful; }), "", Limit::AtMost(0));
  results.AddLatencies(kPhase, absl::StrCat(when, ": last report to next delivery"), Gaps(moves),
                       Limit::AtMost(kGapMs));
}

}  // namespace

absl::Status RunHandoff(FleetRun& run) {
  const int shards = run.options.handoff_shards;
  const absl::Duration interval = run.options.balance_interval;
  const absl::Duration settling = run.options.balance_settling;
  if (auto s = run.servers.StartCoordinators(
          2, {"--balance-interval", FlagText(interval), "--balance-settling", FlagText(settling)});
      !s.ok()) {
    return s;
  }
  if (auto s = run.servers.MakeStream(kStream, shards); !s.ok()) return s;
  Fleet fleet(run.servers.Addresses());
  const auto add = [&](int i) -> FleetWorker& {
    return fleet.Add(
        {.stream = kStream, .name = absl::StrCat("handoff-", i), .report_pause = kReportPause},
        static_cast<size_t>(i) % 2);
  };
  fleet.Run([&] {
    for (int i = 0; i < kWorkers; ++i) add(i).Start();
  });
  auto moves = AwaitShared(run, fleet, 0, [&] { return fleet.Fair(); });
  if (!moves.ok()) return moves.status();
  fleet.Pause(settling + interval);

  FleetWorker* fifth = nullptr;
  size_t before = 0;
  fleet.Run([&] {
    before = fleet.ledger().moves().size();
    fifth = &add(kWorkers);
    fifth->Start();
  });
  moves = AwaitShared(run, fleet, before, [&] { return fleet.Fair(); });
  if (!moves.ok()) return moves.status();
  AddMoves(run.results, "one joins", *moves, (shards + kWorkers) / (kWorkers + 1));
  fleet.Pause(settling + interval);

  int64_t of_fifth = 0;
  fleet.Run([&] {
    before = fleet.ledger().moves().size();
    of_fifth = fifth->held();
    fifth->Stop();
  });
  moves = AwaitShared(run, fleet, before, [&] { return fifth->held() == 0; });
  if (!moves.ok()) return moves.status();
  AddMoves(run.results, "one leaves", *moves, of_fifth);
  const std::string name = fifth->id();
  run.results.Add(
      kPhase, "one leaves: shards of others that moved",
      static_cast<double>(std::count_if(moves->begin(), moves->end(),
                                        [&](const Move& move) { return move.from != name; })),
      "", Limit::AtMost(0));
  CallFigures reports;
  fleet.Run([&] {
    reports = fleet.calls().Figures(FleetMethod::kReportBatch);
    run.results.Add(kPhase, "sessions lost",
                    static_cast<double>(fleet.calls().Errors(kSessionExpired)), "",
                    Limit::AtMost(0));
    AddLateness(run.results, kPhase, fleet);
    for (const auto& worker : fleet.workers()) worker->Kill();
  });
  run.results.AddLatencies(kPhase, "ReportBatch meanwhile", reports.latencies_ms);
  if (auto s = run.servers.CheckCheckpoints(kStream, fleet.ledger()); !s.ok()) return s;
  run.results.AddViolations(kPhase, fleet.ledger().violations());
  return absl::OkStatus();
}

}  // namespace lowmark
