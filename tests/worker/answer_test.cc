#include "worker/handler/answer.h"

#include <gmock/gmock.h>

namespace lowmark {
namespace {

using testing::ElementsAre;

constexpr char kLong[] = "49590338271490256608559692538361571095921575989136588898";

HandlerResult Parse(absl::string_view body) { return ParseAnswer(body, {"1", "2", "3", kLong}); }

TEST(Answer, Successes) {
  for (const char* body :
       {"", " ", "\n\t", "null", "\"\"", "[]", "{}", " {} ", R"({"batchItemFailures":[]})",
        R"({"batchItemFailures":null})", R"({"batchItemFailures": [ ], "more": 1})",
        R"({"statusCode":200,"body":"ok"})", R"({"failed":0,"ok":10})", R"({"failures":[]})",
        R"({"failures":null})"}) {
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
        // A list under another name.
        R"({"failedItems":[{"itemIdentifier":"1"}]})", R"({"batchitemfailures":[{}]})",
        R"({"BatchItemFailures":["1"]})",
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
