// Runtimes that come by themselves, played by a scripted client.
#include "worker/handler/lambda.h"

#include <gmock/gmock.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "service/process/mutex.h"
#include "tests/worker/runtime_client.h"
#include "worker/handler/event.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::MatchesRegex;
using testing::StartsWith;
using Kind = HandlerResult::Kind;
using Reply = RuntimeClient::Reply;

class LambdaTest : public testing::Test {
 protected:
  LambdaTest() {
    batch_.stream = "orders";
    batch_.shard = "0";
    batch_.batch_id = "orders/0.7";
    batch_.records = {{"1", "k", absl::UnixEpoch(), "one"}, {"2", "k", absl::UnixEpoch(), "two"}};
    batch_.deadline = absl::Now() + absl::Seconds(60);
    options_.listen = "127.0.0.1:0";
    options_.function_name = "orders";
    options_.warn = [this](const std::string& what, const std::string& why) {
      MutexLock lock(mutex_);
      warnings_.push_back(absl::StrCat(what, ": ", why));
    };
  }

  void Start() {
    auto handler = LambdaHandler::Create(options_);
    ASSERT_TRUE(handler.ok()) << handler.status();
    handler_ = *handler;
    address_ = handler_->addresses().front();
  }
  std::future<HandlerResult> Process() { return Process(batch_); }
  std::future<HandlerResult> Process(const Batch& batch) {
    return std::async(std::launch::async, [this, batch] { return handler_->Process(batch); });
  }
  // Has a runtime answer the next batch; what became of the batch.
  HandlerResult Answered(const std::string& body) {
    RuntimeClient runtime(address_);
    auto result = Process();
    EXPECT_EQ(runtime.Respond(runtime.Next().id(), body).status, 202);
    return result.get();
  }
  // Looks now and then: who looks all the time keeps the others from the lock.
  void AwaitStats(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + absl::Seconds(30);
    while (!condition() && absl::Now() < end) {
      MutexLock lock(mutex_);
      never_.WaitFor(mutex_, absl::Milliseconds(5));
    }
    EXPECT_TRUE(condition());
  }
  std::vector<std::string> warnings() {
    MutexLock lock(mutex_);
    return warnings_;
  }

  LambdaOptions options_;
  Batch batch_;
  std::string address_;
  Mutex mutex_;
  CondVar never_;
  std::vector<std::string> warnings_ LOWMARK_GUARDED_BY(mutex_);
  std::shared_ptr<LambdaHandler> handler_;
};

TEST_F(LambdaTest, TheInvocationHasAllThatLambdaSays) {
  Start();
  RuntimeClient runtime(address_);
  auto result = Process();
  const Reply next = runtime.Next();
  EXPECT_EQ(next.status, 200);
  EXPECT_EQ(next.body, EventJson(batch_));
  EXPECT_EQ(next.header("content-type"), "application/json");
  EXPECT_THAT(next.id(), MatchesRegex("orders-0\\.7-[0-9a-f]{16}"));
  EXPECT_EQ(next.header("lambda-runtime-deadline-ms"),
            absl::StrCat(absl::ToUnixMillis(batch_.deadline)));
  EXPECT_EQ(next.header("lambda-runtime-invoked-function-arn"),
            "arn:aws:lambda:local:000000000000:function:orders");
  EXPECT_THAT(next.header("lambda-runtime-trace-id"),
              MatchesRegex("Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0"));
  const Reply taken = runtime.Respond(next.id(), R"({"batchItemFailures":[]})");
  EXPECT_EQ(taken.status, 202);
  EXPECT_EQ(taken.header("content-type"), "application/json");
  EXPECT_EQ(taken.body, R"({"status":"OK"})");
  EXPECT_EQ(result.get(), HandlerResult::Success());
}

