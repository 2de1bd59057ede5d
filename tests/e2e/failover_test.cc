// PostgreSQL's primary is killed under load and its standby takes over: what is lost,
// and what workers and handlers notice of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "service/core/error.h"
#include "tests/e2e/reporter.h"
#include "tests/e2e/world.h"
#include "tests/support/standby.h"

namespace lowmark {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kShards = 4;
constexpr const char* kWorkers[] = {"worker-0", "worker-1"};
constexpr int kRecordsBetween = 60;
// The first epoch of the standby's timeline.
constexpr int64_t kPromoted = int64_t{2} << 40;

// Workers process the stream "t"; tests play the workers of the stream "played".
class FailoverTest : public testing::Test {
 protected:
  explicit FailoverTest(absl::Duration session_ttl)
      : world_(
            {.coordinators = 2, .session_ttl = session_ttl, .serve = {"--drain-timeout", "2s"}}) {
    world_.OpenShards(kShards);
    world_.StartPostgres();
    world_.AddStandby();
  }

  void StartAll() {
    for (int i : {0, 1}) world_.StartCoordinator(i);
    for (int i : {0, 1}) ASSERT_TRUE(world_.AwaitReady(i)) << world_.Log("coordinator-0");
    world_.CreateStream("t");
    world_.CreateStream("played");
    for (int i : {0, 1}) world_.StartWorker(i);
    world_.FeedWhileWaiting(true);
    ASSERT_TRUE(world_.AwaitProgress(kRecordsBetween)) << world_.Log("worker-0");
  }

  // Lets all records be processed, by workers that have leases from after the failover.
  void Finish() {
    const std::string lowest =
        "SELECT min(epoch) FROM lowmark.shards JOIN lowmark.streams USING (stream_id) "
        "WHERE name = 't'";
    EXPECT_TRUE(world_.Await([&] {
      int64_t epoch = 0;
      return absl::SimpleAtoi(world_.postgres().Query("lowmark", lowest).value_or(""), &epoch) &&
             epoch >= kPromoted;
    })) << world_.Log("worker-0");
    // Its share comes to a worker that was started last, too.
    for (const std::string worker : kWorkers) {
      EXPECT_TRUE(world_.Await([&] {
        return absl::StrContains(world_.Log(worker), "shard leased");
      })) << world_.Log(worker);
    }
    world_.CloseShards();
    ASSERT_TRUE(world_.AwaitDone()) << world_.Log("worker-0") << world_.Log("coordinator-0");
    for (const std::string worker : kWorkers) ExpectRisingEpochs(worker);
  }

  // No worker took up a lease of an epoch below one that it had had of the shard.
  void ExpectRisingEpochs(const std::string& worker) {
    std::map<std::string, int64_t> last;
    for (absl::string_view line : absl::StrSplit(world_.Log(worker), '\n')) {
      if (!absl::StrContains(line, "shard leased")) continue;
      std::string shard;
      int64_t epoch = 0;
      for (absl::string_view field : absl::StrSplit(line, ' ')) {
        if (absl::ConsumePrefix(&field, "shard=")) shard = std::string(field);
        if (absl::ConsumePrefix(&field, "epoch=")) (void)absl::SimpleAtoi(field, &epoch);
      }
      EXPECT_GT(epoch, last[shard]) << line;
      last[shard] = epoch;
    }
    EXPECT_FALSE(last.empty()) << world_.Log(worker);
  }

  Reporter Play(const std::string& worker) { return {world_.Target(), "played", worker}; }

  World world_;
};

class SynchronousFailoverTest : public FailoverTest {
 protected:
  // Sessions outlive the time without a primary.
  SynchronousFailoverTest() : FailoverTest(absl::Minutes(1)) { MakeSynchronous(world_.postgres()); }

  // Reports one record after the other until told to stop. Were one lost that had been
  // acknowledged, the report after it would be refused.
  void PlayOn(int player) {
    Reporter reporter = Play(absl::StrCat("player-", player));
    auto lease = reporter.Lease();
    ASSERT_TRUE(lease.ok()) << lease.status();
    for (int64_t n = 1; !stop_; ++n) {
      auto answer = reporter.Report(*lease, n, n);
      ASSERT_TRUE(answer.ok()) << answer.status();
      ASSERT_EQ(answer->checkpoint().after_sequence(), absl::StrCat(n));
      ASSERT_EQ(answer->next().delivery(), n + 1);
      acknowledged_[player] = n;
    }
  }

