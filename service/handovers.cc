#include "service/handovers.h"

#include <algorithm>
#include <utility>

#include "service/core/assignment.h"
#include "service/core/lease.h"

namespace lowmark {
namespace {

// A stream whose workers were not heard of for so long is none of ours.
constexpr absl::Duration kForgotten = absl::Minutes(2);

bool AnyoneWants(const Census& census) {
  return census.paused || std::any_of(census.workers.begin(), census.workers.end(),
                                      [](const WorkerLoad& w) { return w.wanted > 0; });
}

}  // namespace

Handovers::Handovers(Store& store, Metrics& metrics, absl::Duration interval)
    : store_(store), metrics_(metrics), interval_(interval), thread_([this] { Run(); }) {}

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

bool Handovers::Asked(const std::string& stream, const std::string& shard, int64_t epoch) const {
  if (none_asked_) return false;
  MutexLock lock(mutex_);
  auto requests = asked_.find(stream);
  if (requests == asked_.end()) return false;
  auto request = requests->second.find(shard);
  return request != requests->second.end() && request->second.epoch == epoch;
}

std::vector<std::string> Handovers::AskedOf(const std::string& stream,
                                            const std::string& worker) const {
  std::vector<std::string> shards;
  if (none_asked_) return shards;
  MutexLock lock(mutex_);
  auto requests = asked_.find(stream);
  if (requests == asked_.end()) return shards;
  for (const auto& [shard, request] : requests->second) {
    if (request.worker == worker) shards.push_back(shard);
  }
  return shards;
}

void Handovers::NoteReleased(const std::string& stream, const std::string& shard, int64_t epoch) {
  if (!Asked(stream, shard, epoch)) return;
  {
    MutexLock lock(mutex_);
    asked_[stream].erase(shard);
  }
  metrics_.CountHandoff(stream, /*forced=*/false);
}

void Handovers::Run() {
  for (;;) {
    std::vector<std::string> streams;
    {
      MutexLock lock(mutex_);
      const SteadyTime next = SteadyDeadline(interval_);
      while (!stopping_ && stopping_changed_.WaitUntil(mutex_, next)) {
      }
      if (stopping_) return;
      const SteadyTime forgotten =
          std::chrono::steady_clock::now() - absl::ToChronoMilliseconds(kForgotten);
      std::erase_if(active_, [&](const auto& entry) { return entry.second < forgotten; });
      for (const auto& entry : active_) streams.push_back(entry.first);
    }
    for (const std::string& stream : streams) Balance(stream);
    MutexLock lock(mutex_);
    std::erase_if(asked_, [&](const auto& entry) {
      return entry.second.empty() || !active_.contains(entry.first);
    });
    none_asked_ = asked_.empty();
  }
}

void Handovers::Balance(const std::string& stream) {
  absl::StatusOr<Requests> wanted = Choose(stream);
  if (!wanted.ok()) {
    metrics_.CountStoreError("balance", wanted.status());
    return;
  }
  Requests overdue;
  absl::StatusOr<Stream> config = absl::UnknownError("not needed");
  if (!wanted->empty()) config = store_.GetStream(stream);
  {
    MutexLock lock(mutex_);
    Requests& asked = asked_[stream];
    for (auto& [shard, request] : *wanted) {
      auto before = asked.find(shard);
      if (before == asked.end() || before->second.epoch != request.epoch) continue;
      request.since = before->second.since;
      if (!config.ok()) continue;
      const SteadyTime due =
          request.since + absl::ToChronoMilliseconds(config->policy.handoff_timeout);
      if (std::chrono::steady_clock::now() > due) overdue.emplace(shard, request);
    }
    asked = *std::move(wanted);
    if (!asked.empty()) none_asked_ = false;
  }
  if (!overdue.empty()) TakeAway(stream, overdue);
}

absl::StatusOr<Handovers::Requests> Handovers::Choose(const std::string& stream) {
  Requests requests;
  absl::StatusOr<Census> census = store_.ReadCensus(stream);
  if (!census.ok()) return census.status();
  if (!AnyoneWants(*census)) return requests;
  const std::vector<int64_t> excess = ToHandOver(*census);
  for (size_t i = 0; i < excess.size(); ++i) {
    if (excess[i] == 0) continue;
    const std::string& worker = census->workers[i].worker;
    auto leases = store_.ListLeases(stream, worker, static_cast<int32_t>(excess[i]));
    if (!leases.ok()) return leases.status();
    for (const Shard& shard : *leases) {
      requests[shard.shard] = {worker, shard.epoch, std::chrono::steady_clock::now()};
    }
  }
  return requests;
}

void Handovers::TakeAway(const std::string& stream, const Requests& overdue) {
  std::vector<ShardUpdate> updates;
  for (const auto& [shard, request] : overdue) {
    updates.push_back({shard, [request = request](const ShardView& view) {
                         ShardChange change;
                         if (view.shard.epoch != request.epoch ||
                             view.shard.owner != request.worker) {
                           return absl::StatusOr<ShardChange>(std::move(change));
                         }
                         change.changed = true;
                         change.shard = Vacate(view.shard);
                         ShardEvent event;
                         event.kind = "taken";
                         event.epoch = request.epoch;
                         event.delivery = view.shard.state.delivery;
                         event.actor = request.worker;
                         event.detail = "not handed over within handoff_timeout";
                         change.events.push_back(std::move(event));
                         return absl::StatusOr<ShardChange>(std::move(change));
                       }});
  }
  for (const absl::Status& status : store_.UpdateShards(stream, updates)) {
    if (status.ok()) metrics_.CountHandoff(stream, /*forced=*/true);
  }
}

}  // namespace lowmark
