// How fleets come to balance, round by round, by the decisions of assignment.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "service/core/assignment.h"
#include "tests/core/fleets.h"
#include "tests/simulation/simulated_fleet.h"

namespace lowmark {
namespace {

class AssignmentFleetTest : public testing::Test {
 protected:
  // A fleet of workers that have proven themselves and hold all shards.
  SimulatedFleet Settled(int64_t workers, int64_t shards, FleetOptions options = {}) {
    options.shards = shards;
    SimulatedFleet fleet(options, random_());
    for (int64_t i = 0; i < workers; ++i) fleet.Join();
    EXPECT_TRUE(fleet.Settle());
    EXPECT_EQ(fleet.figures().early, 0);
    fleet.StartPhase();
    return fleet;
  }

  const uint64_t seed_ = AnnouncedSeed();
  Random random_{seed_};
};

// All prove themselves at another time.
TEST_F(AssignmentFleetTest, AColdStartMovesNoShardTwice) {
  for (int round = 0; round < 100; ++round) {
    const int64_t shards = Uniform(random_, 0, 500);
    SimulatedFleet fleet({.shards = shards}, random_());
    const int64_t workers = Uniform(random_, 1, 30);
    for (int64_t i = 0; i < workers; ++i) fleet.Join();
    ASSERT_TRUE(fleet.Settle()) << "seed " << seed_;
    ASSERT_EQ(fleet.figures().moved, shards) << "seed " << seed_;
    for (size_t worker : fleet.Working()) ASSERT_LE(fleet.held(worker), shards / workers + 1);
  }
}

TEST_F(AssignmentFleetTest, OneMoreWorkerMovesItsShareAndNoShardTwice) {
  for (int round = 0; round < 200; ++round) {
    const int64_t workers = Uniform(random_, 1, 30);
    const int64_t shards = Uniform(random_, 0, 300);
    SimulatedFleet fleet = Settled(workers, shards);
    fleet.Join();
    ASSERT_TRUE(fleet.Settle());
    ASSERT_LE(fleet.figures().moved, (shards + workers) / (workers + 1)) << "seed " << seed_;
    ASSERT_GE(fleet.figures().moved, shards / (workers + 1)) << "seed " << seed_;
    ASSERT_LE(fleet.figures().most_moves, 1) << "seed " << seed_;
    ASSERT_EQ(fleet.figures().early, 0) << "seed " << seed_;
  }
}

TEST_F(AssignmentFleetTest, OneWorkerLessMovesItsShardsAlone) {
  for (int round = 0; round < 200; ++round) {
    const int64_t workers = Uniform(random_, 2, 30);
    SimulatedFleet fleet = Settled(workers, Uniform(random_, 0, 300));
    const auto going = static_cast<size_t>(Uniform(random_, 0, workers - 1));
    const int64_t held = fleet.held(going);
    fleet.Leave(going);
    ASSERT_TRUE(fleet.Settle());
    ASSERT_EQ(fleet.figures().moved, held) << "seed " << seed_;
    ASSERT_LE(fleet.figures().most_moves, 1) << "seed " << seed_;
    ASSERT_EQ(fleet.stuck(), 0);
  }
}

// Workers of all sizes come and go, and some can hold only few shards.
TEST_F(AssignmentFleetTest, ComesToRestWhateverHappens) {
  for (int round = 0; round < 200; ++round) {
    FleetOptions options;
    options.shards = Uniform(random_, 0, 300);
    options.settling = Uniform(random_, 0, 40);
    options.moves_per_round = Uniform(random_, 1, 20);
    SimulatedFleet fleet(options, random_());
    for (int change = 0; change < 10; ++change) {
      const std::vector<size_t> working = fleet.Working();
      const size_t any =
          working.empty() ? 0
                          : working[Uniform(random_, 0, static_cast<int64_t>(working.size()) - 1)];
      const int64_t what = working.empty() ? 0 : Uniform(random_, 0, 6);
      if (what <= 2) {
        fleet.Join(static_cast<int32_t>(Uniform(random_, 1, 5)), Uniform(random_, 0, 200));
      }
      if (what == 3) fleet.Leave(any);
      if (what == 4) fleet.Crash(any);
      if (what == 5) fleet.Drain(any);
      if (what == 6) fleet.Cordon(any);
      for (int64_t rounds = Uniform(random_, 0, 20); rounds > 0; --rounds) fleet.Round();
    }
    ASSERT_TRUE(fleet.Settle(500)) << "seed " << seed_ << " round " << round;
    ASSERT_EQ(fleet.figures().early, 0) << "seed " << seed_;
    const Census census = fleet.Observe();
    std::vector<int64_t> held;
    for (const WorkerLoad& worker : census.workers) held.push_back(worker.held);
    ASSERT_TRUE(Near(held, FairShares(census, held))) << "seed " << seed_ << " " << census;
  }
}

TEST_F(AssignmentFleetTest, ACordonedWorkerKeepsWhatItHas) {
  SimulatedFleet fleet = Settled(4, 40);
  fleet.Cordon(0);
  fleet.Leave(1);
  ASSERT_TRUE(fleet.Settle());
  EXPECT_EQ(fleet.held(0), 10);
  EXPECT_EQ(fleet.held(2), 15);
}

TEST_F(AssignmentFleetTest, ADrainedWorkerIsEmptiedAtOnceAndByItselfToo) {
  SimulatedFleet fleet = Settled(1, 40);
  fleet.Drain(0);
  for (int i = 0; i < 2; ++i) fleet.Round();  // of 20 shards each
  EXPECT_EQ(fleet.held(0), 0);
  EXPECT_EQ(fleet.stuck(), 40);
  const size_t other = fleet.Join();
  ASSERT_TRUE(fleet.Settle());
  EXPECT_EQ(fleet.held(other), 40);
}

TEST_F(AssignmentFleetTest, AFrozenStreamIsProcessedAndMovesNothing) {
  SimulatedFleet fleet = Settled(4, 40);
  fleet.Freeze(true);
  const size_t other = fleet.Join();
  fleet.Drain(0);
  ASSERT_TRUE(fleet.Settle());
  EXPECT_EQ(fleet.figures().moved, 0);
  fleet.Crash(1);
  ASSERT_TRUE(fleet.Settle());
  EXPECT_EQ(fleet.figures().moved, 10);
  EXPECT_EQ(fleet.stuck(), 0);
  EXPECT_GT(fleet.held(other), 0);
  EXPECT_EQ(fleet.held(0), 10);
  fleet.Freeze(false);
  ASSERT_TRUE(fleet.Settle());
  EXPECT_EQ(fleet.held(0), 0);
}

TEST_F(AssignmentFleetTest, APausedStreamIsGivenBackAndTakenUpAgain) {
  SimulatedFleet fleet = Settled(4, 40);
  fleet.Pause(true);
  fleet.Round();
  EXPECT_EQ(fleet.stuck(), 40);
  ASSERT_TRUE(fleet.Settle());
  EXPECT_EQ(fleet.stuck(), 40);
  fleet.Pause(false);
  fleet.Round();
  EXPECT_EQ(fleet.stuck(), 0);
  EXPECT_EQ(fleet.held(0), 10);
}

TEST_F(AssignmentFleetTest, MovesNoMoreThanTheLimitInARound) {
  SimulatedFleet fleet = Settled(2, 100, {.moves_per_round = 3});
  fleet.Join();
  int64_t moved = 0;
  for (int round = 0; round < 40; ++round) {
    fleet.Round();
    ASSERT_LE(fleet.figures().moved - moved, 2 * 3);
    moved = fleet.figures().moved;
  }
  EXPECT_EQ(moved, 33);
}

// A worker that joins, takes what it gets and dies, again and again: each of its
// lives keeps one shard from being processed, for a session's life. With its share
// each time it would be all of them.
TEST_F(AssignmentFleetTest, AWorkerThatDiesInALoopHoldsUpOneShardALife) {
  for (int round = 0; round < 20; ++round) {
    const int64_t workers = Uniform(random_, 1, 20);
    const int64_t shards = Uniform(random_, workers, 40 * workers);
    const FleetOptions options;
    SimulatedFleet fleet = Settled(workers, shards);
    const int64_t every = Uniform(random_, 1, 5);
    for (int64_t second = 0; second < 5 * options.ttl; ++second) {
      const bool dies = second % every == 0;
      const size_t worker = dies ? fleet.Join() : 0;
      fleet.Round();
      if (dies) fleet.Crash(worker);
      ASSERT_LE(fleet.stuck(), fleet.dead()) << "seed " << seed_;
      ASSERT_LE(fleet.stuck(), options.ttl / every + 1) << "seed " << seed_;
    }
    ASSERT_TRUE(fleet.Settle());
    ASSERT_EQ(fleet.stuck(), 0);
    ASSERT_EQ(fleet.figures().early, 0);
  }
}

}  // namespace
}  // namespace lowmark
