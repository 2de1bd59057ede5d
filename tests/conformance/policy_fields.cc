#include "tests/conformance/policy_fields.h"

#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "tests/conformance/fields.h"

namespace lowmark::conformance {
namespace {

template <typename T>
using Names = std::vector<std::pair<const char*, T>>;

// An enum's value by its name, with or without the prefix it has on the wire.
template <typename T>
absl::Status ParseName(const YAML::Node& node, const std::string& where, const char* prefix,
                       const Names<T>& names, T& out) {
  std::string allowed;
  const std::string given = node.IsScalar() ? absl::AsciiStrToUpper(node.Scalar()) : "";
  for (const auto& [name, value] : names) {
    if (absl::StripPrefix(given, prefix) == name) {
      out = value;
      return absl::OkStatus();
    }
    absl::StrAppend(&allowed, allowed.empty() ? "" : ", ", name);
  }
  return Wrong(where, absl::StrCat("must be one of ", allowed));
}

absl::Status Parse(const YAML::Node& node, const std::string& where, DiscardScope& out) {
  return ParseName<DiscardScope>(
      node, where, "DISCARD_SCOPE_",
      {{"RECORD", DiscardScope::kRecord}, {"BATCH", DiscardScope::kBatch}}, out);
}

absl::Status Parse(const YAML::Node& node, const std::string& where, SequenceOrder& out) {
  return ParseName<SequenceOrder>(
      node, where, "SEQUENCE_ORDER_",
      {{"NUMERIC", SequenceOrder::kNumeric}, {"POSITIONAL", SequenceOrder::kPositional}}, out);
}

absl::Status Parse(const YAML::Node& node, const std::string& where, BalanceBy& out) {
  return ParseName<BalanceBy>(node, where, "BALANCE_BY_",
                              {{"SHARDS", BalanceBy::kShards},
                               {"RECORDS", BalanceBy::kRecords},
                               {"HANDLER_TIME", BalanceBy::kHandlerTime}},
                              out);
}

absl::Status ParseTime(const YAML::Node& node, const std::string& where, absl::Time& out) {
  std::string error;
  if (node.IsScalar() && absl::ParseTime(absl::RFC3339_full, node.Scalar(), &out, &error)) {
    return absl::OkStatus();
  }
  return Wrong(where, "must be a time as 2024-05-01T12:00:00Z");
}

// TRIM_HORIZON, LATEST, or a mapping with one key as in proto's Position.
absl::Status Parse(const YAML::Node& node, const std::string& where, Position& out) {
  if (!node.IsMap()) {
    return ParseName<Position>(
        node, where, "",
        {{"TRIM_HORIZON", Position::TrimHorizon()}, {"LATEST", Position::Latest()}}, out);
  }
  Fields fields(node, where);
  const YAML::Node time = fields.Take("at_timestamp");
  if (fields.Take("trim_horizon").IsDefined()) out = Position::TrimHorizon();
  if (fields.Take("latest").IsDefined()) out = Position::Latest();
  if (auto s = fields.Finish(); !s.ok()) return s;
  if (node.size() != 1) return Wrong(where, "must have one key");
  if (!time.IsDefined()) return absl::OkStatus();
  out.kind = Position::Kind::kAtTimestamp;
  return ParseTime(time, fields.Place("at_timestamp"), out.time);
}

absl::Status Parse(const YAML::Node& node, const std::string& where, RetryBackoff& out) {
  Fields fields(node, where);
  fields.Read("initial", out.initial)
      .Read("multiplier", out.multiplier)
      .Read("maximum", out.maximum)
      .Read("jitter", out.jitter);
  return fields.Finish();
}

}  // namespace

absl::Status Parse(const YAML::Node& node, const std::string& where, Policy& out) {
  out = Policy::Lambda();
  Fields fields(node, where);
  fields.Read("batch_size", out.batch_size)
      .Read("maximum_batching_window", out.maximum_batching_window)
      .Read("maximum_batch_bytes", out.maximum_batch_bytes)
      .Read("report_batch_item_failures", out.report_batch_item_failures)
      .Read("bisect_batch_on_failure", out.bisect_batch_on_failure)
      .Read("maximum_retry_attempts", out.maximum_retry_attempts)
      .Read("maximum_record_age", out.maximum_record_age)
      .Read("maximum_lost_deliveries", out.maximum_lost_deliveries)
      .Read("handler_timeout", out.handler_timeout)
      .Read("handoff_timeout", out.handoff_timeout)
      .Read("paused", out.paused)
      .Read("frozen", out.frozen);
  absl::Status status;
  const auto read = [&](const char* key, auto& value) {
    const YAML::Node field = fields.Take(key);
    if (status.ok() && field.IsDefined()) status = Parse(field, fields.Place(key), value);
  };
  read("starting_position", out.starting_position);
  read("discard_scope", out.discard_scope);
  read("retry_backoff", out.retry_backoff);
  read("sequence_order", out.sequence_order);
  read("balance_by", out.balance_by);
  if (!status.ok()) return status;
  return fields.Finish();
}

}  // namespace lowmark::conformance
