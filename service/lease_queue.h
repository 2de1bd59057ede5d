// The long polls of LeaseShard: calls that wait for a shard to become free.
//
// The calls of a stream are served together, in rounds: when one arrives, when the
// store hints that a shard became free, when a session may have expired, and from
// time to time. So a shard that becomes free costs each coordinator one look at
// the store however many calls wait, and is given to one of them. Waiting calls
// hold no thread, and cost the database nothing.
#ifndef LOWMARK_SERVICE_LEASE_QUEUE_H_
#define LOWMARK_SERVICE_LEASE_QUEUE_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/core/expiry.h"
#include "service/metrics.h"
#include "service/process/mutex.h"
#include "store/store.h"

namespace lowmark {

struct LeaseQueueOptions {
  // Rounds of different streams that run at the same time.
  int threads = 2;
  // How often, on average, a stream with waiting calls is looked at without a hint
  // where none arrive. Where they do it is a tenth as often.
  absl::Duration retry = absl::Milliseconds(500);
  // How long a session lives without a renewal.
  absl::Duration session_ttl = absl::Seconds(30);
};

// Thread-safe.
class LeaseQueue {
 public:
  using Done = std::function<void(absl::StatusOr<LeaseGrant>)>;

  LeaseQueue(Store& store, Metrics& metrics, const LeaseQueueOptions& options);
  // Answers all that wait, empty-handed.
  ~LeaseQueue();

  LeaseQueue(const LeaseQueue&) = delete;
  LeaseQueue& operator=(const LeaseQueue&) = delete;

  // Serves the call at once, and again until call.wait is over, then answers it
  // empty-handed; one that opens its worker's session does not wait, and one that
  // is followed by another call of its worker waits no longer. `done` is called
  // exactly once, from a thread of the queue; it must not block. A call that is
  // `cancelled` gets no lease any more.
  void Wait(const std::string& stream, const LeaseCall& call, std::function<bool()> cancelled,
            Done done);

  // A shard of the stream (of any, when empty) may have become free.
  void Wake(const std::string& stream);

  // What another call of the store came to: UNAVAILABLE, or not; CANCELLED: it was not made.
  // After an outage sessions are not ended before their workers had time to renew them.
  void NoteStore(const std::string& stream, const absl::Status& status);

  // Answers all that wait empty-handed, and every call from now on with UNAVAILABLE.
  void Drain();

 private:
  struct Waiter {
    LeaseCall call;
    SteadyTime deadline;
    std::function<bool()> cancelled;
    Done done;
    bool served = false;
    // A round failed: it may have been leased something that nobody told.
    bool unsure = false;
    bool elected = false;  // as the last round said
  };
  using Waiters = std::vector<Waiter>;

  // A stream's calls. While a round is being served they are the round's.
  struct Queue {
    Waiters waiters;
    // Whose is the earliest is served first, so that no stream's calls, however many come,
    // keep another's waiting.
    SteadyTime next_round = SteadyTime::max();
    bool serving = false;
  };

  void Run();
  // Waits for a round to be due and takes its calls; false when the queue stops.
  bool Take(std::string& stream, Waiters& round);
  // Serves a round; what is left in `round` waits on. When the next is due at the
  // latest.
  SteadyTime Serve(const std::string& stream, Waiters& round);
  // Answers calls that are not to be served; who of them waits no longer though the
  // store counts it as waiting.
  std::vector<std::string> Dismiss(Waiters& round);
  // Answers what the store has granted, or why not.
  static void Answer(const absl::StatusOr<LeaseAnswers>& answers, Waiters& round);
  void Return(const std::string& stream, Waiters round, SteadyTime next_round);
  // What a call came to; `store_now`: the store's clock now, if it said it.
  void Note(const std::string& stream, const absl::Status& status,
            std::optional<absl::Time> store_now) LOWMARK_REQUIRES(mutex_);
  // While the store's clock is where the stream's expired sessions may be ended.
  ClockRange MayEnd(const std::string& stream) LOWMARK_REQUIRES(mutex_);
  // When they may be, where that is only a matter of time.
  SteadyTime Settled(const std::string& stream) LOWMARK_REQUIRES(mutex_);
  absl::Duration Poll() const;
  SteadyTime Spread(absl::Duration pause) LOWMARK_REQUIRES(mutex_);
  absl::Duration Monotonic() const;

  Store& store_;
  Metrics& metrics_;
  const LeaseQueueOptions options_;
  const SteadyTime start_ = std::chrono::steady_clock::now();
  const ExpiryRules rules_;
  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Queue> queues_ LOWMARK_GUARDED_BY(mutex_);
  size_t waiting_ LOWMARK_GUARDED_BY(mutex_) = 0;
  ExpiryWatch watch_ LOWMARK_GUARDED_BY(mutex_);
  // Of streams with a call that failed, until their sessions may be ended again: where the
  // store was reached that says nothing of another stream's.
  std::unordered_map<std::string, ExpiryWatch> failed_ LOWMARK_GUARDED_BY(mutex_);
  uint64_t jitter_ LOWMARK_GUARDED_BY(mutex_) = 1;
  bool draining_ LOWMARK_GUARDED_BY(mutex_) = false;
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_LEASE_QUEUE_H_
