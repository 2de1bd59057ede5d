// Streams of Kinesis, on servers of its API that nobody of Lowmark wrote, through real
// coordinators and workers: what was put is processed, whatever becomes of shards and workers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "tests/e2e/kinesis_server.h"
#include "tests/e2e/world.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// What a stream held in the end.
struct Truth {
  std::map<std::string, std::vector<std::string>> parents;  // by shard
  std::map<std::string, std::vector<int>> records;          // by shard, in order
  std::map<std::string, int> numbers;                       // by shard and sequence number
};

Truth ReadTruth(const std::string& path) {
  Truth truth;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind, shard;
    words >> kind >> shard;
    if (kind == "shard") {
      std::vector<std::string>& parents = truth.parents[shard];
      for (std::string parent; words >> parent;) parents.push_back(parent);
      continue;
    }
    int n = 0;
    std::string sequence;
    words >> n >> sequence;
    truth.records[shard].push_back(n);
    truth.numbers[absl::StrCat(shard, "|", sequence)] = n;
  }
  return truth;
}

class KinesisTest : public testing::Test {
 protected:
  explicit KinesisTest(KinesisServer::Kind kind = KinesisServer::Kind::kKinesalite)
      : server_(kind), world_({.session_ttl = absl::Seconds(5), .source = server_.WorkerFlags()}) {}

  void StartCoordinator(const std::vector<std::string>& sets = {}) {
    world_.StartPostgres();
    world_.StartCoordinator();
    ASSERT_TRUE(world_.AwaitReady()) << world_.Log("coordinator-0");
    world_.CreateStream("t", sets);
  }

  std::string Query(const std::string& sql) {
    auto rows = world_.postgres().Query("lowmark", sql);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? std::string(absl::StripAsciiWhitespace(*rows)) : "";
  }

  std::set<int> DeadLetters(const Truth& truth) {
    std::set<int> letters;
    for (const auto& row :
         absl::StrSplit(Query("SELECT shard, first_sequence FROM lowmark.dead_letters"), '\n',
                        absl::SkipEmpty())) {
      const auto found = truth.numbers.find(std::string(row));
      EXPECT_NE(found, truth.numbers.end()) << row;
      if (found != truth.numbers.end()) letters.insert(found->second);
    }
    return letters;
  }

  // Puts so many records while shards are split and merged and, where `kill`, a worker is
  // killed; then checks what became of each record.
  void Reshard(int records, bool kill);
  void CheckOrder(const Truth& truth);

  KinesisServer server_;
  World world_;
};

void KinesisTest::Reshard(int records, bool kill) {
  server_.Run("create", {"2"});
  StartCoordinator();
  for (int i = 0; i < 2; ++i) world_.StartWorker(i);
  const std::string out = world_.directory() + "/truth";
  auto load = server_.Start("load", {absl::StrCat(records), out});
  ASSERT_TRUE(world_.AwaitProgress(records / 4)) << world_.Log("worker-0");
  if (kill) {
    world_.worker(1)->Kill();
    world_.StartWorker(2);
  }
  std::optional<ExitStatus> exit;
  ASSERT_TRUE(world_.Await([&] { return (exit = load->Wait(absl::ZeroDuration())).has_value(); }));
  ASSERT_TRUE(exit->ok()) << exit->ToString();

  const Truth truth = ReadTruth(out);
  ASSERT_EQ(truth.numbers.size(), records);
  std::set<int> bad;
  for (int n = 97; n <= records; n += 97) bad.insert(n);
  std::set<std::string> processed;
  EXPECT_TRUE(world_.Await([&] {
    processed.clear();
    for (const auto& [record, times] : world_.ReadLedger().processed) processed.insert(record);
    return processed.size() + DeadLetters(truth).size() >= static_cast<size_t>(records);
  })) << processed.size()
      << " processed" << world_.Log("worker-0");
  EXPECT_EQ(DeadLetters(truth), bad);
  for (const auto& [shard, numbers] : truth.records) {
    for (const int n : numbers) {
      EXPECT_EQ(processed.contains(absl::StrCat(shard, "-", n)), !bad.contains(n)) << n;
    }
  }
  CheckOrder(truth);
  for (int i : {0, kill ? 2 : 1}) EXPECT_TRUE(world_.Stop(*world_.worker(i)));
}

