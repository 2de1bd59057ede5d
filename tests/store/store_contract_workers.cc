// Workers: what they hold, their sessions, and what operators say of them.
#include "tests/store/store_contract.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

using testing::IsEmpty;

TEST_P(StoreContract, CountsWhatEachWorkerHolds) {
  AddShards({"a", "b", "c"});
  const LeaseGrant grant = MustLease("w", 3);
  EXPECT_EQ(Loads()["w"].held, 3);
  ASSERT_TRUE(Update(ReleaseOf(grant.leases[0].shard)).ok());
  ASSERT_TRUE(Update(ReleaseOf(grant.leases[0].shard)).ok());
  EXPECT_EQ(Loads()["w"].held, 2);
  ASSERT_TRUE(Update(Report(grant.leases[1], Succeeded{"", "", 0, true})).ok());
  EXPECT_EQ(Loads()["w"].held, 1);
  EXPECT_EQ(store().ReadCensus("s")->shards, 2) << "one is done";
  Advance(absl::Minutes(11));
  MustLease("v", 2);
  EXPECT_EQ(Loads()["v"].held, 2);
  auto workers = store().ListWorkers("s", "", 10);
  ASSERT_TRUE(workers.ok()) << workers.status();
  ASSERT_EQ(workers->size(), 2u);
  EXPECT_TRUE((*workers)[1].ended);
  EXPECT_EQ((*workers)[1].load.held, 0);
}

TEST_P(StoreContract, AHeartbeatProvesAWorkerThatHoldsAShard) {
  ASSERT_TRUE(LeaseOne(store(), Call("w", 1)).ok());
  ASSERT_TRUE(RenewOne(store(), "s", "w", absl::Minutes(10)).ok());
  EXPECT_FALSE(Loads()["w"].proven);
  AddShards({"a"});
  MustLease("w", 1);
  EXPECT_FALSE(Loads()["w"].proven);
  ASSERT_TRUE(RenewOne(store(), "s", "w", absl::Minutes(10)).ok());
  EXPECT_TRUE(Loads()["w"].proven);
}

TEST_P(StoreContract, OperatorsCordonAndDrainWorkers) {
  AddShards({"a", "b"});
  MustLease("w", 1);
  auto changed = store().ChangeWorker("s", "w", {.cordoned = true, .draining = std::nullopt});
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_TRUE(changed->load.cordoned);
  EXPECT_FALSE(changed->load.draining);
  EXPECT_EQ(changed->load.held, 1);
  EXPECT_GT(changed->expires, changed->opened);
  EXPECT_THAT(LeaseOne(store(), Call("w", 1, 1))->leases, IsEmpty()) << "it gets no more";
  ASSERT_TRUE(store().ChangeWorker("s", "w", {.cordoned = false, .draining = true}).ok());
  EXPECT_THAT(LeaseOne(store(), Call("w", 1, 1))->leases, IsEmpty());
  EXPECT_TRUE(ToHandOver(*store().ReadCensus("s")).at(0).any());
  ASSERT_TRUE(store().ChangeWorker("s", "w", {.cordoned = std::nullopt, .draining = false}).ok());
  EXPECT_EQ(LeaseOne(store(), Call("w", 1, 1))->leases.size(), 1u);
  EXPECT_EQ(Reason(store().ChangeWorker("s", "x", {}).status()), kWorkerNotFound);
  EXPECT_EQ(Reason(store().ChangeWorker("x", "w", {}).status()), kStreamNotFound);
}

