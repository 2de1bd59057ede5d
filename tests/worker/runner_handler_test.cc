// What a worker does when its handler is in trouble.
#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <stdexcept>

#include "tests/worker/runner_fixture.h"

namespace lowmark {
namespace {

TEST_F(RunnerTest, HandlerOutOfReachSpendsNoRetry) {
  Policy policy = FastPolicy();
  policy.maximum_retry_attempts = 0;
  StartCoordinator(policy);
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  std::atomic<int> tries{0};
  StartWorker([&](const Batch&) {
    return ++tries < 5 ? HandlerResult::NotRun("Unreachable", "down") : HandlerResult::Success();
  });
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_EQ(tries, 5);
  EXPECT_TRUE(coordinator_->dead_letters().empty());
  for (const Batch& batch : batches()) EXPECT_EQ(batch.attempt, 1);
}

// The coordinator's pause is that of a first retry each time: that pauses grow is the
// worker's doing. The seventh one takes a quarter of an hour here.
TEST_F(RunnerTest, HandlerOutOfReachIsTriedAfterGrowingPauses) {
  Policy policy = FastPolicy();
  policy.retry_backoff = {absl::Milliseconds(1), 10, absl::Hours(1), 0};
  StartCoordinator(policy);
  for (const char* shard : {"down", "well"}) coordinator_->AddShard(shard);
  source_->Append("down", 1);
  std::atomic<int> tries{0};
  StartWorker([&](const Batch& batch) {
    if (batch.shard == "well") return HandlerResult::Success();
    ++tries;
    return HandlerResult::NotRun("Unreachable", "down");
  });
  // Another shard's deliveries take about as long as tries without a pause.
  for (int i = 1; i <= 50; ++i) {
    source_->Append("well", 1);
    ASSERT_TRUE(AwaitAfter("well", i));
  }
  EXPECT_GE(tries, 1);
  EXPECT_LE(tries, 7);
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerTest, OverlongHandlerFailsWithoutHoldingUpOthers) {
  Policy policy = FastPolicy();
  policy.handler_timeout = absl::Seconds(1);
  StartCoordinator(policy);
  coordinator_->AddShard("slow");
  source_->Append("slow", 1);
  std::promise<void> go;
  std::shared_future<void> gone = go.get_future();
  std::atomic<int> slow{0};
  StartWorker(
      [&](const Batch& batch) {
        if (batch.shard == "slow" && ++slow == 1) gone.wait();
        return HandlerResult::Success();
      },
      [](WorkerOptions& options) {
        options.threads = 1;
        options.overrun_limit = absl::Milliseconds(1);
      });
  ASSERT_TRUE(coordinator_->Await([&] { return !coordinator_->applied().empty(); }));
  EXPECT_EQ(coordinator_->applied()[0].failure().error_type(), "Timeout");
  // The one thread is taken; another stands in for it.
  coordinator_->AddShard("quick");
  source_->Append("quick", 1);
  ASSERT_TRUE(AwaitAfter("quick", 1));
  ASSERT_TRUE(coordinator_->Await([&] { return !worker_->healthy(); }));
  // Two batches of a shard never overlap: the retry waits for the first try.
  EXPECT_EQ(slow, 1);
  go.set_value();
  ASSERT_TRUE(AwaitAfter("slow", 1));
  EXPECT_EQ(slow, 2);
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerTest, HandlerThatThrowsRaises) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  std::atomic<int> tries{0};
  StartWorker([&](const Batch&) -> HandlerResult {
    if (++tries == 1) throw std::runtime_error("thrown\x01");
    return HandlerResult::Success();
  });
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_EQ(coordinator_->applied()[0].failure().error_message(), "thrown ");
}

}  // namespace
}  // namespace lowmark
