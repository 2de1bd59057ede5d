// Reading a shard: records, positions, quotas, trouble, and ends.
#include "absl/strings/str_cat.h"
#include "tests/worker/kinesis/source_fixture.h"
#include "worker/source/kinesis/read_quota.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using State = ReadResult::State;

TEST_F(KinesisSourceTest, ReadsRecordsAsTheyAre) {
  const std::string gzip("\x1f\x8b\x08\x00zipped", 10);
  kinesis_.Answer("GetRecords",
                  RecordsAnswer({KinesisRecord(1, "one", "key"), KinesisRecord(5, gzip)}, "next"));
  auto reader = Open(Position::TrimHorizon());
  auto result = Read(*reader);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Sequences(*result), ElementsAre(Sequence(1), Sequence(5)));
  EXPECT_THAT(Data(*result), ElementsAre("one", gzip));
  EXPECT_EQ(result->records[0].record.partition_key, "key");
  EXPECT_EQ(result->records[0].record.arrival_time, absl::FromUnixMillis(1700000000123));
  EXPECT_EQ(result->state, State::kUpToDate);
  EXPECT_EQ(result->records_behind, 0);
  EXPECT_EQ(kinesis_.requests("GetRecords")[0].body,
            (nlohmann::json{{"ShardIterator", "first"}, {"Limit", 10000}}));
}

TEST_F(KinesisSourceTest, EachPositionIsAnIterator) {
  struct Case {
    Position from;
    nlohmann::json expected;
  };
  const nlohmann::json about = {{"StreamName", "orders"}, {"ShardId", "shardId-000000000000"}};
  const std::vector<Case> cases = {
      {Position::TrimHorizon(), {{"ShardIteratorType", "TRIM_HORIZON"}}},
      {Position::AtTimestamp(absl::FromUnixMicros(1700000000123456)),
       {{"ShardIteratorType", "AT_TIMESTAMP"}, {"Timestamp", 1700000000.123}}},
      {Position::At(Sequence(4)),
       {{"ShardIteratorType", "AT_SEQUENCE_NUMBER"}, {"StartingSequenceNumber", Sequence(4)}}},
      {Position::After(Sequence(4)),
       {{"ShardIteratorType", "AFTER_SEQUENCE_NUMBER"}, {"StartingSequenceNumber", Sequence(4)}}},
  };
  kinesis_.AnswerAlways("GetRecords", RecordsAnswer({}, "next"));
  for (const Case& each : cases) {
    Make();  // whose shard was not read yet
    ASSERT_TRUE(Read(*Open(each.from)).ok());
    nlohmann::json expected = about;
    expected.update(each.expected);
    EXPECT_EQ(kinesis_.requests("GetShardIterator").back().body, expected);
  }
}

TEST_F(KinesisSourceTest, LatestStaysWhereItWasWhenFirstRead) {
  const absl::Time pinned = absl::FromUnixSeconds(1795680000);  // the server's clock
  auto resolved = source_->ResolveLatest("shardId-000000000000");
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(*resolved, Position::AtTimestamp(pinned));

  // Also by a reader that is opened at LATEST, and loses its iterator.
  auto reader = Open(Position::Latest());
  kinesis_.Answer("GetRecords", RecordsAnswer({}, "next"));
  kinesis_.Refuse("GetRecords", 400, "ExpiredIteratorException");
  kinesis_.Answer("GetRecords", RecordsAnswer({KinesisRecord(1, "one")}, "next"));
  while (true) {
    auto result = Read(*reader);
    ASSERT_TRUE(result.ok()) << result.status();
    if (!result->records.empty()) break;
  }
  const auto iterators = kinesis_.requests("GetShardIterator");
  for (size_t i : {iterators.size() - 2, iterators.size() - 1}) {
    EXPECT_EQ(iterators[i].body["ShardIteratorType"], "AT_TIMESTAMP");
    EXPECT_EQ(iterators[i].body["Timestamp"], absl::ToUnixSeconds(pinned));
  }
}

TEST_F(KinesisSourceTest, SmallReadsAreServedFromOneCall) {
  std::vector<nlohmann::json> records;
  for (int i = 1; i <= 7; ++i) records.push_back(KinesisRecord(i, absl::StrCat(i)));
  kinesis_.Answer("GetRecords", RecordsAnswer(records, "next"));
  auto reader = Open(Position::TrimHorizon());
  const ReadLimits few = {.max_records = 3, .max_bytes = 1 << 20};
  auto result = Read(*reader, few);
  EXPECT_THAT(Data(*result), ElementsAre("1", "2", "3"));
  EXPECT_EQ(result->state, State::kMore);
  EXPECT_EQ(result->records_behind, 4);
  EXPECT_EQ(result->pause, absl::ZeroDuration());
  EXPECT_THAT(Data(*Read(*reader, few)), ElementsAre("4", "5", "6"));
  // By bytes as well; a larger record comes all the same.
  result = Read(*reader, {.max_records = 10, .max_bytes = 0});
  EXPECT_THAT(Data(*result), ElementsAre("7"));
  EXPECT_EQ(result->state, State::kUpToDate);
  EXPECT_EQ(kinesis_.requests("GetRecords").size(), 1);
}

