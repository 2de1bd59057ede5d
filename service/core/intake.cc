#include "service/core/intake.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <utility>

namespace lowmark {
namespace {

bool TakesPart(const WorkerLoad& worker) { return !worker.cordoned && !worker.draining; }

bool AnyProven(const std::vector<WorkerLoad>& workers) {
  return std::any_of(workers.begin(), workers.end(), [](const WorkerLoad& worker) {
    return worker.proven && TakesPart(worker) && worker.held + worker.wanted > 0;
  });
}

// The vessel's level when it has been given `shards`.
double Level(const Vessel& vessel, int64_t shards) {
  return (vessel.load + static_cast<double>(shards) * vessel.shard) / vessel.capacity;
}

// The shards that the vessel is given while it is below the level.
int64_t ShardsBelow(const Vessel& vessel, double level) {
  const double shards = std::ceil((level * vessel.capacity - vessel.load) / vessel.shard);
  return static_cast<int64_t>(std::clamp(shards, 0.0, static_cast<double>(vessel.room)));
}

// A start for Pour: shards that are given in any case, nearly all of them, without
// going through them one by one. Halves the range in which the final level lies
// until it is as narrow as numbers allow, and leaves a shard of every vessel for
// the exact comparison.
std::vector<int64_t> PourMost(const std::vector<Vessel>& vessels, int64_t shards) {
  double low = Level(vessels[0], 0);
  double high = low;
  for (const Vessel& vessel : vessels) {
    low = std::min(low, Level(vessel, 0));
    high = std::max(high, Level(vessel, vessel.room));
  }
  for (int halving = 0; halving < 60; ++halving) {
    const double level = low + (high - low) / 2;
    int64_t below = 0;
    for (const Vessel& vessel : vessels) below += ShardsBelow(vessel, level);
    (below <= shards ? low : high) = level;
  }
  std::vector<int64_t> given;
  for (const Vessel& vessel : vessels) {
    given.push_back(std::max<int64_t>(0, ShardsBelow(vessel, low) - 1));
  }
  return given;
}

}  // namespace

Intake IntakeOf(const Census& census) {
  const std::vector<WorkerLoad>& workers = census.workers;
  Intake intake;
  intake.first.assign(workers.size(), 0);
  intake.then.assign(workers.size(), 0);
  if (census.paused) return intake;
  const bool any_proven = AnyProven(workers);
  for (size_t i = 0; i < workers.size(); ++i) {
    if (!TakesPart(workers[i])) continue;
    intake.first[i] = workers[i].wanted;
    if (workers[i].proven || !any_proven) continue;
    const int64_t trial = workers[i].held == 0 ? 1 : 0;
    intake.first[i] = std::min(trial, workers[i].wanted);
    intake.then[i] = workers[i].wanted - intake.first[i];
  }
  return intake;
}

std::vector<int64_t> Pour(const std::vector<Vessel>& vessels, int64_t shards) {
  std::vector<int64_t> given;
  int64_t left = shards;
  for (const Vessel& vessel : vessels) {
    given.push_back(vessel.room);
    left -= vessel.room;
  }
  if (left >= 0) return given;

  given.assign(vessels.size(), 0);
  left = std::max<int64_t>(0, shards);
  if (left > static_cast<int64_t>(vessels.size())) given = PourMost(vessels, left);
  using Next = std::pair<double, size_t>;
  std::priority_queue<Next, std::vector<Next>, std::greater<>> lowest;
  for (size_t i = 0; i < vessels.size(); ++i) {
    left -= given[i];
    if (given[i] < vessels[i].room) lowest.emplace(Level(vessels[i], given[i]), i);
  }
  for (; left > 0 && !lowest.empty(); --left) {
    const size_t i = lowest.top().second;
    lowest.pop();
    if (++given[i] < vessels[i].room) lowest.emplace(Level(vessels[i], given[i]), i);
  }
  return given;
}

}  // namespace lowmark
