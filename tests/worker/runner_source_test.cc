// What a worker makes of what sources say beside records: where LATEST is, that
// they want to be left alone, that a shard is gone.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/worker/runner_fixture.h"

namespace lowmark {
namespace {

using testing::ElementsAre;

class RunnerSourceTest : public RunnerTest {
 protected:
  // Ends the worker; gives what it logged.
  std::string Log() {
    EXPECT_TRUE(StopWorker().ok());
    return testing::internal::GetCapturedStderr();
  }
};

// How many of the log's lines hold the text.
int Lines(const std::string& log, const std::string& text) {
  const std::vector<std::string> lines = absl::StrSplit(log, '\n');
  return static_cast<int>(std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
    return absl::StrContains(line, text);
  }));
}

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

// What lasts is tried again and again, and is one line.
TEST_F(RunnerSourceTest, AShardThatCannotBeReadIsLoggedOnce) {
  testing::internal::CaptureStderr();
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  source_->SetError("0", absl::PermissionDeniedError("request 1001: denied"));
  StartWorker();
  ASSERT_TRUE(coordinator_->Await([&] { return source_->reads("0") > 5; }));
  source_->SetError("0", absl::PermissionDeniedError("request 2002: denied"));
  const int reads = source_->reads("0");
  ASSERT_TRUE(coordinator_->Await([&] { return source_->reads("0") > reads + 5; }));
  source_->SetError("0", absl::OkStatus());
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_EQ(Lines(Log(), "shard cannot be read"), 1);
}

TEST_F(RunnerSourceTest, AHandlerThatCannotBeRunIsLoggedOnce) {
  testing::internal::CaptureStderr();
  StartCoordinator();
  coordinator_->AddShard("0");
  source_->Append("0", 1);
  std::atomic<int> runs = 0;
  StartWorker([&](const Batch&) {
    return ++runs <= 5 ? HandlerResult::NotRun("Unreachable", absl::StrCat("request ", 1000 + runs))
                       : HandlerResult::Success();
  });
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_EQ(Lines(Log(), "handler out of reach"), 1);
}

// A list that fails, then a coordinator that fails, then one that refuses the list.
TEST_F(RunnerSourceTest, AListIsLoggedOnceForEachThatDoesNotTakeIt) {
  testing::internal::CaptureStderr();
  StartCoordinator();
  coordinator_->SetElected(true);
  source_->SetListError(absl::NotFoundError("no such stream"));
  source_->Append("0", 1);
  StartWorker();
  ASSERT_TRUE(coordinator_->Await([&] { return source_->lists() > 5; }));
  coordinator_->Fail("SyncShards", 5, absl::UnavailableError("no database"));
  coordinator_->Fail("SyncShards", 5, absl::InvalidArgumentError("shards[0] is wrong"));
  source_->SetListError(absl::OkStatus());
  ASSERT_TRUE(AwaitAfter("0", 1));
  EXPECT_EQ(coordinator_->calls("SyncShards"), 11);
  const std::string log = Log();
  EXPECT_EQ(Lines(log, "cannot be listed, tried again"), 1) << log;
  EXPECT_EQ(Lines(log, "no database"), 1) << log;
  EXPECT_EQ(Lines(log, "shards[0] is wrong"), 1) << log;
}

}  // namespace
}  // namespace lowmark
