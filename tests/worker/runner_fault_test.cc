// What a worker does when its coordinator or source is in trouble, and how it stops.
#include <gmock/gmock.h>

#include <atomic>
#include <future>

#include "service/core/error.h"
#include "tests/worker/runner_fixture.h"

namespace lowmark {
namespace {

using testing::Contains;
using testing::ElementsAre;

HandlerResult Succeed(const Batch&) { return HandlerResult::Success(); }

TEST_F(RunnerTest, RepeatsAReportUntilItIsAnswered) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  // More than gRPC's own retries take.
  coordinator_->Fail("ReportBatch", 30, Unavailable("storm"));
  // A token that is replaced too early or too late loses nothing.
  coordinator_->Fail("ReportBatch", 2, absl::UnauthenticatedError("another token"));
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(deliveries(), ElementsAre("1"));
  EXPECT_GT(Metric("lowmark_worker_report_retries_total{"), 0);
}

TEST_F(RunnerTest, LostAnswerMakesNoSecondDelivery) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 30);
  for (int i = 0; i < 3; ++i) {
    coordinator_->Fail("ReportBatch", 1, absl::DeadlineExceededError("lost"), /*applied=*/true);
  }
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 30));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(deliveries(), ElementsAre("1-10", "11-20", "21-30"));
}

TEST_F(RunnerTest, LeasesWhoseAnswerWasLostAreTakenUp) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  coordinator_->Fail("LeaseShard", 1, absl::DeadlineExceededError("lost"), /*applied=*/true);
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_EQ(coordinator_->shard("0").epoch, 1);
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerTest, CountsRecordsThatTheSourceLost) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  source_->Lose("0", 7);
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_EQ(Metric("lowmark_worker_records_lost_total{"), 7);
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerTest, WaitsForACoordinatorAndAStream) {
  StartCoordinator();
  coordinator_->SetDown(true);
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  StartWorker();
  ASSERT_TRUE(coordinator_->Await([&] { return coordinator_->calls("LeaseShard") > 5; }));
  EXPECT_FALSE(worker_->ready());
  coordinator_->Fail("LeaseShard", 3, StreamNotFound("s"));
  coordinator_->SetDown(false);
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_TRUE(worker_->ready());
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerTest, DropsWhatItHasOfAShardThatWasTakenAway) {
  StartCoordinator();
  coordinator_->AddShard("0");
  coordinator_->AddShard("1");
  source_->Append("0", 1);
  std::promise<void> begun, go;
  StartWorker([&](const Batch& batch) {
    if (batch.shard == "0") {
      begun.set_value();
      go.get_future().wait();
    }
    return HandlerResult::Success();
  });
  begun.get_future().wait();
  coordinator_->TakeAway("0");
  go.set_value();
  ASSERT_TRUE(coordinator_->Await(
      [&] { return Metric("lowmark_worker_leases_lost_total{reason=\"LEASE_FENCED\"") == 1; }));
  EXPECT_EQ(coordinator_->shard("0").owner, "another");
  EXPECT_TRUE(coordinator_->Reached("0", Position::TrimHorizon()));
  // Others go on, and the shard is released by nobody but its owner.
  source_->Append("1", 1);
  ASSERT_TRUE(AwaitAfter("1", 1));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_FALSE(coordinator_->released("0"));
}

TEST_F(RunnerTest, OpensANewSessionUnderANewId) {
  StartCoordinator(FastPolicy(), absl::Milliseconds(300));
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 1));
  coordinator_->ExpireSessions();
  source_->Append("0", 1);
  ASSERT_TRUE(AwaitAfter("0", 2));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_EQ(coordinator_->workers().size(), 2u);
  EXPECT_EQ(coordinator_->shard("0").epoch, 2);
}

