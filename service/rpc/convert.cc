#include "service/rpc/convert.h"

#include <google/protobuf/util/time_util.h>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/rpc/convert_on_failure.h"

namespace lowmark {
namespace {

using google::protobuf::util::TimeUtil;

// Reads an optional duration into `value`, which keeps its default when unset.
absl::Status ReadDuration(absl::string_view field, bool has,
                          const google::protobuf::Duration& proto, absl::Duration& value) {
  if (!has) return absl::OkStatus();
  auto duration = DurationFromProto(field, proto);
  if (duration.ok()) value = *duration;
  return duration.status();
}

absl::Status ReadBackoff(const v1::RetryBackoff& proto, RetryBackoff& backoff) {
  if (auto s = ReadDuration("config.retry_backoff.initial", proto.has_initial(), proto.initial(),
                            backoff.initial);
      !s.ok()) {
    return s;
  }
  if (proto.has_multiplier()) backoff.multiplier = proto.multiplier();
  if (proto.has_jitter()) backoff.jitter = proto.jitter();
  return ReadDuration("config.retry_backoff.maximum", proto.has_maximum(), proto.maximum(),
                      backoff.maximum);
}

absl::Status ReadDurations(const v1::StreamConfig& proto, Policy& policy) {
  for (const absl::Status& status :
       {ReadDuration("config.maximum_batching_window", proto.has_maximum_batching_window(),
                     proto.maximum_batching_window(), policy.maximum_batching_window),
        ReadDuration("config.maximum_record_age", proto.has_maximum_record_age(),
                     proto.maximum_record_age(), policy.maximum_record_age),
        ReadDuration("config.handler_timeout", proto.has_handler_timeout(), proto.handler_timeout(),
                     policy.handler_timeout),
        ReadDuration("config.handoff_timeout", proto.has_handoff_timeout(), proto.handoff_timeout(),
                     policy.handoff_timeout),
        ReadBackoff(proto.retry_backoff(), policy.retry_backoff)}) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ReadDiscardScope(const v1::StreamConfig& proto, Policy& policy) {
  switch (proto.discard_scope()) {
    case v1::DISCARD_SCOPE_UNSPECIFIED:
      break;
    case v1::DISCARD_SCOPE_RECORD:
      policy.discard_scope = DiscardScope::kRecord;
      break;
    case v1::DISCARD_SCOPE_BATCH:
      policy.discard_scope = DiscardScope::kBatch;
      break;
    default:
      return InvalidField("config.discard_scope", proto.discard_scope(),
                          "must be RECORD (1) or BATCH (2)");
  }
  return absl::OkStatus();
}

absl::Status ReadSequenceOrder(const v1::StreamConfig& proto, Policy& policy) {
  switch (proto.sequence_order()) {
    case v1::SEQUENCE_ORDER_UNSPECIFIED:
      break;
    case v1::SEQUENCE_ORDER_NUMERIC:
      policy.sequence_order = SequenceOrder::kNumeric;
      break;
    case v1::SEQUENCE_ORDER_POSITIONAL:
      policy.sequence_order = SequenceOrder::kPositional;
      break;
    default:
      return InvalidField("config.sequence_order", proto.sequence_order(),
                          "must be NUMERIC (1) or POSITIONAL (2)");
  }
  return absl::OkStatus();
}

// The wire has one value more, for "not set".
static_assert(static_cast<int>(BalanceBy::kShards) + 1 == v1::BALANCE_BY_SHARDS);
static_assert(static_cast<int>(BalanceBy::kRecords) + 1 == v1::BALANCE_BY_RECORDS);
static_assert(static_cast<int>(BalanceBy::kHandlerTime) + 1 == v1::BALANCE_BY_HANDLER_TIME);

v1::BalanceBy ToProto(BalanceBy balance_by) {
  return static_cast<v1::BalanceBy>(static_cast<int>(balance_by) + 1);
}

absl::Status ReadBalanceBy(const v1::StreamConfig& proto, Policy& policy) {
  if (proto.balance_by() == v1::BALANCE_BY_UNSPECIFIED) return absl::OkStatus();
  if (!v1::BalanceBy_IsValid(proto.balance_by())) {
    return InvalidField("config.balance_by", proto.balance_by(),
                        "must be SHARDS (1), RECORDS (2) or HANDLER_TIME (3)");
  }
  policy.balance_by = static_cast<BalanceBy>(proto.balance_by() - 1);
  return absl::OkStatus();
}

absl::Status ReadEnums(const v1::StreamConfig& proto, Policy& policy) {
  for (const absl::Status& status :
       {ReadDiscardScope(proto, policy), ReadSequenceOrder(proto, policy),
        ReadBalanceBy(proto, policy)}) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

void ToProto(absl::Time time, google::protobuf::Timestamp* proto) {
  *proto = TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(time));
}

void ToProto(absl::Duration duration, google::protobuf::Duration* proto) {
  *proto = TimeUtil::NanosecondsToDuration(absl::ToInt64Nanoseconds(duration));
}

absl::StatusOr<absl::Time> TimeFromProto(absl::string_view field,
                                         const google::protobuf::Timestamp& proto) {
  if (proto.seconds() < absl::ToUnixSeconds(kEarliestArrival) ||
      proto.seconds() > absl::ToUnixSeconds(kLatestArrival)) {
    return InvalidField(absl::StrCat(field, ".seconds"), proto.seconds(),
                        "must be between the years 1970 and 2262");
  }
  if (proto.nanos() < 0 || proto.nanos() > 999'999'999) {
    return InvalidField(absl::StrCat(field, ".nanos"), proto.nanos(), "must be 0..999999999");
  }
  return absl::FromUnixSeconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
}

absl::StatusOr<absl::Duration> DurationFromProto(absl::string_view field,
                                                 const google::protobuf::Duration& proto) {
  constexpr int64_t kLongest = int64_t{10} * 365 * 86400;  // longer than any range allows
  if (proto.seconds() < -kLongest || proto.seconds() > kLongest) {
    return InvalidField(absl::StrCat(field, ".seconds"), proto.seconds(), "is out of range");
  }
  const bool signs_agree =
      proto.seconds() == 0 || proto.nanos() == 0 || (proto.seconds() < 0) == (proto.nanos() < 0);
  if (proto.nanos() < -999'999'999 || proto.nanos() > 999'999'999 || !signs_agree) {
    return InvalidField(absl::StrCat(field, ".nanos"), proto.nanos(),
                        "must be within a second, with the sign of seconds");
  }
  return absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
}

void ToProto(const Position& position, v1::Position* proto) {
  switch (position.kind) {
    case Position::Kind::kTrimHorizon:
      proto->mutable_trim_horizon();
      break;
    case Position::Kind::kLatest:
      proto->mutable_latest();
      break;
    case Position::Kind::kAtTimestamp:
      ToProto(position.time, proto->mutable_at_timestamp());
      break;
    case Position::Kind::kAt:
      proto->set_at_sequence(position.sequence);
      break;
    case Position::Kind::kAfter:
      proto->set_after_sequence(position.sequence);
      break;
    case Position::Kind::kShardEnd:
      proto->mutable_shard_end();
      break;
  }
}

absl::StatusOr<Position> PositionFromProto(absl::string_view field, const v1::Position& proto,
                                           SequenceOrder order) {
  auto sequence = [&](absl::string_view name,
                      const std::string& text) -> absl::StatusOr<std::string> {
    if (IsSequence(text, order)) return text;
    return InvalidField(absl::StrCat(field, ".", name), text, SequenceForm(order));
  };
  switch (proto.position_case()) {
    case v1::Position::kTrimHorizon:
      return Position::TrimHorizon();
    case v1::Position::kLatest:
      return Position::Latest();
    case v1::Position::kAtTimestamp: {
      auto time = TimeFromProto(absl::StrCat(field, ".at_timestamp"), proto.at_timestamp());
      if (!time.ok()) return time.status();
      return Position::AtTimestamp(*time);
    }
    case v1::Position::kAtSequence: {
      auto at = sequence("at_sequence", proto.at_sequence());
      if (!at.ok()) return at.status();
      return Position::At(*std::move(at));
    }
    case v1::Position::kAfterSequence: {
      auto after = sequence("after_sequence", proto.after_sequence());
      if (!after.ok()) return after.status();
      return Position::After(*std::move(after));
    }
    case v1::Position::kShardEnd:
      return Position::ShardEnd();
    case v1::Position::POSITION_NOT_SET:
      break;
  }
  return InvalidField(field, "", "must be set");
}

void ToProto(const Policy& policy, v1::StreamConfig* proto) {
  proto->set_batch_size(policy.batch_size);
  ToProto(policy.maximum_batching_window, proto->mutable_maximum_batching_window());
  proto->set_maximum_batch_bytes(policy.maximum_batch_bytes);
  ToProto(policy.starting_position, proto->mutable_starting_position());
  proto->set_report_batch_item_failures(policy.report_batch_item_failures);
  proto->set_bisect_batch_on_failure(policy.bisect_batch_on_failure);
  proto->set_maximum_retry_attempts(policy.maximum_retry_attempts);
  ToProto(policy.maximum_record_age, proto->mutable_maximum_record_age());
  proto->set_discard_scope(policy.discard_scope == DiscardScope::kRecord ? v1::DISCARD_SCOPE_RECORD
                                                                         : v1::DISCARD_SCOPE_BATCH);
  ToProto(policy.retry_backoff.initial, proto->mutable_retry_backoff()->mutable_initial());
  proto->mutable_retry_backoff()->set_multiplier(policy.retry_backoff.multiplier);
  ToProto(policy.retry_backoff.maximum, proto->mutable_retry_backoff()->mutable_maximum());
  proto->mutable_retry_backoff()->set_jitter(policy.retry_backoff.jitter);
  proto->set_maximum_lost_deliveries(policy.maximum_lost_deliveries);
  ToProto(policy.handler_timeout, proto->mutable_handler_timeout());
  ToProto(policy.handoff_timeout, proto->mutable_handoff_timeout());
  proto->set_sequence_order(policy.sequence_order == SequenceOrder::kNumeric
                                ? v1::SEQUENCE_ORDER_NUMERIC
                                : v1::SEQUENCE_ORDER_POSITIONAL);
  proto->set_paused(policy.paused);
  proto->set_frozen(policy.frozen);
  proto->set_balance_by(ToProto(policy.balance_by));
  ToProto(policy.on_failure, proto->mutable_on_failure());
}

absl::StatusOr<Policy> PolicyFromProto(const v1::StreamConfig& proto, const Policy& defaults) {
  Policy policy = defaults;
  if (proto.has_batch_size()) policy.batch_size = proto.batch_size();
  if (proto.has_maximum_batch_bytes()) policy.maximum_batch_bytes = proto.maximum_batch_bytes();
  if (proto.has_report_batch_item_failures()) {
    policy.report_batch_item_failures = proto.report_batch_item_failures();
  }
  if (proto.has_bisect_batch_on_failure()) {
    policy.bisect_batch_on_failure = proto.bisect_batch_on_failure();
  }
  if (proto.has_maximum_retry_attempts()) {
    policy.maximum_retry_attempts = proto.maximum_retry_attempts();
  }
  if (proto.has_maximum_lost_deliveries()) {
    policy.maximum_lost_deliveries = proto.maximum_lost_deliveries();
  }
  if (proto.has_paused()) policy.paused = proto.paused();
  if (proto.has_frozen()) policy.frozen = proto.frozen();
  if (auto s = ReadEnums(proto, policy); !s.ok()) return s;
  if (auto s = ReadDurations(proto, policy); !s.ok()) return s;
  if (proto.has_on_failure()) {
    auto on_failure = OnFailureFromProto(proto.on_failure());
    if (!on_failure.ok()) return on_failure.status();
    policy.on_failure = *std::move(on_failure);
  }
  if (proto.has_starting_position()) {
    auto start = PositionFromProto("config.starting_position", proto.starting_position(),
                                   policy.sequence_order);
    if (!start.ok()) return start.status();
    policy.starting_position = *std::move(start);
  }
  if (auto s = policy.Validate(); !s.ok()) return s;
  return policy;
}

v1::RedeliveryCause ToProto(Redelivery cause) { return static_cast<v1::RedeliveryCause>(cause); }

Redelivery CauseFromProto(v1::RedeliveryCause cause) {
  return v1::RedeliveryCause_IsValid(cause) ? static_cast<Redelivery>(cause) : Redelivery::kNone;
}

static_assert(static_cast<int>(Redelivery::kRetry) == v1::REDELIVERY_CAUSE_RETRY);
static_assert(static_cast<int>(Redelivery::kOperator) == v1::REDELIVERY_CAUSE_OPERATOR);
static_assert(static_cast<int>(Condition::kRetryAttemptsExhausted) ==
              v1::DEAD_LETTER_CONDITION_RETRY_ATTEMPTS_EXHAUSTED);
static_assert(static_cast<int>(Condition::kRecordUnreadable) ==
              v1::DEAD_LETTER_CONDITION_RECORD_UNREADABLE);

v1::DeadLetterCondition ToProto(Condition condition) {
  return static_cast<v1::DeadLetterCondition>(condition);
}

absl::StatusOr<Condition> ConditionFromProto(absl::string_view field,
                                             v1::DeadLetterCondition condition) {
  if (v1::DeadLetterCondition_IsValid(condition) &&
      condition != v1::DEAD_LETTER_CONDITION_UNSPECIFIED) {
    return static_cast<Condition>(condition);
  }
  return InvalidField(field, condition, "must be a DeadLetterCondition");
}

void ToProto(const Shard& shard, const Delivery& delivery, v1::Delivery* proto) {
  proto->set_batch_id(BatchName(shard.stream, shard.shard, shard.epoch, delivery.batch_id));
  proto->set_delivery(delivery.delivery);
  ToProto(delivery.start, proto->mutable_start());
  proto->set_end_sequence(delivery.end_sequence);
  proto->set_max_records(delivery.max_records);
  if (delivery.delay > absl::ZeroDuration()) ToProto(delivery.delay, proto->mutable_delay());
  proto->set_attempt(delivery.attempt);
  proto->set_final_attempt(delivery.final_attempt);
  proto->set_declare(delivery.declare);
  proto->set_cause(ToProto(delivery.cause));
}

void ToProto(const Record& record, v1::RecordData* proto) {
  proto->set_sequence(record.sequence);
  proto->set_partition_key(record.partition_key);
  ToProto(record.arrival_time, proto->mutable_arrival_time());
  proto->set_data(record.data);
  for (const auto& [name, value] : record.headers) {
    v1::RecordHeader* header = proto->add_headers();
    header->set_name(name);
    header->set_value(value);
  }
}

absl::StatusOr<Record> RecordFromProto(absl::string_view field, const v1::RecordData& proto) {
  auto arrival = TimeFromProto(absl::StrCat(field, ".arrival_time"), proto.arrival_time());
  if (!arrival.ok()) return arrival.status();
  Record record{proto.sequence(), proto.partition_key(), *arrival, proto.data()};
  for (const v1::RecordHeader& header : proto.headers()) {
    record.headers.emplace_back(header.name(), header.value());
  }
  return record;
}

}  // namespace lowmark
