// Who should hold the shards of a stream: fair by capacity, and sticky, so that no
// shard moves unless the balance improves. Pure: all of it follows from a census.
//
// Balance is by number of shards or, where the policy asks for it, by measured
// load. By number, every worker gets its share of the shards, within one. By load,
// shards move from workers above the mean to workers below it while the spread is
// worth a move; free shards go to whoever has the least load. The mean does not
// count a worker whose only shard is more than that, nor what workers cannot take.
// Before any load has been measured balance is by number.
//
// Coordinators work this out each for itself. From the same census all come to
// the same answer, so none of it is shared or stored.
#ifndef LOWMARK_SERVICE_CORE_ASSIGNMENT_H_
#define LOWMARK_SERVICE_CORE_ASSIGNMENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace lowmark {

// A live worker of a stream.
struct WorkerLoad {
  std::string worker;
  int32_t capacity = 1;  // its weight, > 0
  int64_t held = 0;      // shards it holds that are not done
  int64_t wanted = 0;    // shards it is asking for now
  // Whether it has shown that it can work: its session was renewed by a heartbeat.
  // Beside workers that have, one that has not is tried with a single shard, so
  // that a worker which dies over its first batch, is restarted, and dies again,
  // does not hold its share of the shards for a session's life each time.
  bool proven = true;
  // An operator's word: it gets no more shards than it holds.
  bool cordoned = false;
  // An operator's word: it is to hold none.
  bool draining = false;
  // The load of the shards it holds, in the policy's measure; >= 0.
  double load = 0;
};

// What a stream's shards and live workers look like at one moment.
struct Census {
  std::vector<WorkerLoad> workers;
  int64_t shards = 0;    // leased or leasable
  bool paused = false;   // no shard is to be held
  bool frozen = false;   // no shard is to move from one live worker to another
  bool by_load = false;  // balance by load instead of number
  // How long the worker has been there that has been there longest.
  absl::Duration age = absl::InfiniteDuration();
};

// How much longer to wait before any shard is given away: in a stream of many shards
// that is being started, of which none is held, for the workers that start with the
// first one. Each gets its share at once then, rather than from those that came first.
inline constexpr int64_t kShardsToGatherFor = 5000;
inline constexpr absl::Duration kGathering = absl::Seconds(1);
absl::Duration Gathering(const Census& census);

// The number of shards each worker of the census should hold, in its order, when
// balanced by number. No worker gets more than held + wanted. All zero where the
// stream is paused.
std::vector<int64_t> Targets(const Census& census);

// How many of `free` shards each worker is to be given now, in the census' order:
// no more than it wants, and no more in all than `free`. By number, up to its
// target, whoever is furthest below it for its capacity first. By load, one shard
// after the other to the worker with the least load for its capacity, each taken to
// weigh as much as the mean shard.
std::vector<int64_t> ShareOut(const Census& census, int64_t free);

// What a worker holds above what it should.
struct Excess {
  int64_t shards = 0;  // so many are to be handed over, whatever they weigh; or
  double load = 0;     // shards of no more than this load in all

  bool any() const { return shards > 0 || load > 0; }
  bool operator==(const Excess&) const = default;
};

// What each worker is to hand over, in the census' order. Nothing unless there is
// a taker, but for workers that are drained and streams that are paused.
//
// By load, a worker sheds what brings it to the mean where it has more than
// kWorthMoving of the mean above it, and no more in all than the others have room
// for below the mean. Where one is as far below, as a new worker beside many is,
// others shed for it too, the most loaded first. All of them stay above the one they
// give to by kWorthMoving, so that measurements, which are never quite the same
// twice, move nothing back and forth. A worker's only shard is left where it is:
// moving it would only move the hot spot.
inline constexpr double kWorthMoving = 0.2;
std::vector<Excess> ToHandOver(const Census& census);

// A shard as its holder's choice sees it.
struct HeldShard {
  std::string shard;
  int64_t epoch = 0;
  absl::Time leased_at;  // when its holder got it
  double load = 0;
};

// Which of a worker's shards are to be handed over: indexes into `held`, at most
// `limit`. One that moved less than `settling` ago stays; for workers that are
// drained and streams that are paused, settling is 0. By number those that
// were leased longest ago, so that it is not always the same shards that move, and
// of those the first by id; by load the heaviest that fit, which are the fewest.
std::vector<size_t> ChooseToHandOver(const std::vector<HeldShard>& held, const Excess& excess,
                                     absl::Time now, absl::Duration settling, int64_t limit);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_ASSIGNMENT_H_
