#include "service/core/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "tests/core/seed.h"

namespace lowmark {
namespace {

using Random = std::mt19937_64;

int64_t Uniform(Random& random, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random);
}

int64_t Sum(const std::vector<int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), int64_t{0});
}

int64_t Limit(const WorkerLoad& worker) { return worker.held + worker.wanted; }

Census Fleet(std::vector<WorkerLoad> workers, int64_t shards) {
  return {std::move(workers), shards, false};
}

Census RandomFleet(Random& random, bool short_of_wishes) {
  Census census;
  const int64_t workers = Uniform(random, 0, 12);
  int64_t held = 0;
  for (int64_t i = 0; i < workers; ++i) {
    WorkerLoad worker;
    worker.worker = "w" + std::to_string(i);
    worker.capacity = static_cast<int32_t>(Uniform(random, 1, 3) == 1 ? Uniform(random, 1, 50) : 1);
    worker.held = Uniform(random, 0, 20);
    worker.wanted = short_of_wishes ? Uniform(random, 0, 10) : 100000;
    held += worker.held;
    census.workers.push_back(worker);
  }
  census.shards = held + Uniform(random, 0, 30);
  return census;
}

TEST(Targets, SharesOutAmongEquals) {
  EXPECT_EQ(Targets(Fleet({{"a", 1, 0, 9}, {"b", 1, 0, 9}, {"c", 1, 0, 9}}, 7)),
            (std::vector<int64_t>{3, 2, 2}));
  EXPECT_EQ(Targets(Fleet({{"a", 1, 6, 1}, {"b", 1, 0, 9}}, 6)), (std::vector<int64_t>{3, 3}));
  EXPECT_EQ(Targets(Fleet({{"a", 1, 0, 1}, {"b", 1, 0, 9}}, 6)), (std::vector<int64_t>{1, 5}));
  EXPECT_EQ(Targets(Fleet({}, 6)), (std::vector<int64_t>{}));
  EXPECT_EQ(Targets(Fleet({{"a", 1, 0, 9}}, 0)), (std::vector<int64_t>{0}));
}

TEST(Targets, SharesOutByCapacity) {
  EXPECT_EQ(Targets(Fleet({{"a", 2, 0, 99}, {"b", 1, 0, 99}, {"c", 1, 0, 99}}, 8)),
            (std::vector<int64_t>{4, 2, 2}));
}

// One worker of ten times the capacity is owed half of the shards beside ten
// small ones, not all of them.
TEST(Targets, GivesALargeWorkerItsQuotaAndNoMore) {
  std::vector<WorkerLoad> workers = {{"large", 10, 0, 99}};
  for (int i = 0; i < 10; ++i) workers.push_back({"small" + std::to_string(i), 1, 0, 99});
  EXPECT_EQ(Targets(Fleet(workers, 10))[0], 5);
}