void KinesisTest::CheckOrder(const Truth& truth) {
  EXPECT_EQ(world_.ReadLedger().first_taken, truth.records);
  // By shard: its first and last line in the ledger.
  std::map<std::string, std::pair<int, int>> lines;
  std::ifstream file(world_.directory() + "/ledger");
  int line = 0;
  for (std::string shard, n, outcome; file >> shard >> n >> outcome; ++line) {
    lines.emplace(shard, std::pair(line, line)).first->second.second = line;
  }
  size_t children = 0;
  for (const auto& [shard, parents] : truth.parents) {
    EXPECT_EQ(Query(absl::StrCat("SELECT count(*) FROM lowmark.shard_parents WHERE shard = '",
                                 shard, "'")),
              absl::StrCat(parents.size()));
    for (const std::string& parent : parents) {
      ++children;
      if (!lines.contains(shard) || !lines.contains(parent)) continue;
      EXPECT_LT(lines[parent].second, lines[shard].first)
          << shard << " was begun before " << parent << " was done";
    }
  }
  EXPECT_GT(children, 4);
}

TEST_F(KinesisTest, EveryRecordIsProcessedWhileShardsAreSplitAndMerged) { Reshard(1200, true); }

class KinesisLocalTest : public KinesisTest {
 protected:
  KinesisLocalTest() : KinesisTest(KinesisServer::Kind::kKinesisLocal) {}
};

TEST_F(KinesisLocalTest, EveryRecordIsProcessedWhileShardsAreSplitAndMerged) {
  Reshard(300, false);
}

TEST_F(KinesisTest, LatestStaysWhereItWasThoughTheWorkerIsKilled) {
  server_.Run("create", {"1"});
  const std::string old = world_.directory() + "/old";
  std::ofstream(old) << "{\"n\": 1, \"kind\": \"good\"}\n";
  server_.Run("put", {old});
  // LATEST is exact to the second.
  const absl::Time after = absl::Now() + absl::Seconds(1);
  ASSERT_TRUE(world_.Await([&] { return absl::Now() > after; }));
  StartCoordinator({"starting_position=LATEST"});
  world_.StartWorker(0);
  ASSERT_TRUE(world_.Await([&] {
    return Query("SELECT position FROM lowmark.shards") == "AT_TIMESTAMP";
  })) << world_.Log("worker-0");
  EXPECT_THAT(Query("SELECT kind FROM lowmark.shard_events"), HasSubstr("resolved"));
  world_.worker(0)->Kill();
  const std::string fresh = world_.directory() + "/fresh";
  std::ofstream(fresh) << "{\"n\": 2, \"kind\": \"good\"}\n{\"n\": 3, \"kind\": \"good\"}\n";
  server_.Run("put", {fresh});
  world_.StartWorker(1);
  ASSERT_TRUE(world_.AwaitLines(2)) << world_.Log("worker-1");
  EXPECT_THAT(world_.ReadLedger().first_taken["shardId-000000000000"], ElementsAre(2, 3));
}

TEST_F(KinesisTest, AStreamThatIsNotThereIsSaidOnceAndWaitedFor) {
  StartCoordinator();
  world_.StartWorker(0);
  const std::string said = "source's shards cannot be listed, tried again";
  ASSERT_TRUE(world_.Await([&] {
    return absl::StrContains(world_.Log("worker-0"), said) &&
           world_.Metric("worker-0",
                         "lowmark_worker_source_errors_total")["{kind=\"shard\",stream=\"t\"}"] >=
               3;
  })) << world_.Log("worker-0");
  const std::string log = world_.Log("worker-0");
  EXPECT_THAT(log, HasSubstr("are the stream's name and region right?"));
  EXPECT_EQ(log.find(said), log.rfind(said)) << "more than once";
  server_.Run("create", {"1"});
  const std::string fresh = world_.directory() + "/fresh";
  std::ofstream(fresh) << "{\"n\": 1, \"kind\": \"good\"}\n";
  server_.Run("put", {fresh});
  EXPECT_TRUE(world_.AwaitLines(1)) << world_.Log("worker-0");
}

}  // namespace
}  // namespace lowmark
