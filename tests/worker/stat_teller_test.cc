#include "worker/internal/stat_teller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

ToldStat Known(const std::string& shard, int64_t epoch = 1) { return {shard, epoch, {}}; }

ToldStat Troubled(const std::string& shard, const std::string& message = "down") {
  ToldStat stat = Known(shard);
  stat.stat.trouble = Trouble{Trouble::Kind::kSource, message, absl::Seconds(1)};
  return stat;
}

class StatTellerTest : public testing::Test {
 protected:
  // The shards that a heartbeat tells of.
  std::vector<std::string> Tell(const std::vector<ToldStat>& now,
                                const std::optional<ListingStat>& listing = std::nullopt) {
    request_.Clear();
    teller_.Tell(now, listing, &request_);
    std::vector<std::string> shards;
    for (const v1::ShardStat& stat : request_.stats()) shards.push_back(stat.shard());
    return shards;
  }

  StatTeller teller_;
  v1::HeartbeatRequest request_;
};

TEST_F(StatTellerTest, EachThingIsToldOnce) {
  EXPECT_THAT(Tell({Known("a"), Known("b")}), ElementsAre("a", "b"));
  teller_.OnAnswer(7);
  EXPECT_THAT(Tell({Known("a"), Known("b")}), IsEmpty());
  teller_.OnAnswer(7);
  EXPECT_THAT(Tell({Known("a"), Troubled("b")}), ElementsAre("b"));
  EXPECT_EQ(request_.stats(0).trouble().message(), "down");
  teller_.OnAnswer(7);
  EXPECT_THAT(Tell({Known("a"), Troubled("b")}), IsEmpty());
  EXPECT_THAT(Tell({Known("a"), Known("b")}), ElementsAre("b")) << "it is over";
  EXPECT_FALSE(request_.stats(0).has_trouble());
}

TEST_F(StatTellerTest, WhatWasNotAnsweredIsToldAgain) {
  EXPECT_THAT(Tell({Known("a")}), ElementsAre("a"));
  EXPECT_THAT(Tell({Known("a")}), ElementsAre("a"));
  teller_.OnAnswer(0);  // answered, but not kept
  EXPECT_THAT(Tell({Known("a")}), ElementsAre("a"));
}

TEST_F(StatTellerTest, AllIsToldAgainWhereItIsLost) {
  Tell({Known("a"), Known("b")}, ListingStat{});
  teller_.OnAnswer(7);
  Tell({Known("a"), Known("b")}, ListingStat{});
  EXPECT_FALSE(request_.has_listing());
  teller_.OnAnswer(0);
  EXPECT_THAT(Tell({Known("a"), Known("b")}, ListingStat{}), ElementsAre("a", "b"));
  EXPECT_TRUE(request_.has_listing());
  teller_.OnAnswer(8);
  EXPECT_THAT(Tell({Known("a"), Troubled("b")}), ElementsAre("b"));
  teller_.OnAnswer(9);  // lost again, but for what came just now
  EXPECT_THAT(Tell({Known("a"), Troubled("b")}), ElementsAre("a"));
}

TEST_F(StatTellerTest, ALeaseThatIsAnotherIsToldAnew) {
  Tell({Known("a", 1)});
  teller_.OnAnswer(7);
  EXPECT_THAT(Tell({Known("a", 2)}), ElementsAre("a"));
  EXPECT_EQ(request_.stats(0).epoch(), 2);
  teller_.OnAnswer(7);
  Tell({});
  teller_.OnAnswer(7);
  EXPECT_THAT(Tell({Known("a", 2)}), ElementsAre("a")) << "it was not held meanwhile";
}

TEST_F(StatTellerTest, ManyAreToldByAndByTroublesFirst) {
  std::vector<ToldStat> now;
  for (size_t i = 0; i < 2 * StatTeller::kMostStats; ++i) {
    now.push_back(Known(absl::StrFormat("%05d", i)));
  }
  now.back() = Troubled(now.back().shard);
  std::vector<std::string> told = Tell(now);
  EXPECT_EQ(told.size(), StatTeller::kMostStats);
  EXPECT_EQ(told.front(), now.back().shard);
  teller_.OnAnswer(7);
  EXPECT_EQ(Tell(now).size(), StatTeller::kMostStats);
  teller_.OnAnswer(7);
  EXPECT_THAT(Tell(now), IsEmpty());
}

TEST_F(StatTellerTest, TroubleWithTheListIsToldUntilItIsOver) {
  Tell({}, ListingStat{Troubled("").stat.trouble});
  EXPECT_EQ(request_.listing().trouble().message(), "down");
  EXPECT_EQ(request_.listing().trouble().kind(), v1::TROUBLE_KIND_SOURCE);
  EXPECT_EQ(request_.listing().trouble().lasted().seconds(), 1);
  teller_.OnAnswer(7);
  Tell({}, ListingStat{Troubled("").stat.trouble});
  EXPECT_FALSE(request_.has_listing());
  Tell({}, ListingStat{});
  EXPECT_TRUE(request_.has_listing());
  EXPECT_FALSE(request_.listing().has_trouble());
}

TEST_F(StatTellerTest, ANewSessionHasToldNothing) {
  Tell({Known("a")});
  teller_.OnAnswer(7);
  teller_.Begin();
  EXPECT_THAT(Tell({Known("a")}), ElementsAre("a"));
}

}  // namespace
}  // namespace lowmark
