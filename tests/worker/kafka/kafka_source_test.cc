// The source as it is, against a cluster that answers over TCP.
#include "worker/source/kafka/kafka_source.h"

#include <gmock/gmock.h>

#include <fstream>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "tests/core/seed.h"
#include "tests/support/mock_kafka.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using State = ReadResult::State;
using Api = MockKafka::Api;

constexpr absl::Duration kPatience = absl::Seconds(60);

std::shared_ptr<KafkaSource> MakeSource(
    const std::string& brokers,
    const std::function<void(KafkaSourceOptions&)>& change = [](KafkaSourceOptions&) {}) {
  KafkaSourceOptions options;
  options.brokers = brokers;
  options.topic = "t";
  // Quick to notice what changes.
  options.properties = {{"topic.metadata.refresh.interval.ms", "200"},
                        {"reconnect.backoff.max.ms", "200"},
                        {"topic.metadata.propagation.max.ms", "500"}};
  change(options);
  auto source = KafkaSource::Create(options);
  EXPECT_TRUE(source.ok()) << source.status();
  return source.ok() ? *source : nullptr;
}

std::unique_ptr<ShardReader> Open(KafkaSource& source, const std::string& shard,
                                  const Position& from) {
  auto reader = source.Open(shard, from);
  EXPECT_TRUE(reader.ok()) << reader.status();
  return *std::move(reader);
}

ReadLimits Limits(const std::string& end = "", int records = 100) {
  return {records, int64_t{1} << 20, end};
}

// Reads until so many records came; trouble that will pass is borne.
std::vector<SourceRecord> ReadRecords(ShardReader& reader, size_t count) {
  std::vector<SourceRecord> records;
  const absl::Time deadline = absl::Now() + kPatience;
  while (records.size() < count && absl::Now() < deadline) {
    auto result = reader.Read(Limits());
    if (!result.ok()) {
      EXPECT_TRUE(absl::IsUnavailable(result.status())) << result.status();
      continue;
    }
    for (SourceRecord& record : result->records) records.push_back(std::move(record));
  }
  return records;
}

std::vector<std::string> Data(const std::vector<SourceRecord>& records) {
  std::vector<std::string> data;
  for (const SourceRecord& record : records) data.push_back(record.record.data);
  return data;
}

// Reads until the condition holds for an answer.
bool Await(ShardReader& reader,
           const std::function<bool(const absl::StatusOr<ReadResult>&)>& condition,
           const ReadLimits& limits = Limits()) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (absl::Now() < deadline) {
    if (condition(reader.Read(limits))) return true;
  }
  return false;
}

bool IsUpToDate(const absl::StatusOr<ReadResult>& result) {
  return result.ok() && result->state == State::kUpToDate;
}

std::vector<MockMessage> Numbered(int from, int to) {
  std::vector<MockMessage> messages;
  for (int i = from; i <= to; ++i) messages.push_back({.key = "", .data = absl::StrCat(i)});
  return messages;
}

TEST(KafkaSourceTest, EachPartitionIsAShard) {
  MockKafka kafka(3);
  kafka.CreateTopic("t", 3);
  const auto source = MakeSource(kafka.brokers());
  auto shards = source->ListShards();
  ASSERT_TRUE(shards.ok()) << shards.status();
  EXPECT_THAT(*shards,
              ElementsAre(ListedShard{"t-0", {}}, ListedShard{"t-1", {}}, ListedShard{"t-2", {}}));
  EXPECT_EQ(source->origin().shape, Origin::Shape::kKafka);
  for (const char* shard : {"t", "t-", "t-x", "u-1", "t-01", "t--1", "t-99999999999"}) {
    EXPECT_TRUE(absl::IsNotFound(source->Open(shard, Position()).status())) << shard;
  }
}

TEST(KafkaSourceTest, ReadsWhatMessagesHold) {
  MockKafka kafka;
  kafka.CreateTopic("t", 1);
  const std::string bytes("\0\xff\n", 3);
  kafka.Produce("t", 0,
                {{.key = "k",
                  .data = "d",
                  .time = absl::FromUnixMillis(1700000000123),
                  .headers = {{"h", "1"}, {"i", bytes}, {"h", ""}}},
                 {.key = bytes, .data = bytes, .time = absl::FromUnixMillis(1)},
                 {.key = std::string(70000, 'k'), .data = "of a long key"}});
  const auto source = MakeSource(kafka.brokers());
  const auto records = ReadRecords(*Open(*source, "t-0", Position::TrimHorizon()), 3);
  ASSERT_THAT(records, SizeIs(3));
  EXPECT_EQ(records[0].record, (Record{"0",
                                       "k",
                                       absl::FromUnixMillis(1700000000123),
                                       "d",
                                       {{"h", "1"}, {"i", bytes}, {"h", ""}}}));
  EXPECT_EQ(records[1].record, (Record{"1", bytes, absl::FromUnixMillis(1), bytes}));
  EXPECT_EQ(records[2].defect, SourceRecord::Defect::kUnreadable);
  EXPECT_EQ(records[2].record.data, "of a long key");
}

