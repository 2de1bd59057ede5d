#include "worker/internal/report.h"

#include <gmock/gmock.h>

#include <deque>

namespace lowmark {
namespace {

using testing::ElementsAre;

class Reporting : public testing::Test {
 protected:
  // Records 1..count with this much data each.
  const Records& Make(int count, size_t bytes = 10) {
    for (int i = 1; i <= count; ++i) {
      SourceRecord record;
      record.record = {std::to_string(i), "k", absl::UnixEpoch(), std::string(bytes, 'x')};
      held_.push_back(record);
    }
    for (const SourceRecord& record : held_) records_.push_back(&record);
    return records_;
  }
  v1::ReportBatchRequest Report(const HandlerResult& result, bool final_attempt) {
    v1::ReportBatchRequest report;
    left_out_ = SetResult(records_, result, policy_, final_attempt, false, &report);
    return report;
  }

  std::deque<SourceRecord> held_;
  Records records_;
  Policy policy_;
  int32_t left_out_ = 0;  // of the last Report
};

TEST_F(Reporting, SuccessNamesTheRange) {
  Make(3);
  v1::ReportBatchRequest report;
  SetResult(records_, HandlerResult::Success(), policy_, true, true, &report);
  EXPECT_EQ(report.first_sequence(), "1");
  EXPECT_EQ(report.last_sequence(), "3");
  EXPECT_EQ(report.record_count(), 3);
  EXPECT_TRUE(report.success().shard_end());
}

TEST_F(Reporting, FailureListsTheBatchAndWhatFailedOfIt) {
  Make(3);
  const auto report = Report(HandlerResult::Failed({"3", "2", "3"}, "T", "m"), false);
  EXPECT_THAT(report.failure().sequences(), ElementsAre("1", "2", "3"));
  EXPECT_THAT(report.failure().failed_sequences(), ElementsAre("2", "3"));
  EXPECT_EQ(report.failure().error_type(), "T");
  EXPECT_EQ(report.failure().error_message(), "m");
  EXPECT_EQ(report.failure().records_size(), 0);
}

TEST_F(Reporting, UnknownIdFailsTheWholeBatch) {
  Make(3);
  const auto report = Report(HandlerResult::Failed({"2", "9"}), true);
  EXPECT_EQ(report.failure().failed_sequences_size(), 0);
  EXPECT_EQ(report.failure().records_size(), 3);
}

TEST_F(Reporting, FailuresAreIgnoredWhereReportingIsOff) {
  Make(3);
  policy_.report_batch_item_failures = false;
  EXPECT_TRUE(Report(HandlerResult::Failed({"2"}), true).has_success());
  EXPECT_TRUE(Report(HandlerResult::Raised("T", ""), true).has_failure());
}

TEST_F(Reporting, DataGoesAlongOnlyWhereRecordsWouldBeSetAside) {
  Make(3);
  EXPECT_EQ(Report(HandlerResult::Raised("T", ""), false).failure().records_size(), 0);
  EXPECT_EQ(Report(HandlerResult::Raised("T", ""), true).failure().records_size(), 3);
  EXPECT_EQ(Report(HandlerResult::Failed({"2"}), true).failure().records_size(), 0);
  const auto first = Report(HandlerResult::Failed({"3", "1"}), true);
  ASSERT_EQ(first.failure().records_size(), 1);
  EXPECT_EQ(first.failure().records(0).sequence(), "1");
  EXPECT_EQ(first.failure().records(0).partition_key(), "k");
  policy_.discard_scope = DiscardScope::kBatch;
  EXPECT_EQ(Report(HandlerResult::Failed({"1"}), true).failure().records_size(), 3);
}

TEST_F(Reporting, DataThatDoesNotFitIsLeftOut) {
  Make(5, kMaxReportBytes / 3);
  held_[1].record.data = "small";
  const auto report = Report(HandlerResult::Raised("T", ""), true);
  EXPECT_LE(report.ByteSizeLong(), kMaxReportBytes);
  std::vector<std::string> kept;
  for (const auto& record : report.failure().records()) kept.push_back(record.sequence());
  EXPECT_THAT(kept, ElementsAre("1", "2", "3"));
  EXPECT_EQ(left_out_, 2);
}

// One of 4 MB was left out once, although servers took more.
TEST_F(Reporting, DataOfTheLargestBatchThatAPolicyAllowsIsKept) {
  policy_.maximum_batch_bytes = Policy::kLargestBatchBytes;
  ASSERT_EQ(policy_.Validate(), absl::OkStatus());
  Make(16, Policy::kLargestBatchBytes / 16);
  EXPECT_EQ(Report(HandlerResult::Raised("T", ""), true).failure().records_size(), 16);
  EXPECT_EQ(left_out_, 0);
  v1::ReportBatchRequest report;
  EXPECT_EQ(SetSetAside(records_, 16, Condition::kRecordAgeExceeded, &report), 0);
  EXPECT_EQ(report.set_aside().records_size(), 16);
}

TEST_F(Reporting, KeyThatNoDeadLetterCanHoldIsLeftOut) {
  Make(2);
  held_[0].record.partition_key = std::string((64 << 10) + 1, 'k');
  const auto report = Report(HandlerResult::Raised("T", ""), true);
  ASSERT_EQ(report.failure().records_size(), 1);
  EXPECT_EQ(report.failure().records(0).sequence(), "2");
  EXPECT_EQ(left_out_, 1);
}

TEST_F(Reporting, HeadersGoAlongUnlessNoDeadLetterCanHoldThem) {
  Make(3);
  held_[0].record.headers = {{"a", "1"}, {"a", ""}};
  held_[1].record.headers.assign(1001, {"a", "1"});
  held_[2].record.headers = {{"a", std::string(1 << 20, 'x')}};
  const auto report = Report(HandlerResult::Raised("T", ""), true);
  ASSERT_EQ(report.failure().records_size(), 1);
  ASSERT_EQ(report.failure().records(0).headers_size(), 2);
  EXPECT_EQ(report.failure().records(0).headers(0).name(), "a");
  EXPECT_EQ(report.failure().records(0).headers(0).value(), "1");
  EXPECT_EQ(left_out_, 2);
}

TEST_F(Reporting, LargestBatchFits) {
  for (int i = 0; i < 10000; ++i) {
    SourceRecord record;
    record.record.sequence = std::string(128, '9');
    record.record.partition_key = std::string(256, 'k');
    record.record.data = std::string(Policy::kLargestBatchBytes / 10000, 'x');
    held_.push_back(record);
  }
  for (const SourceRecord& record : held_) records_.push_back(&record);
  EXPECT_LE(Report(HandlerResult::Raised("T", std::string(100000, 'x')), true).ByteSizeLong(),
            kMaxReportBytes);
  EXPECT_EQ(left_out_, 0);
}

TEST_F(Reporting, SetAsideNamesTheWholeBatchAndSaysWhy) {
  Make(3);
  v1::ReportBatchRequest report;
  SetSetAside(records_, 2, Condition::kRecordAgeExceeded, &report);
  EXPECT_THAT(report.set_aside().sequences(), ElementsAre("1", "2", "3"));
  EXPECT_EQ(report.set_aside().count(), 2);
  EXPECT_EQ(report.set_aside().condition(), v1::DEAD_LETTER_CONDITION_RECORD_AGE_EXCEEDED);
  EXPECT_EQ(report.set_aside().records_size(), 2);
  EXPECT_EQ(report.set_aside().error_message(), "older than the stream's maximum_record_age");
}

TEST_F(Reporting, NotRunNamesNoRecords) {
  Make(3);
  const auto report = Report(HandlerResult::NotRun("T", "m"), true);
  EXPECT_EQ(report.not_run().error_type(), "T");
  EXPECT_EQ(report.record_count(), 0);
  EXPECT_EQ(report.first_sequence(), "");
}

TEST(Sanitize, KeepsTextAndDropsTheRest) {
  EXPECT_EQ(Sanitize("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", 100, false),
            "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(Sanitize("a\tb\nc\rd\x1b[1m\x7f", 100, false), "a\tb\nc d [1m ");
  EXPECT_EQ(Sanitize("a\tb\nc", 100, true), "a b c");
  EXPECT_EQ(Sanitize(absl::string_view("a\0b", 3), 100, false), "a b");
  EXPECT_EQ(Sanitize("\xc2\x85", 100, false), " ");
  // Cut, overlong, surrogate, beyond Unicode, stray.
  for (const char* bad : {"\xe2\x82", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                          "\xf4\x90\x80\x80", "\x80", "\xff"}) {
    EXPECT_THAT(Sanitize(bad, 100, false), testing::StartsWith("\xef\xbf\xbd")) << bad;
  }
}

TEST(Sanitize, CutsBetweenCharacters) {
  EXPECT_EQ(Sanitize("abc", 2, false), "ab");
  EXPECT_EQ(Sanitize("a\xe2\x82\xac", 3, false), "a");
  EXPECT_EQ(Sanitize("a\xe2\x82\xac", 4, false), "a\xe2\x82\xac");
}

}  // namespace
}  // namespace lowmark
