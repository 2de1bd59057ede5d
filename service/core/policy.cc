#include "service/core/policy.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

absl::Status CheckRange(const char* field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return InvalidField(field, value, absl::StrCat("must be ", low, "..", high));
}

absl::Status CheckRangeOrForever(const char* field, int64_t value, int64_t low, int64_t high) {
  if (value == Policy::kForever) return absl::OkStatus();
  if (value >= low && value <= high) return absl::OkStatus();
  return InvalidField(field, value, absl::StrCat("must be -1 or ", low, "..", high));
}

absl::Status CheckSeconds(const char* field, absl::Duration value, int low, int high) {
  if (value >= absl::Seconds(low) && value <= absl::Seconds(high)) return absl::OkStatus();
  return InvalidField(field, absl::FormatDuration(value),
                      absl::StrCat("must be ", low, "..", high, " s"));
}

absl::Status CheckShare(const char* field, double value, double low, double high) {
  if (value >= low && value <= high) return absl::OkStatus();  // false for NaN
  return InvalidField(field, absl::StrCat(value), absl::StrCat("must be ", low, "..", high));
}

absl::Status CheckRecordAge(absl::Duration age) {
  if (age == absl::Seconds(-1)) return absl::OkStatus();
  const bool whole = age == absl::Trunc(age, absl::Seconds(1));
  if (whole && age >= absl::Seconds(60) && age <= absl::Seconds(604800)) return absl::OkStatus();
  return InvalidField("config.maximum_record_age", absl::FormatDuration(age),
                      "must be -1 s or 60..604800 whole seconds");
}

absl::Status CheckStart(const Position& start) {
  if (start.kind == Position::Kind::kTrimHorizon || start.kind == Position::Kind::kLatest) {
    return absl::OkStatus();
  }
  if (start.kind == Position::Kind::kAtTimestamp && start.time > absl::InfinitePast() &&
      start.time < absl::InfiniteFuture()) {
    return absl::OkStatus();
  }
  return InvalidField("config.starting_position", start.ToString(),
                      "must be trim_horizon, latest or at_timestamp");
}

absl::Status CheckBackoff(const RetryBackoff& backoff) {
  if (backoff.maximum <= absl::ZeroDuration() || backoff.maximum > absl::Hours(1)) {
    return InvalidField("config.retry_backoff.maximum", absl::FormatDuration(backoff.maximum),
                        "must be above 0 and at most 1 h");
  }
  if (backoff.initial <= absl::ZeroDuration() || backoff.initial > backoff.maximum) {
    return InvalidField("config.retry_backoff.initial", absl::FormatDuration(backoff.initial),
                        "must be above 0 and at most retry_backoff.maximum");
  }
  if (auto s = CheckShare("config.retry_backoff.multiplier", backoff.multiplier, 1, 10); !s.ok()) {
    return s;
  }
  return CheckShare("config.retry_backoff.jitter", backoff.jitter, 0, 1);
}

}  // namespace

Policy Policy::Lambda() {
  Policy policy;
  policy.report_batch_item_failures = false;
  policy.bisect_batch_on_failure = false;
  policy.maximum_retry_attempts = kForever;
  policy.discard_scope = DiscardScope::kBatch;
  return policy;
}

absl::Status Policy::Validate() const {
  for (const absl::Status& status : {
           CheckRange("config.batch_size", batch_size, 1, kLargestBatch),
           CheckSeconds("config.maximum_batching_window", maximum_batching_window, 0, 300),
           CheckRange("config.maximum_batch_bytes", maximum_batch_bytes, 1 << 10,
                      kLargestBatchBytes),
           CheckStart(starting_position),
           CheckRangeOrForever("config.maximum_retry_attempts", maximum_retry_attempts, 0, 10000),
           CheckRecordAge(maximum_record_age),
           CheckBackoff(retry_backoff),
           CheckRangeOrForever("config.maximum_lost_deliveries", maximum_lost_deliveries, 1, 1000),
           CheckSeconds("config.handler_timeout", handler_timeout, 1, 900),
           CheckSeconds("config.handoff_timeout", handoff_timeout, 1, 900),
           on_failure.Validate(),
       }) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Duration Backoff(const RetryBackoff& backoff, int32_t attempts, double jitter01) {
  const double ratio = absl::FDivDuration(backoff.maximum, backoff.initial);
  const double growth = std::pow(backoff.multiplier, std::max(attempts, 1) - 1);
  const absl::Duration pause = std::min(backoff.initial * std::min(growth, ratio), backoff.maximum);
  return pause * (1 + backoff.jitter * (2 * jitter01 - 1));
}

}  // namespace lowmark
