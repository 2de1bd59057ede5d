// Simulated workers by the thousand, in one process: one loop that decides for all
// of them, and a few connections to each coordinator.
//
//   Fleet fleet({coordinator.address});
//   fleet.Run([&] { fleet.Add({.stream = "orders", .name = "w1"}, 0).Start(); });
//   if (!fleet.Await([&] { return fleet.Held() == 100; }, absl::Seconds(10))) ...
#ifndef LOWMARK_TESTS_BENCH_FLEET_H_
#define LOWMARK_TESTS_BENCH_FLEET_H_

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "tests/bench/fleet_calls.h"
#include "tests/bench/fleet_ledger.h"
#include "tests/bench/fleet_worker.h"
#include "worker/internal/coordinator_client.h"
#include "worker/internal/event_loop.h"

namespace lowmark {

class Fleet {
 public:
  // `coordinators`: their addresses.
  explicit Fleet(const std::vector<std::string>& coordinators);
  // Its workers die.
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // --- From any thread but the loop's ---
  // Runs `function` on the loop and returns when it has run.
  void Run(std::function<void()> function);
  // Waits until `condition` holds, which is asked on the loop again and again;
  // false where it did not in time.
  bool Await(std::function<bool()> condition, absl::Duration timeout);
  // Lets the workers work for a while.
  void Pause(absl::Duration duration);

  // --- On the loop ---
  // A worker that calls one of the coordinators; not started.
  FleetWorker& Add(const FleetWorkerOptions& options, size_t coordinator = 0);
  // In the order in which they were added; dead ones are among them.
  const std::vector<std::unique_ptr<FleetWorker>>& workers() const { return workers_; }
  // Shards that living workers hold.
  int64_t Held() const;
  // The most and the least that any living worker holds differ by no more than one.
  bool Fair() const;
  FleetLedger& ledger() { return ledger_; }
  FleetCalls& calls() { return calls_; }
  // How late the loop's own timers were, ascending: how much of a latency may be
  // due to a machine that others use.
  std::vector<float> LatenessMs() const;

 private:
  struct Waiting;
  void Ask(const std::shared_ptr<Waiting>& waiting);
  void NoteLateness();

  EventLoop loop_;
  std::mt19937_64 random_;
  FleetLedger ledger_;
  FleetCalls calls_;
  std::vector<float> lateness_ms_;
  std::vector<std::vector<std::unique_ptr<CoordinatorClient>>> clients_;
  std::vector<std::unique_ptr<FleetWorker>> workers_;
  std::thread thread_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_FLEET_H_
