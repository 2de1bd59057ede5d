// The rules one by one, as docs and reports will cite them; what a machine finds
// in all their combinations is in step_exhaustive_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "service/core/error.h"
#include "service/core/step.h"

namespace lowmark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const absl::Time kNow = absl::FromUnixSeconds(1000);

// A shard under test: applies events, keeps what the last one led to.
struct Under {
  Policy policy;
  ShardState state;
  Facts facts;
  std::vector<DeadLetterRange> dead_letters;

  explicit Under(Policy p) : policy(std::move(p)) { Do(Granted{}); }

  absl::Status Try(const Event& event) const {
    return Step(state, policy, event, kNow, 0.5).status();
  }
  void Do(const Event& event) {
    auto result = Step(state, policy, event, kNow, 0.5);
    ASSERT_TRUE(result.ok()) << result.status();
    state = result->state;
    facts = result->facts;
    for (const auto& dead : result->dead_letters) dead_letters.push_back(dead);
  }
  Delivery Now() const { return CurrentDelivery(state, policy, kNow); }
};

std::vector<std::string> Numbers(int first, int last) {
  std::vector<std::string> numbers;
  for (int i = first; i <= last; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

Event Fail(int first, int last, std::vector<std::string> failed = {}) {
  return Failed{Numbers(first, last), std::move(failed), "ValueError", "bad record"};
}

Policy Plain() {
  Policy policy;
  policy.bisect_batch_on_failure = false;
  return policy;
}

TEST(StepRules, SuccessMovesPastTheBatch) {
  Under shard{Policy{}};
  shard.Do(Succeeded{"1", "10", 10, false});
  EXPECT_EQ(shard.state.position, Position::After("10"));
  EXPECT_THAT(shard.state.bounds, IsEmpty());
  EXPECT_EQ(shard.facts.outcome, Outcome::kSuccess);
  EXPECT_EQ(shard.facts.processed, 10);
  EXPECT_EQ(shard.Now().batch_id, 2);
  EXPECT_EQ(shard.Now().max_records, 100);
  EXPECT_EQ(shard.Now().end_sequence, "");
}

TEST(StepRules, PartialFailureRetriesExactlyTheRestAtOnce) {
  Under shard{Policy{}};
  shard.Do(Fail(1, 10, {"7", "4", "7"}));
  EXPECT_EQ(shard.state.position, Position::At("4"));
  EXPECT_THAT(shard.state.bounds, ElementsAre("10"));
  EXPECT_EQ(shard.facts.outcome, Outcome::kPartial);
  EXPECT_EQ(shard.facts.processed, 3);
  const Delivery next = shard.Now();
  EXPECT_EQ(next.end_sequence, "10");
  EXPECT_EQ(next.max_records, Policy::kLargestBatch);
  EXPECT_EQ(next.batch_id, 2);
  EXPECT_EQ(next.delay, absl::ZeroDuration());
  EXPECT_EQ(next.attempt, 1);
  EXPECT_EQ(next.cause, Redelivery::kPartial);
}

TEST(StepRules, AListOfFailuresMeansNothingWithReportingOff) {
  Policy policy;
  policy.report_batch_item_failures = false;
  Under shard{policy};
  shard.Do(Fail(1, 3, {"2", "nothing-like-it"}));
  EXPECT_EQ(shard.state.position, Position::After("3"));
  EXPECT_EQ(shard.facts.outcome, Outcome::kSuccess);
  shard.Do(Fail(4, 6));  // but a raise counts
  EXPECT_EQ(shard.facts.outcome, Outcome::kSplit);
}

TEST(StepRules, AnUnknownFailedRecordFailsTheBatch) {
  Under shard{Plain()};
  shard.Do(Fail(1, 3, {"2", "9"}));
  EXPECT_EQ(shard.facts.outcome, Outcome::kRetry);
  EXPECT_EQ(shard.state.position, Position::At("1"));
}

TEST(StepRules, ASplitHalvesAWholeFailureAndIsolatesAReportedFirst) {
  Under whole{Policy{}};
  whole.Do(Fail(1, 5));
  EXPECT_THAT(whole.state.bounds, ElementsAre("5", "3"));
  Under reported{Policy{}};
  reported.Do(Fail(1, 5, {"1"}));
  EXPECT_THAT(reported.state.bounds, ElementsAre("5", "1"));
  EXPECT_EQ(reported.state.attempts, 0);
  EXPECT_EQ(reported.Now().cause, Redelivery::kSplit);
  EXPECT_EQ(reported.Now().delay, absl::ZeroDuration());
}

TEST(StepRules, ARetryIsTheIdenticalBatchAfterABackoff) {
  Policy policy = Plain();
  policy.maximum_retry_attempts = 2;
  policy.retry_backoff.jitter = 0;
  Under shard{policy};
  EXPECT_FALSE(shard.Now().final_attempt);
  shard.Do(Fail(1, 3));
  EXPECT_EQ(shard.Now().delay, absl::Milliseconds(200));
  EXPECT_EQ(shard.Now().batch_id, 1);
  EXPECT_EQ(shard.Now().attempt, 2);
  shard.Do(Fail(1, 3));
  EXPECT_EQ(shard.Now().delay, absl::Milliseconds(400));
  EXPECT_TRUE(shard.Now().final_attempt);
  shard.Do(Fail(1, 3));
  ASSERT_EQ(shard.dead_letters.size(), 1u);
  EXPECT_EQ(shard.dead_letters[0].attempts, 3);
  EXPECT_EQ(shard.dead_letters[0].error_type, "ValueError");
  EXPECT_EQ(shard.dead_letters[0].error_message, "bad record");
  EXPECT_EQ(shard.state.position, Position::After("3"));
  EXPECT_EQ(shard.Now().delay, absl::ZeroDuration());
}

TEST(StepRules, ABatchThatIsRetriedIsNotToppedUp) {
  Under shard{Plain()};
  shard.Do(Fail(1, 3));
  EXPECT_EQ(shard.Now().end_sequence, "3");
  EXPECT_EQ(Reason(shard.Try(Succeeded{"1", "4", 4, false})), kInvalidArgument);
}

TEST(StepRules, SettingAsideTakesAPrefixAndKeepsTheRestTogether) {
  Under shard{Policy{}};
  shard.Do(SetAside{Numbers(1, 5), 2, Condition::kRecordAgeExceeded, "too old"});
  ASSERT_EQ(shard.dead_letters.size(), 1u);
  EXPECT_EQ(shard.dead_letters[0].first, "1");
  EXPECT_EQ(shard.dead_letters[0].last, "2");
  EXPECT_EQ(shard.dead_letters[0].count, 2);
  EXPECT_EQ(shard.dead_letters[0].attempts, 0);
  EXPECT_EQ(shard.dead_letters[0].condition, Condition::kRecordAgeExceeded);
  EXPECT_EQ(shard.state.position, Position::After("2"));
  EXPECT_EQ(shard.Now().end_sequence, "5");
  shard.Do(SetAside{Numbers(3, 5), 3, Condition::kRecordTooLarge, "too large"});
  EXPECT_THAT(shard.state.bounds, IsEmpty());
}

TEST(StepRules, SettingAsideRefusesWhatItCannotMean) {
  const Under shard{Policy{}};
  for (int count : {0, -1, 6}) {
    EXPECT_EQ(Reason(shard.Try(SetAside{Numbers(1, 5), count, Condition::kRecordTooLarge, ""})),
              kInvalidArgument);
  }
  EXPECT_EQ(Reason(shard.Try(SetAside{Numbers(1, 5), 1, Condition::kRetryAttemptsExhausted, ""})),
            kInvalidArgument);
}

TEST(StepRules, NotRunSpendsNothingAndWaits) {
  Under shard{Policy{}};
  shard.Do(NotRun{});
  EXPECT_EQ(shard.Now().batch_id, 1);
  EXPECT_EQ(shard.Now().attempt, 1);
  EXPECT_EQ(shard.Now().delivery, 2);
  EXPECT_GT(shard.Now().delay, absl::ZeroDuration());
}

// By an hour, say; the longest pause that a third try can have is 480 ms.
TEST(StepRules, AClockThatWasSetBackMakesNoPauseLonger) {
  Under shard{Plain()};
  shard.Do(Fail(1, 3));
  shard.Do(Fail(1, 3));
  const absl::Time earlier = kNow - absl::Hours(1);
  EXPECT_EQ(CurrentDelivery(shard.state, shard.policy, earlier).delay, absl::Milliseconds(480));
  auto later = Step(shard.state, shard.policy, NotRun{}, earlier, 0.5);
  ASSERT_TRUE(later.ok()) << later.status();
  EXPECT_EQ(later->state.not_before, earlier + absl::Milliseconds(480));
}

TEST(StepRules, TheFirstLossCostsNothingButDeclaresTheBatch) {
  Under shard{Policy{}};
  EXPECT_FALSE(shard.Now().declare);
  shard.Do(Granted{});
  EXPECT_TRUE(shard.facts.lost);
  EXPECT_TRUE(shard.Now().declare);
  EXPECT_EQ(shard.Now().batch_id, 1);
  EXPECT_EQ(shard.state.attempts, 0);
  EXPECT_EQ(shard.state.lost_deliveries, 1);
}

TEST(StepRules, ADeclaredBatchIsReportedAsDeclared) {
  Under shard{Policy{}};
  shard.Do(Granted{});
  shard.Do(Started{Numbers(1, 5)});
  shard.Do(Started{Numbers(1, 5)});
  EXPECT_EQ(Reason(shard.Try(Started{Numbers(1, 4)})), kInvalidArgument);
  EXPECT_EQ(Reason(shard.Try(Succeeded{"1", "4", 4, false})), kInvalidArgument);
  EXPECT_EQ(Reason(shard.Try(Succeeded{"", "", 0, true})), kInvalidArgument);
  EXPECT_EQ(Reason(shard.Try(Fail(1, 6))), kInvalidArgument);
  shard.Do(Succeeded{"1", "5", 5, false});
}

// A worker that dies before it declares the batch dies of something else.
TEST(StepRules, LossesBeforeTheDeclarationAreNotTheBatchs) {
  Policy policy;
  policy.maximum_lost_deliveries = 1;
  Under shard{policy};
  for (int i = 0; i < 10; ++i) shard.Do(Granted{});
  EXPECT_EQ(shard.state.lost_deliveries, 1);
  EXPECT_THAT(shard.dead_letters, IsEmpty());
}

TEST(StepRules, LossesBeyondTheLimitFailTheBatch) {
  Policy policy;
  policy.maximum_lost_deliveries = 2;
  Under shard{policy};
  shard.Do(Granted{});
  shard.Do(Started{Numbers(1, 4)});
  shard.Do(Granted{});
  EXPECT_EQ(shard.facts.outcome, Outcome::kLost);
  shard.Do(Started{Numbers(1, 4)});
  shard.Do(Granted{});
  EXPECT_EQ(shard.facts.outcome, Outcome::kSplit);
  EXPECT_THAT(shard.state.bounds, ElementsAre("4", "2"));
  EXPECT_EQ(shard.state.lost_deliveries, 0);
  EXPECT_FALSE(shard.Now().declare);
}

TEST(StepRules, TheShardsEndIsFinal) {
  Under shard{Policy{}};
  shard.Do(Succeeded{"1", "3", 3, true});
  EXPECT_TRUE(shard.state.done());
  EXPECT_FALSE(shard.state.outstanding);
  EXPECT_EQ(shard.facts.outcome, Outcome::kShardEnd);
  EXPECT_EQ(shard.facts.processed, 3);
  EXPECT_EQ(Reason(shard.Try(Succeeded{"4", "4", 1, false})), kShardDone);
  EXPECT_EQ(Reason(shard.Try(Granted{})), kShardDone);
  EXPECT_EQ(Reason(shard.Try(Sought{Position::At("1")})), kShardDone);
  EXPECT_TRUE(shard.Try(Released{}).ok());
}

TEST(StepRules, AnEmptyReportNeedsABoundOrTheEnd) {
  Under shard{Policy{}};
  EXPECT_EQ(Reason(shard.Try(Succeeded{"", "", 0, false})), kInvalidArgument);
  EXPECT_TRUE(shard.Try(Succeeded{"", "", 0, true}).ok());
  EXPECT_EQ(Reason(shard.Try(Succeeded{"1", "1", 0, true})), kInvalidArgument);
  shard.Do(Fail(1, 4));  // the source then loses records 1 and 2
  shard.Do(Succeeded{"", "", 0, false});
  EXPECT_EQ(shard.state.position, Position::After("2"));
  EXPECT_THAT(shard.state.bounds, ElementsAre("4"));
}

TEST(StepRules, ReportsOutsideTheDeliveryAreRefused) {
  Under shard{Policy{}};
  shard.Do(Succeeded{"1", "10", 10, false});
  shard.Do(Fail(11, 20));
  shard.Do(Succeeded{"11", "15", 5, false});
  ASSERT_THAT(shard.state.bounds, ElementsAre("20"));
  const std::vector<Event> wrong = {
      Succeeded{"15", "20", 6, false},        // starts before
      Succeeded{"16", "21", 6, false},        // ends after
      Succeeded{"16", "20", 4000000, false},  // too many
      Succeeded{"16", "20", -1, false},
      Succeeded{"16", "20", 6, false},  // more than there are numbers
      Succeeded{"20", "16", 5, false},  // backwards
      Succeeded{"16", "16", 2, false},
      Succeeded{"16", "17", 1, false},
      Succeeded{"016", "17", 2, false},  // malformed
      Succeeded{"16", "x", 2, false},
      Failed{{}, {}, "", ""},
      Failed{{"16", "16"}, {}, "", ""},
      Failed{{"17", "16"}, {}, "", ""},
      Failed{{"16", "21"}, {}, "", ""},
      Failed{{"15", "16"}, {}, "", ""},
      Failed{{"16", "-17", "18"}, {}, "", ""},
      Started{{"15"}},
      SetAside{{"21"}, 1, Condition::kRecordTooLarge, ""},
  };
  for (size_t i = 0; i < wrong.size(); ++i) {
    EXPECT_EQ(Reason(shard.Try(wrong[i])), kInvalidArgument) << i;
  }
}

Policy Positional() {
  Policy policy;
  policy.sequence_order = SequenceOrder::kPositional;
  return policy;
}

TEST(StepPositional, KeepsTheOrderOfTheBatch) {
  Under shard{Positional()};
  shard.Do(Failed{{"z", "a", "m"}, {"m", "a"}, "E", ""});
  EXPECT_EQ(shard.state.position, Position::At("a"));
  EXPECT_THAT(shard.state.bounds, ElementsAre("m"));
}

TEST(StepPositional, RefusesARecordListedTwiceAnywhere) {
  const Under shard{Positional()};
  EXPECT_THAT(std::string(shard.Try(Failed{{"a", "b", "a"}, {}, "", ""}).message()),
              HasSubstr("sequences[2] is \"a\""));
  EXPECT_EQ(Reason(shard.Try(Started{{"a", "a"}})), kInvalidArgument);
  EXPECT_EQ(Reason(shard.Try(SetAside{{"a", "b", "c", "b"}, 1, Condition::kRecordTooLarge, ""})),
            kInvalidArgument);
}

TEST(StepPositional, RefusesRecordsKnownToLieOutside) {
  Under shard{Positional()};
  shard.Do(Failed{{"a", "b", "c", "d"}, {}, "E", ""});
  ASSERT_THAT(shard.state.bounds, ElementsAre("d", "b"));
  EXPECT_EQ(Reason(shard.Try(Succeeded{"a", "d", 4, false})), kInvalidArgument);
  EXPECT_EQ(Reason(shard.Try(Failed{{"a", "b", "c"}, {}, "", ""})), kInvalidArgument);
  EXPECT_EQ(Reason(shard.Try(Failed{{"x", "a", "b"}, {}, "", ""})), kInvalidArgument);
  EXPECT_EQ(Reason(shard.Try(Succeeded{"b", "x", 2, false})), kInvalidArgument);
  shard.Do(Succeeded{"a", "b", 2, false});
  EXPECT_EQ(Reason(shard.Try(Succeeded{"b", "d", 3, false})), kInvalidArgument);
  shard.Do(Succeeded{"c", "d", 2, false});
  EXPECT_THAT(shard.state.bounds, IsEmpty());
}

// --- What was found wrong once -----------------------------------------------

// A worker that claims the shard's end while parts of a split batch still wait
// would have had them passed over.
TEST(StepRegression, TheShardDoesNotEndBeforeTheBatchesThatWait) {
  Under shard{Policy{}};
  shard.Do(Fail(1, 4));
  shard.Do(Succeeded{"1", "2", 2, true});
  EXPECT_FALSE(shard.state.done());
  EXPECT_EQ(shard.state.position, Position::After("2"));
  EXPECT_EQ(shard.Now().end_sequence, "4");
  shard.Do(Succeeded{"3", "4", 2, true});
  EXPECT_TRUE(shard.state.done());
}

// A declared batch that was lost came back under its id but topped up with what
// had arrived since.
TEST(StepRegression, ALostDeclaredBatchComesBackAsItWas) {
  Under shard{Policy{}};
  shard.Do(Granted{});
  shard.Do(Started{Numbers(3, 5)});
  shard.Do(Granted{});
  EXPECT_EQ(shard.Now().batch_id, 1);
  EXPECT_EQ(shard.Now().start, Position::At("3"));
  EXPECT_EQ(shard.Now().end_sequence, "5");
}

// The second half of a split was counted as redelivered for its sibling's reason.
TEST(StepRegression, TheOtherHalfIsRedeliveredBecauseOfTheSplit) {
  Policy policy;
  policy.discard_scope = DiscardScope::kRecord;
  policy.maximum_retry_attempts = 0;
  Under shard{policy};
  shard.Do(Fail(1, 2));
  shard.Do(Fail(1, 1));
  ASSERT_EQ(shard.dead_letters.size(), 1u);
  EXPECT_EQ(shard.Now().cause, Redelivery::kSplit);
  Under retried{Policy{}};
  retried.Do(Fail(1, 2));
  retried.Do(Fail(1, 1));
  EXPECT_EQ(retried.Now().cause, Redelivery::kRetry);
  retried.Do(Succeeded{"1", "1", 1, false});
  EXPECT_EQ(retried.Now().cause, Redelivery::kSplit);
  retried.Do(Succeeded{"2", "2", 1, false});
  EXPECT_EQ(retried.Now().cause, Redelivery::kNone);
}

// A worker that names another, shorter batch with every failure made the state
// grow without end.
TEST(StepRegression, BoundsStayFewWhateverAWorkerNames) {
  Policy steady = Plain();
  steady.maximum_retry_attempts = Policy::kForever;
  Under shard{steady};
  for (int last = 5000; last > 1000; --last) shard.Do(Fail(1, last));
  EXPECT_LE(shard.state.bounds.size(), 64u);
  Policy policy = Positional();
  Under tokens{policy};
  for (int i = 0; i < 1000; ++i) {
    tokens.Do(Failed{{"a", "b" + std::to_string(i), "c" + std::to_string(i)}, {}, "E", ""});
  }
  EXPECT_LE(tokens.state.bounds.size(), 64u);
}

}  // namespace
}  // namespace lowmark
