// Tells the coordinator, with heartbeats, what is new of the shards that are held: each
// thing once, and all again where it says that it has forgotten.
#ifndef LOWMARK_WORKER_INTERNAL_STAT_TELLER_H_
#define LOWMARK_WORKER_INTERNAL_STAT_TELLER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lowmark/v1/coordinator.pb.h"
#include "service/core/shard_stat.h"

namespace lowmark {

// Not thread safe.
class StatTeller {
 public:
  // Shards that one heartbeat tells of at most; the rest has to wait.
  static constexpr size_t kMostStats = 256;

  // A session was opened, under which nothing was told.
  void Begin();
  // Adds to a heartbeat what is new; troubles first. `now` are the shards held of which
  // anything is known, by id; `listing` where this worker lists the source's shards.
  void Tell(const std::vector<ToldStat>& now, const std::optional<ListingStat>& listing,
            v1::HeartbeatRequest* request);
  // The heartbeat that was told last was answered, with this stats_token.
  void OnAnswer(int64_t token);

 private:
  int64_t token_ = 0;
  std::map<std::string, ToldStat> told_;
  std::optional<ListingStat> told_listing_;
  // With the heartbeat that is under way.
  std::vector<ToldStat> telling_;
  std::optional<ListingStat> telling_listing_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_STAT_TELLER_H_
