// Runs the handler on a fixed pool of threads: one batch of a shard at a time,
// each within its time, and none that could outlive its lease.
#ifndef LOWMARK_WORKER_INTERNAL_HANDLER_RUNS_H_
#define LOWMARK_WORKER_INTERNAL_HANDLER_RUNS_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "worker/handler.h"
#include "worker/internal/event_loop.h"
#include "worker/internal/thread_pool.h"

namespace lowmark {

// Until when a worker may rely on its leases: its session's life, less a margin,
// counted from before the renewal was sent. Thread safe.
class LeaseTrust {
 public:
  // A renewal that was sent at `sent` was answered: the session lives for `ttl`.
  void Renew(SteadyTime sent, absl::Duration ttl);
  void Revoke() { until_ = SteadyTime::min().time_since_epoch().count(); }
  bool Holds(SteadyTime now) const { return now.time_since_epoch().count() < until_; }

 private:
  std::atomic<SteadyTime::rep> until_{SteadyTime::min().time_since_epoch().count()};
};

// Used on the loop only, unless said otherwise.
class HandlerRuns {
 public:
  struct End {
    enum class Kind {
      kResult,     // `result` is what the handler returned, in time or "Timeout"
      kOverrun,    // its time is over and it has not returned; `result` is "Timeout"
      kUntrusted,  // it was not begun: the leases cannot be relied on
    };
    Kind kind = Kind::kResult;
    HandlerResult result;
    absl::Duration duration;
  };
  using OnEnd = std::function<void(const End&)>;

  // `on_idle` is told when a shard's handler has returned after an overrun, or
  // after its run was abandoned, so that another may start.
  HandlerRuns(std::shared_ptr<EventLoop> loop, std::shared_ptr<Handler> handler, int threads,
              std::shared_ptr<const LeaseTrust> trust,
              std::function<void(const std::string& shard)> on_idle);

  // Whether a handler is running, or waits for a thread, for this shard.
  bool busy(const std::string& shard) const { return runs_.count(shard) > 0; }
  bool idle() const { return runs_.empty(); }

  // Runs the handler; the shard must not be busy. Sets the batch's deadline, which
  // counts from when a thread takes it. `on_end` is called once, on the loop.
  void Run(Batch batch, absl::Duration timeout, OnEnd on_end);
  // Forgets the shard's run where it has not begun; false where it has.
  bool Withdraw(const std::string& shard);
  // Lets go of the shard's run: `on_end` is not called any more.
  void Abandon(const std::string& shard);
  // Makes running handlers return soon.
  void Abort() { shared_.handler->Abort(); }
  // Runs nothing more, and waits for running handlers; false where one has not
  // returned by then. It keeps its thread, and what it uses, until it does.
  bool Shutdown(absl::Duration timeout) { return pool_.Shutdown(timeout); }

  // Handlers that have not returned in their time, and for how long the first.
  int overruns() const { return static_cast<int>(overruns_.size()); }
  absl::Duration longest_overrun(SteadyTime now) const;

 private:
  struct Run_;
  using RunPtr = std::shared_ptr<Run_>;

  // What a thread of the pool uses: it may outlive this object.
  struct Shared {
    std::shared_ptr<EventLoop> loop;
    std::shared_ptr<Handler> handler;
    std::shared_ptr<const LeaseTrust> trust;
  };

  // On a thread of the pool. `runs` is for the loop, which ends before it does.
  static void Execute(const Shared& shared, HandlerRuns* runs, const RunPtr& run);

  void OnBegun(const RunPtr& run);
  void OnOverrun(const RunPtr& run);
  void OnReturned(const RunPtr& run, const End& end);

  const Shared shared_;
  const std::function<void(const std::string&)> on_idle_;
  std::unordered_map<std::string, RunPtr> runs_;
  std::unordered_map<std::string, SteadyTime> overruns_;  // shard: since when
  ThreadPool pool_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_HANDLER_RUNS_H_
