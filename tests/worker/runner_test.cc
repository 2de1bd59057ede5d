// What a worker does with its deliveries, when nothing goes wrong around it.
#include <gmock/gmock.h>

#include <set>

#include "service/core/error.h"
#include "tests/worker/runner_fixture.h"
#include "worker/handler/answer.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::Pair;
using testing::UnorderedElementsAre;

TEST_F(RunnerTest, WalksToTheLowestFailedRecord) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 10);
  StartWorker([](const Batch& batch) {
    if (batch.records.size() < 4) return HandlerResult::Success();
    return HandlerResult::Failed({batch.records[3].sequence});
  });
  ASSERT_TRUE(AwaitAfter("0", 10));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(deliveries(), ElementsAre("1-10", "4-10", "7-10", "10"));
}

TEST_F(RunnerTest, BisectsAndSetsAsideTheRecordThatRaises) {
  Policy policy = FastPolicy();
  policy.maximum_retry_attempts = 1;
  StartCoordinator(policy);
  coordinator_->AddShard("0");
  source_->Append("0", 4);
  StartWorker([](const Batch& batch) {
    for (const Record& record : batch.records) {
      if (record.sequence == "2") return HandlerResult::Raised("Poison", "two");
    }
    return HandlerResult::Success();
  });
  ASSERT_TRUE(AwaitAfter("0", 4));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(deliveries(), ElementsAre("1-4", "1-2", "1", "2", "2", "3-4"));
  ASSERT_EQ(coordinator_->dead_letters().size(), 1u);
  EXPECT_EQ(coordinator_->dead_letters()[0].first, "2");
  EXPECT_EQ(coordinator_->dead_letters()[0].error_message, "two");
  // The data goes along with the report that sets the record aside, and only then.
  int with_data = 0;
  for (const auto& report : coordinator_->applied()) {
    if (report.failure().records_size() == 0) continue;
    ++with_data;
    EXPECT_EQ(report.failure().records(0).data(), "2");
  }
  EXPECT_EQ(with_data, 1);
}

TEST_F(RunnerTest, TellsHandlersWhichBatchItIs) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  int tries = 0;
  StartWorker([&tries](const Batch&) {
    return ++tries == 1 ? HandlerResult::Raised("Once", "") : HandlerResult::Success();
  });
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_TRUE(StopWorker().ok());
  const auto seen = batches();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].stream, "s");
  EXPECT_EQ(seen[0].shard, "0");
  EXPECT_EQ(seen[0].epoch, 1);
  EXPECT_EQ(seen[0].attempt, 1);
  EXPECT_EQ(seen[1].attempt, 2);
  EXPECT_EQ(seen[0].batch_id, seen[1].batch_id);
  EXPECT_LT(seen[0].deadline, absl::Now() + FastPolicy().handler_timeout);
}

TEST_F(RunnerTest, ReadsAShardToItsEnd) {
  StartCoordinator();
  coordinator_->AddShard("0");
  coordinator_->AddShard("empty");
  source_->Append("0", 25);
  source_->Close("0");
  source_->Close("empty");
  StartWorker();
  ASSERT_TRUE(coordinator_->Await([&] {
    return coordinator_->shard("0").state.done() && coordinator_->shard("empty").state.done();
  }));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(deliveries(), ElementsAre("1-10", "11-20", "21-25"));
}

TEST_F(RunnerTest, WaitsForTheWindowToFillABatch) {
  Policy policy = FastPolicy();
  policy.maximum_batching_window = absl::Seconds(300);
  StartCoordinator(policy);
  coordinator_->AddShard("0");
  source_->Append("0", 4);
  StartWorker();
  ASSERT_TRUE(coordinator_->Await([&] { return source_->reads("0") > 5; }));
  EXPECT_THAT(deliveries(), ElementsAre());
  source_->Append("0", 6);
  ASSERT_TRUE(AwaitAfter("0", 10));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(deliveries(), ElementsAre("1-10"));
}

TEST_F(RunnerTest, SetsAsideWhatNoHandlerCanProcess) {
  Policy policy = FastPolicy();
  policy.maximum_batch_bytes = 1024;
  policy.maximum_record_age = absl::Hours(1);
  StartCoordinator(policy);
  coordinator_->AddShard("0");
  SourceRecord old;
  old.record.arrival_time = absl::Now() - absl::Hours(2);
  SourceRecord large;
  large.record.data = std::string(2000, 'x');
  SourceRecord broken;
  broken.defect = SourceRecord::Defect::kUnreadable;
  broken.problem = "no record";
  source_->AppendRecord("0", old);     // 1
  source_->Append("0", 1);             // 2
  source_->AppendRecord("0", broken);  // 3
  source_->AppendRecord("0", large);   // 4
  source_->Append("0", 1);             // 5
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 5));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(deliveries(), ElementsAre("2", "5"));
  const auto letters = coordinator_->dead_letters();
  ASSERT_EQ(letters.size(), 3u);
  EXPECT_EQ(letters[0].condition, Condition::kRecordAgeExceeded);
  EXPECT_EQ(letters[1].condition, Condition::kRecordUnreadable);
  EXPECT_EQ(letters[1].error_message, "no record");
  EXPECT_EQ(letters[2].condition, Condition::kRecordTooLarge);
  EXPECT_EQ(letters[2].first, "4");
}

