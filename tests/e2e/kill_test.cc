// A stream is processed while parts of Lowmark are stopped and killed, and the
// ledger is exact: every record processed or a dead letter, in order, and handed
// over again only where a worker died with it.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/core/seed.h"
#include "tests/e2e/world.h"

namespace lowmark {
namespace {

constexpr int kShards = 6;
constexpr int kRecords = 300;
constexpr int kBatch = 20;

class KillTest : public testing::Test {
 protected:
  explicit KillTest(absl::Duration session_ttl = absl::Seconds(3))
      : world_({.session_ttl = session_ttl}) {}

  void StartAll(int workers) {
    world_.WriteShards(kShards, kRecords);
    world_.StartPostgres();
    world_.StartCoordinator();
    ASSERT_TRUE(world_.AwaitReady()) << world_.Log("coordinator-0");
    world_.CreateStream();
    for (int i = 0; i < workers; ++i) world_.StartWorker(i);
  }

  // Kills a worker with -9, and remembers which shards it held: of each, one batch
  // may have been in flight.
  void KillWorker(int i) {
    const std::string before = HeldBy(i);
    world_.worker(i)->Signal(SIGSTOP);
    std::set<std::string> held;
    for (const std::string& shards : {before, HeldBy(i)}) {
      for (absl::string_view shard : absl::StrSplit(shards, '\n', absl::SkipEmpty())) {
        held.emplace(shard);
      }
    }
    world_.worker(i)->Kill();
    for (const std::string& shard : held) ++lost_[shard];
  }

  // The shards of the worker's last session, one a line.
  std::string HeldBy(int i) {
    const std::string log = world_.Log(absl::StrCat("worker-", i));
    const size_t at = log.rfind("worker=", log.find('\n', log.rfind("opening a session")));
    if (at == std::string::npos) return "";
    const std::string id = log.substr(at + 7, log.find_first_of(" \n", at) - at - 7);
    std::string shards;
    EXPECT_TRUE(world_.Await([&] {
      auto rows = world_.postgres().Query(
          "lowmark", absl::StrCat("SELECT shard FROM lowmark.shards WHERE owner = '", id, "'"));
      if (rows.ok()) shards = *rows;
      return rows.ok();
    }));
    return shards;
  }

  // Adds the shards that workers lost without being killed: while the coordinator or
  // the database was down for longer than a session lives.
  void AddLeasesLost(int workers) {
    for (int i = 0; i < workers; ++i) {
      const std::string log = world_.Log(absl::StrCat("worker-", i));
      for (absl::string_view line : absl::StrSplit(log, '\n')) {
        const size_t at = line.find(" shard=");
        if (line.find("lease lost") == line.npos || at == line.npos) continue;
        const absl::string_view rest = line.substr(at + 7);
        ++lost_[std::string(rest.substr(0, rest.find(' ')))];
      }
    }
  }

  // Records may have been processed again only where `lost_` has their shard.
  void CheckLedger() {
    for (const auto& [shard, records] : world_.CheckLedger()) {
      EXPECT_LE(records, lost_[shard] * kBatch) << shard;
      std::cout << shard << ": " << records << " records were processed again, " << lost_[shard]
                << " batches lost\n";
    }
  }

