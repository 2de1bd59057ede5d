// Group commit: updates of shards that arrive together are committed together.
//
// While one group is being committed the next one gathers; there is no
// artificial delay, so a lone report is committed at once and many share one
// transaction. A group never spans streams. Each caller is called back after its
// update is durable, or has failed.
#ifndef LOWMARK_SERVICE_COMMITTER_H_
#define LOWMARK_SERVICE_COMMITTER_H_

#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "service/metrics.h"
#include "service/process/mutex.h"
#include "store/store.h"

namespace lowmark {

struct CommitterOptions {
  // Groups that are committed at the same time, each on a connection of its own.
  int committers = 2;
  // Updates in a group at most.
  size_t group_limit = 512;
  // Updates that wait at most; more are refused as UNAVAILABLE.
  size_t queue_limit = 50000;
};

// Thread-safe.
class Committer {
 public:
  using Done = std::function<void(absl::Status)>;

  Committer(Store& store, Metrics& metrics, const CommitterOptions& options);
  // Commits what waits, then stops.
  ~Committer();

  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Enqueues an update and returns at once. `done` is called exactly once, from
  // a committer's thread (or this one, when the queue is full); it must not
  // block.
  void Submit(const std::string& stream, ShardUpdate update, Done done);

 private:
  struct Group {
    std::string stream;
    std::vector<ShardUpdate> updates;
    std::vector<Done> done;
  };

  void Run();
  // Waits for the next group; false when all is done and the committer stops.
  bool Take(Group& group);

  Store& store_;
  Metrics& metrics_;
  const CommitterOptions options_;
  Mutex mutex_;
  CondVar arrived_;
  // Updates that wait, by stream, and the streams that have some in turn.
  std::unordered_map<std::string, Group> waiting_ LOWMARK_GUARDED_BY(mutex_);
  std::deque<std::string> turns_ LOWMARK_GUARDED_BY(mutex_);
  size_t size_ LOWMARK_GUARDED_BY(mutex_) = 0;
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_COMMITTER_H_