TEST_F(RunnerTest, ObeysAChangedPolicy) {
  StartCoordinator();
  coordinator_->AddShard("0");
  StartWorker();
  source_->Append("0", 1);
  ASSERT_TRUE(AwaitAfter("0", 1));
  Policy policy = FastPolicy();
  policy.batch_size = 2;
  coordinator_->SetPolicy(policy);
  source_->Append("0", 1);
  ASSERT_TRUE(AwaitAfter("0", 2));  // brings the new policy
  source_->Append("0", 4);
  ASSERT_TRUE(AwaitAfter("0", 6));
  EXPECT_TRUE(StopWorker().ok());
  for (const Batch& batch : batches()) EXPECT_LE(batch.records.size(), 2u);
}

TEST_F(RunnerTest, FindsShardsWhenItIsAskedTo) {
  StartCoordinator();
  coordinator_->SetElected(true);
  source_->Append("a", 1);
  StartWorker();
  ASSERT_TRUE(AwaitAfter("a", 1));
  source_->Append("b", 1);
  ASSERT_TRUE(AwaitAfter("b", 1));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(coordinator_->synced(), ElementsAre("a", "b"));
}

TEST_F(RunnerTest, GivesBackWhatAnAnswerThatItsStopCutOffWouldHaveBrought) {
  StartCoordinator();
  coordinator_->AddShard("0");
  StartWorker();
  source_->Append("0", 1);
  ASSERT_TRUE(AwaitAfter("0", 1));
  // It waits for more.
  ASSERT_TRUE(coordinator_->Await([&] { return coordinator_->calls("LeaseShard") >= 2; }));
  coordinator_->AddUnknownLease("1");
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_TRUE(coordinator_->released("0"));
  EXPECT_TRUE(coordinator_->released("1"));
}

TEST_F(RunnerTest, DoesNotListParentsThatTheSourceNoLongerHas) {
  StartCoordinator();
  coordinator_->SetElected(true);
  source_->Append("b", 1);
  source_->SetParents("b", {"gone"});
  source_->Append("c", 1);
  source_->SetParents("c", {"b", "gone"});
  StartWorker();
  ASSERT_TRUE(AwaitAfter("b", 1));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(coordinator_->listed_parents(),
              UnorderedElementsAre(Pair("b", ElementsAre("former gone")),
                                   Pair("c", ElementsAre("b", "former gone"))));
}

TEST_F(RunnerTest, ManyShardsShareFewThreads) {
  StartCoordinator();
  std::set<std::string> ids;
  for (int i = 0; i < 500; ++i) {
    const std::string id = std::to_string(i);
    ids.insert(id);
    coordinator_->AddShard(id);
    source_->Append(id, 25);
  }
  StartWorker();
  ASSERT_TRUE(coordinator_->Await([&] {
    for (auto it = ids.begin(); it != ids.end(); it = ids.erase(it)) {
      if (!coordinator_->Reached(*it, Position::After("25"))) return false;
    }
    return true;
  }));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_EQ(batches().size(), 1500u);
}

TEST_F(RunnerTest, OneBatchOfAShardAtATime) {
  StartCoordinator();
  std::map<std::string, std::atomic<int>> running;
  for (const char* id : {"0", "1", "2"}) {
    coordinator_->AddShard(id);
    source_->Append(id, 100);
    running[id] = 0;
  }
  std::atomic<bool> overlap{false};
  StartWorker([&](const Batch& batch) {
    if (++running[batch.shard] > 1) overlap = true;
    std::this_thread::yield();
    --running[batch.shard];
    return HandlerResult::Success();
  });
  for (const char* id : {"0", "1", "2"}) ASSERT_TRUE(AwaitAfter(id, 100));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_FALSE(overlap);
  for (const char* id : {"0", "1", "2"}) {
    int next = 1;
    for (const Batch& batch : batches()) {
      if (batch.shard != id) continue;
      EXPECT_EQ(batch.records.front().sequence, std::to_string(next));
      next += static_cast<int>(batch.records.size());
    }
  }
}

TEST_F(RunnerTest, ListOfFailuresMeansNothingWhereReportingIsOff) {
  Policy policy = FastPolicy();
  policy.report_batch_item_failures = false;
  StartCoordinator(policy);
  coordinator_->AddShard("0");
  source_->Append("0", 3);
  StartWorker([](const Batch& batch) {
    EXPECT_FALSE(batch.report_batch_item_failures);
    return HandlerResult::Failed({"2"});
  });
  ASSERT_TRUE(AwaitAfter("0", 3));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(deliveries(), ElementsAre("1-3"));
}

TEST_F(RunnerTest, LosesTheShardsOfADeletedStream) {
  StartCoordinator(FastPolicy(), absl::Milliseconds(300));
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 1));
  coordinator_->Fail("LeaseShard", 10000, StreamNotFound("s"));
  coordinator_->Fail("Heartbeat", 1, StreamNotFound("s"));
  ASSERT_TRUE(coordinator_->Await(
      [&] { return Metric("lowmark_worker_leases_lost_total{reason=\"STREAM_NOT_FOUND\"") == 1; }));
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerTest, CountsAnswersThatAreNotUnderstood) {
  Policy policy = FastPolicy();
  policy.bisect_batch_on_failure = false;
  policy.maximum_retry_attempts = 2;
  StartCoordinator(policy);
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  std::atomic<int> calls{0};
  StartWorker([&calls](const Batch& batch) {
    const char* answers[] = {R"({"failedItems":[]})", "oops", "{}"};
    return ParseAnswer(answers[calls++], batch, ResponsePolicy::kStrict);
  });
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_EQ(Metric("lowmark_worker_invalid_answers_total{kind=\"wrong_key\""), 1);
  EXPECT_EQ(Metric("lowmark_worker_invalid_answers_total{kind=\"other\""), 1);
}

}  // namespace
}  // namespace lowmark
