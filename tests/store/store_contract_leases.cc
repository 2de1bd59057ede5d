// Leases and sessions.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/store/store_contract.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Ids(const LeaseGrant& grant) {
  std::vector<std::string> ids;
  for (const LeaseGrant::Lease& lease : grant.leases) ids.push_back(lease.shard.shard);
  return ids;
}

std::vector<std::string> Kinds(Store& store, const std::string& shard) {
  std::vector<std::string> kinds;
  auto events = store.ListEvents("s", shard, 0, 100);
  if (!events.ok()) return {events.status().ToString()};
  for (const ShardEvent& event : *events) kinds.push_back(event.kind);
  return kinds;
}

TEST_P(StoreContract, LeasesFreeShardsUnderANewEpoch) {
  AddShards({"a", "b", "c"});
  const LeaseGrant grant = MustLease("w", 2);
  EXPECT_THAT(Ids(grant), ElementsAre("a", "b"));
  EXPECT_EQ(grant.policy, TestPolicy());
  EXPECT_EQ(grant.etag, store().GetStream("s")->etag);
  EXPECT_TRUE(grant.elected);
  const LeaseGrant::Lease& lease = grant.leases[0];
  EXPECT_EQ(lease.shard.owner, "w");
  EXPECT_GT(lease.shard.epoch, 0);
  EXPECT_EQ(lease.shard, MustGet("a"));
  EXPECT_EQ(lease.delivery.delivery, 1);
  EXPECT_EQ(lease.delivery.batch_id, 1);
  EXPECT_EQ(lease.delivery.start, Position::TrimHorizon());
  EXPECT_FALSE(lease.lost);
  EXPECT_EQ(MustGet("c").owner, "");
  EXPECT_THAT(Kinds(store(), "a"), ElementsAre("leased"));
}

TEST_P(StoreContract, NoneFreeIsAnEmptyAnswer) {
  auto grant = LeaseOne(store(), Call("w", 1));
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_THAT(grant->leases, IsEmpty());
  EXPECT_EQ(grant->policy, TestPolicy());
  EXPECT_TRUE(grant->elected);
}

TEST_P(StoreContract, SaysWhichCallOpenedTheSession) {
  EXPECT_TRUE(LeaseOne(store(), Call("w", 1))->opened);
  EXPECT_FALSE(LeaseOne(store(), Call("w", 1))->opened);
  EXPECT_TRUE(LeaseOne(store(), Call("v", 1))->opened);
}

TEST_P(StoreContract, ACallThatDoesNotWaitIsServedToo) {
  AddShards({"a", "b"});
  OneCall call = Call("w", 1);
  call.wait = absl::ZeroDuration();
  EXPECT_EQ(LeaseOne(store(), call)->leases.size(), 1u);
  EXPECT_EQ(Loads()["w"].wanted, 0);
}

TEST_P(StoreContract, AWorkerCountsAsWantingWhileItWaits) {
  ASSERT_TRUE(LeaseOne(store(), Call("w", 3)).ok());
  EXPECT_EQ(Loads()["w"].wanted, 0) << "the call that opens a session does not wait";
  ASSERT_TRUE(LeaseOne(store(), Call("w", 3)).ok());
  EXPECT_EQ(Loads()["w"].wanted, 3);
  AddShards({"a", "b"});
  ASSERT_EQ(MustLease("w", 2).leases.size(), 2u);
  EXPECT_EQ(Loads()["w"].wanted, 0) << "it has all it wanted";
  EXPECT_EQ(Loads()["w"].held, 2);

  ASSERT_TRUE(LeaseOne(store(), Call("w", 4, 2)).ok());
  EXPECT_EQ(Loads()["w"].wanted, 4);
  Advance(absl::Minutes(6));
  EXPECT_EQ(Loads()["w"].wanted, 0) << "its call has ended";
}

