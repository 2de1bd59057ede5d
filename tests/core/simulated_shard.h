// A shard as the coordinator and its workers would drive it, without either:
// the core's decisions on a state in memory, a clock that is a number, and a
// source that is a list. Every report is checked as the coordinator does, every
// answer is lost once and the report repeated, and what must always hold is
// asserted after each step.
#ifndef LOWMARK_TESTS_CORE_SIMULATED_SHARD_H_
#define LOWMARK_TESTS_CORE_SIMULATED_SHARD_H_

#include <string>
#include <unordered_map>
#include <vector>

#include "service/core/lease.h"
#include "service/core/policy.h"
#include "service/core/step.h"
#include "tests/core/play.h"

namespace lowmark {

// `count` ascending sequence numbers, "1", "2", ...
std::vector<std::string> PlainSequences(int count);

class SimulatedShard {
 public:
  SimulatedShard(Policy policy, std::vector<std::string> sequences);

  // Plays until every record is behind the checkpoint, or `limit` deliveries.
  Play Drain(const ScriptedHandler& handler, int limit);

  // One delivery to the handler and its report. False where nothing is left.
  bool Deliver(const ScriptedHandler& handler);

  // The worker dies with its delivery unreported; another one takes over.
  void LoseWorker();
  // The worker gives the shard back; another one leases it.
  void HandOver();
  // The handler cannot be run.
  void NotRun();
  // The worker sets aside the first `count` records of the batch.
  void SetAside(int count);
  // An operator moves the checkpoint to record `ordinal`; a worker leases again.
  void Seek(int ordinal);
  // Whether every record is behind the checkpoint.
  bool Drained() const { return Batch().empty() && shard_.state.bounds.empty(); }

  // The records of the current delivery.
  std::vector<int> Batch() const;
  const Shard& shard() const { return shard_; }
  const Play& play() const { return play_; }
  // Replaces the state by a copy of it, as a restart would.
  void SetState(const ShardState& state) { shard_.state = state; }

 private:
  void Grant();
  // Checks and applies one report, then repeats it.
  void Report(const Event& event);
  void Apply(const StepResult& result);
  void CheckInvariants(const ShardState& before) const;
  Event ToEvent(const std::vector<int>& batch, const Answer& answer) const;
  std::vector<std::string> Names(const std::vector<int>& batch) const;
  std::string Checkpoint() const;

  const Policy policy_;
  const std::vector<std::string> sequences_;
  std::unordered_map<std::string, int> ordinals_;
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  int worker_ = 0;
  Shard shard_;
  Delivery delivery_;
  std::unordered_map<int64_t, int> batches_;  // batch ids -> numbers in order of appearance
  Play play_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_CORE_SIMULATED_SHARD_H_
