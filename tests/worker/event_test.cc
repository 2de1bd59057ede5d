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

TEST(Event, IsFromWhereTheSourceSays) {
  Batch batch = TwoRecords();
  batch.origin = {Origin::Shape::kKinesis, "arn:aws:kinesis:eu-west-1:1:stream/s", "eu-west-1"};
  batch.records[0].sequence = "49590338271490256608559692538361571095921575989136588898";
  const Json record = Json::parse(EventJson(batch))["Records"][0];
  EXPECT_EQ(record["awsRegion"], "eu-west-1");
  EXPECT_EQ(record["eventSourceARN"], "arn:aws:kinesis:eu-west-1:1:stream/s");
  EXPECT_EQ(record["kinesis"]["sequenceNumber"],
            "49590338271490256608559692538361571095921575989136588898");
}

constexpr char kDynamoDb[] = R"({"eventID":"c4ca","eventName":"MODIFY","eventVersion":"1.1",
  "eventSource":"aws:dynamodb","awsRegion":"us-west-2","dynamodb":{
    "ApproximateCreationDateTime":1479499740,"Keys":{"Id":{"N":"101"}},
    "NewImage":{"Id":{"N":"101"},"Price":{"N":"12.50"}},"OldImage":{"Id":{"N":"101"}},
    "SequenceNumber":"13021600000000001596893679","SizeBytes":59,
    "StreamViewType":"NEW_AND_OLD_IMAGES"},
  "userIdentity":{"principalId":"dynamodb.amazonaws.com","type":"Service"}})";

Batch DynamoDbBatch(const std::string& data) {
  Batch batch = TwoRecords();
  batch.origin.shape = Origin::Shape::kDynamoDb;
  batch.records = {{"4421584500000000017450439091", "", absl::FromUnixSeconds(1545084650), data}};
  return batch;
}

TEST(Event, OfADynamoDbStreamIsWhatItsRecordSays) {
  const Json event = Json::parse(EventJson(DynamoDbBatch(kDynamoDb)));
  Json expected = Json::parse(kDynamoDb);
  // By which answers name it.
  expected["dynamodb"]["SequenceNumber"] = "4421584500000000017450439091";
  expected["eventSourceARN"] =
      "arn:aws:dynamodb:local:000000000000:table/orders/stream/1970-01-01T00:00:00.000";
  EXPECT_EQ(event["Records"], Json::array({expected}));
  EXPECT_EQ(event["lowmark"]["shard"], "shard-1");
}

TEST(Event, OfADynamoDbStreamIsCompleted) {
  Batch batch = DynamoDbBatch(R"({"eventName":"INSERT",
                                  "dynamodb":{"Keys":{"Id":{"N":"1"}},"NewImage":{}}})");
  batch.origin.arn = "arn:aws:dynamodb:eu-west-1:1:table/T/stream/x";
  batch.origin.region = "eu-west-1";
  const size_t size = batch.records[0].data.size();
  EXPECT_EQ(Json::parse(EventJson(batch))["Records"][0],
            (Json{{"eventID", "shard-1:4421584500000000017450439091"},
                  {"eventName", "INSERT"},
                  {"eventVersion", "1.1"},
                  {"eventSource", "aws:dynamodb"},
                  {"awsRegion", "eu-west-1"},
                  {"eventSourceARN", "arn:aws:dynamodb:eu-west-1:1:table/T/stream/x"},
                  {"dynamodb",
                   {{"ApproximateCreationDateTime", 1545084650},
                    {"Keys", {{"Id", {{"N", "1"}}}}},
                    {"NewImage", Json::object()},
                    {"SequenceNumber", "4421584500000000017450439091"},
                    {"SizeBytes", size},
                    {"StreamViewType", "NEW_IMAGE"}}}}));
}

TEST(Event, OfADynamoDbStreamSurvivesWhatIsNoRecord) {
  for (const char* data : {"", "oops", "[1]", "1", R"({"dynamodb":7})"}) {
    const Json record = Json::parse(EventJson(DynamoDbBatch(data)))["Records"][0];
    EXPECT_EQ(record["dynamodb"]["SequenceNumber"], "4421584500000000017450439091") << data;
  }
}

TEST(Event, OfKafkaNamesTopicAndPartition) {
  Batch batch = TwoRecords();
  batch.shard = "orders-eu-3";
  batch.origin.shape = Origin::Shape::kKafka;
  batch.origin.arn = "b-1:9092,b-2:9092";
  batch.records[0].headers = {{"trace", "a\xFF"}, {"trace", ""}};
  const Json event = Json::parse(EventJson(batch));
  EXPECT_EQ(event["eventSource"], "SelfManagedKafka");
  EXPECT_EQ(event["bootstrapServers"], "b-1:9092,b-2:9092");
  EXPECT_EQ(event["lowmark"]["stream"], "orders");
  EXPECT_EQ(event["records"], Json::parse(R"({"orders-eu-3": [
    {"topic": "orders-eu", "partition": 3, "offset": 97, "timestamp": 1545084650987,
     "timestampType": "CREATE_TIME", "key": "a2V5ICIxIg==", "value": "aGVsbG8=",
     "headers": [{"trace": [97, 255]}, {"trace": []}]},
    {"topic": "orders-eu", "partition": 3, "offset": 118, "timestamp": 0,
     "timestampType": "CREATE_TIME", "value": "AP8K", "headers": []}]})"));
}

TEST(Event, AnyShardIsAKafkaPartition) {
  Batch batch;
  for (const auto& [shard, partition] :
       std::vector<std::pair<std::string, std::string>>{{"a-1", "a-1"},
                                                        {"a", "a-0"},
                                                        {"a-", "a--0"},
                                                        {"-1", "-1-0"},
                                                        {"a-x", "a-x-0"},
                                                        {"a--1", "a--1"},
                                                        {"a-99999999999", "a-99999999999-0"}}) {
    batch.shard = shard;
    EXPECT_EQ(KafkaPartition(batch).ToString(), partition);
  }
}

TEST(Event, ListsSequences) {
  EXPECT_THAT(Sequences(TwoRecords()), testing::ElementsAre("97", "118"));
}

}  // namespace
}  // namespace lowmark
