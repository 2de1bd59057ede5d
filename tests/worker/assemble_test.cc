#include "worker/internal/assemble.h"

#include <gmock/gmock.h>

#include <random>

#include "tests/core/seed.h"

namespace lowmark {
namespace {

using Kind = Assembly::Kind;
using State = ReadResult::State;

const absl::Time kNow = absl::FromUnixSeconds(1000000);
const SteadyTime kSteady{std::chrono::seconds(1000)};

SourceRecord MakeRecord(int sequence, size_t bytes = 1, absl::Duration age = absl::ZeroDuration()) {
  SourceRecord record;
  record.record = {std::to_string(sequence), "", kNow - age, std::string(bytes, 'x')};
  return record;
}

SourceRecord Unreadable(int sequence) {
  SourceRecord record = MakeRecord(sequence);
  record.defect = SourceRecord::Defect::kUnreadable;
  return record;
}

class Assembling : public testing::Test {
 protected:
  Assembling() {
    policy_.batch_size = 4;
    policy_.maximum_batch_bytes = 1024;
    policy_.maximum_record_age = absl::Hours(1);
    delivery_.max_records = 4;
    read_.state = State::kUpToDate;
    read_.first_read = kSteady;
  }

  void Add(SourceRecord record) { read_.records.push_back(std::move(record)); }
  void AddFresh(int first, int last) {
    for (int i = first; i <= last; ++i) Add(MakeRecord(i));
  }
  Assembly Decide() const { return Assemble(read_, delivery_, policy_, kNow, kSteady); }
  void ExpectBatch(int count) const {
    EXPECT_EQ(Decide().kind, Kind::kDeliver);
    EXPECT_EQ(Decide().count, count);
    EXPECT_EQ(Decide().set_aside, 0);
  }
  void ExpectSetAside(int aside, int count, Condition condition) const {
    EXPECT_EQ(Decide().kind, Kind::kSetAside);
    EXPECT_EQ(Decide().set_aside, aside);
    EXPECT_EQ(Decide().count, count);
    EXPECT_EQ(Decide().condition, condition);
  }

