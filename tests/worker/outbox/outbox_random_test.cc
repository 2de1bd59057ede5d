// Transactions that begin, write, commit and abort in any order, while the table is
// read: nothing is passed over, and what was committed before another row was
// written comes before it.
#include <gmock/gmock.h>

#include <deque>
#include <map>
#include <random>

#include "tests/core/seed.h"
#include "tests/worker/outbox/outbox_fixture.h"

namespace lowmark {
namespace {

class OutboxRandomTest : public OutboxTest {
 protected:
  static constexpr int kWriters = 6;
  static constexpr int kKeys = 7;
  static constexpr int kShards = 4;

  struct Row {
    std::string key;
    int inserted = 0;    // at this step
    int committed = -1;  // at this step; -1: not
  };
  struct Writer {
    std::unique_ptr<OutboxWriter> session;
    std::vector<int> rows;
  };
  struct Shard {
    std::unique_ptr<ShardReader> reader;
    std::vector<int> read;  // numbers of rows
    std::string last;       // sequence number
  };

  bool Chance(int percent) { return static_cast<int>(random_() % 100) < percent; }

  void StepWriter(Writer& writer) {
    if (!writer.session->running()) {
      writer.session->Begin();
      // Its number, long before it writes the first row.
      if (Chance(30)) writer.session->Run("SELECT pg_current_xact_id()");
      return;
    }
    if (Chance(60)) {
      InsertRow(writer);
    } else {
      End(writer, Chance(75));
    }
  }

  void InsertRow(Writer& writer) {
    const int number = static_cast<int>(rows_.size());
    rows_.push_back({absl::StrCat("key-", random_() % kKeys), step_});
    // Rolled back on its own, or in a transaction within the transaction.
    const bool within = Chance(20);
    const bool undone = within && Chance(50);
    if (within) writer.session->Run("SAVEPOINT s");
    writer.session->Insert(rows_[number].key, absl::StrCat(number));
    if (undone) writer.session->Run("ROLLBACK TO s");
    if (!undone) writer.rows.push_back(number);
  }

  void End(Writer& writer, bool commit) {
    commit ? writer.session->Commit() : writer.session->Abort();
    for (const int row : writer.rows) {
      if (commit) rows_[row].committed = step_;
    }
    writer.rows.clear();
  }

  // Reads what can be read, in pages of any size and now and then by a new reader.
  void ReadShard(int number) {
    Shard& shard = shards_[number];
    if (!shard.reader || Chance(20)) {
      const Position from =
          shard.last.empty() ? Position::TrimHorizon() : Position::After(shard.last);
      shard.reader = Open(from, absl::StrCat(number, "-of-", kShards));
    }
    const ReadResult result = Read(*shard.reader, static_cast<int>(1 + random_() % 6), "",
                                   static_cast<int64_t>(1 + random_() % 12));
    for (const SourceRecord& record : result.records) {
      if (!shard.last.empty()) {
        EXPECT_LT(CompareNumeric(shard.last, record.record.sequence), 0);
      }
      shard.last = record.record.sequence;
      shard.read.push_back(std::stoi(record.record.data));
      EXPECT_EQ(rows_[shard.read.back()].key, record.record.partition_key);
    }
    more_ = more_ || result.state == ReadResult::State::kMore;
  }

  void CheckOrder(const Shard& shard) {
    int last_insert = -1;
    // Of all rows from here on, none may have been committed before one that came
    // earlier was written: so the latest insert so far bounds the commits that follow.
    for (const int number : shard.read) {
      const Row& row = rows_[number];
      EXPECT_GT(row.committed, last_insert) << "row " << number << " comes too late";
      last_insert = std::max(last_insert, row.inserted);
    }
  }

  std::mt19937_64 random_;
  int step_ = 0;
  bool more_ = false;
  std::vector<Row> rows_;
  std::vector<Writer> writers_;
  std::map<int, Shard> shards_;
};

TEST_F(OutboxRandomTest, NothingIsPassedOverAndCausesComeFirst) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  random_.seed(seed);
  options_.shards = kShards;
  for (int i = 0; i < kWriters; ++i) {
    writers_.push_back({std::make_unique<OutboxWriter>(database_), {}});
  }
  for (; step_ < 2000; ++step_) {
    StepWriter(writers_[random_() % kWriters]);
    if (Chance(25)) ReadShard(static_cast<int>(random_() % kShards));
    ASSERT_FALSE(HasFailure());
  }
  for (Writer& writer : writers_) {
    if (writer.session->running()) End(writer, /*commit=*/true);
    ++step_;
  }
  do {
    more_ = false;
    for (int shard = 0; shard < kShards; ++shard) ReadShard(shard);
  } while (more_ && !HasFailure());

  std::multiset<int> read;
  for (const auto& [number, shard] : shards_) {
    read.insert(shard.read.begin(), shard.read.end());
    CheckOrder(shard);
  }
  std::multiset<int> committed;
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].committed >= 0) committed.insert(static_cast<int>(i));
  }
  EXPECT_EQ(read, committed);
  EXPECT_GT(committed.size(), 100);
}

}  // namespace
}  // namespace lowmark