TEST_P(StoreContract, SharesFairlyByCapacity) {
  AddShards({"a", "b", "c", "d", "e", "f"});
  OneCall big = Call("big", 6);
  big.capacity = 2;
  ASSERT_TRUE(LeaseOne(store(), Call("small", 1)).ok());  // a: alone, it may
  auto grant = LeaseOne(store(), big);
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_EQ(grant->leases.size(), 5u) << "nobody else wants any";
  auto census = store().ReadCensus("s");
  ASSERT_TRUE(census.ok());
  EXPECT_EQ(census->shards, 6);
  EXPECT_EQ(Loads()["big"].capacity, 2);

  // Now a third one wants its share: two that the others are to hand over.
  auto late = LeaseOne(store(), Call("late", 6));
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_THAT(late->leases, IsEmpty());
  ASSERT_TRUE(LeaseOne(store(), Call("late", 6)).ok());
  int64_t excess = 0;
  for (const Excess& each : ToHandOver(*store().ReadCensus("s"))) excess += each.shards;
  EXPECT_GT(excess, 0);
}

// Whose worker was not heard of may be alive: nobody could be heard of.
TEST_P(StoreContract, EndsNoSessionWhileItsClockIsNotTrusted) {
  AddShards({"a"});
  MustLease("v", 1);
  Advance(absl::Minutes(11));
  LeaseRound round;
  round.stream = "s";
  round.session_ttl = absl::Minutes(10);
  round.calls = {Call("w", 1)};
  round.may_end_from = absl::InfiniteFuture();
  ASSERT_TRUE(store().LeaseShards(round).ok());
  EXPECT_EQ(MustGet("a").owner, "v");
  ASSERT_TRUE(RenewOne(store(), "s", "v", absl::Minutes(10)).ok());
  round.may_end_from = absl::InfinitePast();
  ASSERT_TRUE(store().LeaseShards(round).ok());
  EXPECT_EQ(MustGet("a").owner, "v");
}

// What a worker that is gone waited for is for others at once.
TEST_P(StoreContract, WhoWithdrawsWantsNothing) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(LeaseOne(store(), Call("first", 1)).ok());
  AddShards({"a"});
  LeaseRound round;
  round.stream = "s";
  round.session_ttl = absl::Minutes(10);
  round.calls = {Call("second", 1)};
  round.withdrawn = {"first"};
  auto answers = store().LeaseShards(round);
  ASSERT_TRUE(answers.ok()) << answers.status();
  EXPECT_EQ(answers->grants[0]->leases.size(), 1u);
  EXPECT_EQ(Loads()["first"].wanted, 0);
}

TEST_P(StoreContract, APausedStreamLeasesNothing) {
  AddShards({"a"});
  SetPaused(true);
  EXPECT_THAT(LeaseOne(store(), Call("w", 1))->leases, IsEmpty());
  EXPECT_TRUE(store().ReadCensus("s")->paused);
  SetPaused(false);
  EXPECT_EQ(MustLease("w", 1).leases.size(), 1u);
  EXPECT_FALSE(store().ReadCensus("s")->paused);
}

// The answer to a call was lost: the leases are there, the worker does not know.
TEST_P(StoreContract, RepeatsLeasesThatTheWorkerDoesNotKnow) {
  AddShards({"a", "b", "c"});
  const LeaseGrant first = MustLease("w", 2);
  const LeaseGrant again = MustLease("w", 2, /*held=*/0);
  EXPECT_THAT(Ids(again), ElementsAre("a", "b"));
  EXPECT_EQ(again.leases[0].shard, first.leases[0].shard);
  EXPECT_EQ(again.leases[0].delivery.delivery, first.leases[0].delivery.delivery);
  EXPECT_FALSE(again.leases[0].lost);
  EXPECT_THAT(Kinds(store(), "a"), ElementsAre("leased"));
  EXPECT_THAT(Ids(MustLease("w", 2, /*held=*/2)), ElementsAre("c"));
}

