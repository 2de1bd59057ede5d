#include "service/core/lease.h"

#include <gtest/gtest.h>

#include <string>

#include "service/core/error.h"

namespace lowmark {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1000);

Shard Free() { return NewShard("orders", "0", 0, false, Policy{}); }

GrantResult Granted(const Shard& shard, const std::string& worker, int64_t timeline = 0) {
  auto granted = Grant(shard, worker, timeline, Policy{}, kNow, 0.5);
  EXPECT_TRUE(granted.ok()) << granted.status();
  return *granted;
}

Shard Leased(const std::string& worker = "a") { return Granted(Free(), worker).shard; }

Shard Reported(const Shard& shard, const Event& event) {
  auto result = Step(shard.state, Policy{}, event, kNow, 0.5);
  EXPECT_TRUE(result.ok()) << result.status();
  Shard next = shard;
  next.state = result->state;
  return next;
}

TEST(NewShard, StartsWhereThePolicySays) {
  Policy policy;
  policy.starting_position = Position::Latest();
  const Shard shard = NewShard("orders", "0", 0, false, policy);
  EXPECT_EQ(shard.state.position, Position::Latest());
  EXPECT_EQ(shard.epoch, 0);
  EXPECT_TRUE(shard.leasable());
}

TEST(NewShard, ThatContinuesOthersStartsAtItsFirstRecord) {
  Policy policy;
  policy.starting_position = Position::Latest();
  const Shard child = NewShard("orders", "1", 2, true, policy);
  EXPECT_EQ(child.state.position, Position::TrimHorizon());
  EXPECT_FALSE(child.leasable());
  // Also where all its parents were done before it became known.
  EXPECT_EQ(NewShard("orders", "1", 0, true, policy).state.position, Position::TrimHorizon());
}

TEST(Grant, RaisesTheEpochByOneAndNumbersTheDelivery) {
  const GrantResult first = Granted(Free(), "a");
  EXPECT_EQ(first.shard.owner, "a");
  EXPECT_EQ(first.shard.epoch, 1);
  EXPECT_EQ(first.shard.state.delivery, 1);
  EXPECT_EQ(first.shard.state.batch_id, 1);
  EXPECT_FALSE(first.step.facts.lost);
  const GrantResult second = Granted(Vacate(first.shard), "a");
  EXPECT_EQ(second.shard.epoch, 2);
  EXPECT_EQ(second.shard.state.delivery, 2);
  EXPECT_EQ(second.shard.state.batch_id, 1);
  EXPECT_TRUE(second.step.facts.lost);
}

