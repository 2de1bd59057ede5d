// Kafka as the source of real workers, which are killed: the ledger is exact, and
// what is wrong with the cluster shows where operators look.
#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "tests/e2e/world.h"
#include "tests/support/mock_kafka.h"

namespace lowmark {
namespace {

using testing::HasSubstr;

constexpr int kPartitions = 6;
constexpr int kBatch = 20;

class KafkaEndToEndTest : public testing::Test {
 protected:
  void StartAll(std::vector<std::string> more = {}) {
    WorldOptions options;
    options.source = {"--source",       "kafka",         "--kafka-brokers",
                      kafka_.brokers(), "--kafka-topic", "t"};
    options.source.insert(options.source.end(), more.begin(), more.end());
    world_ = std::make_unique<World>(options);
    world_->StartPostgres();
    world_->StartCoordinator();
    ASSERT_TRUE(world_->AwaitReady()) << world_->Log("coordinator-0");
    world_->CreateStream();
  }

  // Appends records to each partition, with the mark of a transaction after them.
  void Produce(int records) {
    for (int partition = 0; partition < kPartitions; ++partition) {
      std::vector<MockMessage> messages;
      int64_t& offset = offsets_[partition];
      for (int i = 0; i < records; ++i, ++offset) {
        const int n = ++numbers_[partition];
        const std::string kind = World::KindOf(n);
        messages.push_back(
            {.key = "k", .data = absl::StrCat("{\"n\": ", n, ", \"kind\": \"", kind, "\"}")});
        world_->Expect(absl::StrCat("t-", partition), n, absl::StrCat(offset), kind);
      }
      kafka_.Produce("t", partition, messages);
      kafka_.AppendMark("t", partition);
      ++offset;
    }
  }

  bool SaidOnce(const std::string& text) {
    std::istringstream lines(world_->Log("worker-0"));
    int found = 0;
    for (std::string line; std::getline(lines, line);) {
      if (line.find(text) != std::string::npos) ++found;
    }
    return found == 1;
  }

  MockKafka kafka_{1};
  std::unique_ptr<World> world_;
  std::map<int, int64_t> offsets_;
  std::map<int, int> numbers_;
};

TEST_F(KafkaEndToEndTest, KilledWorkersLoseNothing) {
  kafka_.CreateTopic("t", kPartitions);
  StartAll();
  Produce(100);
  for (int i = 0; i < 2; ++i) world_->StartWorker(i);
  for (int kill = 0; kill < 3; ++kill) {
    ASSERT_TRUE(world_->AwaitProgress(40)) << world_->Log("worker-0");
    world_->worker(kill % 2)->Kill();
    world_->StartWorker(kill % 2);
    Produce(40);
  }
  ASSERT_TRUE(world_->AwaitProcessed()) << world_->Log("worker-0") << world_->Log("worker-1");
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(world_->Stop(*world_->worker(i)));
  // At most the batches that each kill met in flight.
  for (const auto& [shard, times] : world_->CheckLedger()) EXPECT_LE(times, 3 * kBatch) << shard;
}

TEST_F(KafkaEndToEndTest, SaysWhatIsWrongInOneLineUntilItIsRight) {
  kafka_.CreateTopic("t", kPartitions);
  kafka_.SetMissing("t", true);
  StartAll();
  world_->StartWorker(0);
  EXPECT_TRUE(world_->Await([&] { return SaidOnce("Kafka has no topic or partition t"); }))
      << world_->Log("worker-0");
  EXPECT_GE(world_->Metric("worker-0",
                           "lowmark_worker_source_errors_total")["{kind=\"shard\",stream=\"t\"}"],
            1);
  kafka_.SetMissing("t", false);
  Produce(10);
  EXPECT_TRUE(world_->AwaitProcessed()) << world_->Log("worker-0");
  EXPECT_TRUE(SaidOnce("Kafka has no topic or partition t")) << world_->Log("worker-0");
  EXPECT_TRUE(world_->Stop(*world_->worker(0)));
}

TEST_F(KafkaEndToEndTest, LostRecordsAreInLogAndMetrics) {
  kafka_.CreateTopic("t", 1);
  StartAll({"--kafka-out-of-range", "earliest"});
  kafka_.Produce("t", 0, {{.key = "", .data = "{\"n\": 1, \"kind\": \"good\"}"}});
  world_->Expect("t-0", 1, "0");
  world_->StartWorker(0);
  ASSERT_TRUE(world_->AwaitProcessed()) << world_->Log("worker-0");
  ASSERT_TRUE(world_->Stop(*world_->worker(0)));
  // So much that the first are deleted; records that the handler does not like.
  const std::string large =
      absl::StrCat("{\"n\": 2, \"kind\": \"good\", \"x\": \"", std::string(900000, 'x'), "\"}");
  for (int i = 0; i < 8; ++i) kafka_.Produce("t", 0, {{.key = "", .data = large}});
  world_->StartWorker(0);
  EXPECT_TRUE(world_->Await([&] {
    return world_->Metric("worker-0", "lowmark_worker_records_lost_total")["{stream=\"t\"}"] > 0;
  })) << world_->Log("worker-0");
  EXPECT_THAT(world_->Log("worker-0"), HasSubstr("t-0: offset 1 is gone"));
}

}  // namespace
}  // namespace lowmark
