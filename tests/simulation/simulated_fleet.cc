#include "tests/simulation/simulated_fleet.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

namespace lowmark {

SimulatedFleet::SimulatedFleet(const FleetOptions& options, uint64_t seed)
    : options_(options), random_(seed), shards_(options.shards) {
  for (int32_t i = 0; i < static_cast<int32_t>(shards_.size()); ++i) free_.push_back(i);
  // Leases of the start are as old as they need to be.
  now_ = options.settling;
  StartPhase();
}

size_t SimulatedFleet::Join(int32_t capacity, int64_t most_shards) {
  const size_t number = workers_.size();
  FleetWorker worker;
  worker.name = "w" + std::to_string(number);
  worker.capacity = capacity;
  worker.most_shards = most_shards;
  worker.proven_at = now_ + 2 + static_cast<int64_t>(random_() % options_.heartbeat);
  workers_.push_back(std::move(worker));
  return number;
}

void SimulatedFleet::Leave(size_t worker) {
  const std::vector<int32_t> shards = workers_[worker].shards;
  for (int32_t shard : shards) Free(shard);
  workers_[worker].gone = true;
}

void SimulatedFleet::Crash(size_t worker) { workers_[worker].ends_at = now_ + options_.ttl; }

void SimulatedFleet::StartPhase() {
  figures_ = FleetFigures();
  phase_start_ = now_;
  for (FleetShard& shard : shards_) shard.moves = 0;
}

bool SimulatedFleet::Round() {
  ++now_;
  changed_ = false;
  figures_.decision_ms.push_back(0);
  EndSessions();
  HandOver();
  ShareOutFree();
  figures_.most_stuck = std::max(figures_.most_stuck, stuck());
  if (changed_) figures_.rounds = now_ - phase_start_;
  return changed_;
}

bool SimulatedFleet::Settle(int64_t most) {
  // Nothing that may still cause a change takes longer.
  const int64_t longest = std::max({options_.ttl, options_.heartbeat, options_.settling}) + 1;
  int64_t quiet = 0;
  for (int64_t round = 0; round < most && quiet <= longest; ++round) {
    quiet = Round() ? 0 : quiet + 1;
  }
  return quiet > longest;
}

void SimulatedFleet::EndSessions() {
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (!workers_[i].gone && Dead(workers_[i]) && workers_[i].ends_at <= now_) Leave(i);
  }
}

std::vector<size_t> SimulatedFleet::Observed() const {
  std::vector<size_t> observed;
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (!workers_[i].gone) observed.push_back(i);
  }
  return observed;
}

Census SimulatedFleet::Observe() const {
  Census census;
  census.shards = static_cast<int64_t>(shards_.size());
  census.paused = paused_;
  census.frozen = frozen_;
  census.by_load = options_.by_load;
  for (size_t i : Observed()) {
    const FleetWorker& worker = workers_[i];
    WorkerLoad load;
    load.worker = worker.name;
    load.capacity = worker.capacity;
    load.held = held(i);
    load.wanted = Dead(worker) ? 0 : std::max<int64_t>(0, worker.most_shards - load.held);
    // A worker sends no heartbeat when it is dead.
    load.proven = worker.proven_at <= (Dead(worker) ? worker.ends_at - options_.ttl : now_);
    load.cordoned = worker.cordoned;
    load.draining = worker.draining;
    if (options_.by_load) load.load = LoadOf(i) * worker.error;
    census.workers.push_back(std::move(load));
  }
  return census;
}

template <typename Decision>
auto SimulatedFleet::Timed(Decision decision) {
  const auto start = std::chrono::steady_clock::now();
  auto decided = decision();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  figures_.decision_ms.back() += took.count();
  return decided;
}

