// One thread that runs functions one after another, now or at a time. Everything
// that a worker decides is decided on its loop, so none of that needs a lock;
// functions on it must not block.
#ifndef LOWMARK_WORKER_INTERNAL_EVENT_LOOP_H_
#define LOWMARK_WORKER_INTERNAL_EVENT_LOOP_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "service/process/mutex.h"

namespace lowmark {

class EventLoop {
 public:
  // Names a timer; 0 names none.
  using TimerId = uint64_t;

  // Runs `function` on the loop, after what was posted before. Thread safe.
  void Post(std::function<void()> function);

  // Runs `function` on the loop at `time` or soon after. On the loop only.
  TimerId At(SteadyTime time, std::function<void()> function);
  TimerId After(absl::Duration delay, std::function<void()> function) {
    return At(SteadyDeadline(delay), std::move(function));
  }
  // Forgets the timer, where it has not run, and sets `timer` to 0. On the loop only.
  void Cancel(TimerId& timer);

  // Runs what is posted until Quit. The calling thread is the loop's.
  void Run();
  // Forgets everything that was to be run, and will be. After Run has returned.
  void Close();
  // Makes Run return after the function that calls it. On the loop only.
  void Quit() { quit_ = true; }

 private:
  using Timers = std::map<std::pair<SteadyTime, TimerId>, std::function<void()>>;

  void RunDueTimers();
  // Waits for something posted or the next timer; takes what was posted.
  std::deque<std::function<void()>> Await();

  Mutex mutex_;
  CondVar posted_changed_;
  std::deque<std::function<void()>> posted_ LOWMARK_GUARDED_BY(mutex_);
  bool closed_ LOWMARK_GUARDED_BY(mutex_) = false;

  // Touched on the loop alone.
  Timers timers_;
  std::map<TimerId, SteadyTime> times_;
  TimerId last_timer_ = 0;
  bool quit_ = false;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_EVENT_LOOP_H_