// A session that ends while a handler runs must not let the next session's
// handler run beside it.
TEST_F(RunnerTest, NewLeaseWaitsForTheHandlerOfTheOldOne) {
  StartCoordinator(FastPolicy(), absl::Milliseconds(300));
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  std::promise<void> begun, go;
  std::atomic<int> calls{0}, running{0}, most{0};
  StartWorker([&](const Batch&) {
    most = std::max(most.load(), ++running);
    if (++calls == 1) {
      begun.set_value();
      go.get_future().wait();
    }
    --running;
    return HandlerResult::Success();
  });
  begun.get_future().wait();
  coordinator_->ExpireSessions();
  ASSERT_TRUE(coordinator_->Await([&] { return coordinator_->shard("0").epoch == 2; }));
  // The lost batch is declared before it is handed over.
  ASSERT_TRUE(coordinator_->Await([&] {
    const auto reports = coordinator_->applied();
    return !reports.empty() && reports.back().has_started();
  }));
  EXPECT_EQ(calls, 1);
  go.set_value();
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(most, 1);
  EXPECT_EQ(Metric("lowmark_worker_records_redelivered_total{cause=\"lost\""), 1);
}

TEST_F(RunnerTest, RunsNoHandlerOnALeaseItCannotRelyOn) {
  StartCoordinator(FastPolicy(), absl::Milliseconds(200));
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 1));
  coordinator_->SetDown(true);
  const int calls = coordinator_->calls("Heartbeat");
  ASSERT_TRUE(coordinator_->Await([&] { return !worker_->ready(); }));
  EXPECT_GT(coordinator_->calls("Heartbeat"), calls);
  source_->Append("0", 1);
  const int reads = source_->reads("0");
  ASSERT_TRUE(coordinator_->Await([&] { return source_->reads("0") > reads + 3; }));
  EXPECT_THAT(deliveries(), ElementsAre("1"));
  coordinator_->SetDown(false);
  ASSERT_TRUE(AwaitAfter("0", 2));
  EXPECT_THAT(deliveries(), ElementsAre("1", "2"));
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerTest, HandsOverAfterTheBatchInProcessing) {
  for (const bool in_report : {true, false}) {
    StartCoordinator(FastPolicy(), absl::Milliseconds(300));
    coordinator_->AddShard("0");
    source_ = std::make_shared<ScriptedSource>();
    source_->Append("0", 10);
    std::promise<void> begun, go;
    std::atomic<bool> first{true};
    StartWorker([&](const Batch&) {
      if (first.exchange(false)) {
        begun.set_value();
        go.get_future().wait();
      }
      return HandlerResult::Success();
    });
    begun.get_future().wait();
    coordinator_->AskFor("0", in_report);
    const int beats = coordinator_->calls("Heartbeat");
    ASSERT_TRUE(coordinator_->Await([&] { return coordinator_->calls("Heartbeat") > beats + 1; }));
    EXPECT_FALSE(coordinator_->released("0"));
    go.set_value();
    // Released and, as no other worker is there, leased again.
    ASSERT_TRUE(coordinator_->Await([&] { return coordinator_->shard("0").epoch == 2; }));
    EXPECT_TRUE(coordinator_->Reached("0", Position::After("10")));
    EXPECT_EQ(Metric("lowmark_worker_handoffs_total{"), 1);
    EXPECT_TRUE(StopWorker().ok());
  }
}

TEST_F(RunnerTest, SourceTroubleOfOneShardLeavesTheOthersAlone) {
  StartCoordinator();
  coordinator_->AddShard("bad");
  coordinator_->AddShard("good");
  source_->Append("bad", 1);
  source_->Append("good", 1);
  source_->SetError("bad", absl::NotFoundError("gone"));
  StartWorker();
  ASSERT_TRUE(AwaitAfter("good", 1));
  ASSERT_TRUE(coordinator_->Await(
      [&] { return Metric("lowmark_worker_source_errors_total{kind=\"shard\"") > 2; }));
  // The lease is kept, and nothing is reported of it.
  EXPECT_FALSE(coordinator_->shard("bad").owner.empty());
  source_->SetError("bad", absl::OkStatus());
  ASSERT_TRUE(AwaitAfter("bad", 1));
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerTest, RefusedReportIsMadeAnew) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  coordinator_->Fail("ReportBatch", 1, InvalidField("x", "y", "must be z"));
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(deliveries(), ElementsAre("1", "1"));
}