// Under its epoch things may have been done that the failover lost: what others report
// under it, late, must not pass for what is done now.
TEST_P(StoreContract, RepeatsNoLeaseFromBeforeAFailover) {
  AddShards({"a", "b"});
  const LeaseGrant before = MustLease("w", 2);
  FailOver();
  const LeaseGrant after = MustLease("w", 2, /*held=*/0);
  ASSERT_THAT(Ids(after), ElementsAre("a", "b"));
  for (const LeaseGrant::Lease& lease : after.leases) {
    EXPECT_GE(lease.shard.epoch, int64_t{1} << 40);
    EXPECT_TRUE(lease.lost) << "its delivery is outstanding";
  }
  EXPECT_THAT(Kinds(store(), "a"), ElementsAre("leased", "expired", "lost", "leased"));
  EXPECT_EQ(Loads()["w"].held, 2);
  EXPECT_EQ(Reason(Update(Report("a", "w", 1, before.leases[0].delivery.delivery, NotRun()))),
            kLeaseFenced);
}

TEST_P(StoreContract, AReleasedShardIsLeasedAgainWithoutALoss) {
  AddShards({"a"});
  const LeaseGrant first = MustLease("v", 1);
  ASSERT_TRUE(Update(ReleaseOf(first.leases[0].shard)).ok());
  ASSERT_TRUE(Update(ReleaseOf(first.leases[0].shard)).ok()) << "releasing again changes nothing";
  const LeaseGrant second = MustLease("w", 1);
  EXPECT_GT(second.leases[0].shard.epoch, first.leases[0].shard.epoch);
  EXPECT_FALSE(second.leases[0].lost);
  EXPECT_EQ(second.leases[0].delivery.batch_id, first.leases[0].delivery.batch_id);
  EXPECT_EQ(Reason(Update(Report(first.leases[0], NotRun()))), kLeaseFenced);
  EXPECT_EQ(Reason(Update(ReleaseOf(first.leases[0].shard))), kLeaseFenced);
}

TEST_P(StoreContract, AnExpiredSessionEndsWhenAnotherWorkerAsks) {
  AddShards({"a", "b"});
  const LeaseGrant first = MustLease("v", 2);
  ASSERT_EQ(first.leases.size(), 2u);
  ASSERT_TRUE(Update(Report(first.leases[1], Succeeded{"1", "4", 4, false})).ok());
  Advance(absl::Minutes(11));

  // Expired but not taken is still valid.
  EXPECT_TRUE(store().CheckSession("s", "v").ok());
  ASSERT_TRUE(Update(Report(first.leases[0], Succeeded{"1", "2", 2, false})).ok());
  EXPECT_THAT(store().ReadCensus("s")->workers, IsEmpty());

  const LeaseGrant second = MustLease("w", 2);
  EXPECT_THAT(Ids(second), ElementsAre("a", "b"));
  EXPECT_TRUE(second.elected);
  EXPECT_TRUE(second.leases[0].lost);
  EXPECT_EQ(second.leases[0].delivery.start, Position::After("2"));
  EXPECT_EQ(second.leases[0].delivery.batch_id, 2) << "the lost batch comes again";
  EXPECT_EQ(second.leases[0].delivery.delivery, 3);
  EXPECT_EQ(MustGet("a").state.lost_deliveries, 1);
  EXPECT_THAT(Kinds(store(), "a"), ElementsAre("leased", "expired", "lost", "leased"));

  // Ended is for ever.
  EXPECT_EQ(Reason(store().CheckSession("s", "v")), kSessionExpired);
  EXPECT_EQ(Reason(RenewOne(store(), "s", "v", absl::Minutes(1)).status()), kSessionExpired);
  EXPECT_EQ(Reason(LeaseOne(store(), Call("v", 1)).status()), kSessionExpired);
  EXPECT_EQ(Reason(Update(Report(first.leases[0], NotRun()))), kLeaseFenced);
  EXPECT_EQ(RenewOne(store(), "s", "v", absl::Minutes(1)).status().code(),
            absl::StatusCode::kAborted);
}

