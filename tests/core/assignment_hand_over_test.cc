// What workers are asked to hand over by number, and which shards they choose.
#include <gtest/gtest.h>

#include <vector>

#include "service/core/assignment.h"
#include "tests/core/fleets.h"

namespace lowmark {
namespace {

using Counts = std::vector<int64_t>;
using Indexes = std::vector<size_t>;

Counts Shards(const Census& census) {
  Counts shards;
  for (const Excess& excess : ToHandOver(census)) {
    EXPECT_EQ(excess.load, 0);
    EXPECT_EQ(excess.any(), excess.shards > 0);
    shards.push_back(excess.shards);
  }
  return shards;
}

TEST(ToHandOver, IsWhatLiesAboveTheTarget) {
  EXPECT_EQ(Shards(Fleet({{"a", 1, 6, 9}, {"b", 1, 0, 9}, {"c", 1, 0, 1}}, 6)), (Counts{3, 0, 0}));
}

// Nobody is asked to give up a shard that no other worker wants.
TEST(ToHandOver, AsksForNothingWithoutATaker) {
  Census census = Fleet({{"a", 1, 6, 0}, {"b", 1, 0, 0}}, 6);
  EXPECT_EQ(Shards(census), (Counts{0, 0}));
  census.workers[1].wanted = 9;
  census.workers[1].cordoned = true;
  EXPECT_EQ(Shards(census), (Counts{0, 0}));
}

TEST(ToHandOver, EmptiesADrainingWorkerEvenWithoutATaker) {
  Census census = Fleet({{"a", 1, 6, 9}, {"b", 1, 2, 0}}, 8);
  census.workers[0].draining = true;
  EXPECT_EQ(Shards(census), (Counts{6, 0}));
}

TEST(ToHandOver, IsAllWhilePaused) {
  Census census = Fleet({{"a", 1, 3, 9}, {"b", 1, 2, 0}}, 5);
  census.paused = true;
  EXPECT_EQ(Shards(census), (Counts{3, 2}));
  census.frozen = true;
  EXPECT_EQ(Shards(census), (Counts{3, 2}));
  census.by_load = true;
  census.workers[0].load = 1;
  EXPECT_EQ(Shards(census), (Counts{3, 2}));
}

TEST(ToHandOver, IsNothingWhileFrozen) {
  Census census = Fleet({{"a", 1, 6, 9}, {"b", 1, 0, 9}, {"c", 1, 2, 9}}, 8);
  census.workers[2].draining = true;
  census.frozen = true;
  EXPECT_EQ(Shards(census), (Counts{0, 0, 0}));
}

// A worker that comes moves no shard between those that were there, beyond what it
// is owed.
TEST(ToHandOver, IsWhatTheNewcomerGets) {
  for (int64_t workers = 1; workers <= 12; ++workers) {
    for (int64_t shards = 0; shards <= 40; ++shards) {
      Census census = Fleet({}, shards);
      for (int64_t i = 0; i < workers; ++i) {
        census.workers.push_back({"w" + std::to_string(i), 1, 0, 1000});
      }
      const Counts before = Targets(census);
      for (size_t i = 0; i < before.size(); ++i) census.workers[i].held = before[i];
      census.workers.push_back({"new", 1, 0, 1000});
      ASSERT_EQ(Sum(Shards(census)), Targets(census).back());
      ASSERT_LE(Targets(census).back(), (shards + workers) / (workers + 1));
    }
  }
}

// A worker that goes moves nothing between those that stay, where all are equal.
TEST(ToHandOver, IsNothingAfterAWorkerIsGone) {
  for (int64_t workers = 1; workers <= 12; ++workers) {
    for (int64_t shards = 0; shards <= 40; ++shards) {
      Census census = Fleet({}, shards);
      for (int64_t i = 0; i < workers; ++i) {
        census.workers.push_back({"w" + std::to_string(i), 1, 0, 1000});
      }
      const Counts targets = Targets(census);
      for (size_t i = 0; i < targets.size(); ++i) census.workers[i].held = targets[i];
      for (size_t gone = 0; gone < targets.size(); ++gone) {
        Census left = census;
        left.workers.erase(left.workers.begin() + static_cast<std::ptrdiff_t>(gone));
        ASSERT_EQ(Sum(Shards(left)), 0) << left;
      }
    }
  }
}

const absl::Time kNow = absl::FromUnixSeconds(1000);
constexpr absl::Duration kSettling = absl::Seconds(60);

HeldShard Held(const std::string& shard, int64_t leased_ago, double load = 0) {
  return {shard, 1, kNow - absl::Seconds(leased_ago), load};
}

Indexes ByNumber(const std::vector<HeldShard>& held, int64_t shards, int64_t limit = 100) {
  return ChooseToHandOver(held, {.shards = shards}, kNow, kSettling, limit);
}

Indexes ByLoad(const std::vector<HeldShard>& held, double load, int64_t limit = 100) {
  return ChooseToHandOver(held, {.load = load}, kNow, kSettling, limit);
}

TEST(ChooseToHandOver, TakesThoseThatWereLeasedLongestAgo) {
  const std::vector<HeldShard> held = {Held("c", 90), Held("a", 80), Held("b", 90), Held("d", 99)};
  EXPECT_EQ(ByNumber(held, 1), (Indexes{3}));
  EXPECT_EQ(ByNumber(held, 3), (Indexes{3, 2, 0}));
  EXPECT_EQ(ByNumber(held, 9), (Indexes{3, 2, 0, 1}));
  EXPECT_EQ(ByNumber({}, 9), (Indexes{}));
}

TEST(ChooseToHandOver, LeavesShardsThatHaveNotSettled) {
  const std::vector<HeldShard> held = {Held("a", 59), Held("b", 60), Held("c", 0)};
  EXPECT_EQ(ByNumber(held, 3), (Indexes{1}));
  EXPECT_EQ(ChooseToHandOver(held, {.shards = 3}, kNow, absl::ZeroDuration(), 100),
            (Indexes{1, 0, 2}));
}

// A clock set back by an hour does not keep shards where they are for an hour.
TEST(ChooseToHandOver, DoesNotWaitForAClockThatWasSetBack) {
  const std::vector<HeldShard> held = {Held("a", -3600, 1), Held("b", -1, 1)};
  EXPECT_EQ(ByNumber(held, 2), (Indexes{0}));
  EXPECT_EQ(ByLoad(held, 2), (Indexes{0}));
}

TEST(ChooseToHandOver, RespectsTheLimit) {
  const std::vector<HeldShard> held = {Held("a", 90, 3), Held("b", 90, 2), Held("c", 90, 1)};
  EXPECT_EQ(ByNumber(held, 3, 2), (Indexes{0, 1}));
  EXPECT_EQ(ByLoad(held, 6, 2), (Indexes{0, 1}));
  for (int64_t none : {0, -1}) {
    EXPECT_EQ(ByNumber(held, 3, none), (Indexes{}));
    EXPECT_EQ(ByLoad(held, 6, none), (Indexes{}));
  }
}

TEST(ChooseToHandOver, ByLoadTakesTheHeaviestThatFit) {
  const std::vector<HeldShard> held = {Held("a", 90, 1), Held("b", 90, 50), Held("c", 90, 7),
                                       Held("d", 90, 7), Held("e", 90, 4)};
  EXPECT_EQ(ByLoad(held, 49), (Indexes{2, 3, 4, 0}));
  EXPECT_EQ(ByLoad(held, 12), (Indexes{2, 4, 0}));
  EXPECT_EQ(ByLoad(held, 8), (Indexes{2, 0}));
  EXPECT_EQ(ByLoad(held, 0.5), (Indexes{}));
  EXPECT_EQ(ByLoad(held, 0), (Indexes{}));
}

TEST(ChooseToHandOver, ByLoadLeavesShardsWithoutLoad) {
  EXPECT_EQ(ByLoad({Held("a", 90, 0), Held("b", 90, 1)}, 5), (Indexes{1}));
}

// What is asked for is a difference of sums.
TEST(ChooseToHandOver, ByLoadForgivesTheRoundingOfSums) {
  EXPECT_EQ(ByLoad({Held("a", 90, 0.3)}, 0.1 + 0.2), (Indexes{0}));
  EXPECT_EQ(ByLoad({Held("a", 90, 0.1 + 0.2)}, 0.3), (Indexes{0}));
}

}  // namespace
}  // namespace lowmark
