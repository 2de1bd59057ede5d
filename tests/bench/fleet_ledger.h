// What a fleet's workers were told of each shard, and whether it agrees: epochs
// rise, a new owner starts exactly after what was acknowledged to the one before,
// and nothing is delivered again after a graceful handoff. Used on the fleet's loop.
#ifndef LOWMARK_TESTS_BENCH_FLEET_LEDGER_H_
#define LOWMARK_TESTS_BENCH_FLEET_LEDGER_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "lowmark/v1/coordinator.pb.h"
#include "service/process/mutex.h"

namespace lowmark {

// A shard as far as its workers know. Sequence numbers begin at 1.
struct ShardStory {
  int64_t epoch = 0;
  std::string owner;         // empty: released, or lost
  std::string before;        // who had it last
  int64_t acknowledged = 0;  // the last sequence number of the last report answered
  int64_t attempted = 0;     // of the last report sent
  bool lost = false;         // a delivery may have been lost since
  SteadyTime leased_at;
  SteadyTime reported_at;  // when a report was last answered
  SteadyTime released_at;  // when its release was last answered
};

// A shard that came from one worker to another.
struct Move {
  std::string shard;
  std::string from;
  std::string to;
  bool graceful = false;  // it was released
  SteadyTime last_report;
  SteadyTime released;
  SteadyTime leased;

  double gap_ms() const { return Milliseconds(leased - last_report); }
  double wake_up_ms() const { return Milliseconds(leased - released); }

 private:
  static double Milliseconds(SteadyTime::duration d) {
    return std::chrono::duration<double, std::milli>(d).count();
  }
};

class FleetLedger {
 public:
  // What the workers tell. A lease that the worker has already is none.
  void OnLease(const std::string& worker, const v1::Lease& lease);
  void OnReportSent(const std::string& shard, int64_t last_sequence);
  void OnReported(const std::string& shard, int64_t last_sequence,
                  const v1::ReportBatchResponse& answer);
  void OnReleased(const std::string& worker, const std::string& shard, int64_t epoch);
  // The worker was told that its lease is over, or is gone itself.
  void OnLost(const std::string& worker, const std::string& shard, int64_t epoch);
  void NoteViolation(const std::string& text);

  const std::unordered_map<std::string, ShardStory>& shards() const { return shards_; }
  const std::vector<Move>& moves() const { return moves_; }
  int64_t reports() const { return reports_; }
  // What must never be, in words; the first few.
  const std::vector<std::string>& violations() const { return violations_; }

  // Shards whose last report was answered since then.
  int64_t ReportedSince(SteadyTime time) const;
  // Compares with rows "shard|sequence" of the database, when no report is on its
  // way: what was acknowledged must be there.
  void CheckRows(const std::string& text);

 private:
  void CheckStart(const ShardStory& story, const v1::Lease& lease);

  std::unordered_map<std::string, ShardStory> shards_;
  std::vector<Move> moves_;
  int64_t reports_ = 0;
  std::vector<std::string> violations_;
};

// The sequence number after which a position reads on: 0 at the horizon, -1 where
// it is neither that nor "after".
int64_t SequenceOf(const v1::Position& position);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_FLEET_LEDGER_H_
