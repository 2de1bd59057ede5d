// Workers that are scaled as KEDA says, by a client of its protocol that nobody of Lowmark
// wrote: from none to what a stream needs, and back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "tests/e2e/kinesis_server.h"
#include "tests/e2e/world.h"

namespace lowmark {
namespace {

using testing::HasSubstr;

class KedaTest : public testing::Test {
 protected:
  KedaTest() : world_({.session_ttl = absl::Seconds(10), .worker = {"--idle-after", "1s"}}) {}

  void SetUp() override {
    world_.StartPostgres();
    world_.StartCoordinator();
    ASSERT_TRUE(world_.AwaitReady()) << world_.Log("coordinator-0");
    world_.CreateStream();
  }

  static std::vector<std::string> Arguments(const std::string& command,
                                            std::vector<std::string> metadata = {}) {
    std::vector<std::string> arguments = {command, World::Address(0)};
    if (metadata.empty()) metadata = {"stream=t", "shardsPerWorker=2", "wakeEvery=10s"};
    arguments.insert(arguments.end(), metadata.begin(), metadata.end());
    return arguments;
  }

  // What KEDA is told; an error's text.
  std::string Ask(const std::vector<std::string>& metadata = {},
                  const std::string& command = "ask") {
    auto done = RunCommand(NodeScript("keda.js", Arguments(command, metadata)), absl::Minutes(1));
    EXPECT_TRUE(done.ok()) << done.status();
    return done.ok() ? std::string(absl::StripAsciiWhitespace(done->output)) : "";
  }

  // A poll of KEDA's, and what it does then; how many workers there are.
  int Scale() {
    const auto answer = nlohmann::json::parse(Ask(), nullptr, false);
    EXPECT_TRUE(answer.is_object()) << world_.Log("coordinator-0");
    if (!answer.is_object()) return -1;
    const auto wanted = answer["replicas"].get<size_t>();
    EXPECT_LE(wanted, 2) << answer << ": there are four shards, two for each worker";
    while (running_.size() < wanted) {
      world_.StartWorker(started_);
      running_.insert(started_++);
    }
    while (running_.size() > wanted) {
      const int last = *running_.rbegin();
      EXPECT_TRUE(world_.Stop(*world_.worker(last))) << world_.Log(absl::StrCat("worker-", last));
      running_.erase(last);
    }
    return static_cast<int>(running_.size());
  }
  bool AwaitWorkers(int count) {
    return world_.Await([&] { return Scale() == count; });
  }

  World world_;
  std::set<int> running_;
  int started_ = 0;
};

TEST_F(KedaTest, WorkersComeAndGoAsTheStreamNeedsThem) {
  // Nobody knows yet what there is.
  EXPECT_EQ(Scale(), 1);
  world_.OpenShards(4);
  world_.Append(100);
  world_.FeedWhileWaiting(true);
  EXPECT_TRUE(AwaitWorkers(2)) << world_.Log("worker-0");
  world_.FeedWhileWaiting(false);
  ASSERT_TRUE(world_.AwaitProcessed()) << world_.Log("worker-0") << world_.Log("worker-1");
  ASSERT_TRUE(AwaitWorkers(0));
  // They stay away, though they were there a moment ago.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Scale(), 0) << i;
  // What comes now is found with the next look.
  world_.Append(100);
  ASSERT_TRUE(AwaitWorkers(1));
  world_.FeedWhileWaiting(true);
  ASSERT_TRUE(AwaitWorkers(2)) << world_.Log(absl::StrCat("worker-", started_ - 1));
  world_.FeedWhileWaiting(false);
  ASSERT_TRUE(world_.AwaitProcessed());
  ASSERT_TRUE(AwaitWorkers(0));
  EXPECT_TRUE(world_.CheckLedger().empty()) << "nothing was processed twice";
}

TEST_F(KedaTest, AStreamOfAnswersSaysWhatChanges) {
  auto options = NodeScript("keda.js", Arguments("stream"));
  options.out = Output::Pipe();
  auto listener = ChildProcess::Start(options);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ((*listener)->ReadLine(absl::Minutes(1)).value_or("none"), "true");
  world_.OpenShards(1);
  ASSERT_TRUE(AwaitWorkers(0));
  EXPECT_EQ((*listener)->ReadLine(absl::Minutes(1)).value_or("none"), "false");
  // A coordinator that stops ends it in order, and at once.
  EXPECT_TRUE(world_.Stop(*world_.coordinator()));
  std::string last;
  for (auto line = (*listener)->ReadLine(absl::Minutes(1)); line.ok();
       line = (*listener)->ReadLine(absl::Minutes(1))) {
    last = *line;
  }
  EXPECT_EQ(last, "ended");
}

TEST_F(KedaTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(
      Ask({"stream=t", "shardsPerWorker=many"}),
      HasSubstr("keda.js: 3 scalerMetadata.shardsPerWorker is \"many\": must be 1..100000"));
  EXPECT_THAT(Ask({"stream=elsewhere"}), HasSubstr("keda.js: 5 "));
  EXPECT_THAT(Ask({"stream=t"}, "specs"), HasSubstr("keda.js: 12"));
}

}  // namespace
}  // namespace lowmark
