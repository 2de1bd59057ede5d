// A fleet of workers and the shards of one stream, balanced by the real decisions
// of service/core/assignment and nothing else: no store, no wire, no threads. Time
// passes in rounds of a second. Handed-over shards are free at once and given out in
// the same round, in a random order.
//
// Not thread-safe.
#ifndef LOWMARK_TESTS_SIMULATION_SIMULATED_FLEET_H_
#define LOWMARK_TESTS_SIMULATION_SIMULATED_FLEET_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "service/core/assignment.h"

namespace lowmark {

struct FleetOptions {
  int64_t shards = 0;
  bool by_load = false;
  // In rounds: how long a session lives without a heartbeat, how often a worker
  // sends one, and how long a shard stays after it moved.
  int64_t ttl = 30;
  int64_t heartbeat = 10;
  int64_t settling = 30;
  // Shards that one worker is asked for in a round at most.
  int64_t moves_per_round = 20;
  // Measured loads are off by up to this part, differently in each round and for
  // each worker.
  double noise = 0;
};

// What happened since StartPhase.
struct FleetFigures {
  int64_t rounds = 0;               // until the last change
  int64_t moved = 0;                // shards that got another owner
  int64_t most_moves = 0;           // of one shard
  int64_t early = 0;                // moves from a live worker before the shard had settled
  int64_t most_stuck = 0;           // shards held by dead workers, or free, after a round
  std::vector<double> decision_ms;  // of each round
};

class SimulatedFleet {
 public:
  SimulatedFleet(const FleetOptions& options, uint64_t seed);

  // A worker joins, and proves itself by its first heartbeat. Returns its number.
  size_t Join(int32_t capacity = 1, int64_t most_shards = 1 << 20);
  // It releases its shards and goes.
  void Leave(size_t worker);
  // It does nothing any more; its session ends after the TTL.
  void Crash(size_t worker);
  void Drain(size_t worker) { workers_[worker].draining = true; }
  void Cordon(size_t worker) { workers_[worker].cordoned = true; }
  void Freeze(bool frozen) { frozen_ = frozen; }
  void Pause(bool paused) { paused_ = paused; }
  void SetLoad(int64_t shard, double load) { shards_[shard].load = load; }
  void BalanceByLoad(bool by_load) { options_.by_load = by_load; }
  void MeasureWithNoise(double noise) { options_.noise = noise; }

  void StartPhase();
  // One round; whether any shard changed hands.
  bool Round();
  // Rounds until nothing has changed for so long that nothing more will; false
  // where that was not so after `most` rounds.
  bool Settle(int64_t most = 5000);

  // What a coordinator would see now.
  Census Observe() const;
  const FleetFigures& figures() const { return figures_; }
  // The workers that are alive and not drained, by their number.
  std::vector<size_t> Working() const;
  int64_t held(size_t worker) const { return static_cast<int64_t>(workers_[worker].shards.size()); }
  int32_t capacity(size_t worker) const { return workers_[worker].capacity; }
  // True loads, without the noise.
  double LoadOf(size_t worker) const;
  double LightestOf(size_t worker) const;
  std::vector<double> ShardLoads() const;
  int64_t stuck() const;
  // Sessions of dead workers that have not ended.
  int64_t dead() const;

 private:
  static constexpr int32_t kNobody = -1;

  struct FleetShard {
    int32_t owner = kNobody;
    int32_t last_owner = kNobody;
    int32_t place = 0;  // in its owner's list
    int32_t moves = 0;  // in this phase
    int64_t leased_at = 0;
    double load = 1;
  };
  struct FleetWorker {
    std::string name;
    int32_t capacity = 1;
    int64_t most_shards = 0;
    int64_t proven_at = 0;
    int64_t ends_at = -1;  // when the session of a dead worker ends
    bool gone = false;
    bool cordoned = false;
    bool draining = false;
    double error = 1;  // of what is measured in this round
    std::vector<int32_t> shards;
  };

  bool Dead(const FleetWorker& worker) const { return worker.ends_at >= 0; }
  absl::Time Now() const { return absl::FromUnixSeconds(now_); }
  void EndSessions();
  // The workers of a census, in its order.
  std::vector<size_t> Observed() const;
  void HandOver();
  void ShareOutFree();
  void Free(int32_t shard);
  void Give(int32_t shard, size_t worker);
  std::vector<HeldShard> HeldBy(const FleetWorker& worker) const;
  // Runs a decision, and adds the time it took to this round's.
  template <typename Decision>
  auto Timed(Decision decision);

  FleetOptions options_;
  std::mt19937_64 random_;
  int64_t now_ = 0;
  bool frozen_ = false;
  bool paused_ = false;
  std::vector<FleetShard> shards_;
  std::vector<FleetWorker> workers_;
  std::vector<int32_t> free_;
  FleetFigures figures_;
  int64_t phase_start_ = 0;
  bool changed_ = false;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SIMULATION_SIMULATED_FLEET_H_
