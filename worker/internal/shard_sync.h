// Tells the coordinator which shards the source has, while this worker is the
// one that was asked to.
#ifndef LOWMARK_WORKER_INTERNAL_SHARD_SYNC_H_
#define LOWMARK_WORKER_INTERNAL_SHARD_SYNC_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/internal/context.h"
#include "worker/internal/retry_pause.h"
#include "worker/internal/trouble_watch.h"

namespace lowmark {

// The list in calls of at most `most` shards, each once, parents before their children
// or beside them. What descends from each other is in one call where it fits in one: a shard whose
// parent came in an earlier call is to the coordinator one that has come since, which starts at its
// first record where a stream that is new starts at LATEST.
std::vector<std::vector<ListedShard>> SyncOrder(const std::vector<ListedShard>& shards,
                                                size_t most);

// Used on the loop only.
class ShardSync {
 public:
  ShardSync(WorkerContext& context, std::function<void()> session_expired);
  ~ShardSync();

  // A session was opened, for which nothing is known to be told.
  void Begin(const std::string& worker);
  // What the coordinator said last: whether this worker is to do it.
  void Elect(bool elected);
  void Stop();
  // What came of it last; nullopt where nothing has yet, or another worker is to do it.
  std::optional<ListingStat> stat(SteadyTime now) const;

 private:
  void List();
  void OnListed(absl::StatusOr<std::vector<ListedShard>> shards);
  bool IsListed(const std::string& shard) const;
  void Send();
  void OnSent(const absl::Status& error, int32_t added);
  void OnDone();
  void Again(absl::Duration pause);

  WorkerContext& context_;
  const std::function<void()> session_expired_;
  // Answers find out by this whether they are still wanted.
  std::shared_ptr<bool> current_;
  std::string worker_;
  bool elected_ = false;
  bool busy_ = false;
  EventLoop::TimerId timer_ = 0;
  RetryPause pause_;
  TroubleWatch watch_{Trouble::Kind::kSource};        // told to the coordinator
  TroubleWatch calls_watch_{Trouble::Kind::kSource};  // of the coordinator itself: for the log
  bool done_ = false;                                 // in this session, at least once
  std::vector<ListedShard> listed_;                   // by shard
  std::vector<ListedShard> told_;
  SteadyTime told_at_ = SteadyTime::min();
  std::vector<std::vector<ListedShard>> calls_;  // to be sent, the next one last
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_SHARD_SYNC_H_
