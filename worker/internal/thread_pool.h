// A fixed number of threads that run functions, first come, first served.
#ifndef LOWMARK_WORKER_INTERNAL_THREAD_POOL_H_
#define LOWMARK_WORKER_INTERNAL_THREAD_POOL_H_

#include <deque>
#include <functional>
#include <memory>

#include "service/process/mutex.h"

namespace lowmark {

// Thread safe.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  // As Shutdown without waiting.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Submit(std::function<void()> function);

  // Adds a thread in place of one whose function does not return, and takes one
  // away again when it did, so that the others keep their number of threads.
  void AddThread();
  void RemoveThread();

  // Forgets what has not begun, and waits for what has. False where that takes
  // longer than `timeout`; the threads that are left then end by themselves.
  bool Shutdown(absl::Duration timeout);

 private:
  // Shared with the threads, since one that does not return may outlive the pool.
  struct State {
    Mutex mutex;
    CondVar changed;
    std::deque<std::function<void()>> queue LOWMARK_GUARDED_BY(mutex);
    int wanted LOWMARK_GUARDED_BY(mutex) = 0;
    int alive LOWMARK_GUARDED_BY(mutex) = 0;
    bool stopping LOWMARK_GUARDED_BY(mutex) = false;
  };

  static void RunThread(const std::shared_ptr<State>& state);
  void StartThread() LOWMARK_REQUIRES(state_->mutex);

  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_THREAD_POOL_H_