TEST_F(KinesisSourceTest, MuchThatIsHeldMakesCallsSmall) {
  options_.surplus_bytes = 1 << 20;
  Make();
  kinesis_.Answer(
      "GetRecords",
      RecordsAnswer({KinesisRecord(1, "a"), KinesisRecord(2, std::string(1 << 20, 'x'))}, "next"));
  auto holder = source_->Open("shardId-000000000001", Position::TrimHorizon());
  const ReadLimits one = {.max_records = 1, .max_bytes = 1 << 20};
  ASSERT_TRUE(Read(**holder, one).ok());
  kinesis_.AnswerAlways("GetRecords", RecordsAnswer({}, "next"));
  auto reader = Open(Position::TrimHorizon());
  ASSERT_TRUE(Read(*reader, one).ok());
  EXPECT_EQ(kinesis_.requests("GetRecords").back().body["Limit"], 200)
      << "as many as a shard takes, five times a second";
  // Until it is gone.
  *holder = nullptr;
  ASSERT_TRUE(Read(*reader, one).ok());
  EXPECT_EQ(kinesis_.requests("GetRecords").back().body["Limit"], 10000);
}

TEST(ReadQuota, IsFiveReadsAndTwoMegabytesASecond) {
  EXPECT_EQ(PauseAfterRead(0), absl::Milliseconds(200));
  EXPECT_EQ(PauseAfterRead(400'000), absl::Milliseconds(200));
  EXPECT_EQ(PauseAfterRead(1'000'000), absl::Milliseconds(500));
  EXPECT_EQ(PauseAfterRead(10'000'000), absl::Seconds(5));

  ReadQuota quota;
  const SteadyTime now = std::chrono::steady_clock::now();
  EXPECT_EQ(quota.Wait(now), absl::ZeroDuration());
  quota.Spend(now, 2'000'000);
  EXPECT_EQ(quota.Wait(now), absl::Seconds(1));
  EXPECT_EQ(quota.Wait(now + std::chrono::milliseconds(900)), absl::Milliseconds(100));
  EXPECT_EQ(quota.Wait(now + std::chrono::seconds(2)), absl::ZeroDuration());
}

TEST_F(KinesisSourceTest, AShardIsLeftAloneWhileItsQuotaIsSpent) {
  // Four megabytes: two seconds' worth.
  kinesis_.Answer("GetRecords",
                  RecordsAnswer({KinesisRecord(1, std::string(4'000'000, 'x'))}, "next", 5000));
  auto reader = Open(Position::TrimHorizon());
  ASSERT_TRUE(Read(*reader).ok());
  // Whoever reads it next in this process, too.
  for (ShardReader* each : {reader.get(), Open(Position::TrimHorizon()).release()}) {
    const std::unique_ptr<ShardReader> owned(each == reader.get() ? nullptr : each);
    auto result = each->Read(Most());
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(result->records, IsEmpty());
    EXPECT_EQ(result->state, State::kMore);
    EXPECT_GT(result->pause, absl::ZeroDuration());
    EXPECT_LE(result->pause, absl::Seconds(2));
  }
  EXPECT_EQ(kinesis_.requests("GetRecords").size(), 1);
}

// An empty read between two failures would look as if the trouble were over.
TEST_F(KinesisSourceTest, AFailureLastsHoweverSoonItIsTriedAgain) {
  auto reader = Open(Position::TrimHorizon());
  constexpr int kTries = 5;
  for (int i = 0; i < kTries; ++i) {
    kinesis_.Refuse("GetRecords", 400, "AccessDeniedException", "no");
    const auto result = reader->Read(Most());
    EXPECT_THAT(result.status().message(), HasSubstr("AccessDeniedException"));
  }
  EXPECT_EQ(kinesis_.requests("GetRecords").size(), kTries);
  kinesis_.Answer("GetRecords", RecordsAnswer({KinesisRecord(1, "one")}, "next"));
  EXPECT_THAT(Data(*reader->Read(Most())), ElementsAre("one"));
}

TEST_F(KinesisSourceTest, MoreFollowsWhileKinesisSaysSo) {
  auto reader = Open(Position::TrimHorizon());
  // Empty answers are usual where a shard has gaps.
  kinesis_.Answer("GetRecords", RecordsAnswer({}, "next", 1000));
  EXPECT_EQ(Read(*reader)->state, State::kMore);
  kinesis_.Answer("GetRecords", RecordsAnswer({}, "next", 0));
  EXPECT_EQ(Read(*reader)->state, State::kUpToDate);
}

TEST_F(KinesisSourceTest, AShardEndsWhereNoIteratorFollows) {
  auto reader = Open(Position::TrimHorizon());
  kinesis_.Answer("GetRecords", RecordsAnswer({KinesisRecord(1, "last")}, ""));
  auto result = Read(*reader, {.max_records = 1, .max_bytes = 1 << 20});
  EXPECT_THAT(Data(*result), ElementsAre("last"));
  EXPECT_EQ(result->state, State::kShardEnd);
  EXPECT_EQ(result->vanished, "");
  EXPECT_EQ(reader->Read(Most())->state, State::kShardEnd);
  EXPECT_EQ(kinesis_.requests("GetRecords").size(), 1);
  // Null is as good as missing.
  auto other = source_->Open("shardId-000000000001", Position::TrimHorizon());
  nlohmann::json end = RecordsAnswer({}, "");
  end["NextShardIterator"] = nullptr;
  kinesis_.Answer("GetRecords", end);
  EXPECT_EQ(Read(**other)->state, State::kShardEnd);
}

TEST_F(KinesisSourceTest, ABatchWithAnEndIsReadUpToIt) {
  std::vector<nlohmann::json> records;
  for (int i = 1; i <= 4; ++i) records.push_back(KinesisRecord(i, absl::StrCat(i)));
  kinesis_.Answer("GetRecords", RecordsAnswer(records, "next"));
  auto reader = Open(Position::At(Sequence(1)));
  ReadLimits limits = Most();
  limits.end_sequence = Sequence(2);
  auto result = Read(*reader, limits);
  EXPECT_THAT(Data(*result), ElementsAre("1", "2"));
  EXPECT_EQ(result->state, State::kEndReached);
  limits.end_sequence = Sequence(4);
  result = Read(*reader, limits);
  EXPECT_THAT(Data(*result), ElementsAre("3", "4"));
  EXPECT_EQ(result->state, State::kEndReached);
}

TEST_F(KinesisSourceTest, ABatchWhoseRecordsAreGoneIsAtItsEnd) {
  auto reader = Open(Position::At(Sequence(1)));
  kinesis_.Answer("GetRecords", RecordsAnswer({}, "next", 0));
  ReadLimits limits = Most();
  limits.end_sequence = Sequence(2);
  EXPECT_EQ(Read(*reader, limits)->state, State::kEndReached);
}

// --- Trouble -----------------------------------------------------------------

TEST_F(KinesisSourceTest, TroubleThatWillPassIsUnavailable) {
  auto reader = Open(Position::TrimHorizon());
  kinesis_.Refuse("GetRecords", 400, "ProvisionedThroughputExceededException", "Rate exceeded");
  kinesis_.Refuse("GetRecords", 400, "com.amazonaws.kinesis#LimitExceededException:http://x");
  kinesis_.Refuse("GetRecords", 500, "InternalFailure");
  kinesis_.AnswerRaw("GetRecords", "HTTP/1.1 503 Gone away\r\nContent-Length: 0\r\n\r\n");
  kinesis_.AnswerRaw("GetRecords", "");
  kinesis_.AnswerRaw("GetRecords", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>");
  kinesis_.AnswerRaw("GetRecords", "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"Reco");
  // What says nothing of records does not end the shard.
  kinesis_.Answer("GetRecords", nlohmann::json::object());
  kinesis_.Answer("GetRecords", {{"Records", {{{"SequenceNumber", "x"}, {"Data", ""}}}}});
  kinesis_.Answer("GetRecords", {{"Records", {{{"SequenceNumber", "1"}, {"Data", "?"}}}}});
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Read(*reader).status().code(), absl::StatusCode::kUnavailable) << i;
  }
  kinesis_.Answer("GetRecords", RecordsAnswer({KinesisRecord(1, "one")}, "next"));
  EXPECT_THAT(Data(*Read(*reader)), ElementsAre("one"));
  // With the iterator that it had.
  EXPECT_EQ(kinesis_.requests("GetShardIterator").size(), 1);
}

TEST_F(KinesisSourceTest, AnAnswerThatDoesNotComeIsUnavailable) {
  options_.call_timeout = absl::Seconds(1);
  Make();
  auto reader = Open(Position::TrimHorizon());
  kinesis_.Hold(true);
  auto result = reader->Read(Most());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("no answer from http://127.0.0.1"));
  kinesis_.Hold(false);
}

TEST_F(KinesisSourceTest, AnExpiredIteratorIsRenewedAfterTheLastRecord) {
  auto reader = Open(Position::TrimHorizon());
  kinesis_.Answer("GetRecords", RecordsAnswer({KinesisRecord(7, "seven")}, "old"));
  ASSERT_TRUE(Read(*reader).ok());
  kinesis_.Refuse("GetRecords", 400, "ExpiredIteratorException");
  EXPECT_EQ(Read(*reader)->state, State::kMore);
  kinesis_.Answer("GetShardIterator", {{"ShardIterator", "renewed"}});
  kinesis_.Answer("GetRecords", RecordsAnswer({KinesisRecord(8, "eight")}, "next"));
  EXPECT_THAT(Data(*Read(*reader)), ElementsAre("eight"));
  EXPECT_EQ(kinesis_.requests("GetShardIterator").back().body["StartingSequenceNumber"],
            Sequence(7));
  EXPECT_EQ(kinesis_.requests("GetRecords").back().body["ShardIterator"], "renewed");
  // Iterators that are never good are trouble.
  for (int i = 0; i < 2; ++i) kinesis_.Refuse("GetRecords", 400, "ExpiredIteratorException");
  EXPECT_TRUE(Read(*reader).ok());
  EXPECT_EQ(Read(*reader).status().code(), absl::StatusCode::kUnavailable);
}

// Whatever is wrong with it, the next one may be better.
TEST_F(KinesisSourceTest, AnIteratorThatIsRefusedIsNotUsedAgain) {
  auto reader = Open(Position::TrimHorizon());
  kinesis_.Answer("GetRecords", RecordsAnswer({KinesisRecord(7, "seven")}, "bad"));
  ASSERT_TRUE(Read(*reader).ok());
  kinesis_.Refuse("GetRecords", 400, "InvalidArgumentException", "Invalid ShardIterator.");
  EXPECT_EQ(Read(*reader).status().code(), absl::StatusCode::kFailedPrecondition);
  kinesis_.Answer("GetShardIterator", {{"ShardIterator", "renewed"}});
  kinesis_.Answer("GetRecords", RecordsAnswer({KinesisRecord(8, "eight")}, "next"));
  EXPECT_THAT(Data(*Read(*reader)), ElementsAre("eight"));
  EXPECT_EQ(kinesis_.requests("GetRecords").back().body["ShardIterator"], "renewed");
}

TEST_F(KinesisSourceTest, APositionThatIsNotInTheShardIsSaidToBeWrong) {
  kinesis_.Refuse("GetShardIterator", 400, "InvalidArgumentException",
                  "StartingSequenceNumber 4 used in GetShardIterator is invalid");
  auto reader = Open(Position::At("4"));
  auto result = Read(*reader);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("GetShardIterator on stream orders in eu-central-1: 400 "
                        "InvalidArgumentException: StartingSequenceNumber 4"));
}

