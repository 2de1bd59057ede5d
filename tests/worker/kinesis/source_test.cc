// A stream of Kinesis: its options, its shards, and what it says of itself.
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/worker/kinesis/source_fixture.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string ShardId(int n) { return absl::StrFormat("shardId-%012d", n); }

TEST_F(KinesisSourceTest, ListsAllPagesOfThousandsOfShards) {
  constexpr int kPages = 5, kOnPage = 1000;
  for (int page = 0; page < kPages; ++page) {
    nlohmann::json shards = nlohmann::json::array();
    for (int i = 0; i < kOnPage; ++i) shards.push_back({{"ShardId", ShardId(page * kOnPage + i)}});
    nlohmann::json answer = {{"Shards", shards}};
    if (page + 1 < kPages) answer["NextToken"] = absl::StrCat("page", page + 1);
    kinesis_.Answer("ListShards", answer);
  }
  auto shards = source_->ListShards();
  ASSERT_TRUE(shards.ok()) << shards.status();
  ASSERT_EQ(shards->size(), kPages * kOnPage);
  EXPECT_EQ(shards->back().shard, ShardId(kPages * kOnPage - 1));
  const auto requests = kinesis_.requests("ListShards");
  EXPECT_EQ(requests[0].body, (nlohmann::json{{"StreamName", "orders"}}));
  for (int page = 1; page < kPages; ++page) {
    EXPECT_EQ(requests[page].body, (nlohmann::json{{"NextToken", absl::StrCat("page", page)}}));
  }
}

TEST_F(KinesisSourceTest, ListsParents) {
  kinesis_.Answer("ListShards", {{"Shards",
                                  {{{"ShardId", "c"},
                                    {"ParentShardId", "a"},
                                    {"AdjacentParentShardId", "b"},
                                    {"SequenceNumberRange", {{"EndingSequenceNumber", "1"}}}},
                                   {{"ShardId", "d"}, {"ParentShardId", "a"}},
                                   {{"ShardId", "e"}}}}});
  auto shards = source_->ListShards();
  ASSERT_TRUE(shards.ok()) << shards.status();
  EXPECT_THAT(*shards, ElementsAre(ListedShard{"c", {"a", "b"}}, ListedShard{"d", {"a"}},
                                   ListedShard{"e", {}}));
}

TEST_F(KinesisSourceTest, AListThatBreaksOffIsNone) {
  kinesis_.Answer("ListShards", {{"Shards", {{{"ShardId", "a"}}}}, {"NextToken", "2"}});
  kinesis_.Refuse("ListShards", 400, "LimitExceededException", "Rate exceeded");
  EXPECT_EQ(source_->ListShards().status().code(), absl::StatusCode::kUnavailable);
  kinesis_.Answer("ListShards", nlohmann::json::object());
  EXPECT_EQ(source_->ListShards().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(KinesisSourceTest, WhatIsWrongIsOneLine) {
  struct Case {
    const char* error;
    const char* message;
    absl::StatusCode code;
    const char* said;
  };
  const std::vector<Case> cases = {
      {"UnrecognizedClientException", "The security token included in the request is invalid.",
       absl::StatusCode::kUnauthenticated, "security token included in the request is invalid"},
      {"InvalidSignatureException", "Credential should be scoped to a valid region.",
       absl::StatusCode::kUnauthenticated, "should be scoped to a valid region"},
      {"AccessDeniedException", "User: x is not authorized to perform: kinesis:ListShards",
       absl::StatusCode::kPermissionDenied, "not authorized to perform: kinesis:ListShards"},
      {"ResourceNotFoundException", "Stream orders under account 1 not found.",
       absl::StatusCode::kFailedPrecondition, "are the stream's name and region right?"},
      {"SomethingNew", "two\nlines", absl::StatusCode::kFailedPrecondition, "two\\nlines"},
  };
  for (const Case& each : cases) {
    kinesis_.Refuse("ListShards", 400, each.error, each.message);
    const absl::Status status = source_->ListShards().status();
    EXPECT_EQ(status.code(), each.code) << status;
    const std::string message(status.message());
    EXPECT_THAT(message, HasSubstr("ListShards on stream orders in eu-central-1: 400 "));
    EXPECT_THAT(message, HasSubstr(each.said));
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
  options_.endpoint = "http://kinesis.nowhere.invalid";
  Make();
  const absl::Status status = source_->ListShards().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("are region and endpoint right?"));
}

TEST_F(KinesisSourceTest, SaysWhereItIs) {
  Open(Position::TrimHorizon());
  Open(Position::TrimHorizon());
  EXPECT_EQ(source_->origin(),
            (Origin{Origin::Shape::kKinesis, "arn:aws:kinesis:eu-central-1:1:stream/orders",
                    "eu-central-1"}));
  EXPECT_EQ(kinesis_.requests("DescribeStreamSummary").size(), 1);

  // Whoever has the ARN need not ask.
  options_.stream = "arn:aws:kinesis:us-west-2:7:stream/orders";
  options_.region.clear();
  Make();
  kinesis_.AnswerAlways("ListShards", {{"Shards", nlohmann::json::array()}});
  ASSERT_TRUE(source_->ListShards().ok());
  Open(Position::TrimHorizon());
  EXPECT_EQ(source_->origin(), (Origin{Origin::Shape::kKinesis, options_.stream, "us-west-2"}));
  EXPECT_EQ(kinesis_.requests("DescribeStreamSummary").size(), 1);
  EXPECT_EQ(kinesis_.requests("ListShards").back().body,
            (nlohmann::json{{"StreamName", "orders"}, {"StreamARN", options_.stream}}));
}

TEST_F(KinesisSourceTest, AskingForTheArnMayBeForbidden) {
  kinesis_.Refuse("DescribeStreamSummary", 400, "AccessDeniedException", "not authorized");
  const absl::Status status =
      source_->Open("shardId-000000000000", Position::TrimHorizon()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), HasSubstr("or give the stream's ARN"));
}

// Where they came from there may be others by now.
TEST_F(KinesisSourceTest, CredentialsThatAreRefusedAreFetchedAgain) {
  options_.access_key_id.clear();
  options_.secret_access_key.clear();
  setenv("AWS_ACCESS_KEY_ID", "OLD", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "SECRET", 1);
  Make();
  kinesis_.Refuse("ListShards", 400, "ExpiredTokenException");
  EXPECT_EQ(source_->ListShards().status().code(), absl::StatusCode::kUnauthenticated);
  setenv("AWS_ACCESS_KEY_ID", "NEW", 1);
  kinesis_.AnswerAlways("ListShards", {{"Shards", nlohmann::json::array()}});
  EXPECT_TRUE(source_->ListShards().ok());
  EXPECT_THAT(kinesis_.requests("ListShards").back().headers.at("authorization"),
              HasSubstr("Credential=NEW/"));
  for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}) unsetenv(name);
}

