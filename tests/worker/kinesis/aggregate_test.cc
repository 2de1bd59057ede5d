// Records of the Kinesis Producer Library, taken apart.
#include "worker/source/kinesis/aggregate.h"

#include <openssl/evp.h>

#include "absl/strings/str_cat.h"
#include "kpl/aggregated_record.pb.h"
#include "tests/worker/kinesis/source_fixture.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using State = ReadResult::State;

std::string Seal(const std::string& message) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(message.data(), message.size(), digest, &size, EVP_md5(), nullptr);
  return absl::StrCat("\xf3\x89\x9a\xc2", message,
                      std::string(reinterpret_cast<const char*>(digest), size));
}

// An aggregate of records with these data, each with its data's first letter as key.
std::string Aggregate(const std::vector<std::string>& data) {
  kpl::AggregatedRecord aggregate;
  for (const std::string& each : data) {
    kpl::Record* record = aggregate.add_records();
    record->set_partition_key_index(aggregate.partition_key_table_size());
    record->set_data(each);
    aggregate.add_partition_key_table(each.substr(0, 1));
  }
  return Seal(aggregate.SerializeAsString());
}

std::string Part(int record, int part) { return WithSubsequence(Sequence(record), part); }

TEST(Aggregate, TheFormatIsThatOfTheLibrary) {
  // Written by hand from the format's description: one key "k", one record "d".
  const std::string message(
      "\x0a\x01k\x1a\x05\x08\x00\x1a\x01"
      "d",
      10);
  const auto records = Deaggregate({Sequence(1), "outer", absl::FromUnixSeconds(5), Seal(message)});
  EXPECT_THAT(records, ElementsAre(Record{Part(1, 1), "k", absl::FromUnixSeconds(5), "d"}));
}

TEST(Aggregate, PartsHaveNumbersOfTheirOwn) {
  std::vector<std::string> data;
  for (int i = 0; i < 12; ++i) data.push_back(absl::StrCat("d", i));
  const auto records = Deaggregate({"7", "outer", absl::UnixEpoch(), Aggregate(data)});
  ASSERT_THAT(records, SizeIs(12));
  EXPECT_EQ(records[0].sequence, "70000001");
  EXPECT_EQ(records[11].sequence, "70000012");
  EXPECT_EQ(records[11].data, "d11");
  for (size_t i = 1; i < records.size(); ++i) {
    EXPECT_LT(CompareNumeric(records[i - 1].sequence, records[i].sequence), 0);
  }
  EXPECT_LT(CompareNumeric(records[11].sequence, WithSubsequence("8", 0)), 0);
}

TEST(Aggregate, WhatIsNoneStaysAsItIs) {
  std::string wrong_digest = Aggregate({"a", "b"});
  wrong_digest.back() ^= 1;
  kpl::AggregatedRecord no_key;
  no_key.add_records()->set_partition_key_index(3);
  const std::vector<std::string> others = {"",
                                           "plain",
                                           "\xf3\x89\x9a\xc2",
                                           wrong_digest,
                                           Seal("no message"),
                                           Seal(""),
                                           Seal(no_key.SerializeAsString())};
  for (const std::string& data : others) {
    const auto records = Deaggregate({"7", "key", absl::UnixEpoch(), data});
    EXPECT_THAT(records, ElementsAre(Record{"70000000", "key", absl::UnixEpoch(), data}));
  }
}

TEST(Aggregate, APositionWithinOneIsReadFromItsStart) {
  EXPECT_EQ(KinesisPosition(Position::At(Part(3, 5))), Position::At(Sequence(3)));
  EXPECT_EQ(KinesisPosition(Position::After(Part(3, 5))), Position::At(Sequence(3)));
  EXPECT_EQ(KinesisPosition(Position::At(Part(3, 0))), Position::At(Sequence(3)));
  // Nothing else is in a record that is no aggregate.
  EXPECT_EQ(KinesisPosition(Position::After(Part(3, 0))), Position::After(Sequence(3)));
  for (const Position& same : {Position::After(Sequence(3)), Position::At(Sequence(3)),
                               Position::TrimHorizon(), Position::AtTimestamp(absl::Now())}) {
    EXPECT_EQ(KinesisPosition(same), same);
  }
}

class Deaggregating : public KinesisSourceTest {
 protected:
  Deaggregating() {
    options_.deaggregate = true;
    Make();
  }
};

TEST_F(Deaggregating, ACheckpointCanLieWithinAnAggregate) {
  const auto answer =
      RecordsAnswer({KinesisRecord(1, Aggregate({"a", "b", "c"})), KinesisRecord(2, "d")}, "next");
  kinesis_.Answer("GetRecords", answer);
  auto all = Read(*Open(Position::TrimHorizon()));
  EXPECT_THAT(Data(*all), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(Sequences(*all), ElementsAre(Part(1, 1), Part(1, 2), Part(1, 3), Part(2, 0)));
  EXPECT_EQ(all->records[1].record.partition_key, "b");

  // "b" failed: the shard goes on at it, not at the aggregate's start.
  kinesis_.Answer("GetRecords", answer);
  auto reader = Open(Position::At(Part(1, 2)));
  ReadLimits limits = Most();
  limits.end_sequence = Part(1, 3);
  auto rest = Read(*reader, limits);
  EXPECT_THAT(Data(*rest), ElementsAre("b", "c"));
  EXPECT_EQ(rest->state, State::kEndReached);
  EXPECT_EQ(kinesis_.requests("GetShardIterator").back().body["StartingSequenceNumber"],
            Sequence(1));
  EXPECT_THAT(Data(*reader->Read(Most())), ElementsAre("d"));
}

TEST_F(Deaggregating, MayBeTurnedOnLater) {
  kinesis_.Answer("GetRecords", RecordsAnswer({KinesisRecord(2, Aggregate({"a", "b"}))}, "next"));
  auto result = Read(*Open(Position::After(Sequence(1))));
  EXPECT_THAT(Sequences(*result), ElementsAre(Part(2, 1), Part(2, 2)));

  // But not within a batch that is cut already: all parts lie beyond its end.
  ReadLimits limits = Most();
  limits.end_sequence = Sequence(2);
  auto refused = Open(Position::At(Sequence(1)))->Read(limits);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("failed before de-aggregation was turned on"));
}

TEST_F(KinesisSourceTest, DeaggregationIsNotTurnedOffAgain) {
  auto refused = Open(Position::After(Part(1, 2)))->Read(Most());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("turn it on again"));
}

TEST_F(KinesisSourceTest, AggregatesAreLeftAloneByDefault) {
  const std::string aggregate = Aggregate({"a", "b"});
  kinesis_.Answer("GetRecords", RecordsAnswer({KinesisRecord(1, aggregate)}, "next"));
  auto result = Read(*Open(Position::TrimHorizon()));
  EXPECT_THAT(Data(*result), ElementsAre(aggregate));
  EXPECT_THAT(Sequences(*result), ElementsAre(Sequence(1)));
}

}  // namespace
}  // namespace lowmark
