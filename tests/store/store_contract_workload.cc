// What there is to do in a stream, for autoscalers.
#include "service/core/scaling.h"
#include "tests/store/store_contract.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

constexpr absl::Duration kTtl = absl::Minutes(10);

Workload Load(Store& store) {
  auto load = store.ReadWorkload("s");
  EXPECT_TRUE(load.ok()) << load.status();
  return load.value_or(Workload());
}

void Tell(StoreContract& test, const std::string& worker, const std::string& shard, bool idle,
          std::optional<absl::Duration> lag = std::nullopt) {
  Renewal renewal{worker};
  ShardStat stat;
  stat.idle = idle;
  stat.lag_age = lag;
  renewal.stats = {{shard, test.MustGet(shard).epoch, stat}};
  ASSERT_TRUE(test.store().RenewSessions("s", {renewal}, kTtl).ok());
}

// "a" and "b" are held by "w", which has found both idle.
LeaseGrant MakeIdle(StoreContract& test) {
  test.AddShards({"a", "b"});
  LeaseGrant grant = test.MustLease("w", 2);
  Tell(test, "w", "a", true);
  Tell(test, "w", "b", true);
  return grant;
}

TEST_P(StoreContract, WhatWasNeverReadHasWork) {
  EXPECT_EQ(Load(store()).shards, 0);
  EXPECT_FALSE(Load(store()).last_read.has_value());
  EXPECT_FALSE(Load(store()).newest.has_value());
  ASSERT_TRUE(LeaseOne(store(), Call("v", 1)).ok());
  EXPECT_LT(Load(store()).last_read, absl::Minutes(1)) << "of no shards, nobody could hold any";
  EXPECT_LT(Load(store()).newest, absl::Minutes(1));
  AddShards({"a", "b"});
  ASSERT_TRUE(store().AddShards("s", {{"child", {"a"}}}).ok());
  EXPECT_EQ(Load(store()).shards, 2) << "nobody can read the child yet";
  EXPECT_EQ(Load(store()).with_work, 2);
  EXPECT_EQ(Load(store()).holders, 0);
  EXPECT_FALSE(Load(store()).last_read.has_value());
  MustLease("w", 1);
  EXPECT_EQ(Load(store()).with_work, 2) << "nothing is known of the other one either";
  EXPECT_EQ(Load(store()).holders, 1);
}

TEST_P(StoreContract, AHolderSaysWhetherThereIsWork) {
  MakeIdle(*this);
  Workload load = Load(store());
  EXPECT_EQ(load.with_work, 0);
  EXPECT_EQ(load.unread + load.untaken, 0);
  EXPECT_EQ(load.holders, 1);
  ASSERT_TRUE(load.last_read.has_value());
  EXPECT_LT(*load.last_read, absl::Minutes(1));
  Tell(*this, "w", "a", false, absl::Seconds(90));
  load = Load(store());
  EXPECT_EQ(load.with_work, 1);
  EXPECT_EQ(load.lag_age, absl::Seconds(90));
}

TEST_P(StoreContract, AnIdleShardThatIsReleasedWaitsForALook) {
  const LeaseGrant grant = MakeIdle(*this);
  for (const auto& lease : grant.leases) ASSERT_TRUE(Update(ReleaseOf(lease.shard)).ok());
  Workload load = Load(store());
  EXPECT_EQ(load.with_work, 0);
  EXPECT_EQ(load.untaken, 2);
  EXPECT_EQ(load.holders, 0) << "it lives, but takes no part any more";
  EXPECT_FALSE(NeedOf(load, {absl::Minutes(5)}).active);
  Advance(absl::Minutes(6));
  EXPECT_TRUE(NeedOf(Load(store()), {absl::Minutes(5)}).active);
  MustLease("w", 2);
  load = Load(store());
  EXPECT_EQ(load.unread, 2);
  EXPECT_EQ(load.with_work + load.untaken, 0);
  Tell(*this, "w", "a", true);
  EXPECT_EQ(Load(store()).unread, 1);
  Tell(*this, "w", "b", false);
  EXPECT_EQ(Load(store()).with_work, 1);
}

