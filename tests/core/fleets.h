// Fleets for the tests of assignment, and what those tests hold against it: an
// independent statement of who may have how much.
#ifndef LOWMARK_TESTS_CORE_FLEETS_H_
#define LOWMARK_TESTS_CORE_FLEETS_H_

#include <cstdint>
#include <functional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "service/core/assignment.h"

namespace lowmark {

using Random = std::mt19937_64;

int64_t Uniform(Random& random, int64_t low, int64_t high);
bool OneIn(Random& random, int64_t n);
int64_t Sum(const std::vector<int64_t>& values);
int64_t SumShards(const std::vector<Excess>& excess);
double SumLoad(const std::vector<Excess>& excess);

// The seed of a random test; prints it.
uint64_t AnnouncedSeed();

Census Fleet(std::vector<WorkerLoad> workers, int64_t shards);

// What a random fleet has in it.
struct FleetKind {
  bool short_of_wishes = false;  // workers want few shards
  bool operators = false;        // some workers are cordoned or drained
  bool unproven = false;
  bool loads = false;
};
Census RandomFleet(Random& random, const FleetKind& kind);

// Calls `test` with every stream of up to three workers that hold up to five
// shards in all, with up to two free ones, every worker being plain, cordoned,
// drained or unproven, and of capacity 1 or 2.
void ForEachSmallFleet(const std::function<void(const Census&)>& test);

// Whether an unproven worker stands beside one that is better to have the shards.
bool OnTrial(const Census& census, const WorkerLoad& worker);

// What each worker is to have if shards were a liquid: all rise to the same level of
// their capacity, except those that are full. Draining workers have nothing, cordoned
// ones no more than they hold, and unproven ones beside others no more than that or
// one shard, unless all others are full.
std::vector<double> Shares(const Census& census);

// Whether every worker's target is within one of its share, and all that can be
// given is.
bool Near(const std::vector<int64_t>& targets, const std::vector<double>& shares);

// The shares that the targets have to be near: those without a cordon or a trial
// where nobody gets too much by that.
std::vector<double> FairShares(const Census& census, const std::vector<int64_t>& targets);

std::ostream& operator<<(std::ostream& out, const Census& census);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_CORE_FLEETS_H_