TEST(KafkaSourceTest, StartsAtAnyPosition) {
  MockKafka kafka;
  kafka.CreateTopic("t", 1);
  kafka.Produce("t", 0, Numbered(0, 9));
  const auto source = MakeSource(kafka.brokers());
  EXPECT_THAT(Data(ReadRecords(*Open(*source, "t-0", Position::At("8")), 2)),
              ElementsAre("8", "9"));
  EXPECT_THAT(Data(ReadRecords(*Open(*source, "t-0", Position::After("8")), 1)), ElementsAre("9"));
  auto latest = source->ResolveLatest("t-0");
  ASSERT_TRUE(latest.ok()) << latest.status();
  EXPECT_EQ(*latest, Position::At("10"));
  auto reader = Open(*source, "t-0", Position::Latest());
  EXPECT_TRUE(Await(*reader, IsUpToDate));
  kafka.Produce("t", 0, Numbered(10, 10));
  EXPECT_THAT(Data(ReadRecords(*reader, 1)), ElementsAre("10"));
  EXPECT_THAT(Data(ReadRecords(*Open(*source, "t-0", *latest), 1)), ElementsAre("10"));
}

TEST(KafkaSourceTest, MarksOfTransactionsAreGapsThatNothingWaitsFor) {
  MockKafka kafka;
  kafka.CreateTopic("t", 1);
  kafka.Produce("t", 0, Numbered(0, 1));
  kafka.AppendMark("t", 0);  // offset 2
  kafka.Produce("t", 0, Numbered(3, 3));
  kafka.AppendMark("t", 0);  // offset 4
  const auto source = MakeSource(kafka.brokers());
  auto reader = Open(*source, "t-0", Position::TrimHorizon());
  const auto records = ReadRecords(*reader, 3);
  ASSERT_THAT(records, SizeIs(3));
  EXPECT_EQ(records[2].record.sequence, "3");
  // At the end, after a mark ...
  EXPECT_TRUE(Await(*reader, [](const absl::StatusOr<ReadResult>& result) {
    return IsUpToDate(result) && result->records_behind == 0;
  }));
  // ... at a mark ...
  EXPECT_TRUE(Await(*Open(*source, "t-0", Position::At("4")), IsUpToDate));
  EXPECT_THAT(Data(ReadRecords(*Open(*source, "t-0", Position::At("2")), 1)), ElementsAre("3"));
  // ... and up to one.
  const auto reached = [](const absl::StatusOr<ReadResult>& result) {
    return result.ok() && result->state == State::kEndReached;
  };
  EXPECT_TRUE(Await(*Open(*source, "t-0", Position::At("2")), reached, Limits("2")));
  EXPECT_TRUE(Await(*Open(*source, "t-0", Position::At("3")), reached, Limits("4")));
}

TEST(KafkaSourceTest, NothingIsLostOrRepeatedThroughTroubleOfTheCluster) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937_64 random(seed);
  MockKafka kafka(3);
  kafka.CreateTopic("t", 1);
  const auto source = MakeSource(kafka.brokers());
  auto reader = Open(*source, "t-0", Position::TrimHorizon());
  std::vector<std::string> expected;
  std::vector<std::string> read;
  constexpr rd_kafka_resp_err_t kErrors[] = {
      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
      RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
      RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE};
  for (int round = 0; round < 12; ++round) {
    std::vector<MockMessage> messages = Numbered(round * 50, round * 50 + 49);
    for (const MockMessage& message : messages) expected.push_back(message.data);
    kafka.Produce("t", 0, messages);
    kafka.Fail(random() % 4 == 0 ? Api::kListOffsets : Api::kFetch,
               {kErrors[random() % 5], kErrors[random() % 5]});
    const int broker = static_cast<int>(1 + random() % 3);
    kafka.SetRoundTrip(broker, absl::Milliseconds(random() % 30));
    kafka.SetLeader("t", 0, static_cast<int>(1 + random() % 3));
    if (random() % 3 == 0) {
      const Position from = read.empty() ? Position::TrimHorizon() : Position::After(read.back());
      reader = Open(*source, "t-0", from);
    }
    for (const auto& data : Data(ReadRecords(*reader, 50))) read.push_back(data);
    ASSERT_EQ(read, expected);
  }
}

TEST(KafkaSourceTest, RecordsThatWereDeletedAreNoticed) {
  MockKafka kafka;
  kafka.CreateTopic("t", 1);
  for (int i = 0; i < 8; ++i) {
    kafka.Produce("t", 0, {{.key = "", .data = std::string(900000, 'x')}});
  }
  const auto source = MakeSource(kafka.brokers());
  auto reader = Open(*source, "t-0", Position::At("0"));
  std::string message;
  EXPECT_TRUE(Await(*reader, [&](const absl::StatusOr<ReadResult>& result) {
    message = std::string(result.status().message());
    return absl::IsFailedPrecondition(result.status());
  })) << message;
  EXPECT_THAT(message, HasSubstr("t-0: offset 0 is gone (it has "));
  EXPECT_THAT(message, HasSubstr(" up to, not including, 8)"));

  const auto lenient = MakeSource(kafka.brokers(), [](KafkaSourceOptions& options) {
    options.out_of_range = KafkaSourceOptions::OutOfRange::kEarliest;
  });
  reader = Open(*lenient, "t-0", Position::At("0"));
  int64_t lost = 0;
  std::string first;
  EXPECT_TRUE(Await(*reader, [&](const absl::StatusOr<ReadResult>& result) {
    if (!result.ok()) return false;
    lost += result->lost;
    if (!result->records.empty()) first = result->records[0].record.sequence;
    return !first.empty();
  }));
  EXPECT_GT(lost, 0);
  EXPECT_EQ(first, absl::StrCat(lost));
}

