// Rule 8: LATEST is pinned before the first record is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/core/error.h"
#include "service/core/step.h"

namespace lowmark {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1000);

// A shard that was leased and starts at LATEST.
struct AtLatest {
  Policy policy;
  ShardState state;

  explicit AtLatest(SequenceOrder order = SequenceOrder::kNumeric) {
    policy.sequence_order = order;
    state.position = Position::Latest();
    Do(Granted{});
  }
  absl::StatusOr<StepResult> Try(const Event& event) const {
    return Step(state, policy, event, kNow, 0.5);
  }
  void Do(const Event& event) {
    auto result = Try(event);
    ASSERT_TRUE(result.ok()) << result.status();
    state = result->state;
  }
};

TEST(StepResolved, TheNextDeliveryStartsThere) {
  for (const Position& position :
       {Position::At("7"), Position::After("7"), Position::AtTimestamp(kNow)}) {
    AtLatest shard;
    const Delivery before = CurrentDelivery(shard.state, shard.policy, kNow);
    auto result = shard.Try(Resolved{position});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->facts.outcome, Outcome::kResolved);
    EXPECT_EQ(result->facts.processed, 0);
    const Delivery next = CurrentDelivery(result->state, shard.policy, kNow);
    EXPECT_EQ(next.start, position);
    EXPECT_EQ(next.delivery, before.delivery + 1);
    // It is the batch that it was: nothing was delivered, nothing is spent or waited for.
    EXPECT_EQ(next.batch_id, before.batch_id);
    EXPECT_EQ(next.attempt, 1);
    EXPECT_EQ(next.delay, absl::ZeroDuration());
    EXPECT_EQ(next.cause, Redelivery::kNone);
  }
}

TEST(StepResolved, WhoeverGetsTheShardNextStartsThereToo) {
  AtLatest shard;
  shard.Do(Resolved{Position::AtTimestamp(kNow)});
  shard.Do(Granted{});  // the worker died
  EXPECT_EQ(shard.state.position, Position::AtTimestamp(kNow));
  EXPECT_EQ(Reason(shard.Try(Resolved{Position::At("9")}).status()), kInvalidArgument);
}

TEST(StepResolved, OnlyWhatStaysIsAPosition) {
  const AtLatest shard;
  for (const Position& position : {Position::Latest(), Position::TrimHorizon(),
                                   Position::ShardEnd(), Position::At("x"), Position::After("")}) {
    EXPECT_EQ(Reason(shard.Try(Resolved{position}).status()), kInvalidArgument)
        << position.ToString();
  }
  EXPECT_TRUE(AtLatest(SequenceOrder::kPositional).Try(Resolved{Position::At("x")}).ok());
}

TEST(StepResolved, OtherStartsAreWhereTheyAre) {
  for (const Position& start : {Position::TrimHorizon(), Position::At("3"), Position::After("3"),
                                Position::AtTimestamp(kNow)}) {
    AtLatest shard;
    shard.state.position = start;
    EXPECT_EQ(Reason(shard.Try(Resolved{Position::At("9")}).status()), kInvalidArgument)
        << start.ToString();
  }
}

}  // namespace
}  // namespace lowmark