// It would live until the clock is where it was.
TEST_P(StoreContract, ASessionFromBeforeTheClockWasSetBackHasExpired) {
  AddShards({"a"});
  MustLease("v", 1);
  Advance(-absl::Hours(1));
  EXPECT_THAT(Ids(MustLease("w", 1)), ElementsAre("a"));
  EXPECT_EQ(Reason(store().CheckSession("s", "v")), kSessionExpired);
}

TEST_P(StoreContract, AWorkerMayRenewAnExpiredSessionThatNobodyEnded) {
  AddShards({"a"});
  MustLease("v", 1);
  Advance(absl::Minutes(11));
  ASSERT_TRUE(RenewOne(store(), "s", "v", absl::Minutes(10)).ok());
  EXPECT_THAT(LeaseOne(store(), Call("w", 1))->leases, IsEmpty());
  EXPECT_EQ(MustGet("a").owner, "v");
  Advance(absl::Minutes(11));
  EXPECT_THAT(Ids(MustLease("v", 1)), ElementsAre("a")) << "by its own call too";
}

// A worker whose host is gone still has a call that waits, which is tried again
// and again: that must not keep its session alive.
TEST_P(StoreContract, ATryWithoutASignOfLifeRenewsNothing) {
  AddShards({"1"});
  OneCall call = Call("gone", 1);
  call.session_ttl = absl::Seconds(30);
  ASSERT_EQ(LeaseOne(store(), call)->leases.size(), 1u);
  Advance(absl::Seconds(29));
  call.held = 1;
  call.renew = false;
  ASSERT_TRUE(LeaseOne(store(), call).ok());
  Advance(absl::Seconds(2));
  EXPECT_EQ(MustLease("other", 1).leases[0].shard.shard, "1");
  EXPECT_THAT(LeaseOne(store(), call)->leases, IsEmpty());
  call.renew = true;
  EXPECT_EQ(Reason(LeaseOne(store(), call).status()), kSessionExpired);
}

TEST_P(StoreContract, AWorkerMayWantNoneAnyMore) {
  ASSERT_TRUE(LeaseOne(store(), Call("a", 1)).ok());
  ASSERT_TRUE(LeaseOne(store(), Call("a", 1)).ok());
  AddShards({"1"});
  // By the stock that is taken it is the turn of "a".
  ASSERT_TRUE(LeaseOne(store(), Call("b", 1))->leases.empty());
  ASSERT_TRUE(LeaseOne(store(), Call("a", 0))->leases.empty());
  EXPECT_EQ(MustLease("b", 1).leases[0].shard.shard, "1");
}

TEST_P(StoreContract, TheOldestLiveSessionIsElected) {
  EXPECT_TRUE(LeaseOne(store(), Call("x", 1))->elected);
  EXPECT_FALSE(LeaseOne(store(), Call("a", 1))->elected) << "not by name";
  EXPECT_FALSE(LeaseOne(store(), Call("b", 1))->elected);
  EXPECT_TRUE(RenewOne(store(), "s", "x", absl::Minutes(10))->elected);
  EXPECT_FALSE(RenewOne(store(), "s", "a", absl::Minutes(30))->elected);
  ASSERT_TRUE(RenewOne(store(), "s", "b", absl::Minutes(30)).ok());
  Advance(absl::Minutes(11));
  EXPECT_TRUE(RenewOne(store(), "s", "a", absl::Minutes(30))->elected);
  EXPECT_FALSE(RenewOne(store(), "s", "b", absl::Minutes(30))->elected);
}

// After an outage: were all elected, all would list the source's shards.
TEST_P(StoreContract, OneIsElectedWhereAllComeBackTogether) {
  for (const char* worker : {"x", "a"}) ASSERT_TRUE(LeaseOne(store(), Call(worker, 1)).ok());
  Advance(absl::Minutes(11));
  const auto views = store().RenewSessions("s", {Renewal{"x"}, Renewal{"a"}}, absl::Minutes(10));
  ASSERT_TRUE(views.ok()) << views.status();
  EXPECT_TRUE((*views)[0]->elected);
  EXPECT_FALSE((*views)[1]->elected);
}

