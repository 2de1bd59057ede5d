// What workers tell of their shards: kept while their lease lasts, and lost without harm.
#include "tests/store/store_contract.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

constexpr absl::Duration kTtl = absl::Minutes(10);

ShardStat Lagging(absl::Duration age, std::optional<int64_t> backlog = std::nullopt) {
  ShardStat stat;
  stat.lag_age = age;
  stat.backlog = backlog;
  return stat;
}

ShardStat Troubled(const std::string& message, absl::Duration lasted,
                   Trouble::Kind kind = Trouble::Kind::kSource) {
  ShardStat stat;
  stat.trouble = Trouble{kind, message, lasted};
  return stat;
}

// The token of the answer.
int64_t Tell(Store& store, const std::string& worker, const std::vector<ToldStat>& stats,
             std::optional<ListingStat> listing = std::nullopt) {
  Renewal renewal{worker};
  renewal.stats = stats;
  renewal.listing = std::move(listing);
  auto views = store.RenewSessions("s", {renewal}, kTtl);
  EXPECT_TRUE(views.ok()) << views.status();
  if (!views.ok()) return -1;
  EXPECT_TRUE(views->at(0).ok()) << views->at(0).status();
  return views->at(0).ok() ? views->at(0)->stats_token : -1;
}

std::optional<ShardStat> StatOf(Store& store, const std::string& shard) {
  auto record = store.GetShard("s", shard);
  EXPECT_TRUE(record.ok()) << record.status();
  return record.ok() ? record->stat : std::nullopt;
}

TEST_P(StoreContract, KeepsWhatTheHolderTells) {
  AddShards({"a", "b"});
  const LeaseGrant grant = MustLease("w", 2);
  EXPECT_FALSE(StatOf(store(), "a").has_value());
  ASSERT_GT(Tell(store(), "w",
                 {{"a", grant.leases[0].shard.epoch, Lagging(absl::Seconds(90), 340)},
                  {"b", grant.leases[1].shard.epoch,
                   Troubled("it's \"down\" \\ é", absl::Seconds(30), Trouble::Kind::kHandler)}}),
            0);
  auto stat = StatOf(store(), "a");
  ASSERT_TRUE(stat.has_value());
  EXPECT_FALSE(stat->idle);
  EXPECT_EQ(stat->lag_age, absl::Seconds(90));
  EXPECT_EQ(stat->backlog, 340);
  EXPECT_FALSE(stat->trouble.has_value());
  auto listed = store().ListShards("s", "a", 10);
  ASSERT_TRUE(listed.ok());
  stat = listed->at(0).stat;
  ASSERT_TRUE(stat.has_value());
  EXPECT_FALSE(stat->lag_age.has_value());
  EXPECT_FALSE(stat->backlog.has_value());
  ASSERT_TRUE(stat->trouble.has_value());
  EXPECT_EQ(stat->trouble->kind, Trouble::Kind::kHandler);
  EXPECT_EQ(stat->trouble->message, "it's \"down\" \\ é");
  EXPECT_GE(stat->trouble->lasted, absl::Seconds(30));
  EXPECT_LT(stat->trouble->lasted, absl::Minutes(5));

  ShardStat idle;
  idle.idle = true;
  Tell(store(), "w", {{"b", grant.leases[1].shard.epoch, idle}});
  stat = StatOf(store(), "b");
  ASSERT_TRUE(stat.has_value());
  EXPECT_TRUE(stat->idle);
  EXPECT_FALSE(stat->trouble.has_value()) << "it is over";
}

TEST_P(StoreContract, TroubleThatGoesOnKeepsItsBeginning) {
  AddShards({"a"});
  const int64_t epoch = MustLease("w", 1).leases[0].shard.epoch;
  Tell(store(), "w", {{"a", epoch, Troubled("down", absl::Hours(1))}});
  ShardStat again = Troubled("down", absl::ZeroDuration());
  again.lag_age = absl::Hours(1);
  Tell(store(), "w", {{"a", epoch, again}});
  EXPECT_GE(StatOf(store(), "a")->trouble->lasted, absl::Hours(1));
  EXPECT_EQ(StatOf(store(), "a")->lag_age, absl::Hours(1));
  Tell(store(), "w", {{"a", epoch, Troubled("throttled", absl::ZeroDuration())}});
  EXPECT_LT(StatOf(store(), "a")->trouble->lasted, absl::Hours(1));
}

