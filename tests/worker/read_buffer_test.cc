#include "worker/internal/read_buffer.h"

#include <gmock/gmock.h>

namespace lowmark {
namespace {

const SteadyTime kNow{std::chrono::seconds(1000)};

ReadResult Read(const std::vector<std::string>& sequences,
                ReadResult::State state = ReadResult::State::kUpToDate) {
  ReadResult result;
  result.state = state;
  for (const std::string& sequence : sequences) {
    SourceRecord record;
    record.record.sequence = sequence;
    record.record.data = "xx";
    result.records.push_back(record);
  }
  return result;
}

std::vector<std::string> Held(const ReadBuffer& buffer) {
  std::vector<std::string> sequences;
  for (const SourceRecord& record : buffer.read().records) {
    sequences.push_back(record.record.sequence);
  }
  return sequences;
}

absl::Status Append(ReadBuffer& buffer, ReadResult result,
                    SequenceOrder order = SequenceOrder::kNumeric) {
  return buffer.Append(std::move(result), "", order, kNow);
}

TEST(ReadBuffer, KeepsWhatFollowsTheNextDelivery) {
  ReadBuffer buffer(Position::TrimHorizon());
  ASSERT_TRUE(Append(buffer, Read({"1", "5", "9", "12"})).ok());
  EXPECT_EQ(buffer.bytes(), 8);
  EXPECT_TRUE(buffer.Align(Position::TrimHorizon()));
  EXPECT_TRUE(buffer.Align(Position::At("5")));
  EXPECT_THAT(Held(buffer), testing::ElementsAre("5", "9", "12"));
  EXPECT_TRUE(buffer.Align(Position::After("9")));
  EXPECT_THAT(Held(buffer), testing::ElementsAre("12"));
  EXPECT_TRUE(buffer.Align(Position::After("12")));
  EXPECT_EQ(buffer.bytes(), 0);
  EXPECT_EQ(buffer.next(), Position::After("12"));
  EXPECT_TRUE(buffer.Align(Position::After("12")));
}

TEST(ReadBuffer, StartsAnewWhereTheDeliveryIsElsewhere) {
  ReadBuffer buffer(Position::TrimHorizon());
  ASSERT_TRUE(Append(buffer, Read({"1", "5"})).ok());
  EXPECT_FALSE(buffer.Align(Position::At("3")));
  EXPECT_THAT(Held(buffer), testing::IsEmpty());
  EXPECT_EQ(buffer.next(), Position::At("3"));
  EXPECT_EQ(buffer.read().state, ReadResult::State::kMore);
  // Also back to what was dropped.
  ASSERT_TRUE(Append(buffer, Read({"5", "6"})).ok());
  ASSERT_TRUE(buffer.Align(Position::After("6")));
  EXPECT_FALSE(buffer.Align(Position::At("5")));
}

TEST(ReadBuffer, RefusesWhatIsOutOfOrder) {
  ReadBuffer buffer(Position::At("5"));
  EXPECT_FALSE(Append(buffer, Read({"4"})).ok());
  EXPECT_FALSE(Append(buffer, Read({"5", "5"})).ok());
  EXPECT_FALSE(Append(buffer, Read({"10", "9"})).ok());
  EXPECT_FALSE(Append(buffer, Read({"07"})).ok());
  EXPECT_FALSE(Append(buffer, Read({"a"})).ok());
  EXPECT_THAT(Held(buffer), testing::IsEmpty());
  ASSERT_TRUE(Append(buffer, Read({"9", "10"})).ok());
  const absl::Status again = Append(buffer, Read({"10"}));
  EXPECT_TRUE(absl::IsFailedPrecondition(again));
  EXPECT_EQ(again.message(), "the source gave sequence number 10 after 10");
  EXPECT_THAT(Held(buffer), testing::ElementsAre("9", "10"));
}

TEST(ReadBuffer, TakesOpaqueTokensInAnyOrder) {
  ReadBuffer buffer(Position::After("m"));
  EXPECT_TRUE(Append(buffer, Read({"z", "a"}), SequenceOrder::kPositional).ok());
  EXPECT_FALSE(Append(buffer, Read({"a"}), SequenceOrder::kPositional).ok());
}

// A report with such a record would be refused, again and again.
TEST(ReadBuffer, BringsTimesIntoWhatCanBeTold) {
  ReadBuffer buffer(Position::TrimHorizon());
  ReadResult odd = Read({"1", "2", "3", "4"});
  const std::vector<absl::Time> times = {absl::InfinitePast(), absl::FromUnixSeconds(-62135596800),
                                         absl::FromUnixSeconds(1700000000),
                                         absl::FromUnixMillis(1700000000000000)};
  for (size_t i = 0; i < times.size(); ++i) odd.records[i].record.arrival_time = times[i];
  ASSERT_TRUE(Append(buffer, std::move(odd)).ok());
  std::vector<absl::Time> kept;
  for (const SourceRecord& record : buffer.read().records) {
    kept.push_back(record.record.arrival_time);
  }
  EXPECT_THAT(kept,
              testing::ElementsAre(kEarliestArrival, kEarliestArrival, times[2], kLatestArrival));
}

TEST(ReadBuffer, CountsKeysAndHeadersToo) {
  ReadBuffer buffer(Position::TrimHorizon());
  ReadResult read = Read({"1", "2"});
  read.records[0].record.partition_key = "key";
  read.records[0].record.headers = {{"name", "value"}};
  ASSERT_TRUE(Append(buffer, std::move(read)).ok());
  EXPECT_EQ(buffer.bytes(), 2 + 3 + 4 + 5 + 2);
  EXPECT_TRUE(buffer.Align(Position::After("1")));
  EXPECT_EQ(buffer.bytes(), 2);
}

TEST(ReadBuffer, RemembersWhenItsFirstRecordWasRead) {
  ReadBuffer buffer(Position::TrimHorizon());
  EXPECT_EQ(buffer.read().first_read, SteadyTime::max());
  ASSERT_TRUE(Append(buffer, Read({"1"})).ok());
  ASSERT_TRUE(
      buffer.Append(Read({"2"}), "", SequenceOrder::kNumeric, kNow + std::chrono::hours(1)).ok());
  EXPECT_EQ(buffer.read().first_read, kNow);
  ASSERT_TRUE(buffer.Align(Position::After("2")));
  EXPECT_EQ(buffer.read().first_read, SteadyTime::max());
}

TEST(ReadBuffer, FailingReadLetsABatchGo) {
  ReadBuffer buffer(Position::TrimHorizon());
  ASSERT_TRUE(Append(buffer, Read({"1"}, ReadResult::State::kMore)).ok());
  buffer.StopWaiting();
  EXPECT_EQ(buffer.read().state, ReadResult::State::kUpToDate);
}

}  // namespace
}  // namespace lowmark
