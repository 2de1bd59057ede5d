#include "worker/handler/answer.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

using testing::ElementsAre;

constexpr char kLong[] = "49590338271490256608559692538361571095921575989136588898";

HandlerResult Parse(absl::string_view body) { return ParseAnswer(body, {"1", "2", "3", kLong}); }

TEST(Answer, Successes) {
  for (const char* body :
       {"", " ", "\n\t", "null", "\"\"", "[]", "{}", " {} ", R"({"batchItemFailures":[]})",
        R"({"batchItemFailures":null})", R"({"batchItemFailures": [ ], "more": 1})",
        R"({"statusCode":200,"body":"ok"})", R"({"failed":0,"ok":10})", R"({"fails":false})"}) {
    EXPECT_EQ(Parse(body), HandlerResult::Success()) << body;
  }
}

TEST(Answer, NamedRecords) {
  const HandlerResult one = Parse(R"({"batchItemFailures":[{"itemIdentifier":"2"}]})");
  EXPECT_EQ(one.kind, HandlerResult::Kind::kFailed);
  EXPECT_THAT(one.failed, ElementsAre("2"));
  EXPECT_EQ(one.error_type, "BatchItemFailures");
  EXPECT_EQ(one.error_message, "the handler named 1 of 4 records");
  EXPECT_THAT(Parse(R"({"batchItemFailures":[{"itemIdentifier":"3"},{"itemIdentifier":"1"},
                        {"itemIdentifier":"3","more":[]}]})")
                  .failed,
              ElementsAre("3", "1", "3"));
  EXPECT_THAT(
      Parse(R"({"batchItemFailures":[{"itemIdentifier":")" + std::string(kLong) + "\"}]}").failed,
      ElementsAre(kLong));
}

TEST(Answer, Nonsense) {
  for (const char* body :
       {// Items without a valid identifier, also beside valid ones.
        R"({"batchItemFailures":[{"itemIdentifier":""}]})",
        R"({"batchItemFailures":[{"itemIdentifier":null}]})", R"({"batchItemFailures":[{}]})",
        R"({"batchItemFailures":[{"itemidentifier":"1"}]})",
        R"({"batchItemFailures":[{"itemIdentifier":1}]})",
        R"({"batchItemFailures":[{"itemIdentifier":["1"]}]})",
        R"({"batchItemFailures":[{"itemIdentifier":"4"}]})",
        R"({"batchItemFailures":[{"itemIdentifier":"01"}]})",
        R"({"batchItemFailures":[{"itemIdentifier":"1 "}]})",
        R"({"batchItemFailures":[{"itemIdentifier":"1"},{"itemIdentifier":"9"}]})",
        R"({"batchItemFailures":["1"]})", R"({"batchItemFailures":[null]})",
        R"({"batchItemFailures":[1]})",
        // No list.
        R"({"batchItemFailures":{}})", R"({"batchItemFailures":""})",
        R"({"batchItemFailures":"1"})", R"({"batchItemFailures":0})",
        R"({"batchItemFailures":false})",
        // Not an object.
        "0", "1", "true", "false", "\"ok\"", "[1]", "[[]]",
        // Not JSON.
        "ok", "{", "{}}", "nul", "{'batchItemFailures':[]}", "{\"a\":\xff}", "<html></html>",
        R"({"batchItemFailures":[]} trailing)"}) {
    const HandlerResult result = Parse(body);
    EXPECT_EQ(result.kind, HandlerResult::Kind::kRaised) << body;
    EXPECT_EQ(result.error_type, "InvalidAnswer") << body;
    EXPECT_FALSE(result.error_message.empty()) << body;
  }
}

constexpr const char* kWrongKeys[] = {R"({"failedItems":[]})",
                                      R"({"failedItems":[{"itemIdentifier":"1"}]})",
                                      R"({"batchitemfailures":[{}]})",
                                      R"({"BatchItemFailures":["1"]})",
                                      R"({"batchItemErrors":[{"itemIdentifier":"1"}]})",
                                      R"({"failures":null})",
                                      R"({"failed":"1"})",
                                      R"({"failed":2})",
                                      R"({"statusCode":200,"results":[]})"};

TEST(Answer, FailuresUnderAnotherKey) {
  for (const char* body : kWrongKeys) {
    EXPECT_EQ(Parse(body).kind, HandlerResult::Kind::kRaised) << body;
    EXPECT_EQ(Parse(body).error_type, kWrongKey) << body;
    AnswerRules lambda;
    lambda.policy = ResponsePolicy::kLambda;
    EXPECT_EQ(ParseAnswer(body, {"1"}, lambda), HandlerResult::Success()) << body;
  }
  EXPECT_EQ(Parse(R"({"failedItems":[]})").error_message,
            "the answer has \"failedItems\" but no batchItemFailures");
}

