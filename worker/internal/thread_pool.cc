#include "worker/internal/thread_pool.h"

#include <thread>
#include <utility>

namespace lowmark {

ThreadPool::ThreadPool(int threads) {
  for (int i = 0; i < threads; ++i) AddThread();
}

ThreadPool::~ThreadPool() { Shutdown(absl::ZeroDuration()); }

void ThreadPool::Submit(std::function<void()> function) {
  MutexLock lock(state_->mutex);
  if (state_->stopping) return;
  state_->queue.push_back(std::move(function));
  state_->changed.NotifyOne();
}

void ThreadPool::AddThread() {
  MutexLock lock(state_->mutex);
  if (state_->stopping) return;
  ++state_->wanted;
  if (state_->alive < state_->wanted) StartThread();
}

void ThreadPool::RemoveThread() {
  MutexLock lock(state_->mutex);
  --state_->wanted;
  state_->changed.NotifyAll();
}

bool ThreadPool::Shutdown(absl::Duration timeout) {
  const SteadyTime deadline = SteadyDeadline(timeout);
  std::deque<std::function<void()>> forgotten;  // what it holds may take its time to end
  MutexLock lock(state_->mutex);
  state_->stopping = true;
  forgotten.swap(state_->queue);
  state_->changed.NotifyAll();
  while (state_->alive > 0) {
    if (!state_->changed.WaitUntil(state_->mutex, deadline)) return state_->alive == 0;
  }
  return true;
}

void ThreadPool::StartThread() {
  ++state_->alive;
  std::thread([state = state_] { RunThread(state); }).detach();
}

void ThreadPool::RunThread(const std::shared_ptr<State>& state) {
  for (;;) {
    std::function<void()> function;
    {
      MutexLock lock(state->mutex);
      while (state->queue.empty() && !state->stopping && state->alive <= state->wanted) {
        state->changed.Wait(state->mutex);
      }
      if (state->stopping || state->alive > state->wanted) {
        --state->alive;
        // One that was woken for work, and leaves, passes that on.
        state->changed.NotifyAll();
        return;
      }
      function = std::move(state->queue.front());
      state->queue.pop_front();
    }
    function();
  }
}

}  // namespace lowmark
