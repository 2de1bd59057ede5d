// What a worker's heartbeat brings, and what is answered.
#ifndef LOWMARK_STORE_SESSION_H_
#define LOWMARK_STORE_SESSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "service/core/shard_stat.h"

namespace lowmark {

// What a shard weighs, in the measure of the stream's policy.
struct ShardLoad {
  std::string shard;
  std::optional<double> load;  // where it was measured; finite, >= 0
};

// A sign of life.
struct Renewal {
  std::string worker;
  // Whether `loads` are all the shards that the worker holds. A shard that was not
  // measured yet weighs what its former owner measured.
  bool measured = false;
  std::vector<ShardLoad> loads = {};
  // What is new of shards. What is told of a lease that is not the worker's is ignored.
  std::vector<ToldStat> stats = {};
  std::optional<ListingStat> listing = {};
};

// A session after its renewal.
struct SessionView {
  // Whether this worker is the one of its stream that lists the source's shards:
  // the live worker whose session is the oldest.
  bool elected = false;
  // Names the memory that holds what was told of the stream's shards. Where it is another
  // than before, that is lost, and has to be told again; 0 where there is none, or what
  // was told now could not be kept.
  int64_t stats_token = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_STORE_SESSION_H_
