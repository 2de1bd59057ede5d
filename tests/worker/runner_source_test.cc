// What a worker makes of what sources say beside records: where LATEST is, that
// they want to be left alone, that a shard is gone.
#include <gmock/gmock.h>

#include "tests/worker/runner_fixture.h"

namespace lowmark {
namespace {

using testing::ElementsAre;

class RunnerSourceTest : public RunnerTest {};

TEST_F(RunnerSourceTest, LatestIsStoredBeforeAnythingIsRead) {
  StartCoordinator();
  coordinator_->AddShard("0", Position::Latest());
  source_->PinLatest();
  source_->Append("0", 3);
  StartWorker();
  ASSERT_TRUE(coordinator_->Await([&] { return coordinator_->Reached("0", Position::At("4")); }));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_TRUE(coordinator_->applied().front().has_resolved());
  // What came while no worker was there is not skipped.
  source_->Append("0", 2);
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 5));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(deliveries(), ElementsAre("4-5"));
}

TEST_F(RunnerSourceTest, ASourceThatCannotPinLatestIsReadFromThere) {
  StartCoordinator();
  coordinator_->AddShard("0", Position::Latest());
  source_->Append("0", 3);
  StartWorker();
  ASSERT_TRUE(coordinator_->Await([&] { return source_->reads("0") > 0; }));
  source_->Append("0", 1);
  ASSERT_TRUE(AwaitAfter("0", 4));
  EXPECT_TRUE(StopWorker().ok());
  EXPECT_THAT(deliveries(), ElementsAre("4"));
}

TEST_F(RunnerSourceTest, LatestIsLookedForAgainWhereItCannotBeSaid) {
  StartCoordinator();
  coordinator_->AddShard("0", Position::Latest());
  source_->PinLatest();
  source_->SetError("0", absl::UnavailableError("down"));
  StartWorker();
  const char* errors = "lowmark_worker_source_errors_total{kind=\"passing\"";
  ASSERT_TRUE(coordinator_->Await([&] { return Metric(errors) >= 2; }));
  source_->SetError("0", absl::OkStatus());
  EXPECT_TRUE(coordinator_->Await([&] { return coordinator_->Reached("0", Position::At("1")); }));
  EXPECT_TRUE(StopWorker().ok());
}

TEST_F(RunnerSourceTest, AShardThatVanishedEndsAndSaysSo) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 3);
  source_->Vanish("0", "all too old\x01");
  StartWorker();
  ASSERT_TRUE(
      coordinator_->Await([&] { return coordinator_->Reached("0", Position::ShardEnd()); }));
  EXPECT_EQ(Metric("lowmark_worker_shards_vanished_total{"), 1);
  EXPECT_TRUE(StopWorker().ok());
  const auto report = coordinator_->applied().back();
  EXPECT_TRUE(report.success().shard_end());
  EXPECT_EQ(report.success().vanished(), "all too old ");
}

TEST_F(RunnerSourceTest, ASourceIsLeftAloneForAsLongAsItAsks) {
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->SetPause(absl::Hours(1));
  source_->Append("0", 3);
  StartWorker();
  ASSERT_TRUE(AwaitAfter("0", 3));
  coordinator_->AddShard("1");
  source_->Append("1", 3);
  // While the other one is read and reported, it could have been read many times.
  ASSERT_TRUE(AwaitAfter("1", 3));
  EXPECT_EQ(source_->reads("0"), 1);
  EXPECT_TRUE(StopWorker().ok());
}

}  // namespace
}  // namespace lowmark