TEST_P(StoreContract, OnlyTheHolderOfTheLeaseIsHeard) {
  AddShards({"a"});
  ASSERT_TRUE(LeaseOne(store(), Call("v", 1)).ok());
  ASSERT_TRUE(LeaseOne(store(), Call("w", 1)).ok());
  const std::string holder = MustGet("a").owner;
  const std::string other = holder == "v" ? "w" : "v";
  const int64_t epoch = MustGet("a").epoch;
  Tell(store(), other, {{"a", epoch, Lagging(absl::Hours(1))}});
  Tell(store(), holder,
       {{"a", epoch - 1, Lagging(absl::Hours(1))}, {"nowhere", 1, Lagging(absl::Hours(1))}});
  EXPECT_FALSE(StatOf(store(), "a").has_value());
}

TEST_P(StoreContract, WhatWasToldEndsWithItsLease) {
  AddShards({"a"});
  const LeaseGrant grant = MustLease("w", 1);
  Tell(store(), "w", {{"a", grant.leases[0].shard.epoch, Troubled("down", absl::Hours(1))}});
  ASSERT_TRUE(Update(ReleaseOf(grant.leases[0].shard)).ok());
  EXPECT_FALSE(StatOf(store(), "a").has_value());
  MustLease("w", 1);
  EXPECT_FALSE(StatOf(store(), "a").has_value()) << "it is another lease's";
}

TEST_P(StoreContract, ATokenTellsThatWhatWasToldIsLost) {
  AddShards({"a"});
  const int64_t epoch = MustLease("w", 1).leases[0].shard.epoch;
  EXPECT_EQ(Tell(store(), "w", {}), 0) << "there is nothing yet";
  const int64_t token = Tell(store(), "w", {{"a", epoch, Lagging(absl::Seconds(1))}});
  EXPECT_GT(token, 0);
  EXPECT_EQ(Tell(store(), "w", {}), token);
  EXPECT_EQ(Tell(store(), "w", {{"a", epoch, Lagging(absl::Seconds(9))}}), token);
  LoseStats();
  EXPECT_EQ(Tell(store(), "w", {}), 0);
  const int64_t next = Tell(store(), "w", {{"a", epoch, Lagging(absl::Seconds(9))}});
  EXPECT_GT(next, 0);
  EXPECT_NE(next, token);
  EXPECT_EQ(StatOf(store(), "a")->lag_age, absl::Seconds(9));
}

TEST_P(StoreContract, AStreamHasTheTroubleOfWhoListsItsShards) {
  ASSERT_TRUE(LeaseOne(store(), Call("w", 1)).ok());
  const Trouble trouble{Trouble::Kind::kSource, "no such stream", absl::Hours(1)};
  ASSERT_GT(Tell(store(), "w", {}, ListingStat{trouble}), 0);
  auto stream = store().GetStream("s");
  ASSERT_TRUE(stream.ok() && stream->trouble.has_value());
  EXPECT_EQ(stream->trouble->message, "no such stream");
  EXPECT_GE(stream->trouble->lasted, absl::Hours(1));
  EXPECT_TRUE(store().ListStreams("", 1)->at(0).trouble.has_value());
  Tell(store(), "w", {}, ListingStat{});
  EXPECT_FALSE(store().GetStream("s")->trouble.has_value());
  Tell(store(), "w", {}, ListingStat{trouble});
  Advance(absl::Minutes(11));
  EXPECT_FALSE(store().GetStream("s")->trouble.has_value()) << "the worker is gone";
}

TEST_P(StoreContract, TextThatCannotBeKeptIsRefusedWithItsHeartbeat) {
  AddShards({"a"});
  const int64_t epoch = MustLease("w", 1).leases[0].shard.epoch;
  for (const std::string& text : {std::string("a\0b", 3), std::string("\xff")}) {
    Renewal bad{"w"};
    bad.stats = {{"a", epoch, Troubled(text, absl::ZeroDuration())}};
    Renewal listing{"w"};
    listing.listing = ListingStat{Trouble{Trouble::Kind::kSource, text, absl::ZeroDuration()}};
    for (const Renewal& renewal : {bad, listing}) {
      auto views = store().RenewSessions("s", {renewal}, kTtl);
      ASSERT_TRUE(views.ok()) << views.status();
      EXPECT_EQ(views->at(0).status().code(), absl::StatusCode::kInvalidArgument);
    }
  }
}

}  // namespace
}  // namespace lowmark
