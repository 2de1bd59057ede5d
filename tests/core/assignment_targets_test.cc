// How many shards each worker should hold, by number.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "service/core/assignment.h"
#include "tests/core/fleets.h"

namespace lowmark {
namespace {

using Counts = std::vector<int64_t>;

TEST(Targets, ShareOutAmongEquals) {
  EXPECT_EQ(Targets(Fleet({{"a", 1, 0, 9}, {"b", 1, 0, 9}, {"c", 1, 0, 9}}, 7)), (Counts{3, 2, 2}));
  EXPECT_EQ(Targets(Fleet({{"a", 1, 6, 1}, {"b", 1, 0, 9}}, 6)), (Counts{3, 3}));
  EXPECT_EQ(Targets(Fleet({{"a", 1, 0, 1}, {"b", 1, 0, 9}}, 6)), (Counts{1, 5}));
  EXPECT_EQ(Targets(Fleet({}, 6)), (Counts{}));
  EXPECT_EQ(Targets(Fleet({{"a", 1, 0, 9}}, 0)), (Counts{0}));
}

TEST(Targets, ShareOutByCapacity) {
  EXPECT_EQ(Targets(Fleet({{"a", 2, 0, 99}, {"b", 1, 0, 99}, {"c", 1, 0, 99}}, 8)),
            (Counts{4, 2, 2}));
}

// One worker of ten times the capacity is owed half of the shards beside ten
// small ones, not all of them.
TEST(Targets, GivesALargeWorkerItsQuotaAndNoMore) {
  std::vector<WorkerLoad> workers = {{"large", 10, 0, 99}};
  for (int i = 0; i < 10; ++i) workers.push_back({"small" + std::to_string(i), 1, 0, 99});
  EXPECT_EQ(Targets(Fleet(workers, 10))[0], 5);
}

TEST(Targets, LeavesTheOddShardWhereItIs) {
  EXPECT_EQ(Targets(Fleet({{"a", 1, 1, 9}, {"b", 1, 2, 9}}, 3)), (Counts{1, 2}));
  EXPECT_EQ(Targets(Fleet({{"a", 1, 2, 9}, {"b", 1, 1, 9}}, 3)), (Counts{2, 1}));
  EXPECT_EQ(Targets(Fleet({{"a", 1, 0, 9}, {"b", 1, 1, 9}}, 1)), (Counts{0, 1}));
}

TEST(Targets, AreZeroWhilePaused) {
  Census census = Fleet({{"a", 1, 3, 9}, {"b", 1, 2, 9}}, 5);
  census.paused = true;
  EXPECT_EQ(Targets(census), (Counts{0, 0}));
}

TEST(Targets, GiveACordonedWorkerNoMoreThanItHolds) {
  Census census = Fleet({{"a", 1, 1, 9}, {"b", 1, 0, 9}}, 6);
  census.workers[0].cordoned = true;
  EXPECT_EQ(Targets(census), (Counts{1, 5}));
  census.workers[0].held = 5;
  EXPECT_EQ(Targets(census), (Counts{3, 3}));
}

TEST(Targets, GiveADrainingWorkerNothing) {
  Census census = Fleet({{"a", 1, 3, 9}, {"b", 1, 0, 2}}, 6);
  census.workers[0].draining = true;
  EXPECT_EQ(Targets(census), (Counts{0, 2}));
}

TEST(Targets, TryAnUnprovenWorkerWithOneShard) {
  Census census = Fleet({{"a", 1, 5, 9}, {"b", 1, 5, 9}, {"new", 1, 0, 9}}, 10);
  census.workers[2].proven = false;
  EXPECT_EQ(Targets(census), (Counts{5, 4, 1}));
  census.workers[2].proven = true;
  EXPECT_EQ(Targets(census), (Counts{4, 3, 3}));
}

TEST(Targets, GiveUnprovenWorkersWhatTheOthersCannotTake) {
  Census census = Fleet({{"full", 1, 3, 0}, {"new", 1, 1, 9}, {"newer", 1, 0, 9}}, 10);
  census.workers[1].proven = false;
  census.workers[2].proven = false;
  EXPECT_EQ(Targets(census), (Counts{3, 4, 3}));
}

TEST(Targets, TreatUnprovenWorkersAloneAsAnyOther) {
  Census census = Fleet({{"a", 1, 0, 9}, {"b", 1, 0, 9}}, 8);
  for (WorkerLoad& worker : census.workers) worker.proven = false;
  EXPECT_EQ(Targets(census), (Counts{4, 4}));
  // A worker that may not hold shards, or wants none, is no better one to have them.
  census.workers.push_back({"drained", 1, 0, 9});
  census.workers[2].draining = true;
  census.workers.push_back({"idle", 1, 0, 0});
  EXPECT_EQ(Targets(census), (Counts{4, 4, 0, 0}));
}

// After a cold start one worker is the first to prove itself. The others keep what
// they got.
TEST(Targets, TakeNothingFromWorkersBecauseAnotherIsProven) {
  Census census = Fleet({{"first", 1, 4, 9}, {"b", 1, 4, 9}, {"c", 1, 4, 9}}, 12);
  census.workers[1].proven = false;
  census.workers[2].proven = false;
  EXPECT_EQ(Targets(census), (Counts{4, 4, 4}));
}

TEST(Targets, BearTheLargestFleetsThatAreValid) {
  std::vector<WorkerLoad> workers(10000, {"w", 1000000, 0, 100000});
  const Counts targets = Targets(Fleet(workers, 1000000));
  EXPECT_TRUE(std::all_of(targets.begin(), targets.end(), [](int64_t t) { return t == 100; }));
}

FleetKind KindOf(int round) {
  return {
      .short_of_wishes = round % 2 == 0, .operators = round % 3 == 0, .unproven = round % 4 < 2};
}

TEST(Targets, AreFairWithinOneShardByCapacity) {
  const uint64_t seed = AnnouncedSeed();
  Random random(seed);
  for (int round = 0; round < 20000; ++round) {
    const Census census = RandomFleet(random, KindOf(round));
    const Counts targets = Targets(census);
    ASSERT_EQ(targets.size(), census.workers.size());
    for (int64_t target : targets) ASSERT_GE(target, 0);
    ASSERT_TRUE(Near(targets, FairShares(census, targets))) << "seed " << seed << " " << census;
  }
}

Census Reached(Census census, const Counts& targets) {
  for (size_t i = 0; i < targets.size(); ++i) census.workers[i].held = targets[i];
  return census;
}

// Letting every worker reach its target is one step: nothing moves after it. Nor
// does it when some are cordoned then, or had proven themselves before others.
TEST(Targets, AreStable) {
  const uint64_t seed = AnnouncedSeed();
  Random random(seed);
  for (int round = 0; round < 20000; ++round) {
    Census census = RandomFleet(random, {});
    const Counts targets = Targets(census);
    census = Reached(census, targets);
    ASSERT_EQ(Targets(census), targets) << "seed " << seed << " " << census;
    ASSERT_EQ(SumShards(ToHandOver(census)), 0);
    for (WorkerLoad& worker : census.workers) {
      worker.proven = OneIn(random, 2);
      worker.cordoned = OneIn(random, 4);
    }
    ASSERT_EQ(Targets(census), targets) << "seed " << seed << " " << census;
  }
}

// What a worker that is held back may have depends on what it has, so that it takes
// more than one step.
TEST(Targets, SettleBesideWorkersThatAreHeldBack) {
  const uint64_t seed = AnnouncedSeed();
  Random random(seed);
  for (int round = 0; round < 20000; ++round) {
    Census census = RandomFleet(random, {.operators = round % 2 == 0, .unproven = true});
    int steps = 0;
    for (Counts targets = Targets(census); SumShards(ToHandOver(census)) > 0;
         targets = Targets(census)) {
      census = Reached(census, targets);
      ASSERT_LE(++steps, 5) << "seed " << seed << " " << census;
    }
  }
}

// The fewest shards that must move so that all are within one of their share: tries
// everything.
int64_t FewestMoves(const Census& census, const std::vector<double>& shares, size_t next,
                    int64_t left) {
  constexpr int64_t kImpossible = 1 << 20;
  if (next == shares.size()) return left == 0 ? 0 : kImpossible;
  int64_t fewest = kImpossible;
  for (int64_t target = 0; target <= left; ++target) {
    if (std::abs(static_cast<double>(target) - shares[next]) > 1 - 1e-6) continue;
    const int64_t moves = std::max<int64_t>(0, census.workers[next].held - target);
    fewest = std::min(fewest, moves + FewestMoves(census, shares, next + 1, left - target));
  }
  return fewest;
}

TEST(Targets, AreFairAndMoveTheFewestShardsInEverySmallFleet) {
  int64_t fleets = 0;
  ForEachSmallFleet([&](const Census& census) {
    const Counts targets = Targets(census);
    const std::vector<double> shares = FairShares(census, targets);
    ASSERT_TRUE(Near(targets, shares)) << census;
    ASSERT_EQ(SumShards(ToHandOver(census)), FewestMoves(census, shares, 0, Sum(targets)))
        << census;
    ++fleets;
  });
  EXPECT_GT(fleets, 100000);
}

}  // namespace
}  // namespace lowmark
