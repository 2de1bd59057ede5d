// Waiting in tests for what other threads do: with a deadline, never by the clock.
#ifndef LOWMARK_TESTS_SERVICE_ANSWERS_H_
#define LOWMARK_TESTS_SERVICE_ANSWERS_H_

#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "service/process/mutex.h"

namespace lowmark {

// Long enough for any machine; a test that passes does not wait for it.
inline constexpr absl::Duration kPatience = absl::Seconds(30);

// Collects what callbacks are called with. Thread-safe; must outlive them.
template <typename T>
class Answers {
 public:
  std::function<void(T)> Sink() {
    return [this](T answer) {
      MutexLock lock(mutex_);
      answers_.push_back(std::move(answer));
      changed_.NotifyAll();
    };
  }

  // Whether at least `count` answers came.
  bool Await(size_t count) {
    const SteadyTime deadline = SteadyDeadline(kPatience);
    MutexLock lock(mutex_);
    while (answers_.size() < count) {
      if (!changed_.WaitUntil(mutex_, deadline)) return answers_.size() >= count;
    }
    return true;
  }

  std::vector<T> All() {
    MutexLock lock(mutex_);
    return answers_;
  }

  size_t size() {
    MutexLock lock(mutex_);
    return answers_.size();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<T> answers_ LOWMARK_GUARDED_BY(mutex_);
};

// Whether the condition came to hold. For what nobody notifies of: it looks every
// millisecond.
inline bool Eventually(const std::function<bool()>& condition) {
  const SteadyTime deadline = SteadyDeadline(kPatience);
  Mutex mutex;
  CondVar never;
  MutexLock lock(mutex);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    never.WaitFor(mutex, absl::Milliseconds(1));
  }
  return true;
}

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SERVICE_ANSWERS_H_