// Another worker, of another version, may understand it.
TEST_F(RunnerTest, GivesBackWhatItDoesNotUnderstand) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 20);
  coordinator_->Garble("0", /*in_report=*/false);
  coordinator_->Garble("0", /*in_report=*/true);
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 20));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(deliveries(), ElementsAre("1-10", "11-20"));
  EXPECT_EQ(coordinator_->calls("ReleaseShard"), 3) << "the last one as it stops";
}

// --- Stopping ------------------------------------------------------------------

TEST_F(RunnerTest, StopLetsTheBatchInProcessingEnd) {
  StartCoordinator();
  coordinator_->AddShard("0");
  coordinator_->AddShard("idle");
  source_->Append("0", 20);
  std::promise<void> begun, go;
  std::atomic<int> calls{0};
  StartWorker([&](const Batch&) {
    if (++calls == 1) {
      begun.set_value();
      go.get_future().wait();
    }
    return HandlerResult::Success();
  });
  begun.get_future().wait();
  worker_->Stop();
  ASSERT_TRUE(coordinator_->Await([&] { return coordinator_->released("idle"); }));
  EXPECT_FALSE(coordinator_->released("0"));
  go.set_value();
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_TRUE(coordinator_->released("0"));
  EXPECT_TRUE(coordinator_->Reached("0", Position::After("10")));
  EXPECT_EQ(calls, 1);
}

TEST_F(RunnerTest, StopWaitsNoLongerThanTheGracePeriod) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  std::promise<void> begun;
  auto go = std::make_shared<std::promise<void>>();
  StartWorker(
      [&begun, gone = std::shared_future<void>(go->get_future())](const Batch&) {
        begun.set_value();
        gone.wait();
        return HandlerResult::Success();
      },
      [](WorkerOptions& options) { options.grace = absl::Milliseconds(50); });
  begun.get_future().wait();
  const absl::Status end = StopWorker();
  EXPECT_TRUE(absl::IsDeadlineExceeded(end)) << end;
  // Not released: another worker is to see that this delivery was lost.
  EXPECT_FALSE(coordinator_->shard("0").owner.empty());
  EXPECT_TRUE(coordinator_->shard("0").state.outstanding);
  go->set_value();
}

TEST_F(RunnerTest, StopReportsThroughAStorm) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  coordinator_->Fail("ReportBatch", 15, Unavailable("storm"));
  coordinator_->Fail("ReleaseShard", 5, Unavailable("storm"));
  std::promise<void> begun;
  StartWorker([&](const Batch&) {
    begun.set_value();
    return HandlerResult::Success();
  });
  begun.get_future().wait();
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_TRUE(coordinator_->Reached("0", Position::After("1")));
  EXPECT_TRUE(coordinator_->released("0"));
}

TEST_F(RunnerTest, StopWithoutACoordinator) {
  StartCoordinator();
  coordinator_->SetDown(true);
  StartWorker(Succeed);
  EXPECT_TRUE(StopWorker().ok());
}

TEST(Worker, RefusesWrongOptions) {
  WorkerOptions options;
  EXPECT_EQ(Worker::Create(options, nullptr, nullptr).status().message(),
            "coordinator is \"\": must be an address such as localhost:7070");
  options.coordinator = "localhost:1";
  options.stream = "a b";
  EXPECT_THAT(std::string(options.Validate().message()), testing::HasSubstr("stream is \"a b\""));
  options.stream = "s";
  EXPECT_TRUE(options.Validate().ok());
  EXPECT_FALSE(Worker::Create(options, nullptr, nullptr).ok());
  options.threads = 0;
  EXPECT_THAT(std::string(options.Validate().message()), testing::HasSubstr("threads is 0"));
}

}  // namespace
}  // namespace lowmark