TEST_P(StoreContract, AShardThatIsReleasedWithWorkHasIt) {
  const LeaseGrant grant = MakeIdle(*this);
  Tell(*this, "w", "a", false);
  ASSERT_TRUE(Update(ReleaseOf(grant.leases[0].shard)).ok());
  EXPECT_EQ(Load(store()).with_work, 1);
}

// What its holder had in hand when it died is not known to have been idle.
TEST_P(StoreContract, AShardWhoseHolderDiedHasWork) {
  MakeIdle(*this);
  Advance(absl::Minutes(11));
  EXPECT_EQ(Load(store()).with_work, 2);
  EXPECT_EQ(Load(store()).holders, 0);
  MustLease("v", 1);  // ends the session
  Tell(*this, "v", MustGet("a").owner == "v" ? "a" : "b", true);
  EXPECT_EQ(Load(store()).with_work, 1) << "the other one is free, its delivery lost";
}

TEST_P(StoreContract, AShardWhoseCheckpointWasMovedHasWork) {
  const LeaseGrant grant = MakeIdle(*this);
  ShardUpdate seek;
  seek.shard = "a";
  seek.decide = [](const ShardView& view) -> absl::StatusOr<ShardChange> {
    auto moved = Seek(view.shard, Position::TrimHorizon(), view.timeline, view.policy);
    if (!moved.ok()) return moved.status();
    ShardChange change;
    change.changed = true;
    change.shard = *moved;
    return change;
  };
  ASSERT_TRUE(Update(std::move(seek)).ok());
  EXPECT_EQ(Load(store()).with_work, 1);
}

TEST_P(StoreContract, LossOfWhatWasToldIsWork) {
  MakeIdle(*this);
  LoseStats();
  EXPECT_EQ(Load(store()).with_work, 2);
}

TEST_P(StoreContract, SaysWhetherTheStreamIsPaused) {
  EXPECT_FALSE(Load(store()).paused);
  SetPaused(true);
  EXPECT_TRUE(Load(store()).paused);
  EXPECT_EQ(Reason(store().ReadWorkload("x").status()), kStreamNotFound);
}

// For operators: what stands still because nobody is there for it.
TEST_P(StoreContract, SaysWhichShardsNobodyHolds) {
  const auto unowned = [&] {
    std::map<std::string, int64_t> shards;
    const auto all = store().ListUnowned();
    EXPECT_TRUE(all.ok()) << all.status();
    for (const UnownedShards& each : *all) shards[each.stream] = each.shards;
    return shards;
  };
  using Unowned = std::map<std::string, int64_t>;
  EXPECT_EQ(unowned(), Unowned());
  AddShards({"a", "b", "c"});
  ASSERT_TRUE(store().AddShards("s", {{"child", {"a"}}}).ok());
  ASSERT_TRUE(store().CreateStream("other", TestPolicy()).ok());
  AddShards({"a"}, "other");
  EXPECT_EQ(unowned(), (Unowned{{"s", 3}, {"other", 1}})) << "nobody can read the child yet";
  const LeaseGrant grant = MustLease("w", 2);
  EXPECT_EQ(unowned(), (Unowned{{"s", 1}, {"other", 1}}));
  ASSERT_TRUE(Update(Report(grant.leases[0], Succeeded{"", "", 0, true})).ok());
  EXPECT_EQ(unowned(), (Unowned{{"s", 2}, {"other", 1}})) << "a is done, its child may be read";
  SetPaused(true);
  EXPECT_EQ(unowned(), (Unowned{{"other", 1}}));
  SetPaused(false);
  Advance(kTtl + absl::Minutes(1));
  EXPECT_EQ(unowned(), (Unowned{{"s", 3}, {"other", 1}})) << "and nobody has ended its session";
  MustLease("v", 3);
  EXPECT_EQ(unowned(), (Unowned{{"other", 1}}));
}

}  // namespace
}  // namespace lowmark
