// What a worker does when its coordinator's database has failed over and lost what the
// worker was told.
#include <gmock/gmock.h>

#include "tests/worker/runner_fixture.h"

namespace lowmark {
namespace {

using testing::ElementsAre;

// The coordinator's database lost the reports after the first.
TEST_F(RunnerTest, GivesAShardBackWhoseDeliveriesWereLost) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 1));
  const Shard before = coordinator_->shard("0");
  for (int record = 2; record <= 4; ++record) {
    source_->Append("0", 1);
    ASSERT_TRUE(AwaitAfter("0", record));
  }
  coordinator_->Restore(before);
  source_->Append("0", 1);
  ASSERT_TRUE(AwaitAfter("0", 5));
  EXPECT_THAT(deliveries(), ElementsAre("1", "2", "3", "4", "5", "2-5"));
  EXPECT_EQ(coordinator_->shard("0").epoch, 2);
  EXPECT_TRUE(StopWorker().ok());
}

// The coordinator's database lost that the worker had given the shard back, and all
// that followed.
TEST_F(RunnerTest, TakesUpNoLeaseThatHadEnded) {
  StartCoordinator(FastPolicy(), absl::Milliseconds(300));
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 1));
  const Shard before = coordinator_->shard("0");
  coordinator_->AskFor("0", /*in_report=*/false);
  ASSERT_TRUE(coordinator_->Await([&] { return coordinator_->shard("0").epoch == 2; }));
  source_->Append("0", 1);
  ASSERT_TRUE(AwaitAfter("0", 2));
  coordinator_->Restore(before);
  source_->Append("0", 1);
  ASSERT_TRUE(AwaitAfter("0", 3));
  std::vector<int64_t> epochs;
  for (const Batch& batch : batches()) epochs.push_back(batch.epoch);
  EXPECT_THAT(deliveries(), ElementsAre("1", "2", "3", "2-3"));
  EXPECT_THAT(epochs, ElementsAre(1, 2, 2, 3));
  EXPECT_TRUE(StopWorker().ok());
}

}  // namespace
}  // namespace lowmark