  // Until every player had so many reports more acknowledged.
  bool AwaitAcknowledged(int64_t reports) {
    std::vector<int64_t> wanted;
    for (const auto& acknowledged : acknowledged_) wanted.push_back(acknowledged + reports);
    return world_.Await([&] {
      for (int i = 0; i < kShards; ++i) {
        if (acknowledged_[i] < wanted[i]) return false;
      }
      return true;
    });
  }

  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> acknowledged_[kShards] = {};
};

TEST_F(SynchronousFailoverTest, NothingAcknowledgedIsLostAndNothingDeliveredAgain) {
  StartAll();
  ASSERT_EQ(Play("first").AddShards({"0", "1", "2", "3"}), absl::OkStatus());
  std::vector<std::thread> players;
  for (int i = 0; i < kShards; ++i) players.emplace_back([this, i] { PlayOn(i); });
  EXPECT_TRUE(AwaitAcknowledged(50));

  ASSERT_TRUE(world_.postgres().Kill().ok());
  for (const std::string worker : kWorkers) {
    EXPECT_TRUE(world_.Await(
        [&] { return !world_.Metric(worker, "lowmark_worker_call_errors_total").empty(); }));
  }
  const absl::Time start = absl::Now();
  world_.PromoteStandby();
  EXPECT_TRUE(AwaitAcknowledged(1)) << world_.Log("coordinator-0");
  std::cout << "reports are taken again after " << absl::Now() - start << "\n";
  EXPECT_TRUE(AwaitAcknowledged(50));
  stop_ = true;
  for (std::thread& player : players) player.join();

  Finish();
  EXPECT_THAT(world_.CheckLedger(), testing::IsEmpty());
  for (const std::string worker : kWorkers) {
    EXPECT_THAT(world_.Metric(worker, "lowmark_worker_leases_lost_total"), IsEmpty());
    for (const auto& [labels, count] : world_.Metric(worker, "lowmark_worker_call_errors_total")) {
      EXPECT_THAT(labels, AnyOf(HasSubstr("\"UNAVAILABLE\""), HasSubstr("\"DEADLINE_EXCEEDED\"")));
      std::cout << worker << " " << labels << " " << count << "\n";
    }
  }
}

// A commit that waits for the standby has no time limit of its own.
TEST_F(SynchronousFailoverTest, ACoordinatorEndsThoughItsCommitsWaitForTheStandby) {
  StartAll();
  ASSERT_TRUE(world_.standby().Stop().ok());
  EXPECT_TRUE(world_.Await([&] {
    return world_.postgres()
               .Query("lowmark",
                      "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
               .value_or("") == "t";
  }));
  EXPECT_TRUE(world_.Stop(*world_.coordinator(0))) << world_.Log("coordinator-0");
  EXPECT_THAT(world_.Log("coordinator-0"), HasSubstr("cancelling what still waits"));

  ASSERT_TRUE(world_.standby().Start().ok());
  world_.StartCoordinator(0);
  world_.CloseShards();
  ASSERT_TRUE(world_.AwaitDone()) << world_.Log("worker-0") << world_.Log("coordinator-1");
  EXPECT_THAT(world_.CheckLedger(), IsEmpty());
}

class AsynchronousFailoverTest : public FailoverTest {
 protected:
  AsynchronousFailoverTest() : FailoverTest(absl::Seconds(3)) {}
};

TEST_F(AsynchronousFailoverTest, WhatIsLostIsDeliveredAgainUnderHigherEpochs) {
  StartAll();
  Reporter first = Play("first");
  Reporter second = Play("second");
  ASSERT_EQ(first.AddShards({"0"}), absl::OkStatus());
  auto kept = first.Lease();
  ASSERT_TRUE(kept.ok()) << kept.status();
  ASSERT_TRUE(first.Report(*kept, 1, 1).ok());
  AwaitCaughtUp(world_.postgres(), world_.standby());
  CutOff(world_.standby());

  // From here on, everything is lost: reports, leases, and sessions.
  ASSERT_TRUE(first.Report(*kept, 2, 2).ok());
  ASSERT_EQ(first.Release(*kept), absl::OkStatus());
  auto lost = second.Lease();
  ASSERT_TRUE(lost.ok()) << lost.status();
  ASSERT_GT(lost->epoch(), kept->epoch());
  ASSERT_TRUE(second.Report(*lost, lost->delivery().delivery(), 3).ok());
  ASSERT_TRUE(world_.Stop(*world_.worker(0))) << world_.Log("worker-0");
  world_.StartWorker(0);
  ASSERT_TRUE(world_.AwaitProgress(kRecordsBetween)) << world_.Log("worker-0");

  ASSERT_TRUE(world_.postgres().Kill().ok());
  world_.PromoteStandby();

  // The lease that was lost is no lease, whatever its worker reports.
  auto refused = second.Report(*lost, lost->delivery().delivery() + 1, 4);
  EXPECT_EQ(Reason(refused.status()), kLeaseFenced) << refused.status();
  // The one before stands where it stood, and is to be given back: sinks have seen
  // higher epochs.
  auto stale = first.Report(*kept, 3, 3);
  EXPECT_EQ(Reason(stale.status()), kStaleDelivery) << stale.status();
  auto again = first.Report(*kept, 2, 2);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->checkpoint().after_sequence(), "2");
  EXPECT_TRUE(again->hand_over());
  ASSERT_EQ(first.Release(*kept), absl::OkStatus());
  auto next = Play("third").Lease();
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_GT(next->epoch(), lost->epoch());
  EXPECT_GE(next->epoch(), kPromoted);
  EXPECT_NE(next->delivery().batch_id(), lost->delivery().batch_id());

  Finish();
  (void)world_.CheckLedger();  // what was lost is processed again
}

}  // namespace
}  // namespace lowmark
