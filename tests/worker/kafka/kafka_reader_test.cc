#include "worker/source/kafka/kafka_reader.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "tests/worker/kafka/fake_partition.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using State = ReadResult::State;
using Kind = FakeEntry::Kind;
using OutOfRange = KafkaSourceOptions::OutOfRange;

class KafkaReaderTest : public testing::Test {
 protected:
  std::unique_ptr<KafkaReader> Open(const Position& from) {
    auto reader = KafkaReader::Make(shard_, from, options_);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return reader.ok() ? *std::move(reader) : nullptr;
  }
  static ReadResult Read(KafkaReader& reader, const std::string& end = "", int records = 1000,
                         int64_t bytes = int64_t{1} << 30) {
    auto result = reader.Read({records, bytes, end});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : ReadResult();
  }
  static absl::Status Error(KafkaReader& reader) {
    return reader.Read({1000, 1 << 20, ""}).status();
  }
  static std::vector<std::string> Offsets(const ReadResult& result) {
    std::vector<std::string> offsets;
    for (const SourceRecord& record : result.records) offsets.push_back(record.record.sequence);
    return offsets;
  }

  std::shared_ptr<FakeLog> log_ = std::make_shared<FakeLog>();
  KafkaReader::Options options_{.shard = "t-0"};
  std::shared_ptr<KafkaShard> shard_ =
      std::make_shared<KafkaShard>(std::make_unique<FakePartition>(log_));
};

TEST_F(KafkaReaderTest, ReadsOnFromAPosition) {
  log_->Add(Kind::kRecord, 5);
  EXPECT_THAT(Offsets(Read(*Open(Position::TrimHorizon()))), ElementsAre("0", "1", "2", "3", "4"));
  EXPECT_THAT(Offsets(Read(*Open(Position::At("3")))), ElementsAre("3", "4"));
  EXPECT_THAT(Offsets(Read(*Open(Position::After("3")))), ElementsAre("4"));
  auto reader = Open(Position::After("4"));
  EXPECT_EQ(Read(*reader).state, State::kUpToDate);
  log_->Add(Kind::kRecord);
  EXPECT_THAT(Offsets(Read(*reader)), ElementsAre("5"));
}

TEST_F(KafkaReaderTest, KeepsToTheLimits) {
  log_->Add(Kind::kRecord, 5);  // two bytes each
  auto reader = Open(Position::TrimHorizon());
  ReadResult two = Read(*reader, "", /*records=*/2);
  EXPECT_THAT(Offsets(two), ElementsAre("0", "1"));
  EXPECT_EQ(two.state, State::kMore);
  EXPECT_EQ(two.records_behind, 3);
  // One that is too large goes alone.
  EXPECT_THAT(Offsets(Read(*reader, "", 1000, /*bytes=*/1)), ElementsAre("2"));
  ReadResult rest = Read(*reader, "", 2);
  EXPECT_THAT(Offsets(rest), ElementsAre("3", "4"));
  EXPECT_EQ(rest.state, State::kUpToDate);
  EXPECT_EQ(rest.records_behind, 0);
}

TEST_F(KafkaReaderTest, APositionInAGapReadsWhatFollows) {
  log_->Add(Kind::kRecord);
  log_->Add(Kind::kCompacted, 3);
  log_->Add(Kind::kMark);
  log_->Add(Kind::kRecord);
  EXPECT_THAT(Offsets(Read(*Open(Position::At("2")))), ElementsAre("5"));
  EXPECT_THAT(Offsets(Read(*Open(Position::After("4")))), ElementsAre("5"));
}

TEST_F(KafkaReaderTest, AMarkAtTheEndIsNotWaitedFor) {
  log_->Add(Kind::kRecord, 2);
  log_->Add(Kind::kMark);
  auto reader = Open(Position::TrimHorizon());
  const ReadResult result = Read(*reader);
  EXPECT_THAT(Offsets(result), ElementsAre("0", "1"));
  EXPECT_EQ(result.state, State::kUpToDate);
  EXPECT_EQ(result.records_behind, 0);
  EXPECT_EQ(Read(*Open(Position::At("2"))).state, State::kUpToDate);
}

TEST_F(KafkaReaderTest, OpenTransactionsHoldBackWhatFollows) {
  log_->Add(Kind::kRecord);
  log_->Add(Kind::kOpen, 2);
  log_->Add(Kind::kRecord);
  auto reader = Open(Position::TrimHorizon());
  const ReadResult held = Read(*reader);
  EXPECT_THAT(Offsets(held), ElementsAre("0"));
  EXPECT_EQ(held.state, State::kUpToDate);
  EXPECT_EQ(held.records_behind, 3);
  EXPECT_EQ(Read(*reader).state, State::kUpToDate);
  log_->entries[1].kind = log_->entries[2].kind = Kind::kAborted;
  log_->Add(Kind::kMark);
  EXPECT_THAT(Offsets(Read(*reader)), ElementsAre("3"));
}

