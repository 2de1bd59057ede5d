// The long polls of LeaseShard: calls that wait for a shard to become free.
//
// A call is tried when it arrives, when the store hints that a shard of its
// stream became free, and from time to time (which is what finds the leases of
// workers that died). Waiting calls hold no thread.
#ifndef LOWMARK_SERVICE_LEASE_QUEUE_H_
#define LOWMARK_SERVICE_LEASE_QUEUE_H_

#include <functional>
#include <list>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/metrics.h"
#include "service/process/mutex.h"
#include "store/store.h"

namespace lowmark {

struct LeaseQueueOptions {
  // Calls that are tried at the same time.
  int threads = 2;
  // How often a waiting call is tried without a hint, on average.
  absl::Duration retry = absl::Milliseconds(500);
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

  // Tries the call at once, and again until call.wait is over, then answers it
  // empty-handed; the one that opens its worker's session does not wait. `done` is called exactly
  // once, from a thread of the queue; it must not block. A call that is `cancelled` gets no lease
  // any more.
  void Wait(const LeaseCall& call, std::function<bool()> cancelled, Done done);

  // A shard of the stream (of any, when empty) may have become free.
  void Wake(const std::string& stream);

  // Answers all that wait, and every call from now on, empty-handed.
  void Drain();

 private:
  struct Waiter {
    LeaseCall call;
    SteadyTime deadline;
    SteadyTime next_try;
    bool tried = false;
    bool woken = false;  // a hint came while it was being tried
    std::function<bool()> cancelled;
    Done done;
  };
  using Waiters = std::list<Waiter>;

  void Run();
  // Waits for a waiter to be due and moves it to trying_; nullopt when the queue
  // stops. Until Finish or Requeue it is the caller's alone, but for `woken`.
  std::optional<Waiters::iterator> Take();
  // The answer, or nullopt where the call is to wait on.
  std::optional<absl::StatusOr<LeaseGrant>> Try(Waiter& waiter);
  // Lets the worker of a call that waited no longer count as wanting shards, so
  // that those go to others.
  void Withdraw(const LeaseCall& call);
  void Finish(Waiters::iterator waiter, absl::StatusOr<LeaseGrant> grant);
  void Requeue(Waiters::iterator waiter);
  SteadyTime NextRetry() LOWMARK_REQUIRES(mutex_);

  Store& store_;
  Metrics& metrics_;
  const LeaseQueueOptions options_;
  Mutex mutex_;
  CondVar changed_;
  Waiters waiting_ LOWMARK_GUARDED_BY(mutex_);
  Waiters trying_ LOWMARK_GUARDED_BY(mutex_);
  uint64_t jitter_ LOWMARK_GUARDED_BY(mutex_) = 1;
  bool draining_ LOWMARK_GUARDED_BY(mutex_) = false;
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_LEASE_QUEUE_H_
