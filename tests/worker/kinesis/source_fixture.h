// A Kinesis source on a fake Kinesis.
#ifndef LOWMARK_TESTS_WORKER_KINESIS_SOURCE_FIXTURE_H_
#define LOWMARK_TESTS_WORKER_KINESIS_SOURCE_FIXTURE_H_

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "tests/worker/kinesis/fake_kinesis.h"
#include "worker/source/kinesis/kinesis_source.h"

namespace lowmark {

class KinesisSourceTest : public testing::Test {
 protected:
  KinesisSourceTest() {
    options_.stream = "orders";
    options_.region = "eu-central-1";
    options_.endpoint = kinesis_.url();
    options_.access_key_id = "AKID";
    options_.secret_access_key = "SECRET";
    kinesis_.AnswerAlways("DescribeStreamSummary",
                          {{"StreamDescriptionSummary",
                            {{"StreamARN", "arn:aws:kinesis:eu-central-1:1:stream/orders"}}}});
    kinesis_.AnswerAlways("GetShardIterator", {{"ShardIterator", "first"}});
    Make();
  }

  void Make() {
    auto source = KinesisSource::Create(options_);
    ASSERT_TRUE(source.ok()) << source.status();
    source_ = *source;
  }

  std::unique_ptr<ShardReader> Open(const Position& from) {
    auto reader = source_->Open("shardId-000000000000", from);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return reader.ok() ? *std::move(reader) : nullptr;
  }

  // Reads until Kinesis was asked, which the shard's quota may delay.
  absl::StatusOr<ReadResult> Read(ShardReader& reader, const ReadLimits& limits) {
    const size_t before = kinesis_.requests("GetRecords").size();
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (true) {
      auto result = reader.Read(limits);
      if (!result.ok() || !result->records.empty() || absl::Now() > deadline ||
          result->state == ReadResult::State::kShardEnd ||
          kinesis_.requests("GetRecords").size() > before) {
        return result;
      }
    }
  }
  absl::StatusOr<ReadResult> Read(ShardReader& reader) { return Read(reader, Most()); }

  static ReadLimits Most() { return {.max_records = 10000, .max_bytes = 64 << 20}; }

  static std::vector<std::string> Sequences(const ReadResult& result) {
    std::vector<std::string> sequences;
    for (const SourceRecord& record : result.records) sequences.push_back(record.record.sequence);
    return sequences;
  }
  static std::vector<std::string> Data(const ReadResult& result) {
    std::vector<std::string> data;
    for (const SourceRecord& record : result.records) data.push_back(record.record.data);
    return data;
  }

  FakeKinesis& kinesis_ = FakeKinesis::Fresh();
  KinesisSourceOptions options_;
  std::shared_ptr<KinesisSource> source_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_WORKER_KINESIS_SOURCE_FIXTURE_H_