TEST(Targets, LeavesTheOddShardWhereItIs) {
  EXPECT_EQ(Targets(Fleet({{"a", 1, 1, 9}, {"b", 1, 2, 9}}, 3)), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(Targets(Fleet({{"a", 1, 2, 9}, {"b", 1, 1, 9}}, 3)), (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(Targets(Fleet({{"a", 1, 0, 9}, {"b", 1, 1, 9}}, 1)), (std::vector<int64_t>{0, 1}));
}

TEST(Targets, AreZeroWhilePaused) {
  Census census = Fleet({{"a", 1, 3, 9}, {"b", 1, 2, 9}}, 5);
  census.paused = true;
  EXPECT_EQ(Targets(census), (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(MayLease(census, "a"), 0);
  EXPECT_EQ(ToHandOver(census), (std::vector<int64_t>{3, 2}));
}

TEST(Targets, NeverExceedShardsOrWishesAndLeaveNoneOver) {
  const uint64_t seed = TestSeed();
  std::cout << "LOWMARK_TEST_SEED=" << seed << std::endl;
  Random random(seed);
  for (int round = 0; round < 20000; ++round) {
    const Census census = RandomFleet(random, round % 2 == 0);
    const std::vector<int64_t> targets = Targets(census);
    ASSERT_EQ(targets.size(), census.workers.size());
    int64_t wishes = 0;
    for (size_t i = 0; i < targets.size(); ++i) {
      ASSERT_GE(targets[i], 0);
      ASSERT_LE(targets[i], Limit(census.workers[i])) << "seed " << seed << " round " << round;
      wishes += Limit(census.workers[i]);
    }
    ASSERT_EQ(Sum(targets), std::min(wishes, census.shards)) << "seed " << seed;
  }
}

// What a worker would get if shards were a liquid: all rise to the same level of
// their capacity, except those that are full.
std::vector<double> Shares(const Census& census) {
  double low = 0;
  double high = 1e7;
  std::vector<double> shares(census.workers.size());
  for (int i = 0; i < 100; ++i) {
    const double level = (low + high) / 2;
    double sum = 0;
    for (size_t w = 0; w < shares.size(); ++w) {
      const WorkerLoad& worker = census.workers[w];
      shares[w] = std::min(level * worker.capacity, static_cast<double>(Limit(worker)));
      sum += shares[w];
    }
    (sum < static_cast<double>(census.shards) ? low : high) = level;
  }
  return shares;
}

TEST(Targets, AreFairWithinOneShardByCapacity) {
  const uint64_t seed = TestSeed();
  std::cout << "LOWMARK_TEST_SEED=" << seed << std::endl;
  Random random(seed);
  for (int round = 0; round < 20000; ++round) {
    const Census census = RandomFleet(random, round % 2 == 0);
    const std::vector<int64_t> targets = Targets(census);
    const std::vector<double> shares = Shares(census);
    for (size_t i = 0; i < targets.size(); ++i) {
      ASSERT_LT(std::abs(static_cast<double>(targets[i]) - shares[i]), 1.0)
          << "seed " << seed << " round " << round;
    }
  }
}

// Letting every worker reach its target is one step: nothing moves after it.
TEST(Targets, AreStable) {
  const uint64_t seed = TestSeed();
  std::cout << "LOWMARK_TEST_SEED=" << seed << std::endl;
  Random random(seed);
  for (int round = 0; round < 20000; ++round) {
    Census census = RandomFleet(random, false);
    const std::vector<int64_t> targets = Targets(census);
    for (size_t i = 0; i < targets.size(); ++i) census.workers[i].held = targets[i];
    ASSERT_EQ(Targets(census), targets) << "seed " << seed << " round " << round;
    ASSERT_EQ(Sum(ToHandOver(census)), 0);
  }
}

// A worker that comes or goes moves no shard between those that stay, beyond
// what the newcomer is owed.
TEST(Targets, MoveNoMoreThanTheNewcomerGets) {
  for (int64_t workers = 1; workers <= 12; ++workers) {
    for (int64_t shards = 0; shards <= 40; ++shards) {
      Census census = Fleet({}, shards);
      for (int64_t i = 0; i < workers; ++i) {
        census.workers.push_back({"w" + std::to_string(i), 1, 0, 1000});
      }
      const std::vector<int64_t> before = Targets(census);
      for (size_t i = 0; i < before.size(); ++i) census.workers[i].held = before[i];
      census.workers.push_back({"new", 1, 0, 1000});
      ASSERT_EQ(Sum(ToHandOver(census)), Targets(census).back());
    }
  }
}

TEST(MayLease, IsWhatIsMissingToTheTarget) {
  const Census census = Fleet({{"a", 1, 2, 9}, {"b", 1, 0, 9}}, 6);
  EXPECT_EQ(MayLease(census, "a"), 1);
  EXPECT_EQ(MayLease(census, "b"), 3);
  EXPECT_EQ(MayLease(census, "c"), 0);
}

TEST(ToHandOver, IsWhatLiesAboveTheTarget) {
  const Census census = Fleet({{"a", 1, 6, 9}, {"b", 1, 0, 9}, {"c", 1, 0, 1}}, 6);
  EXPECT_EQ(ToHandOver(census), (std::vector<int64_t>{3, 0, 0}));
}

// Nobody is asked to give up a shard that no other worker wants.
TEST(ToHandOver, AsksForNothingWithoutATaker) {
  const Census census = Fleet({{"a", 1, 6, 0}, {"b", 1, 0, 0}}, 6);
  EXPECT_EQ(ToHandOver(census), (std::vector<int64_t>{0, 0}));
}

}  // namespace
}  // namespace lowmark