// What a shard weighs goes with it from owner to owner.
TEST_P(StoreContract, LoadsMoveWithTheirShards) {
  ASSERT_TRUE(store()
                  .UpdateStream("s", "",
                                [](Policy policy) {
                                  policy.balance_by = BalanceBy::kRecords;
                                  return absl::StatusOr<Policy>(policy);
                                })
                  .ok());
  AddShards({"a", "b", "c"});
  const LeaseGrant grant = MustLease("v", 3);
  auto renew = [&](const std::string& worker, const std::vector<ShardLoad>& loads) {
    auto views = store().RenewSessions("s", {{worker, true, loads}}, absl::Minutes(10));
    return views.ok() ? views->at(0).status() : views.status();
  };
  ASSERT_TRUE(renew("v", {{"a", 1.5}, {"b", 2}, {"c", std::nullopt}}).ok());
  EXPECT_TRUE(store().ReadCensus("s")->by_load);
  EXPECT_DOUBLE_EQ(Loads()["v"].load, 3.5);
  EXPECT_DOUBLE_EQ(store().ListHeld("s", "v")->shards.at(1).load, 2);

  ASSERT_TRUE(Update(ReleaseOf(grant.leases[1].shard)).ok());
  EXPECT_DOUBLE_EQ(Loads()["v"].load, 1.5);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(LeaseOne(store(), Call("w", 1)).ok());
  ASSERT_EQ(MustGet("b").owner, "w");
  EXPECT_DOUBLE_EQ(Loads()["w"].load, 2);
  ASSERT_TRUE(renew("w", {{"b", std::nullopt}}).ok());
  EXPECT_DOUBLE_EQ(Loads()["w"].load, 2) << "not measured there yet";
  ASSERT_TRUE(renew("w", {{"b", 8}}).ok());
  EXPECT_DOUBLE_EQ(Loads()["w"].load, 8);
  ASSERT_TRUE(RenewOne(store(), "s", "w", absl::Minutes(10)).ok());
  EXPECT_DOUBLE_EQ(Loads()["w"].load, 8) << "nothing was said of it";

  EXPECT_EQ(renew("w", {{"b", -1}}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_DOUBLE_EQ(Loads()["w"].load, 8);
}

TEST_P(StoreContract, ListsWorkersInPages) {
  for (const char* worker : {"c", "a", "b"}) ASSERT_TRUE(LeaseOne(store(), Call(worker, 1)).ok());
  auto page = store().ListWorkers("s", "", 2);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->size(), 2u);
  EXPECT_EQ((*page)[1].load.worker, "b");
  EXPECT_EQ(store().ListWorkers("s", "b", 2)->at(0).load.worker, "c");
}

TEST_P(StoreContract, ListsWhatAWorkerHolds) {
  AddShards({"c", "a", "b"});
  MustLease("w", 3);
  auto held = store().ListHeld("s", "w");
  ASSERT_TRUE(held.ok()) << held.status();
  ASSERT_EQ(held->shards.size(), 3u);
  EXPECT_EQ(held->shards[0].shard, "a");
  EXPECT_EQ(held->shards[0].epoch, MustGet("a").epoch);
  EXPECT_LE(held->shards[0].leased_at, held->now);
  EXPECT_GT(held->shards[0].leased_at, held->now - absl::Minutes(1));
  EXPECT_EQ(held->shards[2].shard, "c");
  EXPECT_THAT(store().ListHeld("s", "x")->shards, IsEmpty());
}

TEST_P(StoreContract, RenewingNeedsASession) {
  EXPECT_EQ(Reason(RenewOne(store(), "s", "w", absl::Minutes(1)).status()), kSessionExpired);
  EXPECT_EQ(Reason(store().CheckSession("s", "w")), kSessionExpired);
  ASSERT_TRUE(LeaseOne(store(), Call("w", 1)).ok());
  EXPECT_TRUE(RenewOne(store(), "s", "w", absl::Minutes(1)).ok());
  EXPECT_TRUE(store().CheckSession("s", "w").ok());
  ASSERT_TRUE(store().CreateStream("t", Policy()).ok());
  EXPECT_EQ(Reason(store().CheckSession("t", "w")), kSessionExpired)
      << "sessions are of one stream";
}

}  // namespace
}  // namespace lowmark
