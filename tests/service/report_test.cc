// A report's decision: what is written, what is answered, what is counted. The
// rules themselves are tested in tests/core.
#include "service/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/core/error.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ReportTest : public testing::Test {
 protected:
  ReportTest() {
    policy_.batch_size = 4;
    policy_.bisect_batch_on_failure = false;
    policy_.maximum_retry_attempts = 0;
    policy_.discard_scope = DiscardScope::kBatch;
    Shard fresh = NewShard("s", "1", 0, false, policy_);
    shard_ = Grant(fresh, "w", 0, policy_, now_, 0)->shard;
  }

  Report Make(Event event) {
    Report report;
    report.stream = "s";
    report.shard = "1";
    report.worker = "w";
    report.epoch = shard_.epoch;
    report.delivery = shard_.state.delivery;
    report.event = std::move(event);
    report.config_etag = etag_;
    return report;
  }

  absl::StatusOr<ShardChange> Decide(const Report& report) {
    return DecideReport(report, {shard_, policy_, etag_, 0, now_}, 0.5, decision_);
  }

  Policy policy_;
  std::string etag_ = "e1";
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
  Shard shard_;
  ReportDecision decision_;
};

const std::vector<std::string> kBatch = {"1", "2", "3", "4"};

TEST_F(ReportTest, SuccessMovesTheCheckpointWithoutAudit) {
  auto change = Decide(Make(Succeeded{"1", "4", 4, false}));
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_TRUE(change->changed);
  EXPECT_EQ(change->shard.state.position, Position::After("4"));
  EXPECT_EQ(change->shard.owner, "w");
  EXPECT_THAT(change->events, IsEmpty());
  EXPECT_THAT(change->dead_letters, IsEmpty());
  EXPECT_EQ(decision_.answer.shard, change->shard);
  ASSERT_TRUE(decision_.answer.next.has_value());
  EXPECT_EQ(decision_.answer.next->delivery, shard_.state.delivery + 1);
  EXPECT_FALSE(decision_.answer.policy.has_value());
  EXPECT_EQ(decision_.answer.etag, "e1");
  ASSERT_TRUE(decision_.step.has_value());
  EXPECT_EQ(decision_.step->facts.processed, 4);
}

TEST_F(ReportTest, RepeatedReportChangesNothingAndShowsThePresent) {
  const Report report = Make(Succeeded{"1", "4", 4, false});
  shard_ = Decide(report)->shard;
  const ReportAnswer first = decision_.answer;
  auto change = Decide(report);
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_FALSE(change->changed);
  EXPECT_EQ(decision_.answer.shard, shard_);
  EXPECT_EQ(decision_.answer.next->delivery, first.next->delivery);
  EXPECT_EQ(decision_.answer.next->batch_id, first.next->batch_id);
  EXPECT_FALSE(decision_.step.has_value());  // it is not counted twice
}

TEST_F(ReportTest, ALeaseFromBeforeAFailoverIsAskedFor) {
  const auto asked = [this](int64_t timeline) {
    const Report report = Make(Succeeded{"1", "4", 4, false});
    EXPECT_TRUE(DecideReport(report, {shard_, policy_, etag_, timeline, now_}, 0, decision_).ok());
    return decision_.answer.hand_over;
  };
  EXPECT_FALSE(asked(0));
  EXPECT_TRUE(asked(1));
  shard_ = Grant(Release(shard_, "w", shard_.epoch).value(), "w", 2, policy_, now_, 0)->shard;
  EXPECT_FALSE(asked(2));
  EXPECT_TRUE(asked(3));
}

