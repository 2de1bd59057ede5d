// Locks whose rules the compiler checks: std::mutex and std::condition_variable
// with clang's thread-safety annotations (-Wthread-safety; gcc ignores them). They
// are the std types inside so that ThreadSanitizer understands them, which it does
// not with absl::Mutex as Debian builds it.
//
//   class Counter {
//    public:
//     void Add() {
//       MutexLock lock(mutex_);
//       ++count_;
//       changed_.NotifyAll();
//     }
//     // Whether the count reached `n` in time.
//     bool AwaitCount(int n, absl::Duration timeout) {
//       const SteadyTime deadline = SteadyDeadline(timeout);
//       MutexLock lock(mutex_);
//       while (count_ < n) {
//         if (!changed_.WaitUntil(mutex_, deadline)) return false;
//       }
//       return true;
//     }
//
//    private:
//     Mutex mutex_;
//     CondVar changed_;
//     int count_ LOWMARK_GUARDED_BY(mutex_) = 0;
//   };
#ifndef LOWMARK_SERVICE_PROCESS_MUTEX_H_
#define LOWMARK_SERVICE_PROCESS_MUTEX_H_

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

#if defined(__clang__)
#define LOWMARK_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define LOWMARK_THREAD_ANNOTATION(x)
#endif

// The member may be touched only with the mutex held.
#define LOWMARK_GUARDED_BY(mutex) LOWMARK_THREAD_ANNOTATION(guarded_by(mutex))
// What the pointer points to may be touched only with the mutex held.
#define LOWMARK_PT_GUARDED_BY(mutex) LOWMARK_THREAD_ANNOTATION(pt_guarded_by(mutex))
// The function must be called with the mutexes held; without them.
#define LOWMARK_REQUIRES(...) LOWMARK_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define LOWMARK_EXCLUDES(...) LOWMARK_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
// The function takes the mutex; gives it back; takes it where it returns `result`.
#define LOWMARK_ACQUIRE(...) LOWMARK_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define LOWMARK_RELEASE(...) LOWMARK_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define LOWMARK_TRY_ACQUIRE(...) LOWMARK_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
// For the rare function whose locking the analysis cannot follow; say why.
#define LOWMARK_NO_THREAD_SAFETY_ANALYSIS LOWMARK_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace lowmark {

using SteadyTime = std::chrono::steady_clock::time_point;

// The moment `timeout` from now on the clock that nobody sets.
inline SteadyTime SteadyDeadline(absl::Duration timeout) {
  // A century stands for "for ever": sums with the clock's maximum overflow.
  const absl::Duration bounded = std::min(timeout, absl::Hours(24 * 36500));
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(
             absl::ToChronoNanoseconds(std::max(bounded, absl::ZeroDuration())));
}

// Mutual exclusion; not recursive.
class LOWMARK_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() LOWMARK_ACQUIRE() { mutex_.lock(); }
  void Unlock() LOWMARK_RELEASE() { mutex_.unlock(); }
  bool TryLock() LOWMARK_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

// Holds a mutex while it lives.
class LOWMARK_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) LOWMARK_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() LOWMARK_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waiting for what another thread changes. Any wait may wake for nothing: always
// loop on the condition. The mutex must be held by the caller; it is given up
// during the wait and held again afterwards.
class CondVar {
 public:
  void Wait(Mutex& mutex) LOWMARK_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }

  // False when the deadline has passed.
  bool WaitUntil(Mutex& mutex, SteadyTime deadline) LOWMARK_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const std::cv_status status = condition_.wait_until(lock, deadline);
    lock.release();
    return status == std::cv_status::no_timeout;
  }

  // False when the time is up.
  bool WaitFor(Mutex& mutex, absl::Duration timeout) LOWMARK_REQUIRES(mutex) {
    return WaitUntil(mutex, SteadyDeadline(timeout));
  }

  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_MUTEX_H_
