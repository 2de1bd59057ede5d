// An outbox table as the source of real workers, which are killed, while
// transactions commit late: the ledger is exact.
#include <gmock/gmock.h>
#include <signal.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/world.h"
#include "tests/worker/outbox/outbox_fixture.h"

namespace lowmark {
namespace {

constexpr int kShards = 4;
constexpr int kBatch = 20;

class OutboxEndToEndTest : public testing::Test {
 protected:
  void StartAll() {
    WorldOptions options;
    options.source = {"--source",        "outbox",
                      "--outbox-url",    database_.options().connection,
                      "--outbox-shards", absl::StrCat(kShards)};
    world_ = std::make_unique<World>(options);
    world_->StartPostgres();
    world_->StartCoordinator();
    ASSERT_TRUE(world_->AwaitReady()) << world_->Log("coordinator-0");
    world_->CreateStream();
  }

  std::string Data() {
    const int n = ++last_;
    return absl::StrCat("{\"n\": ", n, ", \"kind\": \"", World::KindOf(n), "\"}");
  }

  // Rows of one transaction each, of which every tenth is held open for some.
  void Write(int rows) {
    OutboxWriter late(database_);
    OutboxWriter writer(database_);
    for (int i = 0; i < rows; ++i) {
      if (i % 10 == 0) {
        if (late.running()) late.Commit();
        // The row is its transaction's first write: its place is that of its number.
        late.Begin();
        late.Insert(absl::StrCat("key-", i % 13), Data());
        continue;
      }
      writer.Begin();
      writer.Insert(absl::StrCat("key-", i % 13), Data());
      writer.Commit();
    }
    if (late.running()) late.Commit();
  }

  // Tells what is to be found in the ledger.
  void ExpectAll() {
    const std::string rows = database_.Query(
        absl::StrCat("SELECT mod(hashtextextended(key, 0) & 9223372036854775807, ", kShards,
                     "), data->>'n', mark * 10::numeric ^ 19 + id, data->>'kind' FROM outbox"));
    for (absl::string_view row : absl::StrSplit(rows, '\n', absl::SkipEmpty())) {
      const std::vector<std::string> columns = absl::StrSplit(row, '|');
      int n = 0;
      ASSERT_TRUE(absl::SimpleAtoi(columns[1], &n));
      const std::string sequence = columns[2].substr(0, columns[2].find('.'));
      world_->Expect(absl::StrCat(columns[0], "-of-", kShards), n, sequence, columns[3]);
    }
  }

  TestDatabase database_{TestDatabase::Schema::kNone};
  std::unique_ptr<World> world_;
  int last_ = 0;
};

TEST_F(OutboxEndToEndTest, KilledWorkersAndLateCommitsLoseNothing) {
  database_.Query(kOutboxTable);
  StartAll();
  for (int i = 0; i < 2; ++i) world_->StartWorker(i);
  for (int kill = 0; kill < 3; ++kill) {
    Write(200);
    ASSERT_TRUE(world_->AwaitLines(200 * kill + 100)) << world_->Log("worker-0");
    world_->worker(kill % 2)->Kill();
    world_->StartWorker(kill % 2);
  }
  Write(200);
  ExpectAll();
  ASSERT_TRUE(world_->AwaitProcessed()) << world_->Log("worker-0") << world_->Log("worker-1");
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(world_->Stop(*world_->worker(i)));
  for (const auto& [shard, times] : world_->CheckLedger()) EXPECT_LE(times, 3 * kBatch) << shard;
}

TEST_F(OutboxEndToEndTest, SaysWhatIsWrongUntilItIsRight) {
  StartAll();
  world_->StartWorker(0);
  EXPECT_TRUE(world_->Await([&] {
    return world_->Log("worker-0").find("PostgreSQL has no table outbox") != std::string::npos;
  })) << world_->Log("worker-0");
  EXPECT_GE(world_->Metric("worker-0",
                           "lowmark_worker_source_errors_total")["{kind=\"shard\",stream=\"t\"}"],
            1);
  database_.Query(kOutboxTable);
  Write(20);
  ExpectAll();
  EXPECT_TRUE(world_->AwaitProcessed()) << world_->Log("worker-0");
  EXPECT_TRUE(world_->Stop(*world_->worker(0)));
}

}  // namespace
}  // namespace lowmark