  World world_;
  // By shard: how often a worker may have lost a batch of it that was in flight.
  std::map<std::string, int> lost_;
};

// Nothing is killed, and no session ends because the machine is busy.
class NothingKilledTest : public KillTest {
 protected:
  NothingKilledTest() : KillTest(absl::Seconds(10)) {}
};

TEST_F(NothingKilledTest, WithoutTroubleNothingIsProcessedTwice) {
  StartAll(2);
  ASSERT_TRUE(world_.AwaitDone()) << world_.Log("worker-0") << world_.Log("coordinator-0");
  CheckLedger();
}

// promtool is the judge of names, types and help texts.
TEST_F(KillTest, BothProgramsMetricsAreWellFormed) {
  StartAll(1);
  ASSERT_TRUE(world_.AwaitDone()) << world_.Log("worker-0");
  for (const std::string part : {"coordinator-0", "worker-0"}) {
    const std::string answer = world_.Get(part, "/metrics");
    ASSERT_TRUE(answer.starts_with("200 ")) << answer;
    const std::string file = absl::StrCat(world_.directory(), "/", part, ".metrics");
    std::ofstream(file) << answer.substr(4) << "\n";
    auto judged = RunCommand({.argv = {"sh", "-c", absl::StrCat("promtool check metrics <", file)}},
                             absl::Minutes(1));
    ASSERT_TRUE(judged.ok()) << judged.status();
    EXPECT_TRUE(judged->exit.ok()) << judged->output;
    EXPECT_EQ(judged->output, "") << part;
  }
}

// What is wrong with a record or a shard is said of it, and the rest goes on.
TEST_F(KillTest, TroubleOfTheSourceStaysWhereItIs) {
  world_.WriteShards(2, 90);
  std::ofstream(world_.SourceFile("s0.jsonl"), std::ios::app) << "not json\n";
  std::filesystem::create_directory(world_.SourceFile("s2.jsonl"));
  world_.StartPostgres();
  world_.StartCoordinator();
  ASSERT_TRUE(world_.AwaitReady()) << world_.Log("coordinator-0");
  world_.CreateStream();
  world_.StartWorker(0);
  ASSERT_TRUE(world_.AwaitDone()) << world_.Log("worker-0");
  auto letters = world_.postgres().Query(
      "lowmark",
      "SELECT l.shard, l.condition, r.data FROM lowmark.dead_letters l "
      "JOIN lowmark.dead_letter_records r ON r.dead_letter = l.id AND r.stream_id = l.stream_id");
  ASSERT_TRUE(letters.ok()) << letters.status();
  EXPECT_EQ(*letters, "s0|4|\\x6e6f74206a736f6e");
  // A file that shrank under its checkpoint.
  std::ofstream(world_.SourceFile("s3.jsonl")) << R"({"n": 1, "kind": "good"})"
                                               << "\n";
  ASSERT_TRUE(world_.Await([&] { return world_.ReadLedger().first_taken.contains("s3"); }))
      << world_.Log("worker-0");
  std::ofstream(world_.SourceFile("s3.jsonl")).flush();
  ASSERT_TRUE(world_.Await([&] {
    const std::string log = world_.Log("worker-0");
    return log.find("shard=s3") != std::string::npos && log.find("truncated") != std::string::npos;
  })) << world_.Log("worker-0");
  EXPECT_TRUE(world_.worker(0)->Terminate(absl::Seconds(60)).ok());
}

TEST_F(KillTest, EveryPartIsKilledAndTheLedgerIsExact) {
  const uint64_t seed = TestSeed();
  std::cout << "LOWMARK_TEST_SEED=" << seed << "\n";
  std::mt19937 random(seed);
  StartAll(3);
  std::vector<int> victims = {0, 1, 2, 3, 0, 1, 2};  // coordinator, worker, server, backend
  std::shuffle(victims.begin(), victims.end(), random);
  for (size_t i = 0; i < victims.size(); ++i) {
    const size_t progress = (i + 1) * kShards * kRecords / (victims.size() + 2);
    ASSERT_TRUE(world_.AwaitLines(progress - random() % 50)) << world_.Log("worker-0");
    if (victims[i] == 0) {
      world_.coordinator()->Kill();
      world_.StartCoordinator();
    } else if (victims[i] == 1) {
      const int worker = static_cast<int>(random() % 3);
      KillWorker(worker);
      world_.StartWorker(worker);
    } else if (victims[i] == 2) {
      ASSERT_TRUE(world_.postgres().Kill().ok());
      const absl::Status started = world_.postgres().Start();
      ASSERT_TRUE(started.ok()) << started;
    } else {
      // Any of the coordinator's backends: the server restarts all of them.
      (void)world_.postgres().Query(
          "postgres",
          "COPY (SELECT pid FROM pg_stat_activity WHERE datname = 'lowmark' LIMIT 1) "
          "TO PROGRAM 'xargs -r kill -9'");
    }
  }
  ASSERT_TRUE(world_.AwaitDone()) << world_.Log("worker-0") << world_.Log("coordinator-0");
  AddLeasesLost(3);
  CheckLedger();
}

TEST_F(NothingKilledTest, StoppingInOrderRepeatsNothing) {
  StartAll(3);
  ASSERT_TRUE(world_.AwaitLines(kShards * kRecords / 4));
  const ExitStatus worker = world_.worker(0)->Terminate(absl::Seconds(60));
  EXPECT_TRUE(worker.ok()) << worker.ToString() << world_.Log("worker-0");
  ASSERT_TRUE(world_.AwaitLines(kShards * kRecords / 3));
  const ExitStatus coordinator = world_.coordinator()->Terminate(absl::Seconds(60));
  EXPECT_TRUE(coordinator.ok()) << coordinator.ToString() << world_.Log("coordinator-0");
  world_.StartCoordinator();
  world_.StartWorker(0);
  ASSERT_TRUE(world_.AwaitDone()) << world_.Log("worker-1") << world_.Log("coordinator-0");
  CheckLedger();
}

TEST_F(KillTest, WaitsForADatabaseThatIsNotThereYet) {
  world_.StartCoordinator();
  ASSERT_TRUE(world_.Await([&] { return world_.Readyz().starts_with("503"); }));
  EXPECT_NE(world_.Readyz().find("PostgreSQL"), std::string::npos) << world_.Readyz();
  world_.StartPostgres();
  ASSERT_TRUE(world_.AwaitReady()) << world_.Log("coordinator-0");
  ASSERT_TRUE(world_.postgres().Stop().ok());
  ASSERT_TRUE(world_.Await([&] { return world_.Readyz().starts_with("503"); }));
  ASSERT_TRUE(world_.postgres().Start().ok());
  ASSERT_TRUE(world_.AwaitReady()) << world_.Log("coordinator-0");
}

}  // namespace
}  // namespace lowmark
