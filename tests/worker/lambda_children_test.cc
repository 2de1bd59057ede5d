// Runtimes that the worker starts itself.
#include <gmock/gmock.h>

#include <filesystem>
#include <future>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/dev/process_handle.h"
#include "service/process/mutex.h"
#include "tests/service/answers.h"
#include "worker/handler/lambda.h"

namespace lowmark {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using Kind = HandlerResult::Kind;

class LambdaChildrenTest : public testing::Test {
 protected:
  LambdaChildrenTest() {
    options_.command = RUNTIME;
    options_.function_name = "orders";
    options_.restart_initial = absl::Milliseconds(10);
    options_.restart_maximum = absl::Milliseconds(50);
    options_.output = [this](int, const std::string& line) {
      MutexLock lock(mutex_);
      lines_.push_back(line);
    };
    options_.warn = [this](const std::string&, const std::string& why) {
      MutexLock lock(mutex_);
      warnings_.push_back(why);
    };
  }

  void Start() {
    auto handler = LambdaHandler::Create(options_);
    ASSERT_TRUE(handler.ok()) << handler.status();
    handler_ = *handler;
  }
  HandlerResult Do(const std::string& what, absl::Duration timeout = absl::Seconds(60)) {
    Batch batch;
    batch.stream = "orders";
    batch.shard = "0";
    batch.batch_id = "b";
    batch.records = {{"7", "", absl::UnixEpoch(), what}};
    batch.deadline = absl::Now() + timeout;
    return handler_->Process(batch);
  }
  std::string Environment(const std::string& name) { return Do("env " + name).error_message; }
  template <typename List>
  List Copy(const List& list) {
    MutexLock lock(mutex_);
    return list;
  }

