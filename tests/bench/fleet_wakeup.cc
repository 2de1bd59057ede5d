// The phases about waiting: how soon a free shard reaches one who waits for it at
// another coordinator, and what it costs when many wait.
#include <algorithm>
#include <chrono>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/bench/fleet_phases.h"
#include "tests/bench/results.h"

namespace lowmark {
namespace {

constexpr char kWakeUp[] = "wake-up";
constexpr char kHerd[] = "no herd";
constexpr absl::Duration kPatience = absl::Seconds(30);
// No heartbeat falls into the phases.
constexpr char kLongTtl[] = "10m";
// Until a call that was made waits at its coordinator.
constexpr absl::Duration kSettle = absl::Milliseconds(50);
constexpr size_t kFreedShards = 5;
constexpr double kMostTransactions = 15;

// The latencies of moves, ascending.
std::vector<float> WakeUps(const std::vector<Move>& moves) {
  std::vector<float> latencies;
  for (const Move& move : moves) latencies.push_back(static_cast<float>(move.wake_up_ms()));
  std::sort(latencies.begin(), latencies.end());
  return latencies;
}

// What one free shard comes to.
struct Freed {
  double answered = 0;
  double transactions = 0;
};

// Waits until somebody has the shard that `free` sets free, and then for the rest
// of `window`.
absl::StatusOr<Freed> FreeOne(FleetRun& run, Fleet& fleet, absl::Duration window,
                              const std::function<absl::Status()>& free) {
  const SteadyTime end = SteadyDeadline(window);
  fleet.Run([&] { fleet.calls().Reset(); });
  run.servers.CountTransactions();
  if (auto s = free(); !s.ok()) return s;
  if (!fleet.Await([&] { return fleet.Held() == 1; }, kPatience)) {
    return absl::DeadlineExceededError("nobody was given the free shard");
  }
  fleet.Pause(absl::FromChrono(end - std::chrono::steady_clock::now()));
  Freed freed;
  freed.transactions = static_cast<double>(run.servers.CountTransactions());
  if (freed.transactions == 0) return absl::InternalError("PostgreSQL noted no transaction");
  fleet.Run([&] {
    freed.answered = static_cast<double>(fleet.calls().Figures(FleetMethod::kLeaseShard).answered);
  });
  return freed;
}

void AddFreed(FleetRun& run, const std::string& how, const std::vector<Freed>& freed, double idle) {
  std::vector<double> answered;
  std::vector<double> transactions;
  for (const Freed& one : freed) {
    answered.push_back(one.answered);
    transactions.push_back(one.transactions);
  }
  run.results.Add(kHerd, absl::StrCat("a shard is ", how, ": calls answered, at most"),
                  *std::max_element(answered.begin(), answered.end()), "", Limit::AtMost(1));
  const double all = Median(transactions);
  run.results.Add(kHerd, absl::StrCat("a shard is ", how, ": transactions, all"), all, "");
  // Below zero where the idle windows had more: then it says nothing.
  run.results.Add(kHerd, absl::StrCat("a shard is ", how, ": transactions beside idle ones"),
                  all - idle, "", Limit::AtMost(kMostTransactions));
}

absl::Status AwaitWaiters(FleetRun& run, Fleet& fleet, int waiters) {
  const SteadyTime deadline = SteadyDeadline(kPatience);
  for (;;) {
    auto waiting =
        SumMetric(run.servers.coordinators()[0].http_address, "lowmark_lease_waiters", {});
    if (!waiting.ok()) return waiting.status();
    if (*waiting == waiters) return absl::OkStatus();
    if (std::chrono::steady_clock::now() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrFormat("%d calls wait, not %d", static_cast<int>(*waiting), waiters));
    }
    fleet.Pause(kSettle);
  }
}

absl::Status MeasureHerd(FleetRun& run, Fleet& fleet) {
  constexpr absl::Duration kWindow = absl::Seconds(2);
  const auto count_idle = [&] {
    run.servers.CountTransactions();
    fleet.Pause(kWindow);
    return static_cast<double>(run.servers.CountTransactions());
  };
  const double before = count_idle();
  auto added = FreeOne(run, fleet, kWindow, [&] { return run.servers.AddShard("herd", 0); });
  if (!added.ok()) return added.status();
  std::vector<Freed> all;
  for (size_t i = 0; i < kFreedShards; ++i) {
    auto freed = FreeOne(run, fleet, kWindow, [&] {
      fleet.Run([&] {
        for (const auto& worker : fleet.workers()) {
          if (worker->held() > 0) worker->SetMaxLeases(0);
        }
      });
      // Until its release is answered and another has it.
      fleet.Await([&] { return fleet.ledger().moves().size() > i; }, kPatience);
      return absl::OkStatus();
    });
    if (!freed.ok()) return freed.status();
    all.push_back(*freed);
  }
  const double after = count_idle();
  run.results.Add(kHerd, "idle, in as long: transactions before", before, "");
  run.results.Add(kHerd, "idle, in as long: transactions after", after, "");
  AddFreed(run, "added", {*added}, (before + after) / 2);
  AddFreed(run, "released", all, (before + after) / 2);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunWakeUp(FleetRun& run) {
  if (auto s = run.servers.StartCoordinators(2, {"--session-ttl", kLongTtl}); !s.ok()) return s;
  if (auto s = run.servers.MakeStream("wake", 1); !s.ok()) return s;
  Fleet fleet(run.servers.Addresses());
  FleetWorker* holder = nullptr;
  FleetWorker* other = nullptr;
  fleet.Run([&] {
    holder = &fleet.Add({.stream = "wake", .name = "wake-0", .max_leases = 1}, 0);
    other = &fleet.Add({.stream = "wake", .name = "wake-1", .max_leases = 1}, 1);
    holder->Start();
  });
  if (!fleet.Await([&] { return holder->held() == 1; }, kPatience)) {
    return absl::DeadlineExceededError("the one shard was never leased");
  }
  fleet.Run([&] { other->Start(); });
  // Beyond the pause after its first answer.
  fleet.Pause(absl::Seconds(1));
  for (int i = 0; i < run.options.wake_ups; ++i) {
    fleet.Run([&] { holder->SetMaxLeases(0); });
    if (!fleet.Await([&] { return other->held() == 1; }, kPatience)) {
      return absl::DeadlineExceededError("a released shard did not reach who waited for it");
    }
    fleet.Run([&] { holder->SetMaxLeases(1); });
    std::swap(holder, other);
    fleet.Pause(kSettle);
  }
  fleet.Run([&] {
    run.results.AddLatencies(kWakeUp, "from release to lease at the other coordinator",
                             WakeUps(fleet.ledger().moves()), Limit::AtMost(50));
    AddLateness(run.results, kWakeUp, fleet);
    run.results.AddViolations(kWakeUp, fleet.ledger().violations());
  });
  return absl::OkStatus();
}

absl::Status RunHerd(FleetRun& run) {
  if (auto s = run.servers.StartCoordinators(1, {"--session-ttl", kLongTtl}); !s.ok()) return s;
  if (auto s = run.servers.MakeStream("herd", 0); !s.ok()) return s;
  Fleet fleet(run.servers.Addresses());
  fleet.Run([&] {
    for (int i = 0; i < run.options.waiters; ++i) {
      fleet
          .Add({.stream = "herd",
                .name = absl::StrCat("herd-", i),
                .max_leases = 1,
                .lease_wait = absl::Minutes(5)})
          .Start();
    }
  });
  if (auto s = AwaitWaiters(run, fleet, run.options.waiters); !s.ok()) return s;
  if (auto s = run.servers.NoteTransactions(true); !s.ok()) return s;
  const absl::Status measured = MeasureHerd(run, fleet);
  if (auto s = run.servers.NoteTransactions(false); !s.ok()) return s;
  fleet.Run([&] { run.results.AddViolations(kHerd, fleet.ledger().violations()); });
  return measured;
}

}  // namespace lowmark