// --- Shards that are gone ------------------------------------------------------

class Vanished : public KinesisSourceTest {
 protected:
  Vanished() {
    kinesis_.Refuse("GetShardIterator", 400, "ResourceNotFoundException",
                    "Could not find shard shardId-000000000000");
  }
  absl::StatusOr<ReadResult> ReadWith(const nlohmann::json& shards) {
    kinesis_.Answer("ListShards", {{"Shards", shards}});
    return Open(Position::After(Sequence(1)))->Read(Most());
  }
};

TEST_F(Vanished, AShardThatPassedTheRetentionIsOver) {
  auto result = ReadWith({{{"ShardId", "shardId-000000000003"}}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->state, State::kShardEnd);
  EXPECT_THAT(result->vanished, HasSubstr("shardId-000000000000 is not in the stream any more"));
}

TEST_F(Vanished, AStreamWithoutLaterShardsIsAnotherOne) {
  auto result = ReadWith(nlohmann::json::array());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("has no shard"));
}

TEST_F(Vanished, InAShardThatIsListedItIsThePositionThatIsWrong) {
  auto result = ReadWith({{{"ShardId", "shardId-000000000000"}}});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(Vanished, AShardThatIsListedIsLookedForAgain) {
  kinesis_.Answer("ListShards", {{"Shards", {{{"ShardId", "shardId-000000000000"}}}}});
  auto result = Open(Position::TrimHorizon())->Read(Most());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(Vanished, AStreamThatIsGoneEndsNoShard) {
  kinesis_.Refuse("ListShards", 400, "ResourceNotFoundException", "Stream orders not found");
  auto result = Open(Position::After(Sequence(1)))->Read(Most());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("Stream orders not found (are the stream's name and region right?)"));
}

}  // namespace
}  // namespace lowmark
