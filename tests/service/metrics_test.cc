// Every fact of a decision shows in the counter that its name promises.
#include "service/metrics.h"

#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

class MetricsTest : public testing::Test {
 protected:
  using Labels = std::map<std::string, std::string>;

  // The value of one series; -1 where it does not exist.
  double Value(const std::string& name, Labels labels = {{"stream", "s"}}) {
    for (const prometheus::MetricFamily& family : registry_.Collect()) {
      if (family.name != name) continue;
      for (const prometheus::ClientMetric& metric : family.metric) {
        Labels found;
        for (const auto& label : metric.label) found[label.name] = label.value;
        if (found != labels) continue;
        if (family.type == prometheus::MetricType::Gauge) return metric.gauge.value;
        if (family.type == prometheus::MetricType::Histogram) {
          return static_cast<double>(metric.histogram.sample_count);
        }
        return metric.counter.value;
      }
    }
    return -1;
  }

  double Labelled(const std::string& name, const std::string& label, const std::string& value) {
    return Value(name, {{"stream", "s"}, {label, value}});
  }

  static StepResult Outcome(lowmark::Outcome outcome) {
    StepResult step;
    step.facts.outcome = outcome;
    return step;
  }

  prometheus::Registry registry_;
  Metrics metrics_{registry_};
};

TEST_F(MetricsTest, CountsBatchesByOutcome) {
  const std::map<lowmark::Outcome, std::string> outcomes = {
      {Outcome::kSuccess, "success"},         {Outcome::kShardEnd, "success"},
      {Outcome::kPartial, "partial_failure"}, {Outcome::kRetry, "failure"},
      {Outcome::kSplit, "failure"},           {Outcome::kDiscard, "failure"},
      {Outcome::kSetAside, "set_aside"},      {Outcome::kNotRun, "not_run"},
  };
  std::map<std::string, int> expected;
  for (const auto& [outcome, label] : outcomes) {
    metrics_.CountReport("s", MetricsTest::Outcome(outcome));
    EXPECT_EQ(Labelled("lowmark_batches_total", "outcome", label), ++expected[label]) << label;
  }
  EXPECT_EQ(Value("lowmark_retries_total"), 1);
  EXPECT_EQ(Value("lowmark_splits_total"), 1);
}

TEST_F(MetricsTest, WhatReportsNoBatchCountsNone) {
  metrics_.CountReport("s", Outcome(lowmark::Outcome::kSuccess));
  for (lowmark::Outcome outcome : {Outcome::kStarted, Outcome::kResolved, Outcome::kGranted,
                                   Outcome::kReleased, Outcome::kSought}) {
    metrics_.CountReport("s", MetricsTest::Outcome(outcome));
  }
  double batches = 0;
  for (const char* label : {"success", "partial_failure", "failure", "set_aside", "not_run"}) {
    batches += Labelled("lowmark_batches_total", "outcome", label);
  }
  EXPECT_EQ(batches, 1);
}

TEST_F(MetricsTest, CountsRecords) {
  StepResult step = Outcome(lowmark::Outcome::kPartial);
  step.facts.processed = 3;
  step.facts.redelivered = 5;
  step.facts.cause = Redelivery::kSplit;
  metrics_.CountReport("s", step);
  EXPECT_EQ(Value("lowmark_records_processed_total"), 3);
  EXPECT_EQ(Labelled("lowmark_records_redelivered_total", "cause", "split"), 5);
  EXPECT_EQ(Labelled("lowmark_records_redelivered_total", "cause", "retry"), 0);

  int count = 1;
  for (const auto& [condition, label] : std::map<Condition, std::string>{
           {Condition::kRetryAttemptsExhausted, "retry_attempts_exhausted"},
           {Condition::kRecordAgeExceeded, "record_age_exceeded"},
           {Condition::kRecordTooLarge, "record_too_large"},
           {Condition::kRecordUnreadable, "record_unreadable"}}) {
    StepResult discard = Outcome(lowmark::Outcome::kDiscard);
    discard.dead_letters.push_back({"1", "9", ++count, condition, 1, "", ""});
    metrics_.CountReport("s", discard);
    EXPECT_EQ(Labelled("lowmark_records_discarded_total", "condition", label), count);
  }
  for (const auto& [cause, label] :
       std::map<Redelivery, std::string>{{Redelivery::kRetry, "retry"},
                                         {Redelivery::kPartial, "partial"},
                                         {Redelivery::kLost, "lost"},
                                         {Redelivery::kOperator, "operator"}}) {
    StepResult again = Outcome(lowmark::Outcome::kSuccess);
    again.facts.redelivered = 2;
    again.facts.cause = cause;
    metrics_.CountReport("s", again);
    EXPECT_EQ(Labelled("lowmark_records_redelivered_total", "cause", label), 2) << label;
  }
}

