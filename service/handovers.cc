#include "service/handovers.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "service/core/assignment.h"
#include "service/core/lease.h"

namespace lowmark {
namespace {

// A stream whose workers were not heard of for so long is none of ours.
constexpr absl::Duration kForgotten = absl::Minutes(2);

// However few shards a stream has, so many may be asked for at a time.
constexpr int64_t kLeastMoves = 10;

ShardChange Take(const Shard& shard) {
  ShardChange change;
  change.changed = true;
  change.shard = Vacate(shard);
  ShardEvent event;
  event.kind = "taken";
  event.epoch = shard.epoch;
  event.delivery = shard.state.delivery;
  event.actor = shard.owner;
  event.detail = "not handed over within handoff_timeout";
  change.events.push_back(std::move(event));
  return change;
}

}  // namespace

Handovers::Handovers(Store& store, Metrics& metrics, const HandoverOptions& options)
    : store_(store), metrics_(metrics), options_(options), thread_([this] { Run(); }) {}

Handovers::~Handovers() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  stopping_changed_.NotifyAll();
  thread_.join();
}

void Handovers::NoteActivity(const std::string& stream) {
  MutexLock lock(mutex_);
  active_[stream] = std::chrono::steady_clock::now();
}

bool Handovers::Ask(const std::string& stream, const std::string& shard, int64_t epoch) {
  if (none_asked_) return false;
  MutexLock lock(mutex_);
  auto requests = asked_.find(stream);
  if (requests == asked_.end()) return false;
  auto request = requests->second.find(shard);
  if (request == requests->second.end() || request->second.epoch != epoch) return false;
  if (!request->second.told) request->second.told = std::chrono::steady_clock::now();
  return true;
}

std::vector<std::string> Handovers::AskAll(const std::string& stream, const std::string& worker) {
  std::vector<std::string> shards;
  if (none_asked_) return shards;
  MutexLock lock(mutex_);
  auto requests = asked_.find(stream);
  if (requests == asked_.end()) return shards;
  for (auto& [shard, request] : requests->second) {
    if (request.worker != worker) continue;
    if (!request.told) request.told = std::chrono::steady_clock::now();
    shards.push_back(shard);
  }
  return shards;
}

bool Handovers::Withdraw(const std::string& stream, const std::string& shard, int64_t epoch) {
  if (none_asked_) return false;
  MutexLock lock(mutex_);
  auto requests = asked_.find(stream);
  if (requests == asked_.end()) return false;
  auto request = requests->second.find(shard);
  if (request == requests->second.end() || request->second.epoch != epoch) return false;
  requests->second.erase(request);
  return true;
}

void Handovers::Run() {
  for (;;) {
    std::vector<std::string> streams;
    {
      MutexLock lock(mutex_);
      const SteadyTime next = SteadyDeadline(options_.interval);
      while (!stopping_ && stopping_changed_.WaitUntil(mutex_, next)) {
      }
      if (stopping_) return;
      const SteadyTime forgotten =
          std::chrono::steady_clock::now() -
          absl::ToChronoMilliseconds(std::max(kForgotten, options_.session_ttl));
      std::erase_if(active_, [&](const auto& entry) { return entry.second < forgotten; });
      for (const auto& entry : active_) streams.push_back(entry.first);
    }
    for (const std::string& stream : streams) Balance(stream);
    MutexLock lock(mutex_);
    for (auto asked = asked_.begin(); asked != asked_.end();) {
      const bool over = asked->second.empty() || !active_.contains(asked->first);
      asked = over ? asked_.erase(asked) : std::next(asked);
    }
    none_asked_ = asked_.empty();
  }
}

void Handovers::Balance(const std::string& stream) {
  absl::StatusOr<Requests> wanted = Choose(stream);
  if (absl::IsNotFound(wanted.status())) return Forget(stream);
  absl::StatusOr<Stream> config;
  if (wanted.ok() && !wanted->empty()) {
    config = store_.GetStream(stream);
    if (!config.ok()) wanted = config.status();
  }
  if (!wanted.ok()) {
    metrics_.CountStoreError("balance", wanted.status());
    return;
  }
  const Requests overdue =
      Replace(stream, *std::move(wanted),
              config.ok() ? config->policy.handoff_timeout : absl::ZeroDuration());
  if (!overdue.empty()) TakeAway(stream, overdue);
}

Handovers::Requests Handovers::Replace(const std::string& stream, Requests wanted,
                                       absl::Duration handoff_timeout) {
  Requests overdue;
  MutexLock lock(mutex_);
  Requests& asked = asked_[stream];
  for (auto& [shard, request] : wanted) {
    auto before = asked.find(shard);
    if (before == asked.end() || before->second.epoch != request.epoch) continue;
    request = before->second;
    if (Overdue(request, handoff_timeout)) overdue.emplace(shard, request);
  }
  asked = std::move(wanted);
  if (!asked.empty()) none_asked_ = false;
  return overdue;
}

bool Handovers::Overdue(const Request& request, absl::Duration handoff_timeout) const {
  // One that was not told yet is idle and heard of it with its next heartbeat.
  const SteadyTime start =
      request.told.value_or(request.since + absl::ToChronoMilliseconds(options_.session_ttl));
  return std::chrono::steady_clock::now() > start + absl::ToChronoMilliseconds(handoff_timeout);
}

void Handovers::Forget(const std::string& stream) {
  MutexLock lock(mutex_);
  active_.erase(stream);
  asked_.erase(stream);
}

absl::StatusOr<Handovers::Requests> Handovers::Choose(const std::string& stream) {
  Requests requests;
  absl::StatusOr<Census> census = store_.ReadCensus(stream);
  if (!census.ok()) return census.status();
  const std::vector<Excess> excess = ToHandOver(*census);
  int64_t limit = std::max(
      kLeastMoves, static_cast<int64_t>(options_.moves * static_cast<double>(census->shards)));
  for (size_t i = 0; i < excess.size() && limit > 0; ++i) {
    if (!excess[i].any()) continue;
    const std::string& worker = census->workers[i].worker;
    auto held = store_.ListHeld(stream, worker);
    if (!held.ok()) return held.status();
    // What an operator asks for does not wait.
    const absl::Duration settling =
        census->paused || census->workers[i].draining ? absl::ZeroDuration() : options_.settling;
    for (size_t j : ChooseToHandOver(held->shards, excess[i], held->now, settling, limit)) {
      const HeldShard& shard = held->shards[j];
      requests[shard.shard] = {worker, shard.epoch, std::chrono::steady_clock::now(), {}};
      --limit;
    }
  }
  return requests;
}

void Handovers::TakeAway(const std::string& stream, const Requests& overdue) {
  std::vector<ShardUpdate> updates;
  std::deque<bool> taken(overdue.size());
  for (const auto& [shard, request] : overdue) {
    bool& took = taken[updates.size()];
    updates.push_back(
        {shard, [request = request, &took](const ShardView& view) -> absl::StatusOr<ShardChange> {
           took = view.shard.epoch == request.epoch && view.shard.owner == request.worker;
           return took ? Take(view.shard) : ShardChange();
         }});
  }
  const std::vector<absl::Status> statuses = store_.UpdateShards(stream, updates);
  for (size_t i = 0; i < statuses.size(); ++i) {
    metrics_.CountStoreError("balance", statuses[i]);
    if (statuses[i].ok() && taken[i]) metrics_.CountHandoff(stream, /*forced=*/true);
  }
}

}  // namespace lowmark
