#include "service/core/assignment.h"

#include <algorithm>
#include <numeric>

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

int64_t Limit(const WorkerLoad& worker) { return worker.held + worker.wanted; }

}  // namespace

std::vector<int64_t> Targets(const Census& census) {
  const std::vector<WorkerLoad>& workers = census.workers;
  std::vector<int64_t> targets(workers.size(), 0);
  if (census.paused) return targets;
  std::vector<size_t> open(workers.size());
  std::iota(open.begin(), open.end(), size_t{0});
  int64_t left = census.shards;
  int64_t capacities = 0;
  for (const WorkerLoad& worker : workers) capacities += worker.capacity;

  // Workers that take no more than their quota get what they take; what they
  // leave raises the quota of the others.
  for (bool settled = false; !settled;) {
    settled = true;
    const int64_t shards = left;
    const int64_t of = capacities;
    std::erase_if(open, [&](size_t i) {
      if (Limit(workers[i]) * of > shards * workers[i].capacity) return false;
      targets[i] = Limit(workers[i]);
      left -= targets[i];
      capacities -= workers[i].capacity;
      settled = false;
      return true;
    });
  }

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
  return targets;
}

int64_t MayLease(const Census& census, const std::string& worker) {
  const std::vector<int64_t> targets = Targets(census);
  for (size_t i = 0; i < targets.size(); ++i) {
    if (census.workers[i].worker == worker) {
      return std::max<int64_t>(0, targets[i] - census.workers[i].held);
    }
  }
  return 0;
}

std::vector<int64_t> ToHandOver(const Census& census) {
  std::vector<int64_t> excess = Targets(census);
  for (size_t i = 0; i < excess.size(); ++i) {
    excess[i] = std::max<int64_t>(0, census.workers[i].held - excess[i]);
  }
  return excess;
}

}  // namespace lowmark
