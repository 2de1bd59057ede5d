#include "tests/core/fleets.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>
#include <utility>

#include "tests/core/seed.h"

namespace lowmark {
namespace {

constexpr int64_t kManyShards = 100000;

// All that a worker of a small fleet can be.
std::vector<WorkerLoad> SmallWorkers() {
  std::vector<WorkerLoad> workers;
  for (int32_t capacity : {1, 2}) {
    for (int64_t held : {0, 1, 3}) {
      for (int64_t wanted : {0, 1, 4}) {
        for (int kind = 0; kind < 4; ++kind) {
          WorkerLoad worker{"w", capacity, held, wanted};
          worker.cordoned = kind == 1;
          worker.draining = kind == 2;
          worker.proven = kind != 3;
          workers.push_back(worker);
        }
      }
    }
  }
  return workers;
}

int64_t Held(const Census& census) {
  int64_t held = 0;
  for (const WorkerLoad& worker : census.workers) held += worker.held;
  return held;
}

void ForEachFleetOf(size_t workers, Census& census,
                    const std::function<void(const Census&)>& test) {
  if (Held(census) > 5) return;
  if (workers == 0) {
    for (int64_t free : {0, 1, 2}) {
      census.shards = Held(census) + free;
      test(census);
    }
    return;
  }
  static const std::vector<WorkerLoad> kinds = SmallWorkers();
  for (const WorkerLoad& worker : kinds) {
    census.workers.push_back(worker);
    ForEachFleetOf(workers - 1, census, test);
    census.workers.pop_back();
  }
}

// Raises a level until `shards` are in the workers, each filled to its limit at most.
std::vector<double> Fill(const Census& census, const std::vector<double>& limits, double shards) {
  double low = 0;
  double high = 1e7;
  std::vector<double> shares(limits.size());
  for (int i = 0; i < 100; ++i) {
    const double level = (low + high) / 2;
    double sum = 0;
    for (size_t w = 0; w < shares.size(); ++w) {
      shares[w] = std::min(level * census.workers[w].capacity, limits[w]);
      sum += shares[w];
    }
    (sum < shards ? low : high) = level;
  }
  return shares;
}

}  // namespace

int64_t Uniform(Random& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

bool OneIn(Random& random, int64_t n) { return Uniform(random, 1, n) == 1; }

int64_t Sum(const std::vector<int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), int64_t{0});
}

int64_t SumShards(const std::vector<Excess>& excess) {
  int64_t sum = 0;
  for (const Excess& each : excess) sum += each.shards;
  return sum;
}

double SumLoad(const std::vector<Excess>& excess) {
  double sum = 0;
  for (const Excess& each : excess) sum += each.load;
  return sum;
}

uint64_t AnnouncedSeed() {
  const uint64_t seed = TestSeed();
  std::cout << "LOWMARK_TEST_SEED=" << seed << std::endl;
  return seed;
}

Census Fleet(std::vector<WorkerLoad> workers, int64_t shards) {
  Census census;
  census.workers = std::move(workers);
  census.shards = shards;
  return census;
}

Census RandomFleet(Random& random, const FleetKind& kind) {
  Census census;
  const int64_t workers = Uniform(random, 0, 12);
  for (int64_t i = 0; i < workers; ++i) {
    WorkerLoad worker;
    worker.worker = "w" + std::to_string(i);
    worker.capacity = static_cast<int32_t>(OneIn(random, 3) ? Uniform(random, 1, 50) : 1);
    worker.held = Uniform(random, 0, 20);
    worker.wanted = kind.short_of_wishes ? Uniform(random, 0, 10) : kManyShards;
    worker.proven = !kind.unproven || OneIn(random, 2);
    worker.cordoned = kind.operators && OneIn(random, 4);
    worker.draining = kind.operators && OneIn(random, 4);
    if (kind.loads && worker.held > 0) {
      worker.load = static_cast<double>(Uniform(random, 0, 100) * worker.held);
    }
    census.workers.push_back(worker);
  }
  census.shards = Held(census) + Uniform(random, 0, 30);
  return census;
}

void ForEachSmallFleet(const std::function<void(const Census&)>& test) {
  Census census;
  for (size_t workers : {0, 1, 2, 3}) ForEachFleetOf(workers, census, test);
}

bool OnTrial(const Census& census, const WorkerLoad& worker) {
  return !worker.proven &&
         std::any_of(census.workers.begin(), census.workers.end(), [](const WorkerLoad& other) {
           return other.proven && !other.cordoned && !other.draining &&
                  (other.held > 0 || other.wanted > 0);
         });
}

std::vector<double> Shares(const Census& census) {
  std::vector<double> held_back;
  std::vector<double> limits;
  for (const WorkerLoad& worker : census.workers) {
    const auto held = static_cast<double>(worker.held);
    const auto wanted = static_cast<double>(worker.wanted);
    const double limit = worker.draining ? 0 : worker.cordoned ? held : held + wanted;
    const bool tried = !worker.draining && OnTrial(census, worker);
    limits.push_back(limit);
    held_back.push_back(tried ? std::min(limit, std::max(held, 1.0)) : limit);
  }
  const double in_all = std::accumulate(held_back.begin(), held_back.end(), 0.0);
  const auto shards = static_cast<double>(census.shards);
  if (in_all >= shards) return Fill(census, held_back, shards);
  // All are full, so what is left is for those that were held back.
  double left = shards;
  for (size_t i = 0; i < limits.size(); ++i) {
    if (limits[i] == held_back[i]) left -= std::exchange(limits[i], 0);
  }
  std::vector<double> shares = Fill(census, limits, left);
  for (size_t i = 0; i < limits.size(); ++i) {
    if (limits[i] == 0) shares[i] = held_back[i];
  }
  return shares;
}

bool Near(const std::vector<int64_t>& targets, const std::vector<double>& shares) {
  double sum = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (std::abs(static_cast<double>(targets[i]) - shares[i]) >= 1 - 1e-6) return false;
    sum += shares[i];
  }
  return Sum(targets) == std::llround(sum);
}

std::vector<double> FairShares(const Census& census, const std::vector<int64_t>& targets) {
  Census free = census;
  bool too_much = false;
  for (size_t i = 0; i < targets.size(); ++i) {
    WorkerLoad& worker = free.workers[i];
    too_much = too_much || (worker.cordoned && targets[i] > worker.held) ||
               (OnTrial(census, worker) && targets[i] > std::max<int64_t>(worker.held, 1));
    worker.proven = true;
    worker.cordoned = false;
  }
  const std::vector<double> shares = Shares(free);
  return !too_much && Near(targets, shares) ? shares : Shares(census);
}

std::ostream& operator<<(std::ostream& out, const Census& census) {
  out << census.shards << " shards" << (census.paused ? " paused" : "")
      << (census.frozen ? " frozen" : "") << (census.by_load ? " by load" : "") << ":";
  for (const WorkerLoad& worker : census.workers) {
    out << " [capacity " << worker.capacity << " held " << worker.held << " wanted "
        << worker.wanted << " load " << worker.load << (worker.proven ? "" : " unproven")
        << (worker.cordoned ? " cordoned" : "") << (worker.draining ? " draining" : "") << "]";
  }
  return out;
}

}  // namespace lowmark