// --- Trouble, in one line ---------------------------------------------------------

TEST(KafkaSourceTest, SaysThatThereIsNoSuchTopicOrPartition) {
  MockKafka kafka;
  kafka.CreateTopic("t", 1);
  kafka.SetMissing("t", true);
  const auto source = MakeSource(kafka.brokers());
  const absl::Status error = source->ListShards().status();
  EXPECT_TRUE(absl::IsNotFound(error)) << error;
  EXPECT_THAT(error.message(),
              HasSubstr(absl::StrCat("Kafka has no topic or partition t (", kafka.brokers())));
  kafka.SetMissing("t", false);
  EXPECT_TRUE(Await(*Open(*source, "t-7", Position::At("0")),
                    [](const auto& result) { return absl::IsNotFound(result.status()); }));
}

TEST(KafkaSourceTest, SaysThatNoBrokerCanBeReached) {
  const auto source = MakeSource("127.0.0.1:1", [](KafkaSourceOptions& options) {
    options.request_timeout = absl::Milliseconds(500);
  });
  EXPECT_TRUE(absl::IsUnavailable(source->ListShards().status()));
  auto reader = Open(*source, "t-0", Position::TrimHorizon());
  std::string message;
  EXPECT_TRUE(Await(*reader, [&](const absl::StatusOr<ReadResult>& result) {
    message = std::string(result.status().message());
    return absl::IsUnavailable(result.status()) && message.find("refused") != std::string::npos;
  })) << message;
  EXPECT_THAT(message, HasSubstr("Kafka at 127.0.0.1:1 cannot be reached: "));
  EXPECT_THAT(message, testing::Not(HasSubstr("after")));
}

TEST(KafkaSourceTest, NoticesThatBrokersGoAndComeWhereNothingIsNew) {
  MockKafka kafka;
  kafka.CreateTopic("t", 1);
  kafka.Produce("t", 0, Numbered(0, 0));
  const auto source = MakeSource(kafka.brokers());
  auto reader = Open(*source, "t-0", Position::TrimHorizon());
  EXPECT_THAT(ReadRecords(*reader, 1), SizeIs(1));
  EXPECT_TRUE(Await(*reader, IsUpToDate));
  kafka.SetDown(1, true);
  EXPECT_TRUE(Await(*reader, [](const absl::StatusOr<ReadResult>& result) {
    return absl::IsUnavailable(result.status());
  }));
  kafka.SetDown(1, false);
  EXPECT_TRUE(Await(*reader, IsUpToDate));
  kafka.Produce("t", 0, Numbered(1, 1));
  EXPECT_THAT(Data(ReadRecords(*reader, 1)), ElementsAre("1"));
}

// --- Size ---------------------------------------------------------------------------

int Threads() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    absl::string_view text = line;
    int threads = 0;
    if (absl::ConsumePrefix(&text, "Threads:") && absl::SimpleAtoi(text, &threads)) return threads;
  }
  return -1;
}

TEST(KafkaSourceTest, ThousandsOfPartitionsNeedFewThreads) {
  constexpr int kPartitions = 2000;
  MockKafka kafka(3);
  kafka.CreateTopic("t", kPartitions);
  for (const int partition : {0, 700, kPartitions - 1}) {
    kafka.Produce("t", partition, Numbered(partition, partition));
  }
  const auto source = MakeSource(kafka.brokers());
  auto shards = source->ListShards();
  ASSERT_TRUE(shards.ok()) << shards.status();
  ASSERT_THAT(*shards, SizeIs(kPartitions));
  std::vector<std::unique_ptr<ShardReader>> readers;
  for (const ListedShard& shard : *shards)
    readers.push_back(Open(*source, shard.shard, Position::At("0")));
  // Each in turn, as a worker's threads do it.
  std::vector<std::string> data;
  size_t up_to_date = 0;
  const absl::Time deadline = absl::Now() + kPatience;
  while (up_to_date < readers.size() && absl::Now() < deadline) {
    up_to_date = 0;
    for (auto& reader : readers) {
      auto result = reader->Read(Limits());
      ASSERT_TRUE(result.ok()) << result.status();
      for (const SourceRecord& record : result->records) data.push_back(record.record.data);
      if (result->state == State::kUpToDate && result->records_behind == 0) ++up_to_date;
    }
  }
  EXPECT_EQ(up_to_date, readers.size());
  EXPECT_THAT(data, testing::UnorderedElementsAre("0", "700", absl::StrCat(kPartitions - 1)));
  EXPECT_LT(Threads(), 30);
}

}  // namespace
}  // namespace lowmark
