// What a worker knows of a shard beside how far it is processed: whether records
// wait, and what keeps it from going on. It is told with heartbeats, for operators
// and autoscalers; nothing that is delivered depends on it.
#ifndef LOWMARK_SERVICE_CORE_SHARD_STAT_H_
#define LOWMARK_SERVICE_CORE_SHARD_STAT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace lowmark {

// What keeps a shard, or all of a stream, from going on.
struct Trouble {
  enum class Kind {
    kSource = 1,   // the source cannot be read, or does not say what shards it has
    kHandler = 2,  // the handler cannot be run
  };

  Kind kind = Kind::kSource;
  std::string message;    // one line
  absl::Duration lasted;  // by the time that it was told or read: no clocks are compared
};

// What is known of a shard that is held.
struct ShardStat {
  // Nothing waits, and nothing has come for a while: the shard needs no worker now.
  bool idle = false;
  // How old the oldest record is that was read and not processed; 0 where none waits.
  // Not set where nothing was read yet.
  std::optional<absl::Duration> lag_age;
  // Records that are not processed, as far as the source can tell.
  std::optional<int64_t> backlog;
  std::optional<Trouble> trouble;
};

// What the holder of a shard's lease tells.
struct ToldStat {
  std::string shard;
  int64_t epoch = 0;  // of its lease
  ShardStat stat;
};

// What the worker tells that lists the source's shards.
struct ListingStat {
  std::optional<Trouble> trouble;  // why it cannot
};

// Whether `now` differs from what was told by enough to be told: in more than numbers, or
// in a number that has about doubled or halved. So a shard that lags more and more is told
// of a few times an hour, and one that keeps its lag not at all.
bool IsNews(const ShardStat& told, const ShardStat& now);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_SHARD_STAT_H_
