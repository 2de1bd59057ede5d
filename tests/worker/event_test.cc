#include "worker/handler/event.h"

#include <gmock/gmock.h>

#include "absl/strings/escaping.h"
#include "nlohmann/json.hpp"

namespace lowmark {
namespace {

using Json = nlohmann::json;

Batch TwoRecords() {
  Batch batch;
  batch.stream = "orders";
  batch.shard = "shard-1";
  batch.epoch = 7;
  batch.batch_id = "b.1";
  batch.attempt = 2;
  batch.records = {{"97", "key \"1\"", absl::FromUnixMillis(1545084650987), "hello"},
                   {"118", "", absl::UnixEpoch(), std::string("\0\xff\n", 3)}};
  return batch;
}

TEST(Event, HasEveryFieldOfAKinesisEvent) {
  const Json event = Json::parse(EventJson(TwoRecords()));
  const Json record = event["Records"][0];
  EXPECT_EQ(record, Json::parse(R"({
    "kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": "key \"1\"",
                "sequenceNumber": "97", "data": "aGVsbG8=",
                "approximateArrivalTimestamp": 1545084650.987},
    "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": "shard-1:97",
    "eventName": "aws:kinesis:record",
    "invokeIdentityArn": "arn:aws:iam::000000000000:role/lowmark", "awsRegion": "local",
    "eventSourceARN": "arn:aws:kinesis:local:000000000000:stream/orders"})"));
  EXPECT_EQ(event["Records"].size(), 2u);
  EXPECT_EQ(event["Records"][1]["kinesis"]["sequenceNumber"], "118");
}

TEST(Event, CarriesAnyBytes) {
  const Json event = Json::parse(EventJson(TwoRecords()));
  std::string data;
  ASSERT_TRUE(
      absl::Base64Unescape(event["Records"][1]["kinesis"]["data"].get<std::string>(), &data));
  EXPECT_EQ(data, std::string("\0\xff\n", 3));
  Batch batch = TwoRecords();
  batch.records[0].partition_key = "a\xff\x01\"b";
  const Json other = Json::parse(EventJson(batch));
  EXPECT_EQ(other["Records"][0]["kinesis"]["partitionKey"], "a\xef\xbf\xbd\x01\"b");
}

TEST(Event, TellsWhichBatchItIs) {
  Batch batch = TwoRecords();
  EXPECT_EQ(Json::parse(EventJson(batch))["lowmark"], Json::parse(R"({
    "stream": "orders", "shard": "shard-1", "epoch": 7, "batchId": "b.1", "attempt": 2})"));
  batch.deadline = absl::FromUnixMillis(1234);
  EXPECT_EQ(Json::parse(EventJson(batch))["lowmark"]["deadlineMs"], 1234);
}

TEST(Event, ListsSequences) {
  EXPECT_THAT(Sequences(TwoRecords()), testing::ElementsAre("97", "118"));
}

}  // namespace
}  // namespace lowmark