TEST(Grant, RefusesWhatIsNotLeasable) {
  Shard waiting = Free();
  waiting.parents_left = 1;
  Shard done = Free();
  done.state.position = Position::ShardEnd();
  for (const Shard& shard : {Leased(), waiting, done}) {
    EXPECT_EQ(Grant(shard, "b", 0, Policy{}, kNow, 0).status().code(),
              absl::StatusCode::kFailedPrecondition);
  }
  Policy paused;
  paused.paused = true;
  EXPECT_EQ(Grant(Free(), "b", 0, paused, kNow, 0).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(CheckReport, KnowsTheCurrentDeliveryAndTheOneBefore) {
  Shard shard = Leased();
  EXPECT_EQ(*CheckReport(shard, "a", 1, 1), ReportKind::kCurrent);
  shard = Reported(shard, Succeeded{"1", "3", 3, false});
  EXPECT_EQ(*CheckReport(shard, "a", 1, 1), ReportKind::kRepeated);
  EXPECT_EQ(*CheckReport(shard, "a", 1, 2), ReportKind::kCurrent);
  shard = Reported(shard, Succeeded{"4", "4", 1, false});
  EXPECT_EQ(Reason(CheckReport(shard, "a", 1, 1).status()), kStaleDelivery);
  EXPECT_EQ(Reason(CheckReport(shard, "a", 1, 4).status()), kStaleDelivery);
}

TEST(CheckReport, FencesEveryoneButTheHolderOfTheEpoch) {
  const Shard shard = Granted(Vacate(Leased("a")), "b").shard;
  ASSERT_EQ(shard.epoch, 2);
  struct Case {
    const char* worker;
    int64_t epoch;
  };
  for (const Case& c : {Case{"a", 1}, Case{"a", 2}, Case{"b", 1}, Case{"b", 3}, Case{"", 2}}) {
    for (int64_t delivery : {1, 2, 3}) {
      EXPECT_EQ(Reason(CheckReport(shard, c.worker, c.epoch, delivery).status()), kLeaseFenced);
    }
  }
  EXPECT_TRUE(CheckReport(shard, "b", 2, 2).ok());
}

TEST(CheckReport, FencesAFreedShardsOldOwner) {
  const Shard vacated = Vacate(Leased());
  EXPECT_EQ(Reason(CheckReport(vacated, "a", 1, 1).status()), kLeaseFenced);
}

TEST(CheckReport, LetsTheReportThatEndedTheShardBeRepeated) {
  Shard shard = Reported(Leased(), Succeeded{"1", "3", 3, true});
  shard.owner.clear();
  EXPECT_EQ(*CheckReport(shard, "a", 1, 1), ReportKind::kRepeated);
  EXPECT_EQ(Reason(CheckReport(shard, "a", 1, 2).status()), kStaleDelivery);
  EXPECT_EQ(Reason(CheckReport(shard, "a", 2, 1).status()), kLeaseFenced);
}

TEST(NextEpoch, NeverGivesAnEpochTwiceWhateverTheFailover) {
  EXPECT_EQ(NextEpoch(0, 0), 1);
  EXPECT_EQ(NextEpoch(41, 0), 42);
  const int64_t first = NextEpoch(0, 1);
  EXPECT_EQ(first, int64_t{1} << 40);
  EXPECT_EQ(NextEpoch(first, 1), first + 1);
  // A failover that lost the last thousand epochs: the new timeline is above all.
  const int64_t lost = first + 1000;
  EXPECT_GT(NextEpoch(first, 2), lost);
  EXPECT_EQ(NextEpoch(first, 2), int64_t{2} << 40);
  // A timeline that is behind, as one read from a lagging replica, lowers nothing.
  EXPECT_EQ(NextEpoch(int64_t{2} << 40, 1), (int64_t{2} << 40) + 1);
}

TEST(TimelineOf, IsThatOfTheFailoverBefore) {
  EXPECT_EQ(TimelineOf(NextEpoch(5, 0)), 0);
  EXPECT_EQ(TimelineOf(NextEpoch(5, 2)), 2);
  EXPECT_EQ(TimelineOf(NextEpoch(NextEpoch(5, 2), 2)), 2);
  EXPECT_EQ(TimelineOf(NextEpoch(NextEpoch(5, 2), 3)), 3);
}

TEST(IsFromBefore, ComparesTimelines) {
  EXPECT_FALSE(IsFromBefore(NextEpoch(5, 0), 0));
  EXPECT_TRUE(IsFromBefore(NextEpoch(5, 0), 1));
  EXPECT_FALSE(IsFromBefore(NextEpoch(5, 2), 2));
  EXPECT_TRUE(IsFromBefore(NextEpoch(5, 2), 3));
}

TEST(Release, FreesTheShardAndSpendsNothing) {
  const Shard leased = Leased();
  auto released = Release(leased, "a", 1);
  ASSERT_TRUE(released.ok());
  EXPECT_TRUE(released->leasable());
  EXPECT_EQ(released->epoch, 1);
  EXPECT_FALSE(released->state.outstanding);
  const GrantResult next = Granted(*released, "b");
  EXPECT_FALSE(next.step.facts.lost);
  EXPECT_EQ(next.shard.state.batch_id, leased.state.batch_id);
  EXPECT_EQ(next.shard.state.lost_deliveries, 0);
}

TEST(Release, AgainChangesNothing) {
  const Shard released = *Release(Leased(), "a", 1);
  EXPECT_EQ(*Release(released, "a", 1), released);
}

TEST(Release, BySomebodyElseIsFenced) {
  const Shard leased = Leased();
  EXPECT_EQ(Reason(Release(leased, "b", 1).status()), kLeaseFenced);
  EXPECT_EQ(Reason(Release(leased, "a", 2).status()), kLeaseFenced);
  EXPECT_EQ(Reason(Release(leased, "a", 0).status()), kLeaseFenced);
  const Shard next = Granted(Vacate(leased), "b").shard;
  EXPECT_EQ(Reason(Release(next, "a", 1).status()), kLeaseFenced);
}

TEST(Vacate, LeavesTheDeliveryToBecomeALoss) {
  const Shard vacated = Vacate(Leased());
  EXPECT_TRUE(vacated.leasable());
  EXPECT_TRUE(vacated.state.outstanding);
  EXPECT_EQ(Granted(vacated, "b").shard.state.lost_deliveries, 1);
}

TEST(Seek, MovesTheCheckpointAndFencesTheOwner) {
  const Shard leased = Reported(Leased(), Failed{{"5", "6", "7"}, {}, "E", "m"});
  ASSERT_FALSE(leased.state.bounds.empty());
  auto moved = Seek(leased, Position::At("2"), 0, Policy{});
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(moved->state.position, Position::At("2"));
  EXPECT_TRUE(moved->state.bounds.empty());
  EXPECT_EQ(moved->state.attempts, 0);
  EXPECT_EQ(moved->epoch, 2);
  EXPECT_TRUE(moved->leasable());
  EXPECT_EQ(Reason(CheckReport(*moved, "a", 1, 2).status()), kLeaseFenced);
  const GrantResult next = Granted(*moved, "a");
  EXPECT_EQ(next.shard.epoch, 3);
  EXPECT_FALSE(next.step.facts.lost);
  EXPECT_NE(next.shard.state.batch_id, leased.state.batch_id);
  EXPECT_EQ(CurrentDelivery(next.shard.state, Policy{}, kNow).cause, Redelivery::kOperator);
  EXPECT_EQ(CurrentDelivery(next.shard.state, Policy{}, kNow).delay, absl::ZeroDuration());
}

TEST(Seek, TakesAnyPositionButTheEnd) {
  for (const Position& position : {Position::TrimHorizon(), Position::Latest(), Position::At("0"),
                                   Position::After("9"), Position::AtTimestamp(kNow)}) {
    auto moved = Seek(Leased(), position, 3, Policy{});
    ASSERT_TRUE(moved.ok());
    EXPECT_EQ(moved->state.position, position);
    EXPECT_EQ(moved->epoch, int64_t{3} << 40);
  }
  EXPECT_EQ(Reason(Seek(Leased(), Position::ShardEnd(), 0, Policy{}).status()), kInvalidArgument);
}

TEST(Seek, LeavesAShardThatIsDoneAlone) {
  Shard done = Free();
  done.state.position = Position::ShardEnd();
  const absl::Status status = Seek(done, Position::At("1"), 0, Policy{}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Reason(status), kShardDone);
}

}  // namespace
}  // namespace lowmark
