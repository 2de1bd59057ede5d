#include "worker/internal/event_loop.h"

namespace lowmark {

void EventLoop::Post(std::function<void()> function) {
  MutexLock lock(mutex_);
  if (closed_) return;
  posted_.push_back(std::move(function));
  posted_changed_.NotifyOne();
}

EventLoop::TimerId EventLoop::At(SteadyTime time, std::function<void()> function) {
  const TimerId id = ++last_timer_;
  timers_.emplace(std::pair(time, id), std::move(function));
  times_.emplace(id, time);
  return id;
}

void EventLoop::Cancel(TimerId& timer) {
  if (auto found = times_.find(timer); found != times_.end()) {
    timers_.erase({found->second, timer});
    times_.erase(found);
  }
  timer = 0;
}

void EventLoop::Run() {
  while (!quit_) {
    RunDueTimers();
    if (quit_) return;
    for (auto& function : Await()) {
      function();
      if (quit_) return;
    }
  }
}

void EventLoop::Close() {
  std::deque<std::function<void()>> forgotten;
  {
    MutexLock lock(mutex_);
    closed_ = true;
    forgotten.swap(posted_);
  }
  // What they hold may cancel timers as it goes.
  Timers timers = std::exchange(timers_, {});
  times_.clear();
}

void EventLoop::RunDueTimers() {
  // Timers set for now by timers run in the next round, after what was posted.
  const SteadyTime now = std::chrono::steady_clock::now();
  const TimerId newest = last_timer_;
  while (!quit_ && !timers_.empty()) {
    auto first = timers_.begin();
    if (first->first.first > now || first->first.second > newest) return;
    times_.erase(first->first.second);
    auto function = std::move(timers_.extract(first).mapped());
    function();
  }
}

std::deque<std::function<void()>> EventLoop::Await() {
  MutexLock lock(mutex_);
  while (posted_.empty()) {
    if (timers_.empty()) {
      posted_changed_.Wait(mutex_);
    } else if (!posted_changed_.WaitUntil(mutex_, timers_.begin()->first.first)) {
      break;
    }
  }
  return std::exchange(posted_, {});
}

}  // namespace lowmark