  ReadAhead read_;
  Delivery delivery_;
  Policy policy_;
};

TEST_F(Assembling, NothingReadWaits) {
  EXPECT_EQ(Decide(), Assembly());
  read_.state = State::kMore;
  EXPECT_EQ(Decide(), Assembly());
}

TEST_F(Assembling, GoesWithWhatIsThere) {
  AddFresh(1, 2);
  ExpectBatch(2);
  EXPECT_FALSE(Decide().shard_end);
}

TEST_F(Assembling, WaitsForMoreThatIsThereAlready) {
  AddFresh(1, 2);
  read_.state = State::kMore;
  EXPECT_EQ(Decide(), Assembly());
  AddFresh(3, 4);
  ExpectBatch(4);
}

TEST_F(Assembling, TakesNoMoreThanTheBatchSize) {
  AddFresh(1, 9);
  ExpectBatch(4);
}

TEST_F(Assembling, TakesNoMoreThanTheBytes) {
  Add(MakeRecord(1, 1000));
  Add(MakeRecord(2, 24));
  Add(MakeRecord(3, 1));
  ExpectBatch(2);
  policy_.maximum_batching_window = absl::Seconds(300);
  ExpectBatch(2);
}

TEST_F(Assembling, WaitsForTheWindow) {
  policy_.maximum_batching_window = absl::Seconds(10);
  AddFresh(1, 3);
  EXPECT_EQ(Decide().kind, Kind::kWait);
  EXPECT_EQ(Decide().wake, kSteady + std::chrono::seconds(10));
  read_.state = State::kMore;
  EXPECT_EQ(Decide().wake, kSteady + std::chrono::seconds(10));
  read_.first_read = kSteady - std::chrono::seconds(10);
  ExpectBatch(3);
  EXPECT_EQ(Decide().wake, SteadyTime::max());
}

TEST_F(Assembling, FullBatchOrShardEndCutsTheWindowShort) {
  policy_.maximum_batching_window = absl::Seconds(10);
  AddFresh(1, 3);
  read_.state = State::kShardEnd;
  ExpectBatch(3);
  EXPECT_TRUE(Decide().shard_end);
  read_.state = State::kUpToDate;
  AddFresh(4, 4);
  ExpectBatch(4);
}

TEST_F(Assembling, ShardEndIsSaidWithTheLastBatchOnly) {
  AddFresh(1, 6);
  read_.state = State::kShardEnd;
  ExpectBatch(4);
  EXPECT_FALSE(Decide().shard_end);
  read_.records.erase(read_.records.begin(), read_.records.begin() + 4);
  ExpectBatch(2);
  EXPECT_TRUE(Decide().shard_end);
  read_.records.clear();
  EXPECT_EQ(Decide().kind, Kind::kNothingLeft);
  EXPECT_TRUE(Decide().shard_end);
}

TEST_F(Assembling, BoundedBatchIsExactlyThatWhateverTheLimits) {
  delivery_.end_sequence = "8";
  delivery_.max_records = Policy::kLargestBatch;
  for (int i = 1; i <= 7; ++i) Add(MakeRecord(i, 1000));
  EXPECT_EQ(Decide(), Assembly());
  Add(MakeRecord(8, 1000));
  ExpectBatch(8);
  Add(MakeRecord(9));
  ExpectBatch(8);
}

TEST_F(Assembling, BoundedBatchWhoseLastRecordIsGone) {
  delivery_.end_sequence = "8";
  AddFresh(5, 6);
  EXPECT_EQ(Decide().kind, Kind::kWait);
  Add(MakeRecord(12));
  ExpectBatch(2);
  read_.records.pop_back();
  read_.state = State::kEndReached;
  read_.end_sequence = "7";  // said of another batch
  EXPECT_EQ(Decide().kind, Kind::kWait);
  read_.end_sequence = "8";
  ExpectBatch(2);
  read_.records.clear();
  EXPECT_EQ(Decide().kind, Kind::kNothingLeft);
  EXPECT_FALSE(Decide().shard_end);
  Add(MakeRecord(12));
  EXPECT_EQ(Decide().kind, Kind::kNothingLeft);
  read_.state = State::kShardEnd;
  EXPECT_EQ(Decide().kind, Kind::kNothingLeft);
  EXPECT_FALSE(Decide().shard_end);
}

TEST_F(Assembling, PositionalTokensAreMatchedNotCompared) {
  policy_.sequence_order = SequenceOrder::kPositional;
  delivery_.end_sequence = "b";
  for (const char* token : {"z", "a", "b", "c"}) {
    SourceRecord record = MakeRecord(1);
    record.record.sequence = token;
    Add(record);
  }
  ExpectBatch(3);
  delivery_.end_sequence = "q";
  EXPECT_EQ(Decide().kind, Kind::kWait);
}

TEST_F(Assembling, UnreadableRecordCutsTheBatchBeforeIt) {
  policy_.maximum_batching_window = absl::Seconds(300);
  AddFresh(1, 2);
  Add(Unreadable(3));
  AddFresh(4, 4);
  ExpectBatch(2);
  delivery_.end_sequence = "4";
  ExpectBatch(2);
}

TEST_F(Assembling, UnreadableRecordsInFrontAreSetAsideByThemselves) {
  policy_.maximum_batching_window = absl::Seconds(300);
  Add(Unreadable(1));
  Add(Unreadable(2));
  Add(MakeRecord(3, 2000));
  AddFresh(4, 4);
  ExpectSetAside(2, 2, Condition::kRecordUnreadable);
  read_.records.erase(read_.records.begin(), read_.records.begin() + 2);
  ExpectSetAside(1, 1, Condition::kRecordTooLarge);
  delivery_.end_sequence = "3";
  ExpectSetAside(1, 1, Condition::kRecordTooLarge);
}

TEST_F(Assembling, LargestRecordThatFits) {
  Add(MakeRecord(1, 1024));
  ExpectBatch(1);
  read_.records[0].record.data += 'x';
  ExpectSetAside(1, 1, Condition::kRecordTooLarge);
}

TEST_F(Assembling, ExpiredPrefixIsSetAsideWithTheRestOfTheBatchNamed) {
  Add(MakeRecord(1, 1, absl::Hours(2)));
  Add(MakeRecord(2, 1, absl::Hours(2)));
  Add(MakeRecord(3));
  Add(MakeRecord(4, 1, absl::Hours(2)));
  Add(MakeRecord(5));
  ExpectSetAside(2, 4, Condition::kRecordAgeExceeded);
  EXPECT_FALSE(Decide().shard_end);
}

TEST_F(Assembling, ExpiredRecordInTheMiddleStays) {
  Add(MakeRecord(1));
  Add(MakeRecord(2, 1, absl::Hours(2)));
  Add(MakeRecord(3));
  ExpectBatch(3);
}

TEST_F(Assembling, RecordsExpireStrictlyAfterTheirAge) {
  Add(MakeRecord(1, 1, absl::Hours(1)));
  ExpectBatch(1);
  Add(MakeRecord(2));
  read_.records[0].record.arrival_time -= absl::Nanoseconds(1);
  ExpectSetAside(1, 2, Condition::kRecordAgeExceeded);
  policy_.maximum_record_age = absl::Seconds(-1);
  ExpectBatch(2);
}

// Whatever was read, what is decided is about a prefix of it, within the limits,
// and no record is forgotten: the parts follow one another.
TEST_F(Assembling, RandomBatchesPartitionTheShard) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(testing::Message() << "LOWMARK_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 2000; ++round) {
    read_.records.clear();
    read_.state = State::kShardEnd;
    const int size = static_cast<int>(random() % 20);
    for (int i = 1; i <= size; ++i) {
      const bool bad = random() % 5 == 0;
      const absl::Duration age = absl::Hours(random() % 4 == 0 ? 2 : 0);
      Add(bad ? Unreadable(i) : MakeRecord(i, random() % 1500, age));
    }
    int next = 1;
    while (!read_.records.empty()) {
      const Assembly decided = Decide();
      ASSERT_TRUE(decided.kind == Kind::kDeliver || decided.kind == Kind::kSetAside);
      const int passed = decided.kind == Kind::kDeliver ? decided.count : decided.set_aside;
      ASSERT_GT(passed, 0);
      ASSERT_LE(passed, static_cast<int>(read_.records.size()));
      int64_t bytes = 0;
      for (int i = 0; i < passed; ++i) {
        ASSERT_EQ(read_.records.front().record.sequence, std::to_string(next++));
        const bool bad = read_.records.front().defect != SourceRecord::Defect::kNone;
        ASSERT_FALSE(bad && decided.kind == Kind::kDeliver);
        bytes += static_cast<int64_t>(read_.records.front().record.data.size());
        read_.records.pop_front();
      }
      if (decided.kind == Kind::kDeliver) {
        ASSERT_LE(passed, 4);
        ASSERT_LE(bytes, 1024);
        ASSERT_EQ(decided.shard_end, read_.records.empty());
      }
    }
    ASSERT_EQ(Decide().kind, Kind::kNothingLeft);
    ASSERT_EQ(next, size + 1);
  }
}

}  // namespace
}  // namespace lowmark
