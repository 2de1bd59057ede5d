#include "service/heartbeats.h"

#include <unordered_map>
#include <utility>

#include "service/core/error.h"
#include "service/core/expiry.h"

namespace lowmark {

namespace {

// Heartbeats of a stream that may wait: a larger fleet's could not be answered in
// time.
constexpr size_t kMostWaiting = 20000;

absl::Status TooMany() {
  return MarkReached(
      Unavailable("the coordinator has more calls than it can answer; retry with backoff"));
}

}  // namespace

void Heartbeats::Beat(const std::string& stream, Renewal renewal, std::function<bool()> cancelled,
                      Done done) {
  bool first = false;
  bool full = false;
  {
    MutexLock lock(mutex_);
    auto [queue, added] = waiting_.try_emplace(stream);
    full = queue->second.size() >= kMostWaiting;
    if (!full) queue->second.push_back({std::move(renewal), std::move(cancelled), done});
    first = added;
  }
  if (full) {
    done(TooMany());
    return;
  }
  if (first) Schedule(stream);
}

void Heartbeats::Schedule(const std::string& stream) {
  if (executor_.Run([this, stream] { Run(stream); })) return;
  Waiters refused;
  {
    MutexLock lock(mutex_);
    refused = std::move(waiting_.extract(stream).mapped());
  }
  for (const Waiter& waiter : refused) waiter.done(TooMany());
}

void Heartbeats::Run(const std::string& stream) {
  Waiters waiters;
  {
    MutexLock lock(mutex_);
    waiters = std::exchange(waiting_.find(stream)->second, {});
  }
  Write(stream, std::move(waiters));
  {
    MutexLock lock(mutex_);
    auto queue = waiting_.find(stream);
    if (queue->second.empty()) {
      waiting_.erase(queue);
      return;
    }
  }
  // What came meanwhile takes its turn behind what others wait for.
  Schedule(stream);
}

void Heartbeats::Write(const std::string& stream, Waiters waiters) {
  std::vector<Renewal> renewals;
  std::unordered_map<std::string, size_t> index;
  std::vector<size_t> of(waiters.size());
  std::vector<bool> gone(waiters.size(), false);
  for (size_t i = 0; i < waiters.size(); ++i) {
    gone[i] = waiters[i].cancelled();
    if (gone[i]) continue;
    auto [found, added] = index.try_emplace(waiters[i].renewal.worker, renewals.size());
    of[i] = found->second;
    if (added) {
      renewals.push_back(std::move(waiters[i].renewal));
    } else {
      renewals[of[i]] = std::move(waiters[i].renewal);
    }
  }
  absl::StatusOr<std::vector<absl::StatusOr<SessionView>>> views;
  if (!renewals.empty()) views = store_.RenewSessions(stream, renewals, session_ttl_);
  for (size_t i = 0; i < waiters.size(); ++i) {
    if (gone[i]) {
      waiters[i].done(absl::CancelledError("the caller is gone"));
    } else if (!views.ok()) {
      waiters[i].done(views.status());
    } else {
      waiters[i].done((*views)[of[i]]);
    }
  }
}

}  // namespace lowmark
