#include "service/process/mutex.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace lowmark {
namespace {

class Counter {
 public:
  void Add() {
    MutexLock lock(mutex_);
    ++count_;
    changed_.NotifyAll();
  }

  bool AwaitCount(int n, absl::Duration timeout) {
    const SteadyTime deadline = SteadyDeadline(timeout);
    MutexLock lock(mutex_);
    while (count_ < n) {
      if (!changed_.WaitUntil(mutex_, deadline)) return false;
    }
    return true;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int count_ LOWMARK_GUARDED_BY(mutex_) = 0;
};

TEST(Mutex, ThreadsExcludeEachOther) {
  Counter counter;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) counter.Add();
    });
  }
  EXPECT_TRUE(counter.AwaitCount(4000, absl::InfiniteDuration()));
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(counter.AwaitCount(4001, absl::Milliseconds(1)));
}

// Takes the mutex and gives it back; false where another has it.
bool TryOnce(Mutex& mutex) {
  if (!mutex.TryLock()) return false;
  mutex.Unlock();
  return true;
}

TEST(Mutex, TryLockFailsWhileAnotherHoldsIt) {
  Mutex mutex;
  bool taken = true;
  {
    MutexLock lock(mutex);
    std::thread([&] { taken = TryOnce(mutex); }).join();
  }
  EXPECT_FALSE(taken);
  EXPECT_TRUE(TryOnce(mutex));
}

TEST(CondVar, WaitsNotAtAllForATimeThatHasPassed) {
  Counter counter;
  EXPECT_FALSE(counter.AwaitCount(1, -absl::InfiniteDuration()));
  EXPECT_FALSE(counter.AwaitCount(1, absl::ZeroDuration()));
}

TEST(SteadyDeadline, DoesNotOverflow) {
  EXPECT_GT(SteadyDeadline(absl::InfiniteDuration()),
            std::chrono::steady_clock::now() + std::chrono::hours(24 * 365));
}

}  // namespace
}  // namespace lowmark
