#include "service/lease_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace lowmark {
namespace {

absl::Duration Left(SteadyTime deadline) {
  return absl::FromChrono(std::chrono::duration_cast<std::chrono::nanoseconds>(
      deadline - std::chrono::steady_clock::now()));
}

}  // namespace

LeaseQueue::LeaseQueue(Store& store, Metrics& metrics, const LeaseQueueOptions& options)
    : store_(store), metrics_(metrics), options_(options) {
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Run(); });
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
  Waiter waiter;
  waiter.call = call;
  waiter.deadline = SteadyDeadline(call.wait);
  waiter.next_try = std::chrono::steady_clock::now();
  waiter.cancelled = std::move(cancelled);
  waiter.done = std::move(done);
  {
    MutexLock lock(mutex_);
    waiting_.push_back(std::move(waiter));
    metrics_.SetWaiting(waiting_.size() + trying_.size());
  }
  changed_.NotifyOne();
}

void LeaseQueue::Wake(const std::string& stream) {
  {
    MutexLock lock(mutex_);
    const SteadyTime now = std::chrono::steady_clock::now();
    const auto concerns = [&](const Waiter& w) {
      return stream.empty() || w.call.stream == stream;
    };
    for (Waiter& waiter : waiting_) {
      if (concerns(waiter)) waiter.next_try = now;
    }
    // A hint that comes during a try may be about what the try did not see.
    for (Waiter& waiter : trying_) waiter.woken = waiter.woken || concerns(waiter);
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
  return SteadyDeadline(options_.retry * share);
}

std::optional<LeaseQueue::Waiters::iterator> LeaseQueue::Take() {
  MutexLock lock(mutex_);
  for (;;) {
    const SteadyTime now = std::chrono::steady_clock::now();
    SteadyTime wake = now + std::chrono::hours(1);
    for (auto waiter = waiting_.begin(); waiter != waiting_.end(); ++waiter) {
      const SteadyTime at = draining_ ? now : std::min(waiter->next_try, waiter->deadline);
      if (at <= now) {
        if (draining_) {
          waiter->deadline = now;
          waiter->tried = true;
        }
        waiter->woken = false;
        trying_.splice(trying_.end(), waiting_, waiter);
        // While this thread is busy another keeps watch over those left: the
        // time until which it sleeps may be from before they were there.
        if (!waiting_.empty()) changed_.NotifyOne();
        return waiter;
      }
      wake = std::min(wake, at);
    }
    if (stopping_) return std::nullopt;
    changed_.WaitUntil(mutex_, wake);
  }
}

void LeaseQueue::Run() {
  while (std::optional<Waiters::iterator> waiter = Take()) {
    if (auto grant = Try(**waiter)) {
      Finish(*waiter, *std::move(grant));
    } else {
      Requeue(*waiter);
    }
  }
}

std::optional<absl::StatusOr<LeaseGrant>> LeaseQueue::Try(Waiter& waiter) {
  if (waiter.cancelled()) {
    if (waiter.tried) Withdraw(waiter.call);
    return absl::CancelledError("the caller is gone");
  }
  const absl::Duration left = Left(waiter.deadline);
  if (left <= absl::ZeroDuration() && waiter.tried) return LeaseGrant();
  LeaseCall call = waiter.call;
  call.renew = !waiter.tried;
  waiter.tried = true;
  call.wait = std::max(left, absl::ZeroDuration());
  absl::StatusOr<LeaseGrant> grant = store_.LeaseShards(call);
  if (!grant.ok()) metrics_.CountStoreError("lease", grant.status());
  // A new worker is not left to wait: it is to know its session's life, and
  // whether to list the stream's shards, without which there are none to lease.
  if (grant.ok() && grant->leases.empty()) {
    if (!grant->opened) return std::nullopt;
    Withdraw(call);
  }
  return grant;
}

void LeaseQueue::Withdraw(const LeaseCall& call) {
  LeaseCall withdrawn = call;
  withdrawn.max_leases = 0;
  withdrawn.wait = absl::ZeroDuration();
  withdrawn.held = std::numeric_limits<int32_t>::max();
  withdrawn.renew = false;
  metrics_.CountStoreError("lease", store_.LeaseShards(withdrawn).status());
  Wake(call.stream);
}

void LeaseQueue::Finish(Waiters::iterator waiter, absl::StatusOr<LeaseGrant> grant) {
  Waiters finished;
  {
    MutexLock lock(mutex_);
    finished.splice(finished.end(), trying_, waiter);
    metrics_.SetWaiting(waiting_.size() + trying_.size());
  }
  waiter->done(std::move(grant));
}

void LeaseQueue::Requeue(Waiters::iterator waiter) {
  MutexLock lock(mutex_);
  waiter->next_try = waiter->woken ? std::chrono::steady_clock::now() : NextRetry();
  waiting_.splice(waiting_.end(), trying_, waiter);
}

}  // namespace lowmark