TEST_F(LambdaTest, AnswersMeanWhatTheySay) {
  Start();
  EXPECT_EQ(Answered("null"), HandlerResult::Success());
  EXPECT_EQ(Answered(""), HandlerResult::Success());
  EXPECT_THAT(Answered(R"({"batchItemFailures":[{"itemIdentifier":"2"}]})").failed,
              ElementsAre("2"));
  EXPECT_EQ(Answered(R"({"batchItemFailures":[{"itemIdentifier":"9"}]})").error_type,
            "InvalidAnswer");
  EXPECT_EQ(Answered("oops").error_type, "InvalidAnswer");
  EXPECT_EQ(Answered(R"({"failedItems":[]})").error_type, "WrongAnswerKey");
  batch_.report_batch_item_failures = false;
  EXPECT_EQ(Answered("oops"), HandlerResult::Success());
}

TEST_F(LambdaTest, AWrongKeyIsASuccessWhereLambdaIsToBeFollowed) {
  options_.response_policy = ResponsePolicy::kLambda;
  Start();
  EXPECT_EQ(Answered(R"({"failedItems":[{"itemIdentifier":"2"}]})"), HandlerResult::Success());
}

TEST_F(LambdaTest, AnErrorRaises) {
  Start();
  RuntimeClient runtime(address_);
  auto result = Process();
  EXPECT_EQ(runtime
                .Fail(runtime.Next().id(),
                      R"({"errorType":"FullBatchFailureError","errorMessage":"all","trace":[]})")
                .status,
            202);
  EXPECT_EQ(result.get(), HandlerResult::Raised("FullBatchFailureError", "all"));
}

TEST_F(LambdaTest, NextIsHeldUntilThereIsABatch) {
  Start();
  std::future<Reply> next = std::async(std::launch::async, [&] {
    RuntimeClient runtime(address_);
    Reply reply = runtime.Next();
    runtime.Respond(reply.id(), "{}");
    return reply;
  });
  AwaitStats([&] { return handler_->stats().ready == 1; });
  EXPECT_EQ(Process().get(), HandlerResult::Success());
  EXPECT_EQ(next.get().status, 200);
}

TEST_F(LambdaTest, ALateAnswerIsRefusedAndNotTakenForTheNextTry) {
  Start();
  RuntimeClient runtime(address_);
  auto next = std::async(std::launch::async, [&] { return runtime.Next(); });
  AwaitStats([&] { return handler_->stats().ready == 1; });
  Batch short_lived = batch_;
  short_lived.deadline = absl::Now() + absl::Seconds(3);
  auto first = Process(short_lived);
  const std::string late = next.get().id();
  EXPECT_EQ(first.get().error_type, "Timeout");
  // The same batch again, by another runtime, before the first has answered.
  RuntimeClient other(address_);
  auto second = Process();
  const std::string id = other.Next().id();
  EXPECT_NE(id, late);
  const Reply refused = runtime.Respond(late, "{}");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(nlohmann::json::parse(refused.body)["errorType"], "InvalidRequestID");
  EXPECT_EQ(handler_->stats().late_answers, 1);
  EXPECT_EQ(other.Fail(id, "{}").status, 202);
  EXPECT_EQ(second.get().kind, Kind::kRaised);
}

TEST_F(LambdaTest, ASecondAnswerIsRefused) {
  Start();
  RuntimeClient runtime(address_);
  auto result = Process();
  const std::string id = runtime.Next().id();
  EXPECT_EQ(runtime.Respond(id, "{}").status, 202);
  EXPECT_EQ(runtime.Respond(id, "oops").status, 400);
  EXPECT_EQ(runtime.Fail(id, "{}").status, 400);
  EXPECT_EQ(result.get(), HandlerResult::Success());
  EXPECT_EQ(runtime.Respond("nonsense", "{}").status, 400);
}

TEST_F(LambdaTest, SevenMegabytesAreTooMuch) {
  Start();
  RuntimeClient runtime(address_);
  auto result = Process();
  const Reply refused = runtime.Respond(runtime.Next().id(), std::string(7000000, ' '));
  EXPECT_EQ(refused.status, 413);
  EXPECT_EQ(nlohmann::json::parse(refused.body)["errorType"], "RequestEntityTooLarge");
  EXPECT_EQ(result.get().error_type, "Function.ResponseSizeTooLarge");
  // The runtime lives, and 6 MB are not too much.
  result = Process();
  EXPECT_EQ(runtime.Respond(runtime.Next().id(), "{}" + std::string(6000000, ' ')).status, 202);
  EXPECT_EQ(result.get(), HandlerResult::Success());
}

