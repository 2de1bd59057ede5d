#include "service/core/balance_by_number.h"

#include <algorithm>
#include <numeric>

#include "service/core/intake.h"

namespace lowmark {
namespace {

// A worker's share of the shards is its quota, shards * capacity / capacities:
// it gets that rounded down, and some workers get one more.
struct Quota {
  size_t index;
  int64_t whole;      // rounded down
  int64_t remainder;  // in units of 1 / capacities
  bool keeps;         // holds more than `whole` already
};

// Who gets one more: first those that would lose a shard otherwise, so that
// nothing moves without need; then the largest remainder; then census' order.
bool GetsMoreBefore(const Quota& a, const Quota& b) {
  if (a.keeps != b.keeps) return a.keeps;
  if (a.remainder != b.remainder) return a.remainder > b.remainder;
  return a.index < b.index;
}

// Gives every worker of `open` its quota of `left` shards, of capacities that add
// up to `capacities`. None of them is full with it.
void GiveQuotas(const std::vector<WorkerLoad>& workers, const std::vector<size_t>& open,
                int64_t left, int64_t capacities, std::vector<int64_t>& targets) {
  std::vector<Quota> quotas;
  int64_t rest = open.empty() ? 0 : left;
  for (size_t i : open) {
    const int64_t share = left * workers[i].capacity;
    const int64_t whole = share / capacities;
    targets[i] = whole;
    rest -= whole;
    if (share % capacities != 0) {
      quotas.push_back({i, whole, share % capacities, workers[i].held > whole});
    }
  }
  std::sort(quotas.begin(), quotas.end(), GetsMoreBefore);
  for (int64_t i = 0; i < rest; ++i) ++targets[quotas[i].index];
}

// Shares `shards` out among the workers `open`, none of which gets more than its
// limit. Products stay far below 2^63: a million shards, and capacities of a
// million for each of ten thousand workers, make 10^16.
void Share(const std::vector<WorkerLoad>& workers, std::vector<size_t> open,
           const std::vector<int64_t>& limits, int64_t shards, std::vector<int64_t>& targets) {
  int64_t left = shards;
  int64_t capacities = 0;
  for (size_t i : open) capacities += workers[i].capacity;
  std::sort(open.begin(), open.end(), [&](size_t a, size_t b) {
    const int64_t fills_a = limits[a] * workers[b].capacity;
    const int64_t fills_b = limits[b] * workers[a].capacity;
    return fills_a != fills_b ? fills_a < fills_b : a < b;
  });
  // Workers that take no more than their quota get what they take; what they
  // leave raises the quota of the others. The one that is full first comes first.
  size_t full = 0;
  for (; full < open.size(); ++full) {
    const size_t i = open[full];
    if (limits[i] * capacities > left * workers[i].capacity) break;
    targets[i] = limits[i];
    left -= limits[i];
    capacities -= workers[i].capacity;
  }
  open.erase(open.begin(), open.begin() + static_cast<std::ptrdiff_t>(full));
  GiveQuotas(workers, open, left, capacities, targets);
}

}  // namespace

std::vector<int64_t> Targets(const Census& census) {
  const std::vector<WorkerLoad>& workers = census.workers;
  std::vector<int64_t> targets(workers.size(), 0);
  if (census.paused) return targets;
  const Intake intake = IntakeOf(census);
  std::vector<size_t> all(workers.size());
  std::iota(all.begin(), all.end(), size_t{0});
  std::vector<int64_t> limits(workers.size(), 0);
  for (size_t i : all) {
    if (!workers[i].draining) limits[i] = workers[i].held + workers[i].wanted;
  }
  Share(workers, all, limits, census.shards, targets);

  // Cordoned and unproven workers are held back where this gives them more than they
  // may have. It does not where all have their share, as after a cold start; then
  // nothing is to move because one of them was the first to prove itself.
  bool too_much = false;
  for (size_t i : all) {
    if (!workers[i].draining) limits[i] = workers[i].held + intake.first[i];
    too_much = too_much || targets[i] > limits[i];
  }
  if (!too_much) return targets;
  Share(workers, all, limits, census.shards, targets);

  int64_t rest = census.shards - std::accumulate(targets.begin(), targets.end(), int64_t{0});
  if (rest == 0) return targets;
  // All others are full: what is left goes to those that were held back after all.
  std::erase_if(all, [&](size_t i) { return intake.then[i] == 0; });
  for (size_t i : all) {
    rest += limits[i];
    limits[i] += intake.then[i];
  }
  Share(workers, all, limits, rest, targets);
  return targets;
}

std::vector<int64_t> ShareOutByNumber(const Census& census, int64_t free) {
  const std::vector<int64_t> targets = Targets(census);
  std::vector<Vessel> vessels;
  for (size_t i = 0; i < targets.size(); ++i) {
    const WorkerLoad& worker = census.workers[i];
    const int64_t missing = std::max<int64_t>(0, targets[i] - worker.held);
    // The more is missing, the lower its level.
    vessels.push_back({-static_cast<double>(missing), 1.0, static_cast<double>(worker.capacity),
                       std::min(missing, worker.wanted)});
  }
  return Pour(vessels, free);
}

std::vector<Excess> ToHandOverByNumber(const Census& census) {
  const std::vector<int64_t> targets = Targets(census);
  std::vector<Excess> excess(targets.size());
  for (size_t i = 0; i < targets.size(); ++i) {
    excess[i].shards = std::max<int64_t>(0, census.workers[i].held - targets[i]);
  }
  return excess;
}

}  // namespace lowmark