TEST_F(KafkaReaderTest, TheEndOfABatchIsReached) {
  log_->Add(Kind::kRecord, 4);
  auto reader = Open(Position::TrimHorizon());
  const ReadResult result = Read(*reader, /*end=*/"2");
  EXPECT_THAT(Offsets(result), ElementsAre("0", "1", "2"));
  EXPECT_EQ(result.state, State::kEndReached);
  // What lies behind it is not lost.
  EXPECT_THAT(Offsets(Read(*reader)), ElementsAre("3"));
}

TEST_F(KafkaReaderTest, TheEndOfABatchIsReachedWhereItWasCompactedAway) {
  log_->Add(Kind::kRecord, 2);
  log_->Add(Kind::kCompacted, 2);
  log_->Add(Kind::kRecord, 1);
  auto reader = Open(Position::At("1"));
  const ReadResult followed = Read(*reader, /*end=*/"2");
  EXPECT_THAT(Offsets(followed), ElementsAre("1"));
  EXPECT_EQ(followed.state, State::kEndReached);
  EXPECT_THAT(Offsets(Read(*reader)), ElementsAre("4"));

  log_->entries[4].kind = Kind::kMark;
  reader = Open(Position::At("1"));
  const ReadResult last = Read(*reader, /*end=*/"3");
  EXPECT_THAT(Offsets(last), ElementsAre("1"));
  EXPECT_EQ(last.state, State::kEndReached);
  EXPECT_EQ(Read(*Open(Position::At("2")), /*end=*/"3").state, State::kEndReached);
}

TEST_F(KafkaReaderTest, LatestIsResolvedOnce) {
  log_->Add(Kind::kRecord, 3);
  auto reader = Open(Position::Latest());
  EXPECT_THAT(Offsets(Read(*reader)), IsEmpty());
  log_->Add(Kind::kRecord);
  EXPECT_THAT(Offsets(Read(*reader)), ElementsAre("3"));
}

TEST_F(KafkaReaderTest, LatestBeginsWithOpenTransactions) {
  log_->Add(Kind::kRecord);
  log_->Add(Kind::kOpen);
  auto reader = Open(Position::Latest());
  EXPECT_THAT(Offsets(Read(*reader)), IsEmpty());
  log_->entries[1].kind = Kind::kRecord;
  EXPECT_THAT(Offsets(Read(*reader)), ElementsAre("1"));
}

TEST_F(KafkaReaderTest, ATimeIsTheFirstRecordFromThenOn) {
  log_->Add(Kind::kRecord, 3);
  EXPECT_THAT(Offsets(Read(*Open(Position::AtTimestamp(absl::FromUnixSeconds(1001))))),
              ElementsAre("1", "2"));
  auto reader = Open(Position::AtTimestamp(absl::FromUnixSeconds(5000)));
  EXPECT_THAT(Offsets(Read(*reader)), IsEmpty());
  log_->Add(Kind::kRecord);
  EXPECT_THAT(Offsets(Read(*reader)), ElementsAre("3"));
}

TEST_F(KafkaReaderTest, WhatIsOnItsWayIsWaitedForOnceRecordsFlow) {
  log_->Add(Kind::kRecord, 3);
  int looks = 0;
  log_->late = [&looks] { return ++looks % 2 == 1; };
  auto reader = Open(Position::TrimHorizon());
  const ReadResult first = Read(*reader, "", 1);
  EXPECT_THAT(Offsets(first), IsEmpty());
  EXPECT_EQ(first.state, State::kUpToDate);
  EXPECT_THAT(Offsets(Read(*reader, "", 1)), ElementsAre("0"));
  EXPECT_THAT(Offsets(Read(*reader, "", 1)), ElementsAre("1"));
}

// --- Records that are gone -----------------------------------------------------