TEST_F(LambdaTest, LargeEvent) {
  Start();
  batch_.records[0].data = std::string(5 << 20, 'x');
  RuntimeClient runtime(address_);
  auto result = Process();
  const Reply next = runtime.Next();
  EXPECT_EQ(next.body, EventJson(batch_));
  runtime.Respond(next.id(), "{}");
  EXPECT_EQ(result.get(), HandlerResult::Success());
}

TEST_F(LambdaTest, WithoutARuntimeNothingHasRun) {
  Start();
  batch_.deadline = absl::Now() + absl::Milliseconds(200);
  EXPECT_EQ(Process().get().error_type, "NoRuntime");
  EXPECT_EQ(Process().get().kind, Kind::kNotRun);
}

TEST_F(LambdaTest, AFunctionThatDoesNotStartSpendsNothingAndIsSaidOnce) {
  Start();
  RuntimeClient runtime(address_);
  const std::string error = R"({"errorType":"Runtime.ImportModuleError","errorMessage":"no app"})";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(runtime.InitError(error).status, 202);
  const auto does_not_start = HandlerResult::NotRun("Runtime.ImportModuleError", "no app");
  EXPECT_EQ(Process().get(), does_not_start);
  EXPECT_THAT(warnings(),
              ElementsAre("the function does not start: Runtime.ImportModuleError: no app"));
  EXPECT_EQ(handler_->stats().failed_starts, 3);
  // Until one asks for work.
  std::thread repaired([this] {
    RuntimeClient other(address_);
    other.Respond(other.Next().id(), "{}");
  });
  AwaitStats([&] { return handler_->stats().ready == 1; });
  EXPECT_EQ(Process().get(), HandlerResult::Success());
  repaired.join();
}

TEST_F(LambdaTest, ARuntimeThatLeftGetsNothing) {
  options_.copies = 2;
  Start();
  auto left = std::async(std::launch::async, [this] {
    RuntimeClient impatient(address_);
    impatient.SetTimeout(2000);
    return impatient.Next().status;
  });
  AwaitStats([&] { return handler_->stats().ready == 1; });
  EXPECT_EQ(left.get(), 0);
  AwaitStats([&] { return handler_->stats().ready == 0; });
  EXPECT_EQ(Answered("{}"), HandlerResult::Success());
}

TEST_F(LambdaTest, ALostRuntimeIsNoticedByTheOneInItsPlace) {
  Start();
  auto result = Process();
  {
    RuntimeClient lost(address_);
    EXPECT_EQ(lost.Next().status, 200);
  }
  std::future<Reply> next = std::async(std::launch::async, [&] {
    RuntimeClient runtime(address_);
    Reply reply = runtime.Next();
    runtime.Respond(reply.id(), "{}");
    return reply;
  });
  EXPECT_EQ(result.get().error_type, "Runtime.ExitError");
  EXPECT_EQ(handler_->stats().lost, 1);
  EXPECT_EQ(Process().get(), HandlerResult::Success());
  EXPECT_EQ(next.get().status, 200);
}

TEST_F(LambdaTest, ClosingConnectionsIsNoLoss) {
  Start();
  RuntimeClient runtime(address_);
  runtime.CloseConnections();
  for (int i = 0; i < 3; ++i) {
    auto result = Process();
    EXPECT_EQ(runtime.Respond(runtime.Next().id(), "{}").status, 202);
    EXPECT_EQ(result.get(), HandlerResult::Success());
  }
}