TEST_F(ReportTest, StaleReportsAreRefusedByReason) {
  Report other_epoch = Make(Succeeded{"1", "4", 4, false});
  other_epoch.epoch += 1;
  EXPECT_EQ(Reason(Decide(other_epoch).status()), kLeaseFenced);
  Report other_worker = Make(Succeeded{"1", "4", 4, false});
  other_worker.worker = "v";
  EXPECT_EQ(Reason(Decide(other_worker).status()), kLeaseFenced);
  Report ahead = Make(Succeeded{"1", "4", 4, false});
  ahead.delivery += 1;
  EXPECT_EQ(Reason(Decide(ahead).status()), kStaleDelivery);
  shard_ = Release(shard_, "w", shard_.epoch).value();
  EXPECT_EQ(Reason(Decide(Make(Succeeded{"1", "4", 4, false})).status()), kLeaseFenced);
}

TEST_F(ReportTest, DeadLetterHoldsTheRecordsItIsAbout) {
  policy_.discard_scope = DiscardScope::kRecord;
  Report report = Make(Failed{kBatch, {"1"}, "ValueError", "bad"});
  report.records = {{"1", "k1", now_, "one"}, {"3", "k3", now_, "three"}};
  auto change = Decide(report);
  ASSERT_TRUE(change.ok()) << change.status();
  ASSERT_EQ(change->dead_letters.size(), 1u);
  const DeadLetter& letter = change->dead_letters[0];
  EXPECT_EQ(letter.range.first, "1");
  EXPECT_EQ(letter.range.last, "1");
  EXPECT_EQ(letter.range.error_type, "ValueError");
  EXPECT_EQ(letter.epoch, report.epoch);
  EXPECT_EQ(letter.delivery, report.delivery);
  EXPECT_EQ(letter.batch_id, shard_.state.batch_id);
  EXPECT_EQ(letter.worker, "w");
  ASSERT_EQ(letter.records.size(), 1u);
  EXPECT_EQ(letter.records[0].data, "one");
  EXPECT_EQ(decision_.answer.discarded, 1);
  ASSERT_EQ(change->events.size(), 1u);
  EXPECT_EQ(change->events[0].kind, "discarded");
  EXPECT_THAT(change->events[0].detail, HasSubstr("ValueError: bad"));
}

TEST_F(ReportTest, WholeBatchTakesAllRecordsThatCame) {
  Report report = Make(Failed{kBatch, {}, "E", "m"});
  for (const char* sequence : {"1", "2", "4"}) report.records.push_back({sequence, "", now_, "d"});
  auto change = Decide(report);
  ASSERT_TRUE(change.ok()) << change.status();
  ASSERT_EQ(change->dead_letters.size(), 1u);
  EXPECT_EQ(change->dead_letters[0].range.count, 4);
  EXPECT_EQ(change->dead_letters[0].records.size(), 3u);
}

TEST_F(ReportTest, SetAsideTakesThePrefix) {
  Report report = Make(SetAside{kBatch, 2, Condition::kRecordUnreadable, "not JSON"});
  for (const char* sequence : {"1", "2", "3"}) report.records.push_back({sequence, "", now_, "d"});
  auto change = Decide(report);
  ASSERT_TRUE(change.ok()) << change.status();
  ASSERT_EQ(change->dead_letters.size(), 1u);
  EXPECT_EQ(change->dead_letters[0].records.size(), 2u);
  EXPECT_EQ(change->dead_letters[0].range.condition, Condition::kRecordUnreadable);
  ASSERT_EQ(change->events.size(), 1u);
  EXPECT_EQ(change->events[0].kind, "set_aside");
  EXPECT_THAT(change->events[0].detail, HasSubstr("not JSON"));
}

TEST_F(ReportTest, AuditSaysWhatKeptTheHandlerFromRunning) {
  Report report = Make(NotRun{});
  report.trouble = "ConnectError: connection refused";
  auto change = Decide(report);
  ASSERT_TRUE(change.ok()) << change.status();
  ASSERT_EQ(change->events.size(), 1u);
  EXPECT_EQ(change->events[0].kind, "not_run");
  EXPECT_THAT(change->events[0].detail, HasSubstr("connection refused"));
}

