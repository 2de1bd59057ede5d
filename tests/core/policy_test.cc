#include "service/core/policy.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

using Change = std::function<void(Policy&)>;

absl::Status Validated(const Change& change) {
  Policy policy;
  change(policy);
  return policy.Validate();
}

TEST(Policy, DefaultsAndPresetAreValid) {
  EXPECT_TRUE(Policy{}.Validate().ok());
  EXPECT_TRUE(Policy::Lambda().Validate().ok());
}

TEST(Policy, LambdaPresetHasLambdasDefaults) {
  const Policy lambda = Policy::Lambda();
  EXPECT_FALSE(lambda.report_batch_item_failures);
  EXPECT_FALSE(lambda.bisect_batch_on_failure);
  EXPECT_EQ(lambda.maximum_retry_attempts, Policy::kForever);
  EXPECT_EQ(lambda.discard_scope, DiscardScope::kBatch);
  EXPECT_EQ(lambda.batch_size, 100);
  EXPECT_EQ(lambda.maximum_record_age, absl::Seconds(-1));
}

TEST(Policy, AcceptsBothEdges) {
  const std::vector<Change> edges = {
      [](Policy& p) { p.batch_size = 1; },
      [](Policy& p) { p.batch_size = 10000; },
      [](Policy& p) { p.maximum_batching_window = absl::ZeroDuration(); },
      [](Policy& p) { p.maximum_batching_window = absl::Seconds(300); },
      [](Policy& p) { p.maximum_batch_bytes = 1024; },
      [](Policy& p) { p.maximum_batch_bytes = 64 << 20; },
      [](Policy& p) { p.starting_position = Position::Latest(); },
      [](Policy& p) { p.starting_position = Position::AtTimestamp(absl::FromUnixSeconds(1)); },
      [](Policy& p) { p.maximum_retry_attempts = -1; },
      [](Policy& p) { p.maximum_retry_attempts = 0; },
      [](Policy& p) { p.maximum_retry_attempts = 10000; },
      [](Policy& p) { p.maximum_record_age = absl::Seconds(-1); },
      [](Policy& p) { p.maximum_record_age = absl::Seconds(60); },
      [](Policy& p) { p.maximum_record_age = absl::Seconds(604800); },
      [](Policy& p) { p.retry_backoff.initial = absl::Nanoseconds(1); },
      [](Policy& p) { p.retry_backoff.initial = p.retry_backoff.maximum; },
      [](Policy& p) { p.retry_backoff.multiplier = 1; },
      [](Policy& p) { p.retry_backoff.multiplier = 10; },
      [](Policy& p) { p.retry_backoff.maximum = absl::Hours(1); },
      [](Policy& p) { p.retry_backoff.jitter = 0; },
      [](Policy& p) { p.retry_backoff.jitter = 1; },
      [](Policy& p) { p.maximum_lost_deliveries = -1; },
      [](Policy& p) { p.maximum_lost_deliveries = 1; },
      [](Policy& p) { p.maximum_lost_deliveries = 1000; },
      [](Policy& p) { p.handler_timeout = absl::Seconds(1); },
      [](Policy& p) { p.handler_timeout = absl::Seconds(900); },
      [](Policy& p) { p.handoff_timeout = absl::Seconds(1); },
      [](Policy& p) { p.handoff_timeout = absl::Seconds(900); },
      [](Policy& p) { p.sequence_order = SequenceOrder::kPositional; },
      [](Policy& p) { p.paused = true; },
      [](Policy& p) { p.frozen = true; },
      [](Policy& p) { p.balance_by = BalanceBy::kRecords; },
      [](Policy& p) { p.balance_by = BalanceBy::kHandlerTime; },
  };
  for (size_t i = 0; i < edges.size(); ++i) {
    EXPECT_TRUE(Validated(edges[i]).ok()) << i << ": " << Validated(edges[i]);
  }
}

