#include "service/on_failure/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/awkward.h"

namespace lowmark {
namespace {

using nlohmann::json;
using testing::ElementsAre;

// "42" of shard 6 of "orders", after two tries.
ClaimedLetter Letter() {
  ClaimedLetter claimed;
  DeadLetter& letter = claimed.letter;
  letter.id = 17;
  letter.stream = "orders";
  letter.shard = "shardId-000000000006";
  letter.range = {"49590338271490256608559692538361571095921575989136588898",
                  "49590338271490256608559692538361571095921575989136588900",
                  3,
                  Condition::kRetryAttemptsExhausted,
                  2,
                  "NoAmount",
                  "an order without amount"};
  letter.epoch = (int64_t{3} << 40) + 5;
  letter.delivery = 9;
  letter.batch_id = 8;
  letter.worker = "w-1";
  letter.create_time = absl::FromUnixMicros(1573691886021500);
  claimed.first_arrival = absl::FromUnixMicros(1573691882000000);
  claimed.last_arrival = absl::FromUnixMicros(1573691884835999);
  return claimed;
}

json Document(const ClaimedLetter& letter, const OnFailure& on_failure = {}) {
  const std::string text = FailureDocument(letter, on_failure);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  return json::parse(text);
}

// The members of an object, in their order.
std::vector<std::string> Names(const nlohmann::ordered_json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

TEST(FailureDocument, IsLambdasOfAKinesisStream) {
  OnFailure on_failure;
  on_failure.function_arn = "arn:aws:lambda:us-east-2:123456789012:function:orders";
  on_failure.stream_arn = "arn:aws:kinesis:us-east-2:123456789012:stream/orders";
  EXPECT_EQ(Document(Letter(), on_failure), json::parse(R"({
    "requestContext": {
      "requestId": "orders/shardId-000000000006/3.8",
      "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:orders",
      "condition": "RetryAttemptsExhausted",
      "approximateInvokeCount": 2
    },
    "responseContext": {
      "statusCode": 200,
      "executedVersion": "$LATEST",
      "functionError": "Unhandled"
    },
    "version": "1.0",
    "timestamp": "2019-11-14T00:38:06.021Z",
    "KinesisBatchInfo": {
      "shardId": "shardId-000000000006",
      "startSequenceNumber": "49590338271490256608559692538361571095921575989136588898",
      "endSequenceNumber": "49590338271490256608559692538361571095921575989136588900",
      "approximateArrivalOfFirstRecord": "2019-11-14T00:38:02.000Z",
      "approximateArrivalOfLastRecord": "2019-11-14T00:38:04.835Z",
      "batchSize": 3,
      "streamArn": "arn:aws:kinesis:us-east-2:123456789012:stream/orders"
    },
    "lowmark": {
      "stream": "orders",
      "deadLetter": "17",
      "errorType": "NoAmount",
      "errorMessage": "an order without amount",
      "epoch": 3298534883333,
      "delivery": 9,
      "worker": "w-1",
      "records": [],
      "recordsOmitted": 3
    }
  })"));
}

// The example of the page for users is this one.
TEST(FailureDocument, IsWhatTheDocumentationShows) {
  std::ifstream file(DOCUMENTATION);
  std::stringstream page;
  page << file.rdbuf();
  const std::string text = page.str();
  const std::string fence = "```json\n";
  const size_t start = text.find(fence);
  ASSERT_NE(start, std::string::npos);
  const size_t end = text.find("```", start + fence.size());
  OnFailure on_failure;
  on_failure.function_arn = "arn:aws:lambda:us-east-2:123456789012:function:orders";
  on_failure.stream_arn = "arn:aws:kinesis:us-east-2:123456789012:stream/orders";
  EXPECT_EQ(json::parse(text.substr(start + fence.size(), end - start - fence.size())),
            Document(Letter(), on_failure));
}

TEST(FailureDocument, HasItsMembersInLambdasOrder) {
  const auto document = nlohmann::ordered_json::parse(FailureDocument(Letter(), {}));
  EXPECT_THAT(Names(document), ElementsAre("requestContext", "responseContext", "version",
                                           "timestamp", "KinesisBatchInfo", "lowmark"));
  EXPECT_THAT(Names(document["KinesisBatchInfo"]),
              ElementsAre("shardId", "startSequenceNumber", "endSequenceNumber",
                          "approximateArrivalOfFirstRecord", "approximateArrivalOfLastRecord",
                          "batchSize", "streamArn"));
}

TEST(FailureDocument, CallsFunctionAndStreamByTheStreamsNameWhereNoneIsGiven) {
  const json document = Document(Letter());
  EXPECT_EQ(document["requestContext"]["functionArn"],
            "arn:aws:lambda:local:000000000000:function:orders");
  EXPECT_EQ(document["KinesisBatchInfo"]["streamArn"],
            "arn:aws:kinesis:local:000000000000:stream/orders");
}

TEST(FailureDocument, IsLambdasOfADynamoDbStreamWhereTheStreamIsOne) {
  OnFailure on_failure;
  on_failure.stream_arn = "arn:aws:dynamodb:us-east-2:123456789012:table/t/stream/2019";
  const json document = Document(Letter(), on_failure);
  EXPECT_FALSE(document.contains("KinesisBatchInfo"));
  EXPECT_EQ(document["DDBStreamBatchInfo"]["streamArn"], on_failure.stream_arn);
  EXPECT_EQ(document["DDBStreamBatchInfo"]["batchSize"], 3);
  on_failure.stream_arn = "my:dynamodb:like name";
  EXPECT_TRUE(Document(Letter(), on_failure).contains("KinesisBatchInfo"));
}

TEST(FailureDocument, NamesEachCondition) {
  const std::map<Condition, std::string> names = {
      {Condition::kRetryAttemptsExhausted, "RetryAttemptsExhausted"},
      {Condition::kRecordAgeExceeded, "RecordAgeExceeded"},
      {Condition::kRecordTooLarge, "RecordTooLarge"},
      {Condition::kRecordUnreadable, "RecordUnreadable"}};
  for (const auto& [condition, name] : names) {
    ClaimedLetter letter = Letter();
    letter.letter.range.condition = condition;
    EXPECT_EQ(Document(letter)["requestContext"]["condition"], name);
  }
}

// What no handler saw has no response.
TEST(FailureDocument, HasAResponseOnlyWhereAHandlerSawTheRecords) {
  ClaimedLetter letter = Letter();
  letter.letter.range.attempts = 0;
  const json document = Document(letter);
  EXPECT_FALSE(document.contains("responseContext"));
  EXPECT_EQ(document["requestContext"]["approximateInvokeCount"], 0);
}

TEST(FailureDocument, LeavesOutTimesThatNobodyKnows) {
  ClaimedLetter letter = Letter();
  letter.first_arrival.reset();
  letter.last_arrival.reset();
  const json document = Document(letter);
  EXPECT_FALSE(document["KinesisBatchInfo"].contains("approximateArrivalOfFirstRecord"));
  EXPECT_FALSE(document["KinesisBatchInfo"].contains("approximateArrivalOfLastRecord"));
}

TEST(FailureDocument, HoldsTheRecordsThatTheLetterHolds) {
  ClaimedLetter letter = Letter();
  letter.letter.records = {{"1", "k", absl::FromUnixMillis(1500), "hello", {{"h", "\xFF"}}},
                           {"2", "\xFF", absl::UnixEpoch(), std::string("\0\xFF", 2)}};
  const json own = Document(letter)["lowmark"];
  EXPECT_EQ(own["recordsOmitted"], 1);
  EXPECT_EQ(own["records"], json::parse(R"([
    {"sequenceNumber": "1", "partitionKey": "k", "data": "aGVsbG8=",
     "approximateArrivalTimestamp": "1970-01-01T00:00:01.500Z",
     "headers": [{"name": "h", "value": "/w=="}]},
    {"sequenceNumber": "2", "partitionKey": "\ufffd", "data": "AP8=",
     "approximateArrivalTimestamp": "1970-01-01T00:00:00.000Z"}])"));
}

TEST(FailureDocument, SurvivesAnyText) {
  ClaimedLetter letter = Letter();
  letter.letter.range.error_type = AwkwardText();
  letter.letter.range.error_message = AwkwardText();
  letter.letter.records = {{"1", AwkwardBytes(), absl::UnixEpoch(), AwkwardBytes()}};
  const json own = Document(letter)["lowmark"];
  EXPECT_EQ(own["errorType"], AwkwardText());
  EXPECT_EQ(own["errorMessage"], AwkwardText());
}

TEST(DocumentKey, IsTheLettersOwn) { EXPECT_EQ(DocumentKey(Letter().letter), "orders/17"); }

}  // namespace
}  // namespace lowmark
