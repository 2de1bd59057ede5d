// Between wire and core: what is sent comes back the same, and what the core's
// types cannot hold is refused by the field's name.
#include "service/rpc/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>

#include "service/core/error.h"

namespace lowmark {
namespace {

using testing::HasSubstr;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();

google::protobuf::Duration ProtoDuration(int64_t seconds, int32_t nanos) {
  google::protobuf::Duration proto;
  proto.set_seconds(seconds);
  proto.set_nanos(nanos);
  return proto;
}

google::protobuf::Timestamp ProtoTime(int64_t seconds, int32_t nanos) {
  google::protobuf::Timestamp proto;
  proto.set_seconds(seconds);
  proto.set_nanos(nanos);
  return proto;
}

void ExpectInvalid(const absl::Status& status, const std::string& field) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_EQ(Reason(status), kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(field));
}

TEST(ConvertDuration, ComesBackTheSame) {
  for (absl::Duration duration :
       {absl::ZeroDuration(), absl::Nanoseconds(1), absl::Milliseconds(-1500), absl::Seconds(-1),
        absl::Hours(24 * 300), absl::Seconds(1) + absl::Nanoseconds(999'999'999)}) {
    google::protobuf::Duration proto;
    ToProto(duration, &proto);
    auto back = DurationFromProto("d", proto);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, duration);
  }
}

