#include "service/lease_queue.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "service/core/error.h"

namespace lowmark {
namespace {

// Where hints arrive, looks without one are only for what no hint tells.
constexpr int kRarerWithHints = 10;
// After the moment when a session expires, so that it has.
constexpr absl::Duration kAfterExpiry = absl::Milliseconds(1);
// Streams with trouble of their own.
constexpr size_t kMostFailed = 10000;

SteadyTime Now() { return std::chrono::steady_clock::now(); }

}  // namespace

LeaseQueue::LeaseQueue(Store& store, Metrics& metrics, const LeaseQueueOptions& options)
    : store_(store),
      metrics_(metrics),
      options_(options),
      rules_(RulesFor(options.session_ttl, options.retry * kRarerWithHints)) {
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

void LeaseQueue::Wait(const std::string& stream, const LeaseCall& call,
                      std::function<bool()> cancelled, Done done) {
  {
    MutexLock lock(mutex_);
    Queue& queue = queues_[stream];
    queue.waiters.push_back(
        {call, SteadyDeadline(call.wait), std::move(cancelled), std::move(done)});
    queue.next_round = std::min(queue.next_round, Now());
    metrics_.SetWaiting(++waiting_);
  }
  changed_.NotifyOne();
}

void LeaseQueue::Wake(const std::string& stream) {
  {
    MutexLock lock(mutex_);
    const SteadyTime now = Now();
    for (auto& [name, queue] : queues_) {
      // Also during a round, which may have looked before.
      if (stream.empty() || name == stream) queue.next_round = std::min(queue.next_round, now);
    }
  }
  changed_.NotifyOne();
}

void LeaseQueue::NoteStore(const std::string& stream, const absl::Status& status) {
  if (absl::IsCancelled(status)) return;
  MutexLock lock(mutex_);
  Note(stream, status, std::nullopt);
}

void LeaseQueue::Note(const std::string& stream, const absl::Status& status,
                      std::optional<absl::Time> store_now) {
  if (absl::IsUnavailable(status)) {
    // All streams' where it may be an outage, or where more fail than are kept account of.
    const bool one = IsMarkedReached(status) && failed_.size() < kMostFailed;
    ExpiryWatch& watch = one ? failed_[stream] : watch_;
    watch = NoteFailure(watch);
    return;
  }
  watch_ = NoteAnswer(watch_, rules_, Monotonic(), store_now);
  auto found = failed_.find(stream);
  if (found == failed_.end()) return;
  found->second = NoteAnswer(found->second, rules_, Monotonic(), std::nullopt);
  if (absl::IsNotFound(status) || Monotonic() >= found->second.settled_at) failed_.erase(found);
}

ClockRange LeaseQueue::MayEnd(const std::string& stream) {
  if (auto found = failed_.find(stream); found != failed_.end()) {
    if (!found->second.reached || Monotonic() < found->second.settled_at) return {};
    failed_.erase(found);
  }
  return MayEndSessions(watch_, rules_, Monotonic());
}

SteadyTime LeaseQueue::Settled(const std::string& stream) {
  absl::Duration settled = watch_.settled_at;
  if (auto found = failed_.find(stream); found != failed_.end()) {
    settled = std::max(settled, found->second.settled_at);
  }
  return settled > Monotonic() ? SteadyDeadline(settled - Monotonic()) : SteadyTime::max();
}

void LeaseQueue::Drain() {
  {
    MutexLock lock(mutex_);
    draining_ = true;
  }
  changed_.NotifyAll();
}

absl::Duration LeaseQueue::Monotonic() const { return absl::FromChrono(Now() - start_); }

absl::Duration LeaseQueue::Poll() const {
  return store_.WatchesFreeShards() ? options_.retry * kRarerWithHints : options_.retry;
}

SteadyTime LeaseQueue::Spread(absl::Duration pause) {
  // A spread is all that is wanted of this: a linear congruence will do.
  jitter_ = jitter_ * 6364136223846793005u + 1442695040888963407u;
  const double share = 0.5 + static_cast<double>(jitter_ >> 40) / (1 << 24);
  return SteadyDeadline(pause * share);
}

// --- Rounds --------------------------------------------------------------------

void LeaseQueue::Run() {
  std::string stream;
  Waiters round;
  while (Take(stream, round)) {
    const SteadyTime next_round = Serve(stream, round);
    Return(stream, std::exchange(round, {}), next_round);
  }
}

bool LeaseQueue::Take(std::string& stream, Waiters& round) {
  MutexLock lock(mutex_);
  for (;;) {
    const SteadyTime now = Now();
    auto first = queues_.end();
    for (auto it = queues_.begin(); it != queues_.end(); ++it) {
      if (it->second.serving) continue;
      if (first == queues_.end() || it->second.next_round < first->second.next_round) first = it;
    }
    if (first != queues_.end() && (draining_ || first->second.next_round <= now)) {
      Queue& queue = first->second;
      stream = first->first;
      round = std::exchange(queue.waiters, {});
      queue.serving = true;
      queue.next_round = SteadyTime::max();  // until a hint or a call comes
      if (draining_) {
        for (Waiter& waiter : round) waiter.deadline = now;
      }
      // While this thread is busy another keeps watch over the other streams.
      changed_.NotifyOne();
      return true;
    }
    if (stopping_) return false;
    SteadyTime wake = now + std::chrono::hours(1);
    if (first != queues_.end()) wake = std::min(wake, first->second.next_round);
    changed_.WaitUntil(mutex_, wake);
  }
}

SteadyTime LeaseQueue::Serve(const std::string& stream, Waiters& round) {
  LeaseRound asked;
  asked.stream = stream;
  asked.session_ttl = options_.session_ttl;
  asked.withdrawn = Dismiss(round);
  if (round.empty() && asked.withdrawn.empty()) return SteadyTime::max();
  const SteadyTime now = Now();
  for (const Waiter& waiter : round) {
    LeaseCall call = waiter.call;
    call.renew = !waiter.served || waiter.unsure;
    call.wait = std::max(absl::ZeroDuration(), absl::FromChrono(waiter.deadline - now));
    asked.calls.push_back(std::move(call));
  }
  {
    MutexLock lock(mutex_);
    const ClockRange range = MayEnd(stream);
    asked.may_end_from = range.from;
    asked.may_end_until = range.until;
  }
  // The store tells its time at the beginning of the call, which may be a long one.
  const absl::Duration asked_at = Monotonic();
  const absl::StatusOr<LeaseAnswers> answers = store_.LeaseShards(asked);
  metrics_.CountStoreError("lease", answers.status());
  Answer(answers, round);

  MutexLock lock(mutex_);
  if (!answers.ok()) {
    if (absl::IsUnavailable(answers.status())) Note(stream, answers.status(), std::nullopt);
    return Spread(options_.retry);
  }
  Note(stream, absl::OkStatus(), answers->now + (Monotonic() - asked_at));
  // Sessions that have expired already may be ended once the store is settled.
  return std::min({Spread(Poll()), Settled(stream),
                   SteadyDeadline(answers->look_again - answers->now + kAfterExpiry)});
}

std::vector<std::string> LeaseQueue::Dismiss(Waiters& round) {
  Waiters kept;
  std::vector<std::string> withdrawn;
  std::unordered_set<std::string> callers;
  const SteadyTime now = Now();
  bool draining = false;
  {
    MutexLock lock(mutex_);
    draining = draining_;
  }
  // From the last on: a worker's last call is the one that counts.
  for (auto waiter = round.rbegin(); waiter != round.rend(); ++waiter) {
    const std::string& worker = waiter->call.worker;
    if (waiter->cancelled()) {
      if (waiter->served) withdrawn.push_back(worker);
      waiter->done(absl::CancelledError("the caller is gone"));
    } else if (draining && !waiter->served) {
      // Not empty-handed: its session was not renewed.
      waiter->done(Unavailable("the coordinator is stopping; another one serves"));
    } else if (!callers.insert(worker).second || (waiter->served && waiter->deadline <= now)) {
      LeaseGrant nothing;
      nothing.elected = waiter->elected;
      waiter->done(std::move(nothing));
    } else {
      kept.push_back(std::move(*waiter));
    }
  }
  std::reverse(kept.begin(), kept.end());
  round = std::move(kept);
  std::erase_if(withdrawn, [&](const std::string& w) { return callers.contains(w); });
  return withdrawn;
}

void LeaseQueue::Answer(const absl::StatusOr<LeaseAnswers>& answers, Waiters& round) {
  Waiters waiting;
  for (size_t i = 0; i < round.size(); ++i) {
    Waiter& waiter = round[i];
    if (!answers.ok()) {
      // One that waited waits on: the store may be back before its time is over.
      if (waiter.served && absl::IsUnavailable(answers.status())) {
        waiter.unsure = true;
        waiting.push_back(std::move(waiter));
      } else {
        waiter.done(answers.status());
      }
      continue;
    }
    const absl::StatusOr<LeaseGrant>& grant = answers->grants[i];
    // A new worker is not left to wait: it is to know its session's life, and
    // whether to list the stream's shards, without which there are none to lease.
    if (!grant.ok() || !grant->leases.empty() || grant->opened || waiter.call.max_leases == 0) {
      waiter.done(grant);
      continue;
    }
    waiter.served = true;
    waiter.unsure = false;
    waiter.elected = grant->elected;
    waiting.push_back(std::move(waiter));
  }
  round = std::move(waiting);
}

void LeaseQueue::Return(const std::string& stream, Waiters round, SteadyTime next_round) {
  size_t before = 0;
  {
    MutexLock lock(mutex_);
    Queue& queue = queues_[stream];
    for (const Waiter& waiter : round) next_round = std::min(next_round, waiter.deadline);
    queue.next_round = std::min(queue.next_round, next_round);
    queue.serving = false;
    // Calls that came meanwhile are later than those that were there.
    round.insert(round.end(), std::make_move_iterator(queue.waiters.begin()),
                 std::make_move_iterator(queue.waiters.end()));
    queue.waiters = std::move(round);
    if (queue.waiters.empty()) queues_.erase(stream);
    waiting_ = 0;
    for (const auto& [name, each] : queues_) waiting_ += each.waiters.size();
    before = waiting_;
  }
  metrics_.SetWaiting(before);
  changed_.NotifyOne();
}

}  // namespace lowmark