void SimulatedFleet::HandOver() {
  std::uniform_real_distribution<double> error(1 - options_.noise, 1 + options_.noise);
  for (FleetWorker& worker : workers_) {
    if (options_.noise > 0 && !worker.gone) worker.error = error(random_);
  }
  const std::vector<size_t> lines = Observed();
  const Census census = Observe();
  const std::vector<Excess> excess = Timed([&] { return ToHandOver(census); });
  for (size_t line = 0; line < lines.size(); ++line) {
    const FleetWorker& worker = workers_[lines[line]];
    if (!excess[line].any() || Dead(worker)) continue;
    const std::vector<HeldShard> held = HeldBy(worker);
    // An operator's word does not wait for shards to settle.
    const bool waits = !worker.draining && !paused_;
    const absl::Duration settling = absl::Seconds(waits ? options_.settling : 0);
    const std::vector<size_t> chosen = Timed([&] {
      return ChooseToHandOver(held, excess[line], Now(), settling, options_.moves_per_round);
    });
    std::vector<int32_t> shards;
    for (size_t i : chosen) shards.push_back(worker.shards[i]);
    for (int32_t shard : shards) {
      if (waits && now_ - shards_[shard].leased_at < options_.settling) ++figures_.early;
      Free(shard);
    }
  }
}

void SimulatedFleet::ShareOutFree() {
  if (free_.empty()) return;
  const std::vector<size_t> lines = Observed();
  const Census census = Observe();
  const std::vector<int64_t> given =
      Timed([&] { return ShareOut(census, static_cast<int64_t>(free_.size())); });
  std::shuffle(free_.begin(), free_.end(), random_);
  for (size_t line = 0; line < lines.size(); ++line) {
    for (int64_t i = 0; i < given[line]; ++i) {
      const int32_t shard = free_.back();
      free_.pop_back();
      Give(shard, lines[line]);
    }
  }
}

void SimulatedFleet::Free(int32_t shard) {
  FleetShard& freed = shards_[shard];
  std::vector<int32_t>& shards = workers_[freed.owner].shards;
  shards[freed.place] = shards.back();
  shards_[shards.back()].place = freed.place;
  shards.pop_back();
  freed.last_owner = std::exchange(freed.owner, kNobody);
  free_.push_back(shard);
  changed_ = true;
}

void SimulatedFleet::Give(int32_t shard, size_t worker) {
  FleetShard& given = shards_[shard];
  given.owner = static_cast<int32_t>(worker);
  given.place = static_cast<int32_t>(workers_[worker].shards.size());
  given.leased_at = now_;
  workers_[worker].shards.push_back(shard);
  changed_ = true;
  if (given.owner == given.last_owner) return;
  ++figures_.moved;
  figures_.most_moves = std::max<int64_t>(figures_.most_moves, ++given.moves);
}

std::vector<HeldShard> SimulatedFleet::HeldBy(const FleetWorker& worker) const {
  std::vector<HeldShard> held;
  held.reserve(worker.shards.size());
  for (int32_t i : worker.shards) {
    held.push_back({"s" + std::to_string(i), 1, absl::FromUnixSeconds(shards_[i].leased_at),
                    shards_[i].load * worker.error});
  }
  return held;
}

std::vector<size_t> SimulatedFleet::Working() const {
  std::vector<size_t> working;
  for (size_t i = 0; i < workers_.size(); ++i) {
    const FleetWorker& worker = workers_[i];
    if (!worker.gone && !Dead(worker) && !worker.draining) working.push_back(i);
  }
  return working;
}

double SimulatedFleet::LoadOf(size_t worker) const {
  double load = 0;
  for (int32_t shard : workers_[worker].shards) load += shards_[shard].load;
  return load;
}

double SimulatedFleet::LightestOf(size_t worker) const {
  double lightest = std::numeric_limits<double>::infinity();
  for (int32_t shard : workers_[worker].shards) lightest = std::min(lightest, shards_[shard].load);
  return lightest;
}

std::vector<double> SimulatedFleet::ShardLoads() const {
  std::vector<double> loads;
  loads.reserve(shards_.size());
  for (const FleetShard& shard : shards_) loads.push_back(shard.load);
  return loads;
}

int64_t SimulatedFleet::stuck() const {
  int64_t stuck = static_cast<int64_t>(free_.size());
  for (const FleetWorker& worker : workers_) {
    if (!worker.gone && Dead(worker)) stuck += static_cast<int64_t>(worker.shards.size());
  }
  return stuck;
}

int64_t SimulatedFleet::dead() const {
  return std::count_if(workers_.begin(), workers_.end(),
                       [&](const FleetWorker& worker) { return !worker.gone && Dead(worker); });
}

}  // namespace lowmark
