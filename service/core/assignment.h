// How many shards of a stream each worker should hold: fair within one shard by
// capacity, and sticky, so that no shard moves unless the balance improves.
#ifndef LOWMARK_SERVICE_CORE_ASSIGNMENT_H_
#define LOWMARK_SERVICE_CORE_ASSIGNMENT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace lowmark {

// A live worker of a stream.
struct WorkerLoad {
  std::string worker;
  int32_t capacity = 1;  // its weight, > 0
  int64_t held = 0;      // shards it holds that are not done
  int64_t wanted = 0;    // shards it is asking for now
};

// What a stream's shards and live workers look like at one moment.
struct Census {
  std::vector<WorkerLoad> workers;
  int64_t shards = 0;  // leased or leasable
  bool paused = false;
};

// The number of shards each worker of the census should hold, in its order. No
// worker gets more than held + wanted. All zero where the stream is paused.
std::vector<int64_t> Targets(const Census& census);

// How many free shards `worker` may lease now: 0 where it is not in the census.
int64_t MayLease(const Census& census, const std::string& worker);

// How many shards each worker is to hand over, in the census' order.
std::vector<int64_t> ToHandOver(const Census& census);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_ASSIGNMENT_H_
