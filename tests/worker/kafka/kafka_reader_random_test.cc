// Logs with every kind of gap, read in every way, against what is in them.
#include <gmock/gmock.h>

#include <random>

#include "tests/core/seed.h"
#include "tests/worker/kafka/fake_partition.h"
#include "worker/source/kafka/kafka_reader.h"

namespace lowmark {
namespace {

using Kind = FakeEntry::Kind;
using State = ReadResult::State;

class RandomLog {
 public:
  explicit RandomLog(uint64_t seed) : random_(seed) {
    log_->late = [this] { return Chance(20); };
  }

  bool Chance(int percent) { return Below(100) < percent; }
  int64_t Below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random_); }

  void Grow() {
    constexpr Kind kKinds[] = {Kind::kRecord,  Kind::kRecord, Kind::kRecord,
                               Kind::kAborted, Kind::kMark,   Kind::kOpen};
    for (int64_t i = Below(5); i > 0; --i) log_->Add(kKinds[Below(6)]);
    for (FakeEntry& entry : log_->entries) {
      if (entry.kind == Kind::kOpen && Chance(30)) {
        entry.kind = Chance(50) ? Kind::kRecord : Kind::kAborted;
      }
    }
  }
  void EndTransactions() {
    for (FakeEntry& entry : log_->entries) {
      if (entry.kind == Kind::kOpen) entry.kind = Kind::kRecord;
    }
  }

  const std::shared_ptr<FakeLog>& log() { return log_; }

 private:
  std::mt19937_64 random_;
  const std::shared_ptr<FakeLog> log_ = std::make_shared<FakeLog>();
};

// Reads all of a log that grows, from the start, in reads of any size and by readers
// that are replaced.
std::vector<std::string> ReadAll(RandomLog& world) {
  const auto shard = std::make_shared<KafkaShard>(std::make_unique<FakePartition>(world.log()));
  std::vector<std::string> read;
  std::unique_ptr<KafkaReader> reader;
  int grown = 0;
  for (int idle = 0; idle < 20;) {
    if (!reader || world.Chance(10)) {
      const Position from = read.empty() ? Position::TrimHorizon() : Position::After(read.back());
      reader = *KafkaReader::Make(shard, from, {.shard = "t-0"});
    }
    auto result = reader->Read({static_cast<int32_t>(1 + world.Below(4)), 1 + world.Below(12), ""});
    EXPECT_TRUE(result.ok()) << result.status();
    for (const SourceRecord& record : result->records) read.push_back(record.record.sequence);
    if (result->state == State::kUpToDate && result->records.empty()) ++idle;
    if (grown < 30) {
      world.Grow();
      ++grown;
      idle = 0;
    } else {
      world.EndTransactions();
    }
  }
  return read;
}

TEST(KafkaReaderRandomTest, EveryRecordIsReadOnceAndInOrder) {
  const uint64_t seed = TestSeed();
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    RandomLog world(seed + round);
    const std::vector<std::string> read = ReadAll(world);
    EXPECT_EQ(read, world.log()->Visible(0, world.log()->end()));
    if (HasFailure()) return;
  }
}

// A batch that was delivered before is delivered again whole, whatever compaction
// has left of it.
TEST(KafkaReaderRandomTest, TheEndOfABatchIsAlwaysReached) {
  const uint64_t seed = TestSeed();
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    RandomLog world(seed + round);
    for (int i = 0; i < 20; ++i) world.Grow();
    FakeLog& log = *world.log();
    if (log.stable() == 0) continue;
    const int64_t end = world.Below(log.stable());
    const int64_t start = world.Below(end + 1);
    for (FakeEntry& entry : log.entries) {
      if (entry.kind == Kind::kRecord && world.Chance(50)) entry.kind = Kind::kCompacted;
    }
    const auto shard = std::make_shared<KafkaShard>(std::make_unique<FakePartition>(world.log()));
    auto reader = *KafkaReader::Make(shard, Position::At(absl::StrCat(start)), {.shard = "t-0"});
    std::vector<std::string> read;
    bool reached = false;
    for (int reads = 0; !reached && reads < 1000; ++reads) {
      auto result =
          reader->Read({static_cast<int32_t>(1 + world.Below(4)), 100, absl::StrCat(end)});
      ASSERT_TRUE(result.ok()) << result.status();
      for (const SourceRecord& record : result->records) read.push_back(record.record.sequence);
      reached = result->state == State::kEndReached;
    }
    EXPECT_TRUE(reached);
    EXPECT_EQ(read, log.Visible(start, end));
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace lowmark