TEST(Policy, RefusesWhatLiesBeyondNamingFieldValueAndRange) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const int32_t huge = std::numeric_limits<int32_t>::max();
  const int32_t least = std::numeric_limits<int32_t>::min();
  const char* const window = "must be 0..300 s";
  const char* const age = "must be -1 s or 60..604800 whole seconds";
  const char* const forever = "must be -1 or 0..10000";
  const char* const lost = "must be -1 or 1..1000";
  const char* const timeout = "must be 1..900 s";
  auto text = [](const char* field, const std::string& value, const char* allowed) {
    return absl::StrCat("config.", field, " is ", value, ": ", allowed);
  };
  const std::vector<std::pair<Change, std::string>> cases = {
      {[](Policy& p) { p.batch_size = 0; }, text("batch_size", "0", "must be 1..10000")},
      {[](Policy& p) { p.batch_size = 10001; }, text("batch_size", "10001", "must be 1..10000")},
      {[=](Policy& p) { p.batch_size = least; },
       text("batch_size", "-2147483648", "must be 1..10000")},
      {[](Policy& p) { p.maximum_batching_window = absl::Nanoseconds(-1); },
       text("maximum_batching_window", "\"-1ns\"", window)},
      {[](Policy& p) { p.maximum_batching_window = absl::Seconds(300) + absl::Nanoseconds(1); },
       text("maximum_batching_window", "\"5m0.000000001s\"", window)},
      {[](Policy& p) { p.maximum_batching_window = absl::InfiniteDuration(); },
       text("maximum_batching_window", "\"inf\"", window)},
      {[](Policy& p) { p.maximum_batch_bytes = 1023; },
       text("maximum_batch_bytes", "1023", "must be 1024..67108864")},
      {[](Policy& p) { p.maximum_batch_bytes = (64 << 20) + 1; },
       text("maximum_batch_bytes", "67108865", "must be 1024..67108864")},
      {[](Policy& p) { p.starting_position = Position::At("7"); },
       text("starting_position", "\"AT 7\"", "must be trim_horizon, latest or at_timestamp")},
      {[](Policy& p) { p.starting_position = Position::ShardEnd(); },
       text("starting_position", "\"SHARD_END\"", "must be trim_horizon, latest or at_timestamp")},
      {[](Policy& p) { p.starting_position = Position::AtTimestamp(absl::InfiniteFuture()); },
       text("starting_position", "\"AT_TIMESTAMP infinite-future\"",
            "must be trim_horizon, latest or at_timestamp")},
      {[](Policy& p) { p.maximum_retry_attempts = -2; },
       text("maximum_retry_attempts", "-2", forever)},
      {[](Policy& p) { p.maximum_retry_attempts = 10001; },
       text("maximum_retry_attempts", "10001", forever)},
      {[](Policy& p) { p.maximum_record_age = absl::ZeroDuration(); },
       text("maximum_record_age", "\"0\"", age)},
      {[](Policy& p) { p.maximum_record_age = absl::Seconds(-2); },
       text("maximum_record_age", "\"-2s\"", age)},
      {[](Policy& p) { p.maximum_record_age = absl::Seconds(59); },
       text("maximum_record_age", "\"59s\"", age)},
      {[](Policy& p) { p.maximum_record_age = absl::Seconds(604801); },
       text("maximum_record_age", "\"168h1s\"", age)},
      {[](Policy& p) { p.maximum_record_age = absl::Milliseconds(60500); },
       text("maximum_record_age", "\"1m0.5s\"", age)},
      {[](Policy& p) { p.retry_backoff.initial = absl::ZeroDuration(); },
       text("retry_backoff.initial", "\"0\"", "must be above 0 and at most retry_backoff.maximum")},
      {[](Policy& p) { p.retry_backoff.initial = absl::Seconds(61); },
       text("retry_backoff.initial", "\"1m1s\"",
            "must be above 0 and at most retry_backoff.maximum")},
      {[](Policy& p) { p.retry_backoff.maximum = absl::Hours(1) + absl::Nanoseconds(1); },
       text("retry_backoff.maximum", "\"1h0.000000001s\"", "must be above 0 and at most 1 h")},
      {[](Policy& p) { p.retry_backoff.maximum = absl::ZeroDuration(); },
       text("retry_backoff.maximum", "\"0\"", "must be above 0 and at most 1 h")},
      {[](Policy& p) { p.retry_backoff.multiplier = 0.5; },
       text("retry_backoff.multiplier", "\"0.5\"", "must be 1..10")},
      {[](Policy& p) { p.retry_backoff.multiplier = 10.5; },
       text("retry_backoff.multiplier", "\"10.5\"", "must be 1..10")},
      {[=](Policy& p) { p.retry_backoff.multiplier = nan; },
       text("retry_backoff.multiplier", "\"nan\"", "must be 1..10")},
      {[](Policy& p) { p.retry_backoff.jitter = -0.5; },
       text("retry_backoff.jitter", "\"-0.5\"", "must be 0..1")},
      {[](Policy& p) { p.retry_backoff.jitter = 1.5; },
       text("retry_backoff.jitter", "\"1.5\"", "must be 0..1")},
      {[=](Policy& p) { p.retry_backoff.jitter = nan; },
       text("retry_backoff.jitter", "\"nan\"", "must be 0..1")},
      {[](Policy& p) { p.maximum_lost_deliveries = 0; },
       text("maximum_lost_deliveries", "0", lost)},
      {[](Policy& p) { p.maximum_lost_deliveries = -2; },
       text("maximum_lost_deliveries", "-2", lost)},
      {[=](Policy& p) { p.maximum_lost_deliveries = huge; },
       text("maximum_lost_deliveries", "2147483647", lost)},
      {[](Policy& p) { p.handler_timeout = absl::Milliseconds(999); },
       text("handler_timeout", "\"999ms\"", timeout)},
      {[](Policy& p) { p.handler_timeout = absl::Seconds(901); },
       text("handler_timeout", "\"15m1s\"", timeout)},
      {[](Policy& p) { p.handoff_timeout = absl::ZeroDuration(); },
       text("handoff_timeout", "\"0\"", timeout)},
      {[](Policy& p) { p.handoff_timeout = absl::Seconds(901); },
       text("handoff_timeout", "\"15m1s\"", timeout)},
  };
  for (const auto& [change, message] : cases) {
    const absl::Status status = Validated(change);
    EXPECT_EQ(Reason(status), kInvalidArgument);
    EXPECT_EQ(std::string(status.message()), message);
  }
}

