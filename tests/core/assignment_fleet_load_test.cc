// How fleets come to balance by load, round by round.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "service/core/assignment.h"
#include "tests/core/fleets.h"
#include "tests/simulation/simulated_fleet.h"

namespace lowmark {
namespace {

// How the loads of shards are spread.
enum class Spread { kEqual, kUniform, kZipf, kWild };
constexpr Spread kSpreads[] = {Spread::kEqual, Spread::kUniform, Spread::kZipf, Spread::kWild};

double RandomLoad(Random& random, Spread spread) {
  switch (spread) {
    case Spread::kUniform:
      return static_cast<double>(Uniform(random, 1, 100));
    case Spread::kZipf:
      return 1000.0 / static_cast<double>(Uniform(random, 1, 1000));
    case Spread::kWild:  // from 1 to 8000
      return std::exp(static_cast<double>(Uniform(random, 0, 90)) / 10);
    case Spread::kEqual:
      break;
  }
  return 1;
}

class AssignmentFleetLoadTest : public testing::Test {
 protected:
  // A fleet that was balanced by number, with loads that are not.
  SimulatedFleet Unbalanced(Spread spread) {
    const int64_t workers = Uniform(random_, 1, 30);
    FleetOptions options;
    options.shards = Uniform(random_, 1, (OneIn(random_, 2) ? 3 : 60) * workers);
    options.settling = OneIn(random_, 2) ? 30 : Uniform(random_, 0, 5);
    SimulatedFleet fleet(options, random_());
    const int64_t largest = OneIn(random_, 2) ? 1 : 4;
    capacities_ = 0;
    for (int64_t i = 0; i < workers; ++i) {
      const int64_t capacity = Uniform(random_, 1, largest);
      capacities_ += static_cast<double>(capacity);
      fleet.Join(static_cast<int32_t>(capacity));
    }
    EXPECT_TRUE(fleet.Settle());
    load_ = 0;
    heaviest_ = 0;
    shards_ = options.shards;
    for (int64_t i = 0; i < shards_; ++i) {
      const double load = RandomLoad(random_, spread);
      fleet.SetLoad(i, load);
      load_ += load;
      heaviest_ = std::max(heaviest_, load);
    }
    fleet.BalanceByLoad(true);
    fleet.StartPhase();
    return fleet;
  }

  const uint64_t seed_ = AnnouncedSeed();
  Random random_{seed_};
  // Of the last fleet.
  double capacities_ = 0;
  double load_ = 0;
  double heaviest_ = 0;
  int64_t shards_ = 0;
};

TEST_F(AssignmentFleetLoadTest, ComesToRestWithNoWorkerFarAboveTheMean) {
  for (int round = 0; round < 400; ++round) {
    SimulatedFleet fleet = Unbalanced(kSpreads[round % 4]);
    ASSERT_TRUE(fleet.Settle(500)) << "seed " << seed_ << " round " << round;
    ASSERT_EQ(fleet.figures().early, 0) << "seed " << seed_ << " round " << round;
    ASSERT_LE(fleet.figures().moved, 3 * shards_) << "seed " << seed_ << " round " << round;
    for (size_t worker : fleet.Working()) {
      const double mean = load_ / capacities_ * fleet.capacity(worker);
      ASSERT_LE(fleet.LoadOf(worker), mean * (1 + kWorthMoving) + heaviest_ + 1e-6)
          << "seed " << seed_ << " round " << round;
    }
  }
}

// What is measured is up to a tenth off, differently each time. At first that moves
// what lay just below what is worth a move; then next to nothing.
TEST_F(AssignmentFleetLoadTest, MovesNothingBackAndForthForWhatMeasurementsVary) {
  int64_t moved = 0;
  int64_t shards = 0;
  for (int round = 0; round < 100; ++round) {
    SimulatedFleet fleet = Unbalanced(kSpreads[round % 4]);
    fleet.MeasureWithNoise(0.1);
    for (int second = 0; second < 300; ++second) fleet.Round();
    fleet.StartPhase();
    for (int second = 0; second < 300; ++second) fleet.Round();
    ASSERT_LE(fleet.figures().moved, 50 + shards_ / 20) << "seed " << seed_ << " round " << round;
    moved += fleet.figures().moved;
    shards += shards_;
  }
  // One of a hundred in five minutes.
  EXPECT_LE(moved, shards / 100) << "seed " << seed_;
}

TEST_F(AssignmentFleetLoadTest, ANewWorkerGetsItsShareOfTheLoad) {
  for (int round = 0; round < 100; ++round) {
    const int64_t workers = Uniform(random_, 1, 200);
    FleetOptions options{.shards = 30 * workers};
    SimulatedFleet fleet(options, random_());
    for (int64_t i = 0; i < workers; ++i) fleet.Join();
    double load = 0;
    for (int64_t i = 0; i < options.shards; ++i) {
      const double each = RandomLoad(random_, Spread::kUniform);
      fleet.SetLoad(i, each);
      load += each;
    }
    fleet.BalanceByLoad(true);
    ASSERT_TRUE(fleet.Settle(500));
    fleet.StartPhase();
    const size_t other = fleet.Join();
    ASSERT_TRUE(fleet.Settle(500));
    const double share = load / static_cast<double>(workers + 1);
    ASSERT_GE(fleet.LoadOf(other), (1 - kWorthMoving) * share - 100) << "seed " << seed_;
    // The heaviest that fit are no more than as many mean shards.
    ASSERT_LE(fleet.figures().moved, 31) << "seed " << seed_ << " workers " << workers;
    ASSERT_EQ(fleet.figures().early, 0) << "seed " << seed_;
  }
}

TEST_F(AssignmentFleetLoadTest, ADrainedWorkerIsEmptied) {
  for (int round = 0; round < 100; ++round) {
    SimulatedFleet fleet = Unbalanced(kSpreads[round % 4]);
    fleet.Join();
    ASSERT_TRUE(fleet.Settle(500));
    fleet.Drain(0);
    ASSERT_TRUE(fleet.Settle(500)) << "seed " << seed_ << " round " << round;
    ASSERT_EQ(fleet.held(0), 0) << "seed " << seed_ << " round " << round;
    ASSERT_EQ(fleet.stuck(), 0) << "seed " << seed_ << " round " << round;
  }
}

TEST_F(AssignmentFleetLoadTest, AWorkerThatDiesInALoopHoldsUpOneShardALife) {
  for (int round = 0; round < 40; ++round) {
    SimulatedFleet fleet = Unbalanced(kSpreads[round % 4]);
    ASSERT_TRUE(fleet.Settle(500));
    for (int second = 0; second < 100; ++second) {
      const size_t worker = fleet.Join();
      fleet.Round();
      fleet.Crash(worker);
      ASSERT_LE(fleet.stuck(), fleet.dead()) << "seed " << seed_ << " round " << round;
    }
    ASSERT_TRUE(fleet.Settle(500)) << "seed " << seed_ << " round " << round;
    ASSERT_EQ(fleet.stuck(), 0);
  }
}

}  // namespace
}  // namespace lowmark
