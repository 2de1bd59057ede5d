#include "service/core/assignment.h"

#include <algorithm>
#include <queue>

namespace lowmark {
namespace {

// Which worker gets the next shard.
struct Claim {
  double load;    // share of its capacity that would be used with one more
  int64_t extra;  // shards it holds beyond what it was given so far
  size_t index;
};

// Orders a max-heap: the least loaded first; among equals the one that holds
// more already, so that nothing moves without need; then the census' order.
struct Later {
  bool operator()(const Claim& a, const Claim& b) const {
    if (a.load != b.load) return a.load > b.load;
    if (a.extra != b.extra) return a.extra < b.extra;
    return a.index > b.index;
  }
};

}  // namespace

std::vector<int64_t> Targets(const Census& census) {
  std::vector<int64_t> targets(census.workers.size(), 0);
  if (census.paused) return targets;
  std::priority_queue<Claim, std::vector<Claim>, Later> claims;
  auto claim = [&](size_t i) {
    const WorkerLoad& worker = census.workers[i];
    if (targets[i] >= worker.held + worker.wanted) return;
    claims.push(
        {static_cast<double>(targets[i] + 1) / worker.capacity, worker.held - targets[i], i});
  };
  for (size_t i = 0; i < census.workers.size(); ++i) claim(i);
  for (int64_t left = census.shards; left > 0 && !claims.empty(); --left) {
    const size_t i = claims.top().index;
    claims.pop();
    ++targets[i];
    claim(i);
  }
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
