#include "service/core/shard_stat.h"

#include <gtest/gtest.h>

#include <limits>

namespace lowmark {
namespace {

ShardStat Lagging(absl::Duration age) {
  ShardStat stat;
  stat.lag_age = age;
  return stat;
}

ShardStat Behind(int64_t records) {
  ShardStat stat;
  stat.backlog = records;
  return stat;
}

ShardStat Troubled(Trouble::Kind kind, const std::string& message, absl::Duration lasted) {
  ShardStat stat;
  stat.trouble = Trouble{kind, message, lasted};
  return stat;
}

TEST(ShardStat, NumbersAreNewsWhenTheyHaveDoubledOrHalved) {
  const absl::Duration s = absl::Seconds(1);
  EXPECT_FALSE(IsNews(Lagging(0 * s), Lagging(4 * s)));
  EXPECT_TRUE(IsNews(Lagging(0 * s), Lagging(5 * s)));
  EXPECT_FALSE(IsNews(Lagging(60 * s), Lagging(119 * s)));
  EXPECT_TRUE(IsNews(Lagging(60 * s), Lagging(120 * s)));
  EXPECT_TRUE(IsNews(Lagging(60 * s), Lagging(30 * s)));
  EXPECT_TRUE(IsNews(Lagging(60 * s), Lagging(0 * s)));
  EXPECT_FALSE(IsNews(Lagging(60 * s), Lagging(31 * s)));
  EXPECT_FALSE(IsNews(Behind(0), Behind(99)));
  EXPECT_TRUE(IsNews(Behind(0), Behind(100)));
  EXPECT_TRUE(IsNews(Behind(std::numeric_limits<int64_t>::max()), Behind(1)));
  EXPECT_FALSE(IsNews(Behind(std::numeric_limits<int64_t>::max()),
                      Behind(std::numeric_limits<int64_t>::max())));
}

// A shard that nobody can go on with is told of a few times, however long that lasts.
TEST(ShardStat, ADayOfGrowingLagIsToldAFewTimes) {
  ShardStat told = Lagging(absl::ZeroDuration());
  int news = 0;
  for (int seconds = 0; seconds < 86400; seconds += 10) {
    const ShardStat now = Lagging(absl::Seconds(seconds));
    if (!IsNews(told, now)) continue;
    told = now;
    ++news;
  }
  EXPECT_GE(news, 10);
  EXPECT_LE(news, 15);
}

TEST(ShardStat, WhatBecomesKnownIsNews) {
  EXPECT_TRUE(IsNews(ShardStat(), Lagging(absl::ZeroDuration())));
  EXPECT_TRUE(IsNews(Behind(0), ShardStat()));
  EXPECT_FALSE(IsNews(ShardStat(), ShardStat()));
  ShardStat idle;
  idle.idle = true;
  EXPECT_TRUE(IsNews(ShardStat(), idle));
  EXPECT_TRUE(IsNews(idle, ShardStat()));
}

TEST(ShardStat, TroubleIsNewsWhenItComesGoesOrChanges) {
  const auto source = Trouble::Kind::kSource;
  const ShardStat trouble = Troubled(source, "down", absl::Seconds(1));
  EXPECT_TRUE(IsNews(ShardStat(), trouble));
  EXPECT_TRUE(IsNews(trouble, ShardStat()));
  EXPECT_FALSE(IsNews(trouble, Troubled(source, "down", absl::Hours(1)))) << "it goes on";
  EXPECT_TRUE(IsNews(trouble, Troubled(source, "throttled", absl::Seconds(1))));
  EXPECT_TRUE(IsNews(trouble, Troubled(Trouble::Kind::kHandler, "down", absl::Seconds(1))));
}

}  // namespace
}  // namespace lowmark