TEST_F(KafkaReaderTest, FailsWhereRecordsAreGone) {
  log_->Add(Kind::kRecord, 9);
  log_->first = 5;
  auto reader = Open(Position::After("1"));
  for (int i = 0; i < 2; ++i) {
    const absl::Status error = Error(*reader);
    EXPECT_EQ(error.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(error.message(), HasSubstr("t-0: offset 2 is gone (it has 5 up to, not including, "
                                           "9): up to 3 records were deleted"));
    EXPECT_THAT(error.message(), HasSubstr("--kafka-out-of-range"));
  }
}

TEST_F(KafkaReaderTest, GoesOnWithTheEarliestAndSaysWhatWasLost) {
  options_.out_of_range = OutOfRange::kEarliest;
  log_->Add(Kind::kRecord, 7);
  log_->first = 5;
  auto reader = Open(Position::At("2"));
  const ReadResult lost = Read(*reader);
  EXPECT_EQ(lost.lost, 3);
  EXPECT_THAT(lost.lost_reason, HasSubstr("offset 2 is gone"));
  EXPECT_THAT(lost.lost_reason, HasSubstr("going on at 5"));
  const ReadResult rest = Read(*reader);
  EXPECT_THAT(Offsets(rest), ElementsAre("5", "6"));
  EXPECT_EQ(rest.lost, 0);
}

TEST_F(KafkaReaderTest, GoesOnWithTheLatestAndSaysWhatWasLost) {
  options_.out_of_range = OutOfRange::kLatest;
  log_->Add(Kind::kRecord, 7);
  log_->first = 5;
  auto reader = Open(Position::At("2"));
  EXPECT_EQ(Read(*reader).lost, 5);
  log_->Add(Kind::kRecord);
  EXPECT_THAT(Offsets(Read(*reader)), ElementsAre("7"));
}

TEST_F(KafkaReaderTest, RetentionThatOvertakesAReaderIsNoticed) {
  log_->Add(Kind::kRecord, 9);
  for (const Position& from : {Position::At("0"), Position::TrimHorizon()}) {
    log_->first = 0;
    auto reader = Open(from);
    EXPECT_THAT(Offsets(Read(*reader, "", 2)), ElementsAre("0", "1"));
    log_->first = 8;
    EXPECT_THAT(Error(*reader).message(), HasSubstr("offset 2 is gone")) << from.ToString();
  }
}

TEST_F(KafkaReaderTest, TrimHorizonPromisesNoCertainRecord) {
  log_->Add(Kind::kRecord, 9);
  auto reader = Open(Position::TrimHorizon());
  log_->late = [this] {
    log_->first = 5;  // while the first record is fetched
    return false;
  };
  EXPECT_EQ(Read(*reader).lost, 0);
  EXPECT_THAT(Offsets(Read(*reader)), ElementsAre("5", "6", "7", "8"));
}

TEST_F(KafkaReaderTest, NeverGoesBackToAPartitionThatWasCut) {
  options_.out_of_range = OutOfRange::kEarliest;
  log_->Add(Kind::kRecord, 3);
  const absl::Status error = Error(*Open(Position::After("7")));
  EXPECT_EQ(error.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("offset 8 lies beyond the end of the partition (it has 0 "
                                         "up to, not including, 3)"));
}

TEST_F(KafkaReaderTest, RefusesWhatIsNoOffset) {
  for (const char* sequence :
       {"9223372036854775807", "49590338271490256608559692538361571095921"}) {
    auto reader = KafkaReader::Make(shard_, Position::After(sequence), options_);
    EXPECT_THAT(reader.status().message(), HasSubstr("is no offset of Kafka's")) << sequence;
  }
}

// --- Trouble -------------------------------------------------------------------

TEST_F(KafkaReaderTest, AnErrorComesAfterTheRecordsBeforeIt) {
  log_->Add(Kind::kRecord, 3);
  auto reader = Open(Position::TrimHorizon());
  EXPECT_THAT(Offsets(Read(*reader, "", 1)), ElementsAre("0"));
  log_->errors = {absl::PermissionDeniedError("no"), absl::UnavailableError("later")};
  EXPECT_EQ(Error(*reader), absl::PermissionDeniedError("no"));
  EXPECT_EQ(Error(*reader), absl::UnavailableError("later"));
  EXPECT_THAT(Offsets(Read(*reader)), ElementsAre("1", "2"));
  EXPECT_EQ(log_->starts, 3);
}

TEST_F(KafkaReaderTest, BrokersThatAreDownAreNoticedWhereNothingIsNew) {
  log_->Add(Kind::kRecord);
  auto reader = Open(Position::TrimHorizon());
  EXPECT_THAT(Offsets(Read(*reader)), ElementsAre("0"));
  log_->trouble = absl::UnavailableError("down");
  EXPECT_EQ(Error(*reader), log_->trouble);
  EXPECT_EQ(Error(*Open(Position::Latest())), log_->trouble);
  log_->trouble = absl::OkStatus();
  EXPECT_EQ(Read(*reader).state, State::kUpToDate);
}

TEST_F(KafkaReaderTest, ABrokerThatFallsSilentIsNoticed) {
  log_->Add(Kind::kRecord);
  log_->late = [] { return true; };
  EXPECT_EQ(Read(*Open(Position::TrimHorizon())).state, State::kUpToDate);
  options_.silence = absl::ZeroDuration();
  auto reader = Open(Position::TrimHorizon());
  EXPECT_THAT(Error(*reader).message(), HasSubstr("have sent nothing"));
  log_->late = nullptr;
  EXPECT_THAT(Offsets(Read(*reader)), ElementsAre("0"));
}

TEST_F(KafkaReaderTest, ReadersOfOnePartitionDoNotDisturbEachOther) {
  log_->Add(Kind::kRecord, 6);
  auto one = Open(Position::At("0"));
  auto other = Open(Position::At("3"));
  EXPECT_THAT(Offsets(Read(*one, "", 1)), ElementsAre("0"));
  EXPECT_THAT(Offsets(Read(*other, "", 1)), ElementsAre("3"));
  EXPECT_THAT(Offsets(Read(*one, "", 1)), ElementsAre("1"));
  one.reset();
  EXPECT_THAT(Offsets(Read(*other, "", 2)), ElementsAre("4", "5"));
}

}  // namespace
}  // namespace lowmark
