// Signs of life: those of a stream's workers that arrive together are written
// together, so that a fleet which comes back all at once, as after an outage of
// the database, costs few statements.
#ifndef LOWMARK_SERVICE_HEARTBEATS_H_
#define LOWMARK_SERVICE_HEARTBEATS_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/executor.h"
#include "service/process/mutex.h"
#include "store/store.h"

namespace lowmark {

// Thread-safe. The store and the executor must outlive it, and the executor must
// have run all before it goes.
class Heartbeats {
 public:
  using Done = std::function<void(absl::StatusOr<SessionView>)>;

  Heartbeats(Store& store, Executor& executor, absl::Duration session_ttl)
      : store_(store), executor_(executor), session_ttl_(session_ttl) {}

  Heartbeats(const Heartbeats&) = delete;
  Heartbeats& operator=(const Heartbeats&) = delete;

  // Renews the worker's session. `done` is called exactly once: from the executor,
  // or with UNAVAILABLE from here when that has too much to do. One that is
  // `cancelled` is not written.
  void Beat(const std::string& stream, Renewal renewal, std::function<bool()> cancelled, Done done);

 private:
  struct Waiter {
    Renewal renewal;
    std::function<bool()> cancelled;
    Done done;
  };
  using Waiters = std::vector<Waiter>;

  // Lets the stream's heartbeats be written when it is its turn.
  void Schedule(const std::string& stream);
  // Writes those that wait, once.
  void Run(const std::string& stream);
  void Write(const std::string& stream, Waiters waiters);

  Store& store_;
  Executor& executor_;
  const absl::Duration session_ttl_;
  Mutex mutex_;
  // Of each stream that is being written or is about to be: what waits.
  std::map<std::string, Waiters> waiting_ LOWMARK_GUARDED_BY(mutex_);
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_HEARTBEATS_H_
