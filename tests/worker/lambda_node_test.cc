// Lambda's own runtime for Node, aws-lambda-ric, with functions that know nothing of
// Lowmark (tests/node/functions/index.js).
#include <gmock/gmock.h>

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "service/process/child_process.h"
#include "worker/handler/lambda.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using Json = nlohmann::json;
using Kind = HandlerResult::Kind;

constexpr char kSequences[][57] = {"49590338271490256608559692538361571095921575989136588898",
                                   "49590338271490256608559692538361571095921575989136588899",
                                   "49590338271490256608559692538361571095921575989136588900",
                                   "49590338271490256608559692538361571095921575989136588901"};

// The folder with node_modules.
std::string NodeFolder() {
  ProcessOptions build;
  build.argv = {NODE_TESTS "/build-lambda-ric"};
  const auto built = RunCommand(build, absl::Minutes(9));
  EXPECT_TRUE(built.ok() && built->exit.ok())
      << built.status() << (built.ok() ? built->output : "");
  return built.ok() ? std::string(absl::StripAsciiWhitespace(built->output)) : "";
}

class LambdaNodeTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::string modules = NodeFolder() + "/node_modules";
    setenv("NODE_PATH", modules.c_str(), 1);
    // It looks for modules in its working directory.
    ric_ =
        new std::string("cd " NODE_TESTS "/functions && exec " + modules + "/.bin/aws-lambda-ric ");
  }

  LambdaNodeTest() {
    batch_.stream = "orders";
    batch_.shard = "shardId-000000000000";
    batch_.batch_id = "orders.0.1";
    batch_.deadline = absl::Now() + absl::Seconds(120);
  }

  void Start(const std::string& function) {
    LambdaOptions options;
    options.command = *ric_ + function;
    options.function_name = "orders";
    options.output = [](int, const std::string& line) { std::cerr << line << "\n"; };
    auto handler = LambdaHandler::Create(options);
    ASSERT_TRUE(handler.ok()) << handler.status();
    handler_ = *handler;
  }
  HandlerResult Process(Origin::Shape shape, const std::vector<std::string>& data) {
    batch_.origin.shape = shape;
    batch_.records.clear();
    for (size_t i = 0; i < data.size(); ++i) {
      batch_.records.push_back(
          {kSequences[i], "key", absl::FromUnixMillis(1545084650987), data[i]});
    }
    return handler_->Process(batch_);
  }
  static std::string Change(bool bad) {
    Json image = {{"Id", {{"N", "1"}}}};
    if (bad) image["Bad"] = {{"BOOL", true}};
    return Json{{"eventName", "INSERT"},
                {"dynamodb", {{"Keys", {{"Id", {{"N", "1"}}}}}, {"NewImage", image}}}}
        .dump();
  }

  static std::string* ric_;
  Batch batch_;
  std::shared_ptr<LambdaHandler> handler_;
};
std::string* LambdaNodeTest::ric_ = nullptr;

TEST_F(LambdaNodeTest, PowertoolsForKinesis) {
  Start("index.kinesis");
  EXPECT_EQ(Process(Origin::Shape::kKinesis, {"a", "b"}), HandlerResult::Success());
  EXPECT_THAT(Process(Origin::Shape::kKinesis, {"a", "bad", "c", "bad"}).failed,
              ElementsAre(kSequences[1], kSequences[3]));
  // Where all failed it throws.
  const HandlerResult all = Process(Origin::Shape::kKinesis, {"bad", "bad"});
  EXPECT_EQ(all.kind, Kind::kRaised);
  EXPECT_EQ(all.error_type, "FullBatchFailureError");
  EXPECT_EQ(Process(Origin::Shape::kKinesis, {"a"}), HandlerResult::Success());
  EXPECT_EQ(handler_->stats().starts, 1);
}

TEST_F(LambdaNodeTest, PowertoolsForDynamoDb) {
  Start("index.dynamodb");
  EXPECT_EQ(Process(Origin::Shape::kDynamoDb, {Change(false)}), HandlerResult::Success());
  EXPECT_THAT(
      Process(Origin::Shape::kDynamoDb, {Change(false), Change(false), Change(true)}).failed,
      ElementsAre(kSequences[2]));
}

TEST_F(LambdaNodeTest, TheClassicHandler) {
  Start("index.classic");
  EXPECT_EQ(Process(Origin::Shape::kDynamoDb, {Change(false), Change(false)}),
            HandlerResult::Success());
  EXPECT_THAT(Process(Origin::Shape::kDynamoDb, std::vector<std::string>(4, Change(false))).failed,
              ElementsAre(kSequences[3]));
}

TEST_F(LambdaNodeTest, TheParserTakesEveryShape) {
  Start("index.kinesisSchema");
  EXPECT_EQ(Process(Origin::Shape::kKinesis, {"a", "b"}), HandlerResult::Success());
  Start("index.dynamodbSchema");
  EXPECT_EQ(Process(Origin::Shape::kDynamoDb, {Change(false), Change(true)}),
            HandlerResult::Success());
  Start("index.kafkaSchema");
  EXPECT_EQ(Process(Origin::Shape::kKafka, {"a", "b"}), HandlerResult::Success());
  // So that it is known to look.
  EXPECT_EQ(Process(Origin::Shape::kKinesis, {"a"}).kind, Kind::kRaised);
}

TEST_F(LambdaNodeTest, TheContext) {
  Start("index.context");
  const HandlerResult result = Process(Origin::Shape::kKinesis, {"a"});
  const Json context = Json::parse(result.error_message);
  EXPECT_THAT(context["awsRequestId"].get<std::string>(), StartsWith("orders.0.1-"));
  EXPECT_EQ(context["functionName"], "orders");
  EXPECT_EQ(context["functionVersion"], "$LATEST");
  EXPECT_EQ(context["invokedFunctionArn"], "arn:aws:lambda:local:000000000000:function:orders");
  EXPECT_GT(context["left"].get<int>(), 0);
  EXPECT_LE(context["left"].get<int>(), 120000);
}

TEST_F(LambdaNodeTest, ThatExitsFailsItsBatchAtOnce) {
  Start("index.exits");
  for (int i = 0; i < 2; ++i) {
    const HandlerResult result = Process(Origin::Shape::kKinesis, {"a"});
    EXPECT_EQ(result.error_type, "Runtime.ExitError");
    EXPECT_THAT(result.error_message, HasSubstr("exited with code 3"));
  }
}

TEST_F(LambdaNodeTest, AModuleThatIsNotThere) {
  Start("nowhere.handler");
  const HandlerResult result = Process(Origin::Shape::kKinesis, {"a"});
  EXPECT_EQ(result.kind, Kind::kNotRun);
  EXPECT_EQ(result.error_type, "Runtime.ImportModuleError");
  EXPECT_THAT(result.error_message, HasSubstr("nowhere"));
}

TEST_F(LambdaNodeTest, TenThousandRecords) {
  Start("index.nothing");
  batch_.records.clear();
  for (int i = 0; i < 10000; ++i) {
    batch_.records.push_back({absl::StrCat(i), "key", absl::Now(), std::string(300, 'x')});
  }
  EXPECT_EQ(handler_->Process(batch_), HandlerResult::Success());
}

}  // namespace
}  // namespace lowmark
