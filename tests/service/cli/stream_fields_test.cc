#include "service/cli/stream_fields.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace lowmark::cli {
namespace {

using ::testing::HasSubstr;

TEST(SetField, SetsEveryTypeOfField) {
  v1::StreamConfig config;
  for (const char* setting :
       {"batch_size=10", "maximum_batching_window=1500ms", "maximum_batch_bytes=1048576",
        "starting_position=at_timestamp 2026-01-31T12:00:00Z", "report_batch_item_failures=false",
        "maximum_record_age=-1", "discard_scope=BATCH", "retry_backoff.initial=250ms",
        "retry_backoff.multiplier=1.5", "sequence_order=SEQUENCE_ORDER_POSITIONAL", "paused=true",
        "frozen=true", "balance_by=handler_time", "on_failure.http.url=http://localhost/?a=b",
        "on_failure.http.headers=X-Team=a=b", "on_failure.http.headers=A=Bearer ${secret:t}",
        "on_failure.timeout=5s", "on_failure.maximum_data_bytes=1000",
        "on_failure.stream_arn=arn:aws:kinesis:local:0:stream/s"}) {
    auto name = SetField(setting, config);
    ASSERT_TRUE(name.ok()) << name.status();
    EXPECT_EQ(*name, std::string(setting).substr(0, name->size()));
  }
  EXPECT_EQ(config.batch_size(), 10);
  EXPECT_EQ(config.maximum_batching_window().nanos(), 500'000'000);
  EXPECT_EQ(config.maximum_batch_bytes(), 1048576);
  EXPECT_EQ(config.starting_position().at_timestamp().seconds(), 1769860800);
  EXPECT_TRUE(config.has_report_batch_item_failures());
  EXPECT_FALSE(config.report_batch_item_failures());
  EXPECT_EQ(config.maximum_record_age().seconds(), -1);
  EXPECT_EQ(config.discard_scope(), v1::DISCARD_SCOPE_BATCH);
  EXPECT_EQ(config.retry_backoff().initial().nanos(), 250'000'000);
  EXPECT_EQ(config.retry_backoff().multiplier(), 1.5);
  EXPECT_EQ(config.sequence_order(), v1::SEQUENCE_ORDER_POSITIONAL);
  EXPECT_TRUE(config.paused());
  EXPECT_TRUE(config.frozen());
  EXPECT_EQ(config.balance_by(), v1::BALANCE_BY_HANDLER_TIME);
  EXPECT_EQ(config.on_failure().http().url(), "http://localhost/?a=b");
  EXPECT_EQ(config.on_failure().http().headers().at("X-Team"), "a=b");
  EXPECT_EQ(config.on_failure().http().headers().at("A"), "Bearer ${secret:t}");
  EXPECT_EQ(config.on_failure().timeout().seconds(), 5);

  // And all of it can be shown and set again.
  v1::StreamConfig copy;
  for (const auto& [name, value] : Fields(config)) {
    if (value.empty()) continue;
    auto set = SetField(absl::StrCat(name, "=", value), copy);
    EXPECT_TRUE(set.ok()) << set.status();
  }
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(config, copy))
      << copy.DebugString();
}

TEST(SetField, NamesFieldValueAndWhatIsAllowed) {
  v1::StreamConfig config;
  const auto error = [&](const std::string& setting) {
    return std::string(SetField(setting, config).status().message());
  };
  EXPECT_EQ(error("batch_size=ten"), "batch_size is \"ten\": must be a whole number");
  EXPECT_THAT(error("batch_size="), HasSubstr("must be a whole number"));
  EXPECT_THAT(error("batch_size=99999999999"), HasSubstr("must be a whole number"));
  EXPECT_THAT(error("retry_backoff.jitter=some"), HasSubstr("must be a number"));
  EXPECT_THAT(error("paused=perhaps"), HasSubstr("must be true or false"));
  EXPECT_THAT(error("discard_scope=all"), HasSubstr("must be record or batch"));
  EXPECT_THAT(error("discard_scope=unspecified"), HasSubstr("must be record or batch"));
  EXPECT_THAT(error("balance_by=load"), HasSubstr("must be shards or records or handler_time"));
  EXPECT_THAT(error("handler_timeout=60"), HasSubstr("a duration such as"));
  EXPECT_THAT(error("starting_position=now"),
              HasSubstr("starting_position: \"now\" is no position"));
  EXPECT_THAT(error("batch_size"), HasSubstr("must be FIELD=VALUE"));
  EXPECT_THAT(error("on_failure.http.headers=Team"), HasSubstr("must be KEY=VALUE"));
  EXPECT_THAT(error("on_failure.kafka.properties==v"), HasSubstr("must be KEY=VALUE"));
  EXPECT_THAT(error("on_failure.http=http://h"), HasSubstr("a stream has no field"));
  EXPECT_THAT(error("=1"), HasSubstr("a stream has no field"));
  EXPECT_THAT(error("batchsize=1"), HasSubstr("did you mean batch_size?"));
  EXPECT_THAT(error("retry_backoff=1s"), HasSubstr("a stream has no field \"retry_backoff\""));
  EXPECT_THAT(error("retry_backoff.initial.seconds=1"), HasSubstr("did you mean"));
  EXPECT_THAT(error("xxxxxxxxxxxxxxxxxxxx=1"), HasSubstr("it has batch_size, "));
  EXPECT_EQ(config.ByteSizeLong(), 0u);
}

TEST(CheckField, KnowsEveryField) {
  for (const auto& [name, value] : Fields(v1::StreamConfig())) {
    EXPECT_TRUE(CheckField(name).ok()) << name;
    EXPECT_EQ(value, "") << name;
  }
  EXPECT_FALSE(CheckField("name").ok());
}

TEST(CheckResettable, KnowsFieldsAndWhatIsMadeOfThem) {
  for (const char* name : {"batch_size", "retry_backoff", "retry_backoff.initial", "on_failure",
                           "on_failure.http", "on_failure.http.headers"}) {
    EXPECT_TRUE(CheckResettable(name).ok()) << name;
  }
  for (const char* name : {"", "retry", "on_failure.", "on_failure.http.headers.A"}) {
    EXPECT_FALSE(CheckResettable(name).ok()) << name;
  }
}

}  // namespace
}  // namespace lowmark::cli