TEST_F(MetricsTest, CountsRefusalsByReason) {
  metrics_.CountRefused("s", Aborted(kLeaseFenced, ""));
  metrics_.CountRefused("s", Aborted(kStaleDelivery, ""));
  metrics_.CountRefused("s", Aborted(kStaleDelivery, ""));
  EXPECT_EQ(Labelled("lowmark_reports_refused_total", "reason", kLeaseFenced), 1);
  EXPECT_EQ(Labelled("lowmark_reports_refused_total", "reason", kStaleDelivery), 2);
}

// A name that a client made up must not become a label.
TEST_F(MetricsTest, UnknownStreamsMakeNoSeries) {
  metrics_.CountRefused("made-up", StreamNotFound("made-up"));
  EXPECT_EQ(Value("lowmark_leases_granted_total", {{"stream", "made-up"}}), -1);
}

TEST_F(MetricsTest, CountsTheRest) {
  metrics_.CountRepeated("s");
  metrics_.CountLease("s", /*lost=*/false, 0);
  metrics_.CountLease("s", /*lost=*/true, 2);
  metrics_.CountHandoff("s", /*forced=*/true);
  metrics_.CountHandoff("s", /*forced=*/false);
  metrics_.CountCommit(3, absl::Milliseconds(2));
  metrics_.SetWaiting(4);
  EXPECT_EQ(Value("lowmark_reports_repeated_total"), 1);
  EXPECT_EQ(Value("lowmark_leases_granted_total"), 2);
  EXPECT_EQ(Value("lowmark_deliveries_lost_total"), 1);
  EXPECT_EQ(Labelled("lowmark_records_discarded_total", "condition", "retry_attempts_exhausted"),
            2);
  EXPECT_EQ(Labelled("lowmark_handoffs_total", "kind", "forced"), 1);
  EXPECT_EQ(Labelled("lowmark_handoffs_total", "kind", "graceful"), 1);
  EXPECT_EQ(Value("lowmark_commit_group_size", {}), 1);
  EXPECT_EQ(Value("lowmark_commit_duration_seconds", {}), 1);
  EXPECT_EQ(Value("lowmark_lease_waiters", {}), 4);
}

TEST_F(MetricsTest, CountsForwardsByOutcome) {
  metrics_.CountForward("s", absl::OkStatus());
  metrics_.CountForward("s", absl::UnavailableError(""));
  metrics_.CountForward("s", absl::UnavailableError(""));
  metrics_.CountForward("s", absl::FailedPreconditionError(""));
  metrics_.CountForward("s", absl::CancelledError("not tried"));
  const char* name = "lowmark_dead_letter_forwards_total";
  EXPECT_EQ(Labelled(name, "outcome", "forwarded"), 1);
  EXPECT_EQ(Labelled(name, "outcome", "unavailable"), 2);
  EXPECT_EQ(Labelled(name, "outcome", "refused"), 1);
}

