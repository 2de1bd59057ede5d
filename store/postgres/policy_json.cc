#include "store/postgres/policy_json.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/core/error.h"
#include "store/postgres/on_failure_json.h"

namespace lowmark {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<Position::Kind, const char*>, 3> kStarts = {{
    {Position::Kind::kTrimHorizon, "TRIM_HORIZON"},
    {Position::Kind::kLatest, "LATEST"},
    {Position::Kind::kAtTimestamp, "AT_TIMESTAMP"},
}};
constexpr std::array<std::pair<DiscardScope, const char*>, 2> kScopes = {{
    {DiscardScope::kRecord, "RECORD"},
    {DiscardScope::kBatch, "BATCH"},
}};
constexpr std::array<std::pair<SequenceOrder, const char*>, 2> kOrders = {{
    {SequenceOrder::kNumeric, "NUMERIC"},
    {SequenceOrder::kPositional, "POSITIONAL"},
}};
constexpr std::array<std::pair<BalanceBy, const char*>, 3> kBalances = {{
    {BalanceBy::kShards, "SHARDS"},
    {BalanceBy::kRecords, "RECORDS"},
    {BalanceBy::kHandlerTime, "HANDLER_TIME"},
}};

// What went wrong while a policy was read; caught below.
struct BadPolicy : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// `contains` is false, not an error, where there is no object.
const json& MustBeObject(const json& value) {
  if (!value.is_object()) throw BadPolicy("not an object");
  return value;
}

template <typename Names, typename T>
const char* NameOf(const Names& names, T value) {
  for (const auto& [each, name] : names) {
    if (each == value) return name;
  }
  return "";
}

void Read(const json& object, const char* field, absl::Duration& out) {
  if (!object.contains(field)) return;
  if (!absl::ParseDuration(object.at(field).get<std::string>(), &out)) throw BadPolicy(field);
}

void Read(const json& object, const char* field, absl::Time& out) {
  if (!object.contains(field)) return;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, object.at(field).get<std::string>(), &out, &error)) {
    throw BadPolicy(absl::StrCat(field, ": ", error));
  }
}

template <typename T>
void Read(const json& object, const char* field, T& out) {
  if (object.contains(field)) out = object.at(field).get<T>();
}

template <typename Names, typename T>
void ReadName(const json& object, const char* field, const Names& names, T& out) {
  if (!object.contains(field)) return;
  const std::string name = object.at(field).get<std::string>();
  for (const auto& [value, each] : names) {
    if (name == each) {
      out = value;
      return;
    }
  }
  throw BadPolicy(absl::StrCat(field, " is ", name));
}

}  // namespace

std::string PolicyToJson(const Policy& policy) {
  const auto duration = [](absl::Duration d) { return absl::FormatDuration(d); };
  json start = {{"position", NameOf(kStarts, policy.starting_position.kind)}};
  if (policy.starting_position.kind == Position::Kind::kAtTimestamp) {
    start["time"] =
        absl::FormatTime(absl::RFC3339_full, policy.starting_position.time, absl::UTCTimeZone());
  }
  const RetryBackoff& backoff = policy.retry_backoff;
  return json{
      {"batch_size", policy.batch_size},
      {"maximum_batching_window", duration(policy.maximum_batching_window)},
      {"maximum_batch_bytes", policy.maximum_batch_bytes},
      {"starting_position", start},
      {"report_batch_item_failures", policy.report_batch_item_failures},
      {"bisect_batch_on_failure", policy.bisect_batch_on_failure},
      {"maximum_retry_attempts", policy.maximum_retry_attempts},
      {"maximum_record_age", duration(policy.maximum_record_age)},
      {"discard_scope", NameOf(kScopes, policy.discard_scope)},
      {"retry_backoff",
       {{"initial", duration(backoff.initial)},
        {"multiplier", backoff.multiplier},
        {"maximum", duration(backoff.maximum)},
        {"jitter", backoff.jitter}}},
      {"maximum_lost_deliveries", policy.maximum_lost_deliveries},
      {"handler_timeout", duration(policy.handler_timeout)},
      {"handoff_timeout", duration(policy.handoff_timeout)},
      {"sequence_order", NameOf(kOrders, policy.sequence_order)},
      {"paused", policy.paused},
      {"frozen", policy.frozen},
      {"balance_by", NameOf(kBalances, policy.balance_by)},
      {"on_failure", OnFailureToJson(policy.on_failure)},
  }
      .dump();
}

absl::StatusOr<Policy> PolicyFromJson(const std::string& text) {
  Policy policy;
  try {
    const json parsed = json::parse(text);
    const json& object = MustBeObject(parsed);
    Read(object, "batch_size", policy.batch_size);
    Read(object, "maximum_batching_window", policy.maximum_batching_window);
    Read(object, "maximum_batch_bytes", policy.maximum_batch_bytes);
    if (object.contains("starting_position")) {
      const json& start = MustBeObject(object.at("starting_position"));
      ReadName(start, "position", kStarts, policy.starting_position.kind);
      Read(start, "time", policy.starting_position.time);
    }
    Read(object, "report_batch_item_failures", policy.report_batch_item_failures);
    Read(object, "bisect_batch_on_failure", policy.bisect_batch_on_failure);
    Read(object, "maximum_retry_attempts", policy.maximum_retry_attempts);
    Read(object, "maximum_record_age", policy.maximum_record_age);
    ReadName(object, "discard_scope", kScopes, policy.discard_scope);
    if (object.contains("retry_backoff")) {
      const json& backoff = MustBeObject(object.at("retry_backoff"));
      Read(backoff, "initial", policy.retry_backoff.initial);
      Read(backoff, "multiplier", policy.retry_backoff.multiplier);
      Read(backoff, "maximum", policy.retry_backoff.maximum);
      Read(backoff, "jitter", policy.retry_backoff.jitter);
    }
    Read(object, "maximum_lost_deliveries", policy.maximum_lost_deliveries);
    Read(object, "handler_timeout", policy.handler_timeout);
    Read(object, "handoff_timeout", policy.handoff_timeout);
    ReadName(object, "sequence_order", kOrders, policy.sequence_order);
    Read(object, "paused", policy.paused);
    Read(object, "frozen", policy.frozen);
    ReadName(object, "balance_by", kBalances, policy.balance_by);
    if (object.contains("on_failure")) {
      policy.on_failure = OnFailureFromJson(MustBeObject(object.at("on_failure")));
    }
  } catch (const std::exception& error) {
    return MakeError(absl::StatusCode::kInternal, kInternal,
                     absl::StrCat("a stored policy cannot be read: ", error.what()));
  }
  return policy;
}

}  // namespace lowmark