  LambdaOptions options_;
  Mutex mutex_;
  std::vector<std::string> lines_;
  std::vector<std::string> warnings_;
  std::shared_ptr<LambdaHandler> handler_;
};

TEST_F(LambdaChildrenTest, ProcessesBatches) {
  Start();
  EXPECT_EQ(Do("ok"), HandlerResult::Success());
  EXPECT_THAT(Do("fail 7").failed, ElementsAre("7"));
  EXPECT_EQ(Do("ok"), HandlerResult::Success());
  EXPECT_EQ(handler_->stats().starts, 1);
  // What it writes is passed on.
  EXPECT_TRUE(Eventually([&] { return Copy(lines_).size() == 3; }));
  EXPECT_THAT(Copy(lines_), ElementsAre("got ok", "got fail 7", "got ok"));
}

TEST_F(LambdaChildrenTest, OneThatIsStoppedIsNoFailure) {
  Start();
  ASSERT_EQ(Do("ok"), HandlerResult::Success());
  ASSERT_EQ(Do("die 3").kind, Kind::kRaised);
  // The new one has had no work yet, as with a worker that stops soon.
  ASSERT_TRUE(Eventually([&] { return handler_->stats().starts == 2; }));
  handler_.reset();
  EXPECT_THAT(Copy(warnings_), testing::IsEmpty());
}

TEST_F(LambdaChildrenTest, HaveLambdasEnvironment) {
  options_.handler = "app.handler";
  setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512", 1);
  Start();
  EXPECT_EQ(Environment("AWS_LAMBDA_RUNTIME_API"), handler_->addresses().front());
  EXPECT_EQ(Environment("AWS_LAMBDA_FUNCTION_NAME"), "orders");
  EXPECT_EQ(Environment("AWS_LAMBDA_FUNCTION_VERSION"), "$LATEST");
  EXPECT_EQ(Environment("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), "512");
  EXPECT_EQ(Environment("AWS_LAMBDA_LOG_GROUP_NAME"), "/aws/lambda/orders");
  EXPECT_EQ(Environment("LAMBDA_TASK_ROOT"), std::filesystem::current_path().string());
  EXPECT_EQ(Environment("_HANDLER"), "app.handler");
  unsetenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
}

TEST_F(LambdaChildrenTest, OneThatDiesFailsItsBatchAtOnceAndIsStartedAgain) {
  Start();
  const HandlerResult died = Do("die 3");
  EXPECT_EQ(died.kind, Kind::kRaised);
  EXPECT_EQ(died.error_type, "Runtime.ExitError");
  EXPECT_EQ(died.error_message, "the runtime exited with code 3: got die 3");
  EXPECT_EQ(Do("ok"), HandlerResult::Success());
  EXPECT_EQ(handler_->stats().lost, 1);
  EXPECT_EQ(handler_->stats().starts, 2);
  EXPECT_THAT(Copy(warnings_), ElementsAre());
}

TEST_F(LambdaChildrenTest, OneThatHangsIsKilledAtTheDeadlineAndStartedAgain) {
  Start();
  EXPECT_EQ(Do("ok"), HandlerResult::Success());
  EXPECT_EQ(Do("hang", absl::Seconds(1)).error_type, "Timeout");
  EXPECT_EQ(Do("ok"), HandlerResult::Success());
  EXPECT_EQ(handler_->stats().killed, 1);
  EXPECT_EQ(handler_->stats().lost, 0);
  EXPECT_EQ(handler_->stats().starts, 2);
}

TEST_F(LambdaChildrenTest, OneThatEndsAtItsStartSpendsNothing) {
  options_.command = "echo 'no such module' >&2; exit 3";
  Start();
  const HandlerResult result = Do("ok");
  EXPECT_EQ(result, HandlerResult::NotRun("Runtime.ExitError",
                                          "the runtime exited with code 3: no such module"));
  // It is tried again, and said once.
  EXPECT_TRUE(Eventually([&] { return handler_->stats().failed_starts >= 4; }));
  EXPECT_THAT(Copy(warnings_),
              ElementsAre("Runtime.ExitError: the runtime exited with code 3: no such module"));
}

TEST_F(LambdaChildrenTest, ACommandThatIsNotThere) {
  options_.command = "no-such-runtime app.handler";
  Start();
  const HandlerResult result = Do("ok");
  EXPECT_EQ(result.kind, Kind::kNotRun);
  EXPECT_THAT(result.error_message, HasSubstr("no-such-runtime: not found"));
}

TEST_F(LambdaChildrenTest, AnInitErrorIsTheReason) {
  options_.command = absl::StrCat(RUNTIME, " init-error");
  Start();
  EXPECT_EQ(Do("ok"), HandlerResult::NotRun("Runtime.ImportModuleError", "no module app"));
  EXPECT_TRUE(Eventually([&] { return handler_->stats().starts >= 3; }));
  EXPECT_THAT(Copy(warnings_), ElementsAre("Runtime.ImportModuleError: no module app"));
}

TEST_F(LambdaChildrenTest, OneThatNeverAsksForWorkIsStartedAgain) {
  options_.command = absl::StrCat(RUNTIME, " silent");
  options_.start_timeout = absl::Seconds(1);
  Start();
  EXPECT_EQ(Do("ok").error_message, "the runtime did not ask for work within 1s");
  EXPECT_TRUE(Eventually([&] { return handler_->stats().starts >= 2; }));
}

TEST_F(LambdaChildrenTest, CopiesWorkAtTheSameTime) {
  std::string directory = testing::TempDir() + "/lambda_XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  options_.copies = 3;
  Start();
  std::vector<std::future<HandlerResult>> results;
  for (int i = 0; i < 3; ++i) {
    results.push_back(
        std::async(std::launch::async, [&] { return Do("meet " + directory + " 3"); }));
  }
  for (auto& result : results) EXPECT_EQ(result.get(), HandlerResult::Success());
  EXPECT_EQ(handler_->stats().starts, 3);
  std::filesystem::remove_all(directory);
}

TEST_F(LambdaChildrenTest, EndWithTheHandler) {
  std::string directory = testing::TempDir() + "/lambda_XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  options_.copies = 2;
  Start();
  auto other = std::async(std::launch::async, [&] { return Do("meet " + directory + " 2"); });
  EXPECT_EQ(Do("meet " + directory + " 2"), HandlerResult::Success());
  EXPECT_EQ(other.get(), HandlerResult::Success());
  handler_.reset();
  // The files have the names of the processes.
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    ProcessHandle runtime(std::stoi(file.path().filename()));
    EXPECT_TRUE(runtime.AwaitExit(kPatience)) << file.path();
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace lowmark
