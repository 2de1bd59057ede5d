// A few threads that run what may block, so that the threads of gRPC never do.
#ifndef LOWMARK_SERVICE_EXECUTOR_H_
#define LOWMARK_SERVICE_EXECUTOR_H_

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "service/process/mutex.h"

namespace lowmark {

// Thread-safe.
class Executor {
 public:
  Executor(int threads, size_t queue_limit);
  // Runs what waits, then stops.
  ~Executor();

  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Enqueues `task`; false, and nothing happens, when the queue is full.
  bool Run(std::function<void()> task);

 private:
  void Loop();

  const size_t queue_limit_;
  Mutex mutex_;
  CondVar arrived_;
  std::deque<std::function<void()>> tasks_ LOWMARK_GUARDED_BY(mutex_);
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_EXECUTOR_H_