TEST(ConvertDuration, RefusesWhatIsNoDuration) {
  struct Case {
    int64_t seconds;
    int32_t nanos;
    const char* field;
  };
  for (const Case& c :
       {Case{kMost, 0, "d.seconds"}, Case{kLeast, 0, "d.seconds"},
        Case{315'576'000'001, 0, "d.seconds"}, Case{0, 1'000'000'000, "d.nanos"},
        Case{0, -1'000'000'000, "d.nanos"}, Case{1, -1, "d.nanos"}, Case{-1, 1, "d.nanos"},
        Case{0, std::numeric_limits<int32_t>::min(), "d.nanos"}}) {
    SCOPED_TRACE(absl::StrCat(c.seconds, " s ", c.nanos, " ns"));
    ExpectInvalid(DurationFromProto("d", ProtoDuration(c.seconds, c.nanos)).status(), c.field);
  }
}

TEST(ConvertTime, ComesBackTheSame) {
  for (absl::Time time :
       {kEarliestArrival, kLatestArrival, absl::FromUnixNanos(1), absl::FromUnixNanos(kMost / 2),
        absl::FromUnixSeconds(9'223'372'035) + absl::Nanoseconds(999'999'999)}) {
    google::protobuf::Timestamp proto;
    ToProto(time, &proto);
    auto back = TimeFromProto("t", proto);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, time);
  }
}

TEST(ConvertTime, RefusesWhatIsNoTime) {
  ExpectInvalid(TimeFromProto("t", ProtoTime(kMost, 0)).status(), "t.seconds");
  ExpectInvalid(TimeFromProto("t", ProtoTime(kLeast, 0)).status(), "t.seconds");
  ExpectInvalid(TimeFromProto("t", ProtoTime(-1, 0)).status(), "t.seconds");
  ExpectInvalid(TimeFromProto("t", ProtoTime(9'223'372'036, 0)).status(), "t.seconds");
  ExpectInvalid(TimeFromProto("t", ProtoTime(0, -1)).status(), "t.nanos");
  ExpectInvalid(TimeFromProto("t", ProtoTime(0, 1'000'000'000)).status(), "t.nanos");
}

TEST(ConvertPosition, ComesBackTheSame) {
  for (const Position& position :
       {Position::TrimHorizon(), Position::Latest(), Position::ShardEnd(), Position::At("0"),
        Position::After(std::string(128, '9')), Position::AtTimestamp(absl::FromUnixNanos(7))}) {
    v1::Position proto;
    ToProto(position, &proto);
    auto back = PositionFromProto("p", proto, SequenceOrder::kNumeric);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, position);
  }
}

TEST(ConvertPosition, RefusesWhatIsNoPosition) {
  ExpectInvalid(PositionFromProto("p", v1::Position(), SequenceOrder::kNumeric).status(), "p is");
  for (const std::string& bad :
       {std::string(), std::string("-1"), std::string("01"), std::string("1e3"), std::string(" 1"),
        std::string("1\0", 2), std::string(129, '1'), std::string("a")}) {
    v1::Position at;
    at.set_at_sequence(bad);
    ExpectInvalid(PositionFromProto("p", at, SequenceOrder::kNumeric).status(), "p.at_sequence");
    v1::Position after;
    after.set_after_sequence(bad);
    ExpectInvalid(PositionFromProto("p", after, SequenceOrder::kNumeric).status(),
                  "p.after_sequence");
  }
  v1::Position token;
  token.set_at_sequence("a-token:1.0");
  EXPECT_TRUE(PositionFromProto("p", token, SequenceOrder::kPositional).ok());
  token.set_at_sequence("no token");
  ExpectInvalid(PositionFromProto("p", token, SequenceOrder::kPositional).status(),
                "p.at_sequence");
  v1::Position time;
  time.mutable_at_timestamp()->set_seconds(kMost);
  ExpectInvalid(PositionFromProto("p", time, SequenceOrder::kNumeric).status(),
                "p.at_timestamp.seconds");
}

// A policy whose every field differs from its default.
Policy OddPolicy() {
  Policy policy;
  policy.batch_size = 7;
  policy.maximum_batching_window = absl::Milliseconds(1500);
  policy.maximum_batch_bytes = 4096;
  policy.starting_position = Position::AtTimestamp(absl::FromUnixSeconds(1'700'000'000));
  policy.report_batch_item_failures = false;
  policy.bisect_batch_on_failure = false;
  policy.maximum_retry_attempts = -1;
  policy.maximum_record_age = absl::Seconds(3600);
  policy.discard_scope = DiscardScope::kBatch;
  policy.retry_backoff = {absl::Milliseconds(3), 1.5, absl::Seconds(9), 0.5};
  policy.maximum_lost_deliveries = 9;
  policy.handler_timeout = absl::Seconds(5);
  policy.handoff_timeout = absl::Seconds(6);
  policy.sequence_order = SequenceOrder::kPositional;
  policy.paused = true;
  policy.frozen = true;
  policy.balance_by = BalanceBy::kHandlerTime;
  policy.on_failure.destination = OnFailure::Http{"http://h/", {{"A", "b"}, {"C", "${secret:d}"}}};
  policy.on_failure.timeout = absl::Milliseconds(1500);
  policy.on_failure.maximum_data_bytes = 9;
  policy.on_failure.function_arn = "f";
  policy.on_failure.stream_arn = "s";
  return policy;
}

TEST(ConvertPolicy, ComesBackTheSame) {
  for (const Policy& policy : {Policy(), Policy::Lambda(), OddPolicy()}) {
    v1::StreamConfig proto;
    ToProto(policy, &proto);
    // The defaults must not matter: every field is on the wire.
    for (const Policy& defaults : {Policy(), OddPolicy()}) {
      auto back = PolicyFromProto(proto, defaults);
      ASSERT_TRUE(back.ok()) << back.status();
      EXPECT_EQ(*back, policy);
    }
  }
}

TEST(ConvertPolicy, KeepsEachKindOfDestination) {
  for (const auto& destination : std::vector<decltype(OnFailure::destination)>{
           std::monostate(), OnFailure::Kafka{"a:1", "t", {{"client.id", "c"}}},
           OnFailure::Directory{"a/b"}}) {
    Policy policy = OddPolicy();
    policy.on_failure.destination = destination;
    v1::StreamConfig proto;
    ToProto(policy, &proto);
    auto back = PolicyFromProto(proto, OddPolicy());
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->on_failure.destination, destination);
  }
}

TEST(ConvertPolicy, SetsEveryFieldOfTheWire) {
  v1::StreamConfig proto;
  ToProto(Policy(), &proto);
  std::vector<const google::protobuf::FieldDescriptor*> set;
  proto.GetReflection()->ListFields(proto, &set);
  EXPECT_EQ(static_cast<int>(set.size()), v1::StreamConfig::descriptor()->field_count());
  set.clear();
  const v1::RetryBackoff& backoff = proto.retry_backoff();
  backoff.GetReflection()->ListFields(backoff, &set);
  EXPECT_EQ(static_cast<int>(set.size()), v1::RetryBackoff::descriptor()->field_count());
}

TEST(ConvertPolicy, TakesWhatIsUnsetFromTheDefaults) {
  auto lambda = PolicyFromProto(v1::StreamConfig(), Policy::Lambda());
  ASSERT_TRUE(lambda.ok());
  EXPECT_EQ(*lambda, Policy::Lambda());
  v1::StreamConfig proto;
  proto.set_report_batch_item_failures(true);
  lambda = PolicyFromProto(proto, Policy::Lambda());
  ASSERT_TRUE(lambda.ok());
  EXPECT_TRUE(lambda->report_batch_item_failures);
  EXPECT_EQ(lambda->maximum_retry_attempts, Policy::kForever);
}

TEST(ConvertPolicy, NamesTheFieldThatIsWrong) {
  struct Case {
    const char* field;
    void (*spoil)(v1::StreamConfig&);
  };
  using C = v1::StreamConfig;
  const Case cases[] = {
      {"config.batch_size", [](C& c) { c.set_batch_size(0); }},
      {"config.batch_size", [](C& c) { c.set_batch_size(10001); }},
      {"config.maximum_batching_window.seconds",
       [](C& c) { c.mutable_maximum_batching_window()->set_seconds(kMost); }},
      {"config.maximum_batching_window",
       [](C& c) { c.mutable_maximum_batching_window()->set_nanos(-1); }},
      {"config.maximum_batch_bytes", [](C& c) { c.set_maximum_batch_bytes(1023); }},
      {"config.maximum_batch_bytes", [](C& c) { c.set_maximum_batch_bytes(kMost); }},
      {"config.starting_position", [](C& c) { c.mutable_starting_position(); }},
      {"config.starting_position",
       [](C& c) { c.mutable_starting_position()->set_at_sequence("1"); }},
      {"config.starting_position.at_timestamp",
       [](C& c) { c.mutable_starting_position()->mutable_at_timestamp()->set_nanos(-1); }},
      {"config.maximum_retry_attempts", [](C& c) { c.set_maximum_retry_attempts(-2); }},
      {"config.maximum_record_age", [](C& c) { c.mutable_maximum_record_age()->set_seconds(59); }},
      {"config.maximum_record_age",
       [](C& c) { *c.mutable_maximum_record_age() = ProtoDuration(60, 1); }},
      {"config.on_failure.http.url", [](C& c) { c.mutable_on_failure()->mutable_http(); }},
      {"config.on_failure.kafka.brokers", [](C& c) { c.mutable_on_failure()->mutable_kafka(); }},
      {"config.on_failure.directory.path",
       [](C& c) { c.mutable_on_failure()->mutable_directory(); }},
      {"config.on_failure.timeout",
       [](C& c) { c.mutable_on_failure()->mutable_timeout()->set_seconds(31); }},
      {"config.on_failure.timeout.seconds",
       [](C& c) { c.mutable_on_failure()->mutable_timeout()->set_seconds(kMost); }},
      {"config.on_failure.maximum_data_bytes",
       [](C& c) { c.mutable_on_failure()->set_maximum_data_bytes(-1); }},
      {"config.discard_scope", [](C& c) { c.set_discard_scope(static_cast<v1::DiscardScope>(9)); }},
      {"config.retry_backoff.initial",
       [](C& c) { c.mutable_retry_backoff()->mutable_initial()->set_seconds(0); }},
      {"config.retry_backoff.initial",  // the default is above the longest pause
       [](C& c) { *c.mutable_retry_backoff()->mutable_maximum() = ProtoDuration(0, 1); }},
      {"config.retry_backoff.maximum",
       [](C& c) { c.mutable_retry_backoff()->mutable_maximum()->set_seconds(3601); }},
      {"config.retry_backoff.multiplier",
       [](C& c) { c.mutable_retry_backoff()->set_multiplier(NAN); }},
      {"config.retry_backoff.multiplier",
       [](C& c) { c.mutable_retry_backoff()->set_multiplier(INFINITY); }},
      {"config.retry_backoff.jitter", [](C& c) { c.mutable_retry_backoff()->set_jitter(1.01); }},
      {"config.retry_backoff.jitter", [](C& c) { c.mutable_retry_backoff()->set_jitter(-0.1); }},
      {"config.maximum_lost_deliveries", [](C& c) { c.set_maximum_lost_deliveries(0); }},
      {"config.handler_timeout",
       [](C& c) { *c.mutable_handler_timeout() = ProtoDuration(900, 1); }},
      {"config.handoff_timeout", [](C& c) { c.mutable_handoff_timeout(); }},
      {"config.balance_by", [](C& c) { c.set_balance_by(static_cast<v1::BalanceBy>(4)); }},
      {"config.balance_by", [](C& c) { c.set_balance_by(static_cast<v1::BalanceBy>(-1)); }},
      {"config.sequence_order",
       [](C& c) { c.set_sequence_order(static_cast<v1::SequenceOrder>(-1)); }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.field);
    v1::StreamConfig config;
    c.spoil(config);
    ExpectInvalid(PolicyFromProto(config, Policy()).status(), c.field);
  }
}

TEST(ConvertEnums, ComeBackTheSame) {
  for (Redelivery cause : {Redelivery::kNone, Redelivery::kRetry, Redelivery::kSplit,
                           Redelivery::kPartial, Redelivery::kLost, Redelivery::kOperator}) {
    EXPECT_EQ(CauseFromProto(ToProto(cause)), cause);
    EXPECT_TRUE(v1::RedeliveryCause_IsValid(ToProto(cause)));
  }
  // From a newer peer; for people alone, so it is no error.
  EXPECT_EQ(CauseFromProto(static_cast<v1::RedeliveryCause>(99)), Redelivery::kNone);
  for (Condition condition : {Condition::kRetryAttemptsExhausted, Condition::kRecordAgeExceeded,
                              Condition::kRecordTooLarge, Condition::kRecordUnreadable}) {
    auto back = ConditionFromProto("c", ToProto(condition));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(*back, condition);
  }
  for (int bad : {0, 5, -1, std::numeric_limits<int>::max()}) {
    ExpectInvalid(ConditionFromProto("c", static_cast<v1::DeadLetterCondition>(bad)).status(), "c");
  }
}

TEST(ConvertDelivery, BatchIdsOfAnotherTimelineAreOthers) {
  Delivery delivery;
  delivery.batch_id = 5;
  std::set<std::string> ids;
  Shard shard;
  for (const int64_t timeline : {0, 1, 2}) {
    shard.epoch = NextEpoch(0, timeline);
    v1::Delivery before;
    v1::Delivery after;
    ToProto(shard, delivery, &before);
    shard.epoch = NextEpoch(shard.epoch, timeline);
    ToProto(shard, delivery, &after);
    EXPECT_EQ(before.batch_id(), after.batch_id()) << "another owner";
    ids.insert(after.batch_id());
  }
  EXPECT_EQ(ids.size(), 3u);
}

TEST(ConvertDelivery, CarriesEverything) {
  Shard shard;
  shard.stream = "orders";
  shard.shard = "s-1";
  Delivery delivery;
  delivery.batch_id = 5;
  delivery.delivery = 6;
  delivery.start = Position::At("4");
  delivery.end_sequence = "10";
  delivery.max_records = 3;
  delivery.delay = absl::Milliseconds(250);
  delivery.attempt = 2;
  delivery.final_attempt = true;
  delivery.declare = true;
  delivery.cause = Redelivery::kPartial;
  v1::Delivery proto;
  ToProto(shard, delivery, &proto);
  EXPECT_EQ(proto.batch_id(), "orders/s-1/0.5");
  EXPECT_EQ(proto.delivery(), 6);
  EXPECT_EQ(proto.start().at_sequence(), "4");
  EXPECT_EQ(proto.end_sequence(), "10");
  EXPECT_EQ(proto.max_records(), 3);
  EXPECT_EQ(*DurationFromProto("delay", proto.delay()), absl::Milliseconds(250));
  EXPECT_EQ(proto.attempt(), 2);
  EXPECT_TRUE(proto.final_attempt());
  EXPECT_TRUE(proto.declare());
  EXPECT_EQ(proto.cause(), v1::REDELIVERY_CAUSE_PARTIAL);
}

TEST(ConvertRecord, ComesBackTheSameWithAnyBytes) {
  const Record record{"42",
                      std::string("k\0\xff\"'", 5),
                      absl::FromUnixNanos(123'456'789),
                      std::string("\0\x80{}\\", 5),
                      {{"a", "1"}, {std::string("\0\xff", 2), ""}, {"a", "2"}}};
  v1::RecordData proto;
  ToProto(record, &proto);
  auto back = RecordFromProto("r", proto);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, record);
  proto.mutable_arrival_time()->set_seconds(-1);
  ExpectInvalid(RecordFromProto("r", proto).status(), "r.arrival_time.seconds");
}

}  // namespace
}  // namespace lowmark