TEST_F(ReportTest, ShardEndFreesTheLeaseAndHasNoNextDelivery) {
  const Report report = Make(Succeeded{"1", "4", 4, true});
  auto change = Decide(report);
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_TRUE(change->shard.state.done());
  EXPECT_EQ(change->shard.owner, "");
  EXPECT_FALSE(decision_.answer.next.has_value());
  ASSERT_EQ(change->events.size(), 1u);
  EXPECT_EQ(change->events[0].kind, "done");
  // Its answer may have been lost: the same report again is welcome.
  shard_ = change->shard;
  change = Decide(report);
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_FALSE(change->changed);
  EXPECT_FALSE(decision_.answer.next.has_value());
}

TEST_F(ReportTest, AuditSaysWhatASourceHasNoMore) {
  Report report = Make(Succeeded{"1", "4", 4, true});
  report.trouble = "its records had passed the retention";
  auto change = Decide(report);
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_TRUE(change->shard.state.done());
  ASSERT_EQ(change->events.size(), 1u);
  EXPECT_EQ(change->events[0].kind, "vanished");
  EXPECT_THAT(change->events[0].detail, HasSubstr("passed the retention"));
}

TEST_F(ReportTest, AuditSaysWhereLatestIs) {
  shard_.state.position = Position::Latest();
  const Report report = Make(Resolved{Position::At("9")});
  auto change = Decide(report);
  ASSERT_TRUE(change.ok()) << change.status();
  ASSERT_EQ(change->events.size(), 1u);
  EXPECT_EQ(change->events[0].kind, "resolved");
  EXPECT_EQ(change->events[0].detail, "checkpoint AT 9");
  EXPECT_EQ(decision_.answer.next->start, Position::At("9"));
  // Its answer may have been lost.
  shard_ = change->shard;
  change = Decide(report);
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_FALSE(change->changed);
  EXPECT_EQ(decision_.answer.next->start, Position::At("9"));
}

TEST_F(ReportTest, StartedKeepsTheDeliveryCurrent) {
  auto change = Decide(Make(Started{kBatch}));
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_TRUE(change->changed);
  EXPECT_EQ(change->shard.state.delivery, shard_.state.delivery);
  EXPECT_THAT(change->events, IsEmpty());
  EXPECT_EQ(decision_.answer.next->delivery, shard_.state.delivery);
}

TEST_F(ReportTest, BringsThePolicyToAWorkerThatKnowsAnother) {
  Report report = Make(Succeeded{"1", "4", 4, false});
  report.config_etag = "e0";
  ASSERT_TRUE(Decide(report).ok());
  ASSERT_TRUE(decision_.answer.policy.has_value());
  EXPECT_EQ(*decision_.answer.policy, policy_);
  EXPECT_EQ(decision_.answer.etag, "e1");
}

// A transaction that is repeated decides again, perhaps otherwise.
TEST_F(ReportTest, SecondDecisionLeavesNothingOfTheFirst) {
  Report report = Make(Failed{kBatch, {}, "E", "m"});
  report.config_etag = "e0";
  ASSERT_TRUE(Decide(report).ok());
  EXPECT_EQ(decision_.answer.discarded, 4);
  shard_.epoch += 1;
  EXPECT_FALSE(Decide(report).ok());
  EXPECT_EQ(decision_.answer.discarded, 0);
  EXPECT_FALSE(decision_.answer.policy.has_value());
  EXPECT_FALSE(decision_.step.has_value());
}

TEST_F(ReportTest, WrongReportChangesNothing) {
  for (const Event& event :
       {Event(Succeeded{"4", "1", 4, false}), Event(Succeeded{"1", "2", 3, false}),
        Event(Succeeded{"", "", 0, false}), Event(Failed{{"2", "1"}, {}, "", ""}),
        Event(SetAside{kBatch, 5, Condition::kRecordTooLarge, ""})}) {
    auto change = Decide(Make(event));
    EXPECT_EQ(change.status().code(), absl::StatusCode::kInvalidArgument) << change.status();
    EXPECT_FALSE(decision_.step.has_value());
  }
}

}  // namespace
}  // namespace lowmark