TEST(Backoff, GrowsByTheMultiplierUpToTheMaximum) {
  RetryBackoff backoff;
  backoff.jitter = 0;
  const std::vector<int> milliseconds = {200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200};
  for (size_t i = 0; i < milliseconds.size(); ++i) {
    EXPECT_EQ(Backoff(backoff, static_cast<int32_t>(i) + 1, 0.7),
              absl::Milliseconds(milliseconds[i]));
  }
  for (int32_t attempts : {10, 11, 64, 1000, 10000, std::numeric_limits<int32_t>::max()}) {
    EXPECT_EQ(Backoff(backoff, attempts, 0.7), absl::Seconds(60));
  }
}

TEST(Backoff, StaysConstantWithMultiplierOne) {
  const RetryBackoff backoff{absl::Seconds(3), 1, absl::Seconds(60), 0};
  for (int32_t attempts : {1, 2, 10000}) {
    EXPECT_EQ(Backoff(backoff, attempts, 0), absl::Seconds(3));
  }
}

TEST(Backoff, IsSpreadByTheJitter) {
  const RetryBackoff backoff{absl::Seconds(10), 2, absl::Seconds(10), 0.2};
  EXPECT_EQ(Backoff(backoff, 1, 0), absl::Seconds(8));
  EXPECT_EQ(Backoff(backoff, 1, 0.5), absl::Seconds(10));
  EXPECT_LT(Backoff(backoff, 1, 0.999), absl::Seconds(12));
  EXPECT_GT(Backoff(backoff, 5, 0.999), absl::Seconds(11));
}

TEST(Backoff, IsFiniteAtTheEdgesOfItsFields) {
  const RetryBackoff steep{absl::Nanoseconds(1), 10, absl::Hours(1), 1};
  for (int32_t attempts : {1, 10, 20, 10000}) {
    for (double jitter : {0.0, 0.5, 0.999999}) {
      const absl::Duration pause = Backoff(steep, attempts, jitter);
      EXPECT_GE(pause, absl::ZeroDuration());
      EXPECT_LE(pause, absl::Hours(2));
    }
  }
}

}  // namespace
}  // namespace lowmark