TEST_P(StoreContract, ALossBeyondTheLimitIsAFailureOfTheBatch) {
  Policy policy = TestPolicy();
  policy.maximum_lost_deliveries = 1;
  policy.maximum_retry_attempts = 0;
  ASSERT_TRUE(store().DeleteStream("s", "").ok());
  ASSERT_TRUE(store().CreateStream("s", policy).ok());
  AddShards({"a"});
  MustLease("w1", 1);
  Advance(absl::Minutes(11));
  const LeaseGrant second = MustLease("w2", 1);
  EXPECT_TRUE(second.leases[0].delivery.declare);
  ASSERT_TRUE(Update(Report(second.leases[0], Started{{"7"}})).ok());
  Advance(absl::Minutes(11));
  const LeaseGrant third = MustLease("w3", 1);
  EXPECT_TRUE(third.leases[0].lost);
  EXPECT_EQ(third.leases[0].delivery.start, Position::After("7"));
  auto letters = store().ListDeadLetters("s", "a", 0, 10);
  ASSERT_TRUE(letters.ok());
  ASSERT_EQ(letters->size(), 1u);
  EXPECT_EQ(letters->front().range.error_type, "LostDelivery");
  EXPECT_EQ(letters->front().epoch, second.leases[0].shard.epoch);
  EXPECT_EQ(letters->front().delivery, second.leases[0].delivery.delivery);
}

TEST_P(StoreContract, ADoneShardIsNobodys) {
  AddShards({"a", "b"});
  const LeaseGrant grant = MustLease("w", 2);
  ASSERT_TRUE(Update(Report(grant.leases[0], Succeeded{"", "", 0, true})).ok());
  EXPECT_EQ(Loads()["w"].held, 1);
  EXPECT_EQ(store().ReadCensus("s")->shards, 1);
  EXPECT_EQ(store().ListHeld("s", "w")->shards.size(), 1u);
  EXPECT_THAT(LeaseOne(store(), Call("w", 1, 1))->leases, IsEmpty());
}

TEST_P(StoreContract, HintsWhenAShardMayBeFree) {
  under_test_ = GetParam()();
  store().WatchFreeShards(hints_.Callback());
  ASSERT_TRUE(store().CreateStream("s", TestPolicy()).ok());
  // Until one came the watch may not have begun, or may still say "any".
  do {
    ASSERT_TRUE(store().AddShards("s", {{absl::FormatTime(absl::Now()), {}}}).ok());
  } while (!hints_.Await("s", absl::Milliseconds(200)));
  // Hints come in their order: once this one did, none of before is on its way.
  ASSERT_TRUE(store().CreateStream("marker", TestPolicy()).ok());
  int markers = 0;
  const auto clear = [&] {
    ASSERT_TRUE(store().AddShards("marker", {{absl::StrCat(++markers), {}}}).ok());
    ASSERT_TRUE(hints_.Await("marker"));
    hints_.Clear();
  };
  clear();
  LeaseGrant grant = MustLease("w", 1);

  ASSERT_TRUE(store().AddShards("s", {{"a", {}}}).ok());
  EXPECT_TRUE(hints_.Await("s")) << "a new shard";
  clear();
  ASSERT_TRUE(Update(ReleaseOf(grant.leases[0].shard)).ok());
  EXPECT_TRUE(hints_.Await("s")) << "a released one";

  grant = MustLease("w", 1);
  ASSERT_TRUE(store().AddShards("s", {{"child", {grant.leases[0].shard.shard}}}).ok());
  clear();
  ASSERT_TRUE(Update(Report(grant.leases[0], Succeeded{"", "", 0, true})).ok());
  EXPECT_TRUE(hints_.Await("s")) << "a child whose parents are done";

  clear();
  SetPaused(true);
  SetPaused(false);
  EXPECT_TRUE(hints_.Await("s")) << "a stream that goes on";
}

}  // namespace
}  // namespace lowmark
