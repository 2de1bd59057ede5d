// Several coordinators on one database, whose parts come and go under load as they do
// in an upgrade: everything is graceful, so nothing is delivered twice and clients see
// nothing that is not to be tried again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/name_server.h"
#include "tests/e2e/world.h"
#include "tests/support/pooler.h"

namespace lowmark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr int kShards = 4;
constexpr int kWorkers = 3;
constexpr int kRecordsBetween = 60;
// None ends because this machine has much to do.
constexpr absl::Duration kTtl = absl::Seconds(10);

class RollingRestart {
 public:
  RollingRestart(const WorldOptions& options, int coordinators, bool pooled = false)
      : world_(options) {
    world_.OpenShards(kShards);
    world_.StartPostgres();
    if (pooled) {
      pooler_.emplace(world_.postgres());
      world_.UseDatabase("user=postgres dbname=lowmark port=5432 host=" + pooler_->directory());
    }
    for (int i = 0; i < coordinators; ++i) world_.StartCoordinator(i);
    for (int i = 0; i < coordinators; ++i) EXPECT_TRUE(world_.AwaitReady(i));
    world_.CreateStream();
    for (int i = 0; i < kWorkers; ++i) world_.StartWorker(i);
    world_.FeedWhileWaiting(true);
    EXPECT_TRUE(world_.AwaitProgress(kRecordsBetween)) << world_.Log("worker-0");
  }

  World& world() { return world_; }

  // Stops coordinator `i` and starts it again, there or at another address.
  void RestartCoordinator(int i, const std::string& address) {
    EXPECT_TRUE(world_.Stop(*world_.coordinator(i))) << world_.Log(Coordinator(i));
    EXPECT_TRUE(world_.AwaitProgress(kRecordsBetween)) << world_.Log("worker-0");
    world_.StartCoordinator(i, address);
    EXPECT_TRUE(world_.AwaitReady(i)) << world_.Log(Coordinator(i));
    EXPECT_TRUE(world_.AwaitProgress(kRecordsBetween)) << world_.Log("worker-0");
  }

  void RestartWorker(int i) {
    ExpectNoTrouble(i);
    EXPECT_TRUE(world_.Stop(*world_.worker(i))) << world_.Log(Worker(i));
    world_.StartWorker(i);
    // It gets its share, which others have to hand over.
    EXPECT_TRUE(world_.Await([&] { return Sum(Worker(i), "lowmark_worker_leases") > 0; }))
        << world_.Log(Worker(i));
  }

  bool AwaitServing(int coordinator) {
    return world_.Await([&] {
      return Sum(Coordinator(coordinator), "lowmark_batches_total") > 0 &&
             Sum(Coordinator(coordinator), "lowmark_records_processed_total") > 0;
    });
  }

  // Lets all records be processed, and checks what became of them.
  void Finish() {
    world_.CloseShards();
    ASSERT_TRUE(world_.AwaitDone()) << world_.Log("worker-0") << world_.Log("coordinator-0");
    for (int i = 0; i < kWorkers; ++i) ExpectNoTrouble(i);
    EXPECT_THAT(world_.CheckLedger(), testing::IsEmpty());
    auto ends = world_.postgres().Query(
        "lowmark",
        "SELECT * FROM lowmark.shard_events WHERE kind IN ('lost', 'expired', 'taken') LIMIT 5");
    ASSERT_TRUE(ends.ok()) << ends.status();
    EXPECT_THAT(*ends, IsEmpty()) << "leases ended that were not given back";
  }

 private:
  static std::string Coordinator(int i) { return absl::StrCat("coordinator-", i); }
  static std::string Worker(int i) { return absl::StrCat("worker-", i); }

  double Sum(const std::string& part, const std::string& metric) {
    double sum = 0;
    for (const auto& [labels, value] : world_.Metric(part, metric)) sum += value;
    return sum;
  }

  // What the worker has met since it was started.
  void ExpectNoTrouble(int i) {
    const std::string part = Worker(i);
    for (const auto& [labels, count] : world_.Metric(part, "lowmark_worker_call_errors_total")) {
      EXPECT_THAT(labels, HasSubstr("reason=\"UNAVAILABLE\"")) << part;
      std::cout << part << " tried again " << count << " times: " << labels << "\n";
    }
    EXPECT_THAT(world_.Metric(part, "lowmark_worker_leases_lost_total"), IsEmpty()) << part;
    EXPECT_THAT(world_.Metric(part, "lowmark_worker_sessions_total"),
                ElementsAre(Pair("{stream=\"t\"}", 1)))
        << part;
  }

  std::optional<Pooler> pooler_;
  World world_;
};

TEST(RollingRestartTest, NothingIsDeliveredTwiceAndNoCallFails) {
  constexpr int kCoordinators = 3;
  RollingRestart test({.coordinators = kCoordinators, .session_ttl = kTtl}, kCoordinators);
  for (int i = 0; i < kCoordinators; ++i) test.RestartCoordinator(i, World::Address(i));
  for (int i = 0; i < kWorkers; ++i) test.RestartWorker(i);
  for (int i = 0; i < kCoordinators; ++i) EXPECT_TRUE(test.AwaitServing(i)) << i;
  test.Finish();
}

TEST(RollingRestartTest, PgBouncerMayStandBetween) {
  RollingRestart test({.coordinators = 2, .session_ttl = kTtl}, 2, /*pooled=*/true);
  test.RestartCoordinator(0, World::Address(0));
  test.RestartWorker(0);
  for (int i : {0, 1}) EXPECT_TRUE(test.AwaitServing(i)) << i;
  test.Finish();
}

std::string Host(int i) {
  return absl::StrSplit(World::Address(i), ':').operator std::vector<std::string>()[0];
}

int Port() {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(World::Address(0).substr(Host(0).size() + 1), &port));
  return port;
}

// As on Kubernetes: a coordinator that comes back has another address. None that
// workers knew at first is left in the end.
TEST(RollingRestartTest, WorkersFollowCoordinatorsToNewAddresses) {
  NameServer names;
  names.Set({Host(0), Host(1)});
  RollingRestart test({.target = names.Target(Port()), .session_ttl = kTtl}, 2);
  test.RestartCoordinator(0, World::Address(2));
  names.Set({Host(2), Host(1)});
  test.RestartCoordinator(1, World::Address(3));
  names.Set({Host(2), Host(3)});
  for (int i : {0, 1}) EXPECT_TRUE(test.AwaitServing(i)) << i;
  test.Finish();
}

TEST(RollingRestartTest, WorkersSpreadOverACoordinatorThatWasAdded) {
  NameServer names;
  names.Set({Host(0)});
  RollingRestart test(
      {.target = names.Target(Port()), .session_ttl = kTtl, .connection_age = absl::Seconds(1)}, 1);
  test.world().StartCoordinator(1);
  ASSERT_TRUE(test.world().AwaitReady(1)) << test.world().Log("coordinator-1");
  names.Set({Host(0), Host(1)});
  // Nothing happens to the first: only the age of their connections makes workers
  // look where coordinators are.
  EXPECT_TRUE(test.AwaitServing(1));
  test.Finish();
}

}  // namespace
}  // namespace lowmark