TEST_F(KinesisSourceTest, ATokenIsSigned) {
  options_.session_token = "TOKEN";
  Make();
  kinesis_.AnswerAlways("ListShards", {{"Shards", nlohmann::json::array()}});
  ASSERT_TRUE(source_->ListShards().ok());
  const auto headers = kinesis_.requests("ListShards")[0].headers;
  EXPECT_EQ(headers.at("x-amz-security-token"), "TOKEN");
  EXPECT_THAT(headers.at("authorization"), HasSubstr("Credential=AKID/"));
  EXPECT_THAT(headers.at("authorization"), HasSubstr("/eu-central-1/kinesis/aws4_request"));
  EXPECT_THAT(headers.at("authorization"), HasSubstr("x-amz-security-token"));
}

TEST(KinesisOptions, WrongOnesAreNamed) {
  struct Case {
    const char* field;
    void (*spoil)(KinesisSourceOptions&);
  };
  const std::vector<Case> cases = {
      {"kinesis_stream", [](auto& o) { o.stream = ""; }},
      {"kinesis_stream", [](auto& o) { o.stream = "a/b"; }},
      {"kinesis_stream", [](auto& o) { o.stream = "arn:aws:kinesis:eu:1:table/x"; }},
      {"kinesis_region", [](auto& o) { o.region = ""; }},
      {"kinesis_region", [](auto& o) { o.region = "x/y"; }},
      {"kinesis_endpoint", [](auto& o) { o.endpoint = "localhost:4567"; }},
      {"kinesis_secret_access_key", [](auto& o) { o.access_key_id = "A"; }},
      {"kinesis_access_key_id", [](auto& o) { o.secret_access_key = "S"; }},
      {"kinesis_call_timeout", [](auto& o) { o.call_timeout = absl::Milliseconds(999); }},
      {"kinesis_call_timeout", [](auto& o) { o.call_timeout = absl::Seconds(61); }},
      {"kinesis_surplus_bytes", [](auto& o) { o.surplus_bytes = 1000; }},
  };
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) unsetenv(name);
  for (const Case& each : cases) {
    KinesisSourceOptions options;
    options.stream = "orders";
    options.region = "eu-central-1";
    ASSERT_TRUE(options.Validate().ok());
    each.spoil(options);
    const absl::Status status = KinesisSource::Create(options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message().find(each.field), 0) << status;
  }
}

}  // namespace
}  // namespace lowmark
