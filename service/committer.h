// Group commit: updates of shards that arrive together are committed together.
//
// While one group of a stream is being committed its next one gathers, since a
// large group costs each of its members less. There is no artificial delay: a lone
// report is committed at once. A group never spans streams, and streams do not
// wait for each other while a committer is free. Each caller is called back after
// its update is durable, or has failed.
#ifndef LOWMARK_SERVICE_COMMITTER_H_
#define LOWMARK_SERVICE_COMMITTER_H_

#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
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
  // How long a stream's next group gathers at most while another of the stream is
  // being committed and a committer is free. A full one does not wait. Longer
  // makes larger groups; a database that is far away wants it shorter than a
  // transaction takes there, so that transactions overlap.
  absl::Duration patience = absl::Milliseconds(5);
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
    std::vector<ShardUpdate> updates;
    std::vector<Done> done;
  };

  // A stream that has updates which wait or are being committed.
  struct Queue {
    Group waiting;
    SteadyTime since;    // when the first of them came
    int committing = 0;  // its groups that are with the store
  };

  void Run();
  // Waits for the next group; false when all is done and the committer stops.
  bool Take(std::string& stream, Group& group);
  // Whether the queue's next group should be taken now; otherwise `due` is the
  // time when it should at the latest.
  bool IsDue(const Queue& queue, SteadyTime& due) const LOWMARK_REQUIRES(mutex_);
  // Takes the first updates that wait, as many as a group may have.
  Group TakeGroup(Queue& queue) const;
  // The stream's next group need not wait for this one any more.
  void NoteCommitted(const std::string& stream) LOWMARK_EXCLUDES(mutex_);

  Store& store_;
  Metrics& metrics_;
  const CommitterOptions options_;
  Mutex mutex_;
  CondVar arrived_;
  std::unordered_map<std::string, Queue> queues_ LOWMARK_GUARDED_BY(mutex_);
  // The streams that have updates which wait, in turn.
  std::deque<std::string> turns_ LOWMARK_GUARDED_BY(mutex_);
  size_t size_ LOWMARK_GUARDED_BY(mutex_) = 0;  // updates that wait
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_COMMITTER_H_