// One has work by a connection that it closed; another's answer makes room for its own next.
TEST_F(LambdaTest, ClosedConnectionsOfSeveralRuntimesAreNoLoss) {
  options_.copies = 2;
  Start();
  RuntimeClient slow(address_), quick(address_);
  slow.CloseConnections();
  quick.CloseConnections();
  auto long_one = Process();
  const std::string id = slow.Next().id();
  for (int i = 0; i < 20; ++i) {
    auto short_one = Process();
    EXPECT_EQ(quick.Respond(quick.Next().id(), "{}").status, 202);
    EXPECT_EQ(short_one.get(), HandlerResult::Success());
  }
  EXPECT_EQ(slow.Respond(id, "{}").status, 202);
  EXPECT_EQ(long_one.get(), HandlerResult::Success());
}

TEST_F(LambdaTest, ManyRuntimesAtOneAddress) {
  constexpr int kRuntimes = 20, kBatches = 200;
  options_.copies = kRuntimes;
  Start();
  std::atomic<int> processed{0};
  std::vector<std::thread> runtimes;
  for (int i = 0; i < kRuntimes; ++i) {
    runtimes.emplace_back([&] {
      RuntimeClient runtime(address_);
      for (Reply next = runtime.Next(); next.status == 200; next = runtime.Next()) {
        EXPECT_EQ(runtime.Respond(next.id(), "{}").status, 202);
        ++processed;
      }
    });
  }
  std::vector<std::thread> shards;
  for (int i = 0; i < kRuntimes; ++i) {
    shards.emplace_back([&] {
      for (int n = 0; n < kBatches / kRuntimes; ++n) {
        EXPECT_EQ(handler_->Process(batch_), HandlerResult::Success());
      }
    });
  }
  for (std::thread& shard : shards) shard.join();
  // The end of the worker ends what waits.
  AwaitStats([&] { return handler_->stats().ready == kRuntimes; });
  handler_.reset();
  for (std::thread& runtime : runtimes) runtime.join();
  EXPECT_EQ(processed, kBatches);
}

TEST_F(LambdaTest, AbortEndsWhatRunsAndWhatWaits) {
  Start();
  RuntimeClient runtime(address_);
  auto running = Process();
  EXPECT_EQ(runtime.Next().status, 200);
  auto waiting = Process();
  handler_->Abort();
  EXPECT_EQ(running.get().error_type, "Aborted");
  EXPECT_EQ(waiting.get().kind, Kind::kNotRun);
}

TEST_F(LambdaTest, OtherPathsAndMethods) {
  Start();
  RuntimeClient runtime(address_);
  const std::string body = "{}";
  for (const char* path :
       {"", "invocation", "invocation/x/other", "invocation//response", "../x"}) {
    const Reply reply = runtime.Call(path, nullptr);
    EXPECT_EQ(reply.status, 404) << path;
    EXPECT_EQ(reply.header("content-type"), "application/json");
  }
  EXPECT_EQ(runtime.Call("invocation/next", &body).status, 405);
  EXPECT_EQ(runtime.Call("init/error", nullptr).status, 405);
}

TEST_F(LambdaTest, OnASocketOfTheFileSystem) {
  std::string directory = testing::TempDir() + "/lambda_XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  options_.listen = absl::StrCat("unix:", directory, "/api");
  Start();
  EXPECT_EQ(address_, options_.listen);
  EXPECT_EQ(Answered("{}"), HandlerResult::Success());
  EXPECT_TRUE(absl::IsUnavailable(LambdaHandler::Create(options_).status()));
  handler_.reset();
  EXPECT_TRUE(std::filesystem::is_empty(directory));
  std::filesystem::remove_all(directory);
}

TEST_F(LambdaTest, RefusesWrongOptions) {
  for (const char* listen : {"", "9001", "localhost:", "localhost:x", "unix:", "unix:relative"}) {
    options_.listen = listen;
    EXPECT_TRUE(absl::IsInvalidArgument(LambdaHandler::Create(options_).status())) << listen;
  }
  options_.listen = "127.0.0.1:0";
  options_.copies = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(LambdaHandler::Create(options_).status()));
}

}  // namespace
}  // namespace lowmark
