// Who is given the free shards.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "service/core/assignment.h"
#include "tests/core/fleets.h"

namespace lowmark {
namespace {

using Counts = std::vector<int64_t>;

TEST(ShareOut, BringsWorkersToTheirTargets) {
  const Census census = Fleet({{"a", 1, 2, 9}, {"b", 1, 0, 9}}, 6);
  EXPECT_EQ(ShareOut(census, 4), (Counts{1, 3}));
  EXPECT_EQ(ShareOut(census, 0), (Counts{0, 0}));
  EXPECT_EQ(ShareOut(census, 100), (Counts{1, 3}));
  EXPECT_EQ(ShareOut(Fleet({}, 6), 6), (Counts{}));
}

TEST(ShareOut, ServesFirstWhoIsFurthestBelowItsTarget) {
  // Half of their shards are still with a third worker.
  const Census census = Fleet({{"a", 1, 3, 9}, {"b", 1, 0, 9}, {"c", 1, 12, 9}}, 18);
  EXPECT_EQ(ShareOut(census, 1), (Counts{0, 1, 0}));
  EXPECT_EQ(ShareOut(census, 3), (Counts{0, 3, 0}));
  EXPECT_EQ(ShareOut(census, 4), (Counts{1, 3, 0}));
  EXPECT_EQ(ShareOut(census, 5), (Counts{1, 4, 0}));
}

TEST(ShareOut, MeasuresWhatIsMissingByCapacity) {
  // Six are missing to the large one, four to the small one, which is the greater need.
  const Census census = Fleet({{"large", 2, 2, 9}, {"small", 1, 0, 9}, {"other", 1, 14, 9}}, 16);
  EXPECT_EQ(ShareOut(census, 1), (Counts{0, 1, 0}));
  EXPECT_EQ(ShareOut(census, 4), (Counts{2, 2, 0}));
}

TEST(ShareOut, GivesNothingWhilePaused) {
  Census census = Fleet({{"a", 1, 0, 9}}, 5);
  census.paused = true;
  EXPECT_EQ(ShareOut(census, 5), (Counts{0}));
  census.by_load = true;
  census.workers[0].load = 1;
  EXPECT_EQ(ShareOut(census, 5), (Counts{0}));
}

TEST(ShareOut, GoesOnWhileFrozen) {
  Census census = Fleet({{"a", 1, 6, 9}, {"b", 1, 1, 9}}, 8);
  census.frozen = true;
  EXPECT_EQ(ShareOut(census, 1), (Counts{0, 1}));
}

Census ByLoad(std::vector<WorkerLoad> workers, const std::vector<double>& loads) {
  Census census = Fleet(std::move(workers), 0);
  census.by_load = true;
  for (size_t i = 0; i < loads.size(); ++i) {
    census.workers[i].load = loads[i];
    census.shards += census.workers[i].held;
  }
  return census;
}

TEST(ShareOut, ByLoadServesFirstWhoHasTheLeastLoad) {
  // The mean shard has a load of 10.
  const Census census = ByLoad({{"a", 1, 1, 9}, {"b", 1, 3, 9}}, {30, 10});
  EXPECT_EQ(ShareOut(census, 1), (Counts{0, 1}));
  EXPECT_EQ(ShareOut(census, 2), (Counts{0, 2}));
  EXPECT_EQ(ShareOut(census, 3), (Counts{1, 2}));
  EXPECT_EQ(ShareOut(census, 4), (Counts{1, 3}));
}

TEST(ShareOut, ByLoadRespectsCapacityAndWishes) {
  const Census census = ByLoad({{"a", 3, 2, 9}, {"b", 1, 2, 1}}, {20, 20});
  EXPECT_EQ(ShareOut(census, 4), (Counts{4, 0}));
  EXPECT_EQ(ShareOut(census, 7), (Counts{6, 1}));
  EXPECT_EQ(ShareOut(census, 20), (Counts{9, 1}));
}

TEST(ShareOut, ByLoadGivesNothingToCordonedAndDrainingWorkers) {
  Census census = ByLoad({{"a", 1, 1, 9}, {"b", 1, 1, 9}, {"c", 1, 5, 9}}, {0, 0, 50});
  census.workers[0].cordoned = true;
  census.workers[1].draining = true;
  EXPECT_EQ(ShareOut(census, 3), (Counts{0, 0, 3}));
}

TEST(ShareOut, ByLoadTriesAnUnprovenWorkerWithOneShard) {
  Census census = ByLoad({{"new", 1, 0, 9}, {"a", 1, 4, 3}}, {0, 40});
  census.workers[0].proven = false;
  EXPECT_EQ(ShareOut(census, 3), (Counts{1, 2}));
  // What the other has no room for.
  EXPECT_EQ(ShareOut(census, 6), (Counts{3, 3}));
}

TEST(ShareOut, ByLoadGoesByNumberBeforeAnythingWasMeasured) {
  Census census = ByLoad({{"a", 1, 2, 9}, {"b", 1, 0, 9}}, {0, 0});
  census.shards = 6;
  EXPECT_EQ(ShareOut(census, 4), (Counts{1, 3}));
}

// One shard after the other, each to the worker that is furthest below its target.
Counts ShareOutOneByOne(const Census& census, int64_t free) {
  const Counts targets = Targets(census);
  Counts given(targets.size(), 0);
  for (; free > 0; --free) {
    size_t best = targets.size();
    int64_t best_missing = 0;
    for (size_t i = 0; i < targets.size(); ++i) {
      const WorkerLoad& worker = census.workers[i];
      const int64_t missing = targets[i] - worker.held - given[i];
      if (missing <= 0 || given[i] == worker.wanted) continue;
      if (best < targets.size() &&
          missing * census.workers[best].capacity <= best_missing * worker.capacity) {
        continue;
      }
      best = i;
      best_missing = missing;
    }
    if (best == targets.size()) break;
    ++given[best];
  }
  return given;
}

TEST(ShareOut, IsWhatOneByOneGivesInEverySmallFleet) {
  ForEachSmallFleet([](const Census& census) {
    for (int64_t free : {0, 1, 2, 5}) {
      ASSERT_EQ(ShareOut(census, free), ShareOutOneByOne(census, free)) << census;
    }
  });
}

TEST(ShareOut, IsWhatOneByOneGivesInRandomFleets) {
  const uint64_t seed = AnnouncedSeed();
  Random random(seed);
  for (int round = 0; round < 5000; ++round) {
    const Census census = RandomFleet(random, {.short_of_wishes = round % 2 == 0,
                                               .operators = round % 3 == 0,
                                               .unproven = round % 5 == 0});
    const int64_t free = Uniform(random, 0, census.shards);
    const Counts given = ShareOut(census, free);
    ASSERT_EQ(given, ShareOutOneByOne(census, free)) << "seed " << seed << " " << census;
    const Counts targets = Targets(census);
    ASSERT_LE(Sum(given), free);
    for (size_t i = 0; i < given.size(); ++i) {
      const WorkerLoad& worker = census.workers[i];
      ASSERT_LE(given[i], worker.wanted);
      ASSERT_LE(given[i], std::max<int64_t>(0, targets[i] - worker.held));
    }
  }
}

// One shard after the other, each to the worker with the least load.
Counts ShareOutByLoadOneByOne(const Census& census, int64_t free) {
  double load = 0;
  double held = 0;
  for (const WorkerLoad& worker : census.workers) {
    load += worker.load;
    held += static_cast<double>(worker.held);
  }
  Counts given(census.workers.size(), 0);
  for (; free > 0; --free) {
    size_t best = given.size();
    double least = 0;
    for (size_t i = 0; i < given.size(); ++i) {
      const WorkerLoad& worker = census.workers[i];
      if (worker.cordoned || worker.draining || given[i] == worker.wanted) continue;
      const double level =
          (worker.load + static_cast<double>(given[i]) * (load / held)) / worker.capacity;
      if (best < given.size() && level >= least) continue;
      best = i;
      least = level;
    }
    if (best == given.size()) break;
    ++given[best];
  }
  return given;
}

TEST(ShareOut, ByLoadIsWhatOneByOneGivesInRandomFleets) {
  const uint64_t seed = AnnouncedSeed();
  Random random(seed);
  for (int round = 0; round < 5000; ++round) {
    Census census = RandomFleet(
        random, {.short_of_wishes = round % 2 == 0, .operators = round % 3 == 0, .loads = true});
    census.by_load = true;
    double load = 0;
    for (const WorkerLoad& worker : census.workers) load += worker.load;
    if (load == 0) continue;
    const int64_t free = Uniform(random, 0, 200);
    ASSERT_EQ(ShareOut(census, free), ShareOutByLoadOneByOne(census, free))
        << "seed " << seed << " free " << free << " " << census;
  }
}

TEST(Gathering, WaitsForWorkersOnlyWhereManyShardsAreFirstSharedOut) {
  Census census = Fleet({{"a", 1, 0, 9}, {"b", 1, 0, 9}}, kShardsToGatherFor);
  EXPECT_EQ(Gathering(census), absl::ZeroDuration()) << "of an age that is not known";
  census.age = absl::Milliseconds(300);
  EXPECT_EQ(Gathering(census), absl::Milliseconds(700));
  census.age = kGathering;
  EXPECT_EQ(Gathering(census), absl::ZeroDuration());
  census.age = absl::ZeroDuration();
  EXPECT_EQ(Gathering(census), kGathering);
  census.age = -absl::Hours(1);
  EXPECT_EQ(Gathering(census), absl::ZeroDuration()) << "the clock was set back";
  census.age = absl::ZeroDuration();
  census.workers[1].held = 1;
  EXPECT_EQ(Gathering(census), absl::ZeroDuration()) << "not its start";
  census.workers[1].held = 0;
  census.shards = kShardsToGatherFor - 1;
  EXPECT_EQ(Gathering(census), absl::ZeroDuration()) << "few shards";
}

}  // namespace
}  // namespace lowmark
