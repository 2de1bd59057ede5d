#include "service/core/scaling.h"

#include <gtest/gtest.h>

namespace lowmark {
namespace {

constexpr absl::Duration kWake = absl::Minutes(10);

ScaleNeed Need(const Workload& load) { return NeedOf(load, {kWake}); }

TEST(Scaling, ShardsThatHaveWorkNeedWorkers) {
  Workload load;
  load.shards = 10;
  load.with_work = 4;
  load.lag_age = absl::Seconds(90);
  EXPECT_TRUE(Need(load).active);
  EXPECT_EQ(Need(load).shards, 4);
  EXPECT_EQ(Need(load).lag_age, absl::Seconds(90));
}

// Whether there are any, a worker has to look.
TEST(Scaling, AStreamWhoseShardsNobodyKnowsIsLookedAt) {
  Workload load;
  EXPECT_TRUE(Need(load).active);
  load.last_read = absl::ZeroDuration();
  load.newest = absl::Seconds(1);
  EXPECT_TRUE(Need(load).active) << "it has come, and is about to";
  EXPECT_EQ(Need(load).shards, 0);
  load.newest = absl::Minutes(5);
  EXPECT_FALSE(Need(load).active) << "there are none";
  load.newest = std::nullopt;
  load.last_read = kWake;
  EXPECT_TRUE(Need(load).active);
}

TEST(Scaling, APausedStreamNeedsNoWorker) {
  Workload load;
  load.paused = true;
  load.last_read = absl::ZeroDuration();
  load.shards = load.with_work = 4;
  EXPECT_FALSE(Need(load).active);
  EXPECT_EQ(Need(load).shards, 0);
}

// Their workers hold them, and have said that nothing comes.
TEST(Scaling, IdleShardsNeedNoWorker) {
  Workload load;
  load.shards = 10;
  load.holders = 2;
  load.holders_age = absl::Hours(1);
  load.last_read = absl::Seconds(3);
  EXPECT_FALSE(Need(load).active);
  EXPECT_EQ(Need(load).shards, 0);
}

TEST(Scaling, AStreamThatNobodyReadsIsLookedAtFromTimeToTimeByOneWorker) {
  Workload load;
  load.shards = load.untaken = 10;
  load.last_read = kWake - absl::Seconds(1);
  EXPECT_FALSE(Need(load).active);
  load.last_read = kWake;
  EXPECT_TRUE(Need(load).active);
  EXPECT_EQ(Need(load).shards, 1);
  load.last_read = std::nullopt;
  EXPECT_TRUE(Need(load).active) << "nobody knows when that was";
}

TEST(Scaling, ALookLastsUntilEveryShardWasRead) {
  Workload load;
  load.shards = 10;
  load.untaken = 10;
  load.holders = 1;  // of a shard that is done by now, say
  load.last_read = absl::ZeroDuration();
  EXPECT_TRUE(Need(load).active) << "it has come, and is about to take them";
  EXPECT_EQ(Need(load).shards, 0) << "no other is needed for that";
  load.untaken = 0;
  load.unread = 10;
  EXPECT_TRUE(Need(load).active) << "it has taken them, and has not read them";
  EXPECT_EQ(Need(load).shards, 0);
  load.unread = 0;
  EXPECT_FALSE(Need(load).active);
}

TEST(Scaling, ShardsThatWorkersLeaveNeedOthers) {
  Workload load;
  load.shards = 10;
  load.untaken = 4;
  load.with_work = 1;
  load.holders = 1;
  load.holders_age = absl::Minutes(1);
  EXPECT_EQ(Need(load).shards, 5);
  load.holders_age = absl::Seconds(1);
  EXPECT_EQ(Need(load).shards, 1) << "it has not had the time to take them";
}

TEST(Scaling, NeverMoreThanThereAre) {
  Workload load;
  load.shards = 2;
  load.with_work = 3;
  EXPECT_EQ(Need(load).shards, 2);
}

}  // namespace
}  // namespace lowmark
