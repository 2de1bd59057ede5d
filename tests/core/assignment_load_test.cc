// What workers are asked to hand over by load, from one census.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "service/core/assignment.h"
#include "tests/core/fleets.h"

namespace lowmark {
namespace {

constexpr int64_t kMany = 1000;

// Workers with ten shards each and room for more.
Census ByLoad(const std::vector<double>& loads) {
  Census census;
  census.by_load = true;
  for (double load : loads) {
    WorkerLoad worker{"w" + std::to_string(census.workers.size()), 1, 10, kMany};
    worker.load = load;
    census.workers.push_back(worker);
    census.shards += worker.held;
  }
  return census;
}

std::vector<double> Loads(const Census& census) {
  std::vector<double> loads;
  for (const Excess& excess : ToHandOver(census)) {
    EXPECT_EQ(excess.shards, 0);
    loads.push_back(excess.load);
  }
  return loads;
}

void ExpectLoads(const Census& census, const std::vector<double>& expected) {
  const std::vector<double> loads = Loads(census);
  ASSERT_EQ(loads.size(), expected.size());
  for (size_t i = 0; i < loads.size(); ++i) {
    EXPECT_NEAR(loads[i], expected[i], 1e-6) << "worker " << i << " of " << census;
  }
}

TEST(ToHandOverByLoad, BringsAWorkerDownToTheMean) {
  ExpectLoads(ByLoad({150, 100, 50}), {50, 0, 0});
  ExpectLoads(ByLoad({200, 0}), {100, 0});
}

TEST(ToHandOverByLoad, MovesNothingForWhatMeasurementsVary) {
  ExpectLoads(ByLoad({119, 100, 81}), {0, 0, 0});
  ExpectLoads(ByLoad({120, 100, 80}), {0, 0, 0});
  ExpectLoads(ByLoad({121, 100, 79}), {21, 0, 0});
}

TEST(ToHandOverByLoad, GoesByCapacity) {
  Census census = ByLoad({200, 100, 60});
  census.workers[0].capacity = 2;
  census.workers[2].capacity = 3;
  // The mean is 60.
  ExpectLoads(census, {80, 40, 0});
}

// Beside many others a new worker puts none of them far above the mean.
TEST(ToHandOverByLoad, LetsOthersGiveToOneThatIsFarBelow) {
  std::vector<double> loads(20, 100);
  loads.push_back(0);
  const Census census = ByLoad(loads);
  const std::vector<double> shed = Loads(census);
  const double mean = 2000.0 / 21;
  EXPECT_NEAR(*std::max_element(shed.begin(), shed.end()), 100 - 0.9 * mean, 1e-6);
  const double sum = SumLoad(ToHandOver(census));
  EXPECT_LE(sum, mean + 1e-6);
  EXPECT_GT(sum, mean - 10);  // less than a shard is left over
}

// With two shards each they give one, though it takes them far below the mean.
TEST(ToHandOverByLoad, LetsOthersGiveOneOfFewShards) {
  Census census = ByLoad(std::vector<double>(20, 100));
  census.workers.push_back({"new", 1, 0, kMany});
  for (WorkerLoad& worker : census.workers) worker.held = std::min<int64_t>(worker.held, 2);
  census.shards = 40;
  const std::vector<double> shed = Loads(census);
  EXPECT_EQ(std::count_if(shed.begin(), shed.end(), [](double load) { return load > 0; }), 1);
  EXPECT_NEAR(SumLoad(ToHandOver(census)), 50, 1e-6);
}

// What comes from one that is far above the mean is enough.
TEST(ToHandOverByLoad, LetsNoOthersGiveWhereItIsNotNeeded) {
  std::vector<double> loads(12, 95);
  loads.insert(loads.end(), {200, 110, 50});
  Census census = ByLoad(loads);
  census.workers[13].held = 30;
  census.shards += 20;
  std::vector<double> expected(15, 0);
  expected[12] = 100;
  ExpectLoads(census, expected);
  // It is not where its shards may each be more than it should give.
  census.workers[12].load = 165;
  census.workers[12].held = 2;
  census.workers[14].load = 85 - 60;
  census.shards -= 8;
  EXPECT_GT(Loads(census)[13], 0);
}

TEST(ToHandOverByLoad, MovesNoShardForADifferenceThatItWouldOnlyTurnAround) {
  // Six shards against five: one more here would be one less there.
  Census census = ByLoad({6.6, 4.5, 4.6, 4.5});
  for (WorkerLoad& worker : census.workers) worker.held = 5;
  census.workers[0].held = 6;
  census.shards = 21;
  EXPECT_LT(Loads(census)[0], 6.6 / 6);
}

TEST(ToHandOverByLoad, LeavesAHotShardAloneAndBalancesTheOthers) {
  Census census = ByLoad({500, 160, 40});
  census.workers[0].held = 1;
  census.shards = 21;
  ExpectLoads(census, {0, 60, 0});
}

TEST(ToHandOverByLoad, AsksForNothingWithoutATaker) {
  Census census = ByLoad({200, 100, 0});
  census.workers[2].wanted = 0;
  ExpectLoads(census, {50, 0, 0});  // to the second
  census.workers[1].cordoned = true;
  ExpectLoads(census, {0, 0, 0});
}

TEST(ToHandOverByLoad, AsksForNoMoreThanTakersCanTake) {
  Census census = ByLoad({240, 60, 0});
  census.workers[1].wanted = 0;
  census.workers[2].wanted = 3;  // of the mean weight of ten
  EXPECT_NEAR(SumLoad(ToHandOver(census)), 30, 1e-6);
}

TEST(ToHandOverByLoad, TriesAnUnprovenWorkerWithOneShard) {
  Census census = ByLoad({100, 100, 0});
  census.workers[2].held = 0;
  census.workers[2].proven = false;
  census.shards = 20;
  EXPECT_NEAR(SumLoad(ToHandOver(census)), 10, 1e-6);
  census.workers[2].held = 1;
  census.workers[0].held = 9;
  census.workers[2].load = 10;
  census.workers[0].load = 90;
  EXPECT_EQ(SumLoad(ToHandOver(census)), 0);
}

TEST(ToHandOverByLoad, EmptiesADrainingWorker) {
  Census census = ByLoad({100, 100, 0});
  census.workers[0].draining = true;
  const std::vector<Excess> excess = ToHandOver(census);
  EXPECT_EQ(excess[0], (Excess{.shards = 10}));
  // What comes from there is enough for the one that has little.
  EXPECT_FALSE(excess[1].any());
}

// While shards are on their way the workers that wait for them have less than they
// will have.
TEST(ToHandOverByLoad, CountsShardsThatNobodyHoldsNow) {
  Census census = ByLoad({100, 100, 100, 0});
  census.workers[3].held = 0;
  census.shards = 40;
  ExpectLoads(census, {0, 0, 0, 0});
}

TEST(ToHandOverByLoad, IsNothingWhileFrozen) {
  Census census = ByLoad({200, 0});
  census.frozen = true;
  ExpectLoads(census, {0, 0});
}

TEST(ToHandOverByLoad, GoesByNumberBeforeAnythingWasMeasured) {
  Census census = ByLoad({0, 0});
  census.workers[1].held = 0;
  census.shards = 10;
  EXPECT_EQ(ToHandOver(census)[0], (Excess{.shards = 5}));
}

// What holds in any fleet, whatever the wishes, loads and flags.
TEST(ToHandOverByLoad, KeepsItsPromisesInRandomFleets) {
  const uint64_t seed = AnnouncedSeed();
  Random random(seed);
  for (int round = 0; round < 20000; ++round) {
    Census census = RandomFleet(random, {.short_of_wishes = round % 2 == 0,
                                         .operators = round % 3 == 0,
                                         .unproven = round % 5 == 0,
                                         .loads = true});
    census.by_load = true;
    double load = 0;
    double held = 0;
    for (const WorkerLoad& worker : census.workers) {
      load += worker.load;
      held += static_cast<double>(worker.held);
    }
    if (load == 0) continue;
    double takes = 0;
    const std::vector<Excess> excess = ToHandOver(census);
    for (size_t i = 0; i < excess.size(); ++i) {
      const WorkerLoad& worker = census.workers[i];
      ASSERT_EQ(excess[i].shards, worker.draining ? worker.held : 0) << census;
      ASSERT_GE(excess[i].load, 0) << census;
      if (worker.draining) continue;
      // It keeps something, and a single shard stays.
      ASSERT_TRUE(excess[i].load == 0 || (worker.held >= 2 && excess[i].load < worker.load))
          << "seed " << seed << " " << census;
      if (!worker.cordoned) takes += static_cast<double>(worker.wanted) * load / held;
    }
    ASSERT_LE(SumLoad(excess), takes * (1 + 1e-9)) << "seed " << seed << " " << census;
  }
}

}  // namespace
}  // namespace lowmark