// What waits is told of all streams at once; those that are not named have none.
TEST_F(MetricsTest, ShowsTheOutboxes) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  const auto outbox = [&](const std::string& stream, int64_t waiting, int age) {
    return Outbox{stream, "", waiting, now - absl::Seconds(age), true, now};
  };
  metrics_.SetOutboxes({outbox("s", 3, 60), outbox("t", 1, 5)});
  EXPECT_EQ(Value("lowmark_dead_letters_waiting"), 3);
  EXPECT_EQ(Value("lowmark_dead_letters_waiting_age_seconds"), 60);
  EXPECT_EQ(Value("lowmark_dead_letters_waiting", {{"stream", "t"}}), 1);
  metrics_.SetOutboxes({outbox("t", 2, 6)});
  EXPECT_EQ(Value("lowmark_dead_letters_waiting"), 0);
  EXPECT_EQ(Value("lowmark_dead_letters_waiting_age_seconds"), 0);
  EXPECT_EQ(Value("lowmark_dead_letters_waiting", {{"stream", "t"}}), 2);
  std::vector<Outbox> many;
  for (size_t i = 0; i < Metrics::kMaxStreams + 2; ++i) {
    many.push_back(outbox(absl::StrCat("stream-", i), 2, static_cast<int>(i)));
  }
  metrics_.SetOutboxes(many);
  EXPECT_EQ(Value("lowmark_dead_letters_waiting", {{"stream", "_other"}}), 8);
  EXPECT_EQ(Value("lowmark_dead_letters_waiting_age_seconds", {{"stream", "_other"}}),
            Metrics::kMaxStreams + 1);
}

TEST_F(MetricsTest, ShowsShardsThatNobodyHolds) {
  metrics_.SetUnowned({{"s", 3}, {"t", 1}});
  EXPECT_EQ(Value("lowmark_shards_unowned"), 3);
  EXPECT_EQ(Value("lowmark_shards_unowned", {{"stream", "t"}}), 1);
  metrics_.SetUnowned({{"t", 2}});
  EXPECT_EQ(Value("lowmark_shards_unowned"), 0);
  EXPECT_EQ(Value("lowmark_shards_unowned", {{"stream", "t"}}), 2);
  std::vector<UnownedShards> many;
  for (size_t i = 0; i < Metrics::kMaxStreams + 2; ++i) {
    many.push_back({absl::StrCat("stream-", i), 2});
  }
  metrics_.SetUnowned(many);
  EXPECT_EQ(Value("lowmark_shards_unowned", {{"stream", "_other"}}), 8);
}

TEST_F(MetricsTest, CountsOnlyTheStoresOwnErrors) {
  const auto value = [&](const std::string& reason) {
    return Value("lowmark_store_errors_total", {{"operation", "report"}, {"reason", reason}});
  };
  metrics_.CountStoreError("report", absl::OkStatus());
  metrics_.CountStoreError("report", Aborted(kLeaseFenced, ""));
  EXPECT_EQ(value(kLeaseFenced), -1);
  metrics_.CountStoreError("report", Unavailable("gone"));
  EXPECT_EQ(value(kUnavailable), 1);
}

// A scrape stays small whatever is created; nothing is lost from the sums.
TEST_F(MetricsTest, StreamsBeyondTheLimitAreCountedTogether) {
  const size_t extra = 3;
  for (size_t i = 0; i < Metrics::kMaxStreams + extra; ++i) {
    metrics_.CountLease(absl::StrCat("stream-", i), false, 0);
    metrics_.CountLease(absl::StrCat("stream-", i), false, 0);
  }
  EXPECT_EQ(Value("lowmark_leases_granted_total", {{"stream", "stream-0"}}), 2);
  EXPECT_EQ(Value("lowmark_leases_granted_total", {{"stream", "_other"}}), 2.0 * extra);
  size_t series = 0;
  for (const auto& family : registry_.Collect()) {
    if (family.name == "lowmark_leases_granted_total") series = family.metric.size();
  }
  EXPECT_EQ(series, Metrics::kMaxStreams + 1);
}

// rate() sees the first increase only of a series that existed before.
TEST_F(MetricsTest, AStreamsSeriesStartTogetherAtZero) {
  metrics_.CountLease("s", false, 0);
  EXPECT_EQ(Value("lowmark_retries_total"), 0);
  EXPECT_EQ(Labelled("lowmark_records_discarded_total", "condition", "record_too_large"), 0);
  EXPECT_EQ(Labelled("lowmark_handoffs_total", "kind", "forced"), 0);
}

}  // namespace
}  // namespace lowmark
