#include "service/lease_queue.h"

#include <algorithm>
#include <utility>

namespace lowmark {
namespace {

absl::Duration Left(SteadyTime deadline) {
  return absl::FromChrono(std::chrono::duration_cast<std::chrono::nanoseconds>(
      deadline - std::chrono::steady_clock::now()));
}

}  // namespace

LeaseQueue::LeaseQueue(Store& store, Metrics& metrics, int threads)
    : store_(store), metrics_(metrics) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

LeaseQueue::~LeaseQueue() {
  Drain();
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
}

void LeaseQueue::Wait(const LeaseCall& call, std::function<bool()> cancelled, Done done) {
  {
    MutexLock lock(mutex_);
    const SteadyTime now = std::chrono::steady_clock::now();
    waiters_.push_back(
        {call, SteadyDeadline(call.wait), now, wakes_, std::move(cancelled), std::move(done)});
    metrics_.SetWaiting(waiters_.size());
  }
  changed_.NotifyOne();
}

void LeaseQueue::Wake(const std::string& stream) {
  {
    MutexLock lock(mutex_);
    ++wakes_;
    const SteadyTime now = std::chrono::steady_clock::now();
    for (Waiter& waiter : waiters_) {
      if (stream.empty() || waiter.call.stream == stream) waiter.next_try = now;
    }
  }
  changed_.NotifyAll();
}

void LeaseQueue::Drain() {
  {
    MutexLock lock(mutex_);
    draining_ = true;
  }
  changed_.NotifyAll();
}

SteadyTime LeaseQueue::NextRetry() {
  // A spread is all that is wanted of this: a linear congruence will do.
  jitter_ = jitter_ * 6364136223846793005u + 1442695040888963407u;
  const double share = 0.5 + static_cast<double>(jitter_ >> 40) / (1 << 24);
  return SteadyDeadline(kRetry * share);
}

bool LeaseQueue::Take(std::list<Waiter>& due) {
  MutexLock lock(mutex_);
  for (;;) {
    const SteadyTime now = std::chrono::steady_clock::now();
    SteadyTime wake = now + std::chrono::hours(1);
    for (auto waiter = waiters_.begin(); waiter != waiters_.end(); ++waiter) {
      const SteadyTime at = draining_ ? now : std::min(waiter->next_try, waiter->deadline);
      if (at <= now) {
        due.splice(due.begin(), waiters_, waiter);
        if (draining_) due.front().deadline = now;
        due.front().wakes = wakes_;
        metrics_.SetWaiting(waiters_.size());
        return true;
      }
      wake = std::min(wake, at);
    }
    if (stopping_) return false;
    changed_.WaitUntil(mutex_, wake);
  }
}

void LeaseQueue::Run() {
  std::list<Waiter> due;
  while (Take(due)) {
    Try(due);
    due.clear();
  }
}

void LeaseQueue::Try(std::list<Waiter>& due) {
  Waiter& waiter = due.front();
  if (waiter.cancelled()) {
    waiter.done(absl::CancelledError("the caller is gone"));
    return;
  }
  const absl::Duration left = Left(waiter.deadline);
  if (left <= absl::ZeroDuration()) {
    waiter.done(LeaseGrant());
    return;
  }
  LeaseCall call = waiter.call;
  call.wait = left;
  absl::StatusOr<LeaseGrant> grant = store_.LeaseShards(call);
  if (!grant.ok() || !grant->leases.empty()) {
    if (!grant.ok()) metrics_.CountStoreError("lease", grant.status());
    waiter.done(std::move(grant));
    return;
  }
  MutexLock lock(mutex_);
  // A hint that came during the try may be about what the try did not see.
  waiter.next_try = waiter.wakes == wakes_ ? NextRetry() : std::chrono::steady_clock::now();
  waiters_.splice(waiters_.end(), due);
  metrics_.SetWaiting(waiters_.size());
}

}  // namespace lowmark
