// What a worker tells of its shards with its heartbeats.
#include <gtest/gtest.h>

#include <atomic>

#include "tests/worker/runner_fixture.h"

namespace lowmark {
namespace {

class RunnerStatsTest : public RunnerTest {
 protected:
  // Heartbeats every 100 ms.
  void Start(std::function<HandlerResult(const Batch&)> function = [](const Batch&) {
    return HandlerResult::Success();
  }) {
    StartCoordinator(FastPolicy(), absl::Milliseconds(300));
    coordinator_->AddShard("0");
    coordinator_->SetElected(true);
    StartWorker(std::move(function),
                [](WorkerOptions& options) { options.idle_after = absl::Seconds(1); });
  }
  // Until what was told last of the shard is such.
  bool AwaitStat(const std::function<bool(const v1::ShardStat&)>& such) {
    return coordinator_->Await([&] {
      const auto stat = coordinator_->stat("0");
      return stat && such(*stat);
    });
  }
};

TEST_F(RunnerStatsTest, AShardWithoutRecordsIsIdleAtOnceAndOneThatHadSomeLater) {
  source_->Append("0", 0);
  Start();
  ASSERT_TRUE(AwaitStat([](const v1::ShardStat& stat) { return stat.idle(); }));
  EXPECT_EQ(coordinator_->stat("0")->epoch(), coordinator_->shard("0").epoch);
  EXPECT_EQ(coordinator_->stat("0")->backlog(), 0);
  EXPECT_TRUE(coordinator_->stat("0")->has_lag_age());
  source_->Append("0", 1);
  ASSERT_TRUE(AwaitStat([](const v1::ShardStat& stat) { return !stat.idle(); }));
  ASSERT_TRUE(AwaitStat([](const v1::ShardStat& stat) { return stat.idle(); }));
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerStatsTest, RecordsThatWaitAreLag) {
  SourceRecord old;
  old.record.arrival_time = absl::Now() - absl::Hours(1);
  source_->AppendRecord("0", old);
  source_->Append("0", 500);
  Mutex mutex;
  CondVar changed;
  bool go = false;
  Start([&](const Batch&) {
    MutexLock lock(mutex);
    while (!go) changed.Wait(mutex);
    return HandlerResult::Success();
  });
  EXPECT_TRUE(AwaitStat([](const v1::ShardStat& stat) {
    return !stat.idle() && stat.lag_age().seconds() >= 3600 && stat.backlog() > 400;
  }));
  {
    MutexLock lock(mutex);
    go = true;
    changed.NotifyAll();
  }
  EXPECT_TRUE(AwaitStat([](const v1::ShardStat& stat) {
    return stat.lag_age().seconds() < 60 && stat.backlog() == 0;
  }));
  EXPECT_TRUE(StopWorker().ok());
}

// As an outbox does while an older transaction runs.
TEST_F(RunnerStatsTest, RecordsThatTheSourceHoldsBackAreLag) {
  SourceRecord old;
  old.record.arrival_time = absl::Now() - absl::Hours(1);
  source_->AppendRecord("0", old);
  source_->Withhold("0", true);
  Start();
  EXPECT_TRUE(AwaitStat([](const v1::ShardStat& stat) {
    return !stat.idle() && stat.lag_age().seconds() >= 3600 && stat.backlog() == 1;
  }));
  source_->Withhold("0", false);
  EXPECT_TRUE(AwaitStat([](const v1::ShardStat& stat) {
    return stat.idle() && stat.lag_age().seconds() == 0 && stat.backlog() == 0;
  }));
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerStatsTest, AShardThatCannotBeReadIsTroubleUntilItCan) {
  source_->Append("0", 1);
  source_->SetError("0", absl::PermissionDeniedError("access\ndenied"));
  Start();
  ASSERT_TRUE(AwaitStat([](const v1::ShardStat& stat) { return stat.has_trouble(); }));
  const v1::ShardStat stat = *coordinator_->stat("0");
  EXPECT_EQ(stat.trouble().kind(), v1::TROUBLE_KIND_SOURCE);
  EXPECT_EQ(stat.trouble().message(), "access denied");
  EXPECT_FALSE(stat.idle());
  EXPECT_FALSE(stat.has_lag_age()) << "nothing was read";
  source_->SetError("0", absl::OkStatus());
  EXPECT_TRUE(AwaitStat([](const v1::ShardStat& stat) { return !stat.has_trouble(); }));
  EXPECT_TRUE(StopWorker().ok());
}

// What should pass by itself is told once it has lasted.
TEST_F(RunnerStatsTest, AHandlerThatCannotBeRunIsTroubleUntilItCan) {
  source_->Append("0", 1);
  std::atomic<bool> broken = true;
  Start([&](const Batch&) {
    return broken ? HandlerResult::NotRun("Runtime.ImportModuleError", "no module app")
                  : HandlerResult::Success();
  });
  ASSERT_TRUE(AwaitStat([](const v1::ShardStat& stat) { return stat.has_trouble(); }));
  const v1::Trouble trouble = coordinator_->stat("0")->trouble();
  EXPECT_EQ(trouble.kind(), v1::TROUBLE_KIND_HANDLER);
  EXPECT_EQ(trouble.message(), "Runtime.ImportModuleError: no module app");
  EXPECT_GE(trouble.lasted().seconds(), 5);
  broken = false;
  EXPECT_TRUE(AwaitStat([](const v1::ShardStat& stat) { return !stat.has_trouble(); }));
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerStatsTest, AListThatFailsIsTroubleOfTheStream) {
  source_->SetListError(absl::NotFoundError("no such stream"));
  Start();
  ASSERT_TRUE(coordinator_->Await([&] { return coordinator_->listing().has_trouble(); }));
  EXPECT_EQ(coordinator_->listing().trouble().message(), "no such stream");
  source_->SetListError(absl::OkStatus());
  EXPECT_TRUE(coordinator_->Await([&] { return !coordinator_->listing().has_trouble(); }));
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerStatsTest, AllIsToldAgainWhenTheCoordinatorHasForgotten) {
  source_->Append("0", 0);
  Start();
  ASSERT_TRUE(AwaitStat([](const v1::ShardStat& stat) { return stat.idle(); }));
  coordinator_->LoseStats();
  EXPECT_TRUE(AwaitStat([](const v1::ShardStat& stat) { return stat.idle(); }));
  EXPECT_TRUE(StopWorker().ok());
}

// Heartbeats of a worker whose shards are as they were tell nothing.
TEST_F(RunnerStatsTest, WhatStaysAsItIsIsNotToldAgain) {
  source_->Append("0", 0);
  Start();
  ASSERT_TRUE(AwaitStat([](const v1::ShardStat& stat) { return stat.idle(); }));
  const int told = coordinator_->told();
  const int beats = coordinator_->calls("Heartbeat");
  ASSERT_TRUE(coordinator_->Await([&] { return coordinator_->calls("Heartbeat") > beats + 20; }));
  EXPECT_EQ(coordinator_->told(), told);
  EXPECT_TRUE(StopWorker().ok());
}

}  // namespace
}  // namespace lowmark