// What is wrong with an answer that names its failures is so by either policy.
TEST(Answer, LambdasPolicyIsLenientOnlyWithKeys) {
  AnswerRules lambda;
  lambda.policy = ResponsePolicy::kLambda;
  for (const char* body : {R"({"batchItemFailures":[{"itemIdentifier":""}]})",
                           R"({"batchItemFailures":[{"itemIdentifier":"9"}]})",
                           R"({"batchItemFailures":{}})", "oops", "[1]"}) {
    EXPECT_EQ(ParseAnswer(body, {"1"}, lambda).error_type, kInvalidAnswer) << body;
  }
}

Batch KafkaBatch() {
  Batch batch;
  batch.shard = "orders-eu-3";
  batch.origin.shape = Origin::Shape::kKafka;
  batch.records = {{"7", "", {}, ""}, {"9", "", {}, ""}};
  return batch;
}

HandlerResult ParseKafka(absl::string_view identifier) {
  return ParseAnswer(absl::StrCat(R"({"batchItemFailures":[{"itemIdentifier":)", identifier, "}]}"),
                     KafkaBatch(), ResponsePolicy::kStrict);
}

TEST(Answer, KafkasIdentifiers) {
  for (const char* identifier : {R"({"partition":"orders-eu-3","offset":9})",
                                 R"({"partition":"orders-eu-3","offset":"9"})", R"("9")"}) {
    EXPECT_THAT(ParseKafka(identifier).failed, ElementsAre("9")) << identifier;
  }
  for (const char* identifier :
       {R"({"partition":"orders-eu-3","offset":8})", R"({"partition":"orders-eu-4","offset":9})",
        R"({"partition":"orders-eu-3"})", R"({"offset":9})",
        R"({"partition":"orders-eu-3","offset":9.0})", "{}", "9", "null"}) {
    EXPECT_EQ(ParseKafka(identifier).error_type, kInvalidAnswer) << identifier;
  }
  // No other shape has them.
  Batch kinesis = KafkaBatch();
  kinesis.origin.shape = Origin::Shape::kKinesis;
  EXPECT_EQ(
      ParseAnswer(
          R"({"batchItemFailures":[{"itemIdentifier":{"partition":"orders-eu-3","offset":9}}]})",
          kinesis, ResponsePolicy::kStrict)
          .error_type,
      kInvalidAnswer);
}

TEST(Answer, OfAStreamThatReportsNothing) {
  Batch batch = KafkaBatch();
  batch.report_batch_item_failures = false;
  EXPECT_EQ(ParseAnswer("oops", batch, ResponsePolicy::kStrict), HandlerResult::Success());
}

TEST(Answer, FunctionErrors) {
  EXPECT_EQ(ParseFunctionError(R"({"errorType":"E","errorMessage":"m","trace":[]})", "Unhandled"),
            HandlerResult::Raised("E", "m"));
  EXPECT_EQ(ParseFunctionError(R"({"errorMessage":"m"})", "Unhandled"),
            HandlerResult::Raised("Unhandled", "m"));
  EXPECT_EQ(ParseFunctionError(R"({"errorType":"","errorMessage":1})", "Unhandled").error_type,
            "Unhandled");
  EXPECT_EQ(ParseFunctionError("text", "Unhandled"), HandlerResult::Raised("Unhandled", "text"));
  EXPECT_LT(ParseFunctionError(std::string(100000, 'x'), "E").error_message.size(), 2000u);
}

TEST(Answer, SaysWhatIsWrong) {
  EXPECT_EQ(Parse(R"({"batchItemFailures":[{"itemIdentifier":"9"}]})").error_message,
            "itemIdentifier \"9\" is not in the batch");
  EXPECT_EQ(Parse("oops").error_message, "the answer is not JSON: oops");
  EXPECT_LT(Parse(std::string(100000, 'x')).error_message.size(), 300u);
}

TEST(Answer, NestingDoesNotOverflow) {
  EXPECT_EQ(Parse(std::string(1000000, '[')).error_type, "InvalidAnswer");
  EXPECT_EQ(Parse(std::string(100000, '[') + std::string(100000, ']')).error_type, "InvalidAnswer");
}

// Every set of records that a batch can name comes back as it was named.
TEST(Answer, EverySubset) {
  const std::vector<std::string> sequences = {"10", "20", "30", "40"};
  for (unsigned set = 0; set < 16; ++set) {
    std::vector<std::string> named;
    std::string body = R"({"batchItemFailures":[)";
    for (size_t i = 0; i < sequences.size(); ++i) {
      if ((set >> i & 1) == 0) continue;
      body +=
          std::string(named.empty() ? "" : ",") + R"({"itemIdentifier":")" + sequences[i] + "\"}";
      named.push_back(sequences[i]);
    }
    const HandlerResult result = ParseAnswer(body + "]}", sequences);
    EXPECT_EQ(result.kind,
              named.empty() ? HandlerResult::Kind::kSuccess : HandlerResult::Kind::kFailed);
    EXPECT_EQ(result.failed, named);
  }
}

}  // namespace
}  // namespace lowmark
