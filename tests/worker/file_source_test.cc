#include "worker/source/file/file_source.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using State = ReadResult::State;
using Defect = SourceRecord::Defect;

class FileSourceTest : public testing::Test {
 protected:
  FileSourceTest() {
    std::string name = testing::TempDir() + "/file_source_XXXXXX";
    directory_ = mkdtemp(name.data());
    options_.directory = directory_;
    options_.warn = [this](const std::string& message) { warnings_.push_back(message); };
  }
  ~FileSourceTest() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  void Append(const std::string& shard, const std::string& text) const {
    std::ofstream(Path(shard + ".jsonl"), std::ios::app | std::ios::binary) << text;
  }
  void Close(const std::string& shard) const { std::ofstream(Path(shard + ".closed")); }

  std::shared_ptr<FileSource> Make() const {
    auto source = FileSource::Create(options_);
    EXPECT_TRUE(source.ok()) << source.status();
    return *source;
  }
  std::unique_ptr<ShardReader> Open(const Position& from, const std::string& shard = "s") const {
    auto reader = Make()->Open(shard, from);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return *std::move(reader);
  }
  static ReadResult Read(ShardReader& reader, const std::string& end = "", int records = 1000) {
    auto result = reader.Read({records, int64_t{1} << 30, end});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : ReadResult();
  }
  static absl::Status ReadError(ShardReader& reader, const std::string& end = "") {
    return reader.Read({1000, 1 << 20, end}).status();
  }
  static std::vector<std::string> Names(const ReadResult& result) {
    std::vector<std::string> names;
    for (const SourceRecord& record : result.records) {
      names.push_back(absl::StrCat(record.record.sequence, "=", record.record.data));
    }
    return names;
  }

  std::string directory_;
  FileSourceOptions options_;
  std::vector<std::string> warnings_;
};

TEST_F(FileSourceTest, ListsFilesThatAreShards) {
  for (const char* name : {"a.jsonl", "b-1.jsonl", "a.closed", "notes.txt", "bad name.jsonl",
                           ".jsonl", "\xc3\xa4.jsonl"}) {
    std::ofstream{Path(name)};
  }
  const auto source = Make();
  for (int i = 0; i < 2; ++i) {
    auto shards = source->ListShards();
    ASSERT_TRUE(shards.ok());
    EXPECT_THAT(*shards,
                testing::UnorderedElementsAre(ListedShard{"a", {}}, ListedShard{"b-1", {}}));
  }
  // Once each, however often it is listed.
  EXPECT_EQ(warnings_.size(), 3u);
  EXPECT_THAT(warnings_, testing::Contains(HasSubstr("ignoring \"bad name.jsonl\"")));
}

TEST_F(FileSourceTest, DirectoryThatIsNotThereIsAnError) {
  options_.directory = Path("later");
  const auto source = Make();
  EXPECT_TRUE(absl::IsNotFound(source->ListShards().status()));
  std::filesystem::create_directory(Path("later"));
  EXPECT_TRUE(source->ListShards().ok());
}

TEST_F(FileSourceTest, RefusesWrongOptions) {
  EXPECT_FALSE(FileSource::Create({}).ok());
  options_.max_line_bytes = 10;
  EXPECT_THAT(std::string(options_.Validate().message()), HasSubstr("max_line_bytes is 10"));
  EXPECT_FALSE(FileSource::Create(options_).ok());
}

TEST_F(FileSourceTest, RefusesWrongShardsAndPositions) {
  EXPECT_FALSE(Make()->Open("../etc/passwd", Position::TrimHorizon()).ok());
  EXPECT_FALSE(Make()->Open("s", Position::ShardEnd()).ok());
}

TEST_F(FileSourceTest, SequenceIsTheOffsetOfTheLine) {
  Append("s", "{}\n[1]\n2\n");
  const auto reader = Open(Position::TrimHorizon());
  const ReadResult result = Read(*reader);
  EXPECT_THAT(Names(result), ElementsAre("0={}", "3=[1]", "7=2"));
  EXPECT_EQ(result.state, State::kUpToDate);
  EXPECT_EQ(result.records_behind, 0);
}

TEST_F(FileSourceTest, StartsAtAnyPosition) {
  Append("s", "{}\n[1]\n2\n");
  EXPECT_THAT(Names(Read(*Open(Position::At("3")))), ElementsAre("3=[1]", "7=2"));
  EXPECT_THAT(Names(Read(*Open(Position::After("3")))), ElementsAre("7=2"));
  EXPECT_THAT(Names(Read(*Open(Position::After("7")))), ElementsAre());
  EXPECT_THAT(Names(Read(*Open(Position::At("9")))), ElementsAre());
  EXPECT_THAT(Names(Read(*Open(Position::At("0")))), testing::SizeIs(3));
}

TEST_F(FileSourceTest, LatestIsResolvedOnce) {
  Append("s", "1\n2\nhal");
  const auto reader = Open(Position::Latest());
  EXPECT_THAT(Names(Read(*reader)), ElementsAre());
  Append("s", "f\n");  // not JSON, but a line that is new
  Append("s", "3\n");
  EXPECT_THAT(Names(Read(*reader)), ElementsAre("4=half", "9=3"));
}

TEST_F(FileSourceTest, LatestOfAFileWithoutNewline) {
  Append("s", std::string(300000, 'x'));
  const auto reader = Open(Position::Latest());
  EXPECT_THAT(Names(Read(*reader)), ElementsAre());
  Append("s", "\n");
  EXPECT_EQ(Read(*reader).records.size(), 1u);
}

TEST_F(FileSourceTest, LatestIsAPositionThatStays) {
  EXPECT_FALSE(Make()->ResolveLatest("s").ok());
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"", "0"}, {"hal", "0"}, {"f\n", "5"}, {"1\nmore", "7"}}) {
    Append("s", text);
    auto latest = Make()->ResolveLatest("s");
    ASSERT_TRUE(latest.ok()) << latest.status();
    EXPECT_EQ(*latest, Position::At(expected));
    EXPECT_THAT(Names(Read(*Open(*latest))), ElementsAre());
  }
  Append("s", " text\n");
  EXPECT_THAT(Names(Read(*Open(Position::At("7")))), ElementsAre("7=more text"));
  Append("s", "cut");
  Close("s");
  const auto latest = Make()->ResolveLatest("s");
  EXPECT_EQ(Read(*Open(*latest)).state, State::kShardEnd);
}

TEST_F(FileSourceTest, LineIsARecordOnceItHasItsNewline) {
  Append("s", "{\"a\":");
  const auto reader = Open(Position::TrimHorizon());
  EXPECT_THAT(Names(Read(*reader)), ElementsAre());
  Append("s", "1}");
  EXPECT_THAT(Names(Read(*reader)), ElementsAre());
  Append("s", "\n");
  EXPECT_THAT(Names(Read(*reader)), ElementsAre("0={\"a\":1}"));
}

TEST_F(FileSourceTest, GivesNoMoreThanIsAsked) {
  for (int i = 0; i < 10; ++i) Append("s", absl::StrCat(i, "\n"));
  const auto reader = Open(Position::TrimHorizon());
  const ReadResult first = Read(*reader, "", 3);
  EXPECT_THAT(Names(first), ElementsAre("0=0", "2=1", "4=2"));
  EXPECT_EQ(first.state, State::kMore);
  EXPECT_EQ(first.records_behind, 7);
  auto by_bytes = reader->Read({100, 2, ""});
  EXPECT_THAT(Names(*by_bytes), ElementsAre("6=3", "8=4"));
  EXPECT_EQ(by_bytes->state, State::kMore);
  // One that is larger than what is asked for comes by itself.
  Append("s", "\"long long\"\n");
  ASSERT_EQ(Read(*reader, "", 5).records.size(), 5u);
  EXPECT_EQ(reader->Read({100, 2, ""})->records.size(), 1u);
}

TEST_F(FileSourceTest, StopsAtAnEnd) {
  Append("s", "0\n2\n4\n6\n");
  const auto reader = Open(Position::TrimHorizon());
  const ReadResult result = Read(*reader, "4");
  EXPECT_THAT(Names(result), ElementsAre("0=0", "2=2", "4=4"));
  EXPECT_EQ(result.state, State::kEndReached);
  EXPECT_EQ(Read(*reader, "4").state, State::kEndReached);
  EXPECT_THAT(Names(Read(*reader, "")), ElementsAre("6=6"));
}

TEST_F(FileSourceTest, ClosedShardEnds) {
  Append("s", "1\n2\n");
  const auto reader = Open(Position::TrimHorizon());
  EXPECT_EQ(Read(*reader).state, State::kUpToDate);
  Append("s", "3\n");
  Close("s");
  const ReadResult last = Read(*reader);
  EXPECT_THAT(Names(last), ElementsAre("4=3"));
  EXPECT_EQ(last.state, State::kShardEnd);
  EXPECT_EQ(Read(*reader).state, State::kShardEnd);
  EXPECT_EQ(Read(*Open(Position::After("4"))).state, State::kShardEnd);
  EXPECT_EQ(Read(*Open(Position::Latest())).state, State::kShardEnd);
}

TEST_F(FileSourceTest, LastLineOfAClosedShardNeedsNoNewline) {
  Append("s", "1\n{\"cut\":");
  Close("s");
  const auto reader = Open(Position::TrimHorizon());
  const ReadResult result = Read(*reader);
  EXPECT_THAT(Names(result), ElementsAre("0=1", "2={\"cut\":"));
  EXPECT_EQ(result.records[1].defect, Defect::kUnreadable);
  EXPECT_EQ(result.state, State::kShardEnd);
  EXPECT_EQ(Read(*reader).state, State::kShardEnd);
  const ReadResult after = Read(*Open(Position::After("2")));
  EXPECT_THAT(Names(after), ElementsAre());
  EXPECT_EQ(after.state, State::kShardEnd);
}

TEST_F(FileSourceTest, LineThatIsNotJsonIsUnreadable) {
  Append("s", std::string("oops\n\n{\"a\":1,}\n\"\xff\"\n\0\n{}\n", 24));
  const ReadResult result = Read(*Open(Position::TrimHorizon()));
  ASSERT_EQ(result.records.size(), 6u);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(result.records[i].defect, Defect::kUnreadable) << i;
    EXPECT_EQ(result.records[i].problem, "the line is not JSON") << i;
  }
  EXPECT_EQ(result.records[0].record.data, "oops");
  EXPECT_EQ(result.records[4].record.data, std::string("\0", 1));
  EXPECT_EQ(result.records[5].defect, Defect::kNone);
}

TEST_F(FileSourceTest, LinesOfADynamoDbStreamHaveToBeItsRecords) {
  options_.origin.shape = Origin::Shape::kDynamoDb;
  options_.origin.region = "eu-west-1";
  Append("s", "{\"dynamodb\":{}}\n{\"dynamodb\":1}\n{}\n[]\n1\noops\n");
  const ReadResult result = Read(*Open(Position::TrimHorizon()));
  ASSERT_EQ(result.records.size(), 6u);
  EXPECT_EQ(result.records[0].defect, Defect::kNone);
  for (size_t i = 1; i < 6; ++i) {
    EXPECT_EQ(result.records[i].defect, Defect::kUnreadable) << i;
  }
  EXPECT_EQ(Make()->origin(), options_.origin);
}

TEST_F(FileSourceTest, TooLongLineIsSetAsideWithItsStart) {
  options_.max_line_bytes = 2000;
  const std::string fits = "\"" + std::string(1998, 'x') + "\"";
  Append("s", fits + "\n" + "\"" + std::string(200000, 'y') + "\"\n1\n");
  const ReadResult result = Read(*Open(Position::TrimHorizon()));
  ASSERT_EQ(result.records.size(), 3u);
  EXPECT_EQ(result.records[0].defect, Defect::kNone);
  EXPECT_EQ(result.records[1].defect, Defect::kTooLarge);
  EXPECT_EQ(result.records[1].record.data.size(), 65536u);
  EXPECT_THAT(result.records[1].problem, HasSubstr("200002 bytes, more than 2000"));
  EXPECT_EQ(result.records[2].record.data, "1");
}

TEST_F(FileSourceTest, KeysAndTimesComeFromFields) {
  options_.key_field = "k";
  options_.time_field = "t";
  Append("s",
         "{\"k\":\"one\",\"t\":\"2026-01-02T03:04:05.5Z\"}\n"
         "{\"k\":2,\"t\":1545084650.987}\n"
         "{\"k\":{\"a\":null},\"t\":\"1545084650\"}\n"
         "{\"k\":null,\"t\":\"yesterday\"}\n"
         "{\"t\":1e300}\n"
         "[\"k\"]\n");
  const absl::Time before = absl::Now();
  const ReadResult result = Read(*Open(Position::TrimHorizon()));
  ASSERT_EQ(result.records.size(), 6u);
  const auto record = [&result](int i) { return result.records[i].record; };
  EXPECT_EQ(record(0).partition_key, "one");
  EXPECT_EQ(record(0).arrival_time,
            absl::FromCivil(absl::CivilSecond(2026, 1, 2, 3, 4, 5), absl::UTCTimeZone()) +
                absl::Milliseconds(500));
  EXPECT_EQ(record(1).partition_key, "2");
  EXPECT_EQ(record(1).arrival_time, absl::FromUnixMillis(1545084650987));
  EXPECT_EQ(record(2).partition_key, "{\"a\":null}");
  EXPECT_EQ(record(2).arrival_time, absl::FromUnixSeconds(1545084650));
  EXPECT_EQ(record(3).partition_key, "null");
  for (int i = 3; i < 6; ++i) EXPECT_GE(record(i).arrival_time, before) << i;
  EXPECT_EQ(record(4).partition_key, "");
  EXPECT_EQ(record(5).partition_key, "");
}

TEST_F(FileSourceTest, KeyThatIsTooLongMakesTheRecordUnreadable) {
  options_.key_field = "k";
  Append("s", absl::StrCat("{\"k\":\"", std::string((64 << 10) + 1, 'k'), "\"}\n"));
  const ReadResult result = Read(*Open(Position::TrimHorizon()));
  EXPECT_EQ(result.records.at(0).defect, Defect::kUnreadable);
  EXPECT_EQ(result.records.at(0).record.partition_key, "");
}

TEST_F(FileSourceTest, StartsAtATime) {
  options_.time_field = "t";
  Append("s", "{\"t\":10}\noops\n{\"t\":20}\n{\"t\":15}\n");
  const auto from = [this](int seconds) {
    return Names(Read(*Open(Position::AtTimestamp(absl::FromUnixSeconds(seconds)))));
  };
  EXPECT_THAT(from(11), ElementsAre("14={\"t\":20}", "23={\"t\":15}"));
  EXPECT_THAT(from(10), testing::SizeIs(4));
  EXPECT_THAT(from(21), ElementsAre());
  options_.time_field = "";
  EXPECT_THAT(from(21), testing::SizeIs(4));
}

// --- Trouble -------------------------------------------------------------------

TEST_F(FileSourceTest, TruncatedFileIsSaid) {
  Append("s", "1\n2\n3\n");
  const auto reader = Open(Position::TrimHorizon());
  ASSERT_EQ(Read(*reader).records.size(), 3u);
  std::filesystem::resize_file(Path("s.jsonl"), 2);
  const absl::Status error = ReadError(*reader);
  EXPECT_TRUE(absl::IsFailedPrecondition(error));
  EXPECT_THAT(std::string(error.message()), HasSubstr("has 2 bytes, but was read up to 6"));
  EXPECT_FALSE(ReadError(*Open(Position::At("4"))).ok());
  EXPECT_FALSE(ReadError(*Open(Position::After("4"))).ok());
  EXPECT_FALSE(ReadError(*Open(Position::TrimHorizon()), "4").ok());
  // It goes on when the file is as it was.
  Append("s", "2\n3\n4\n");
  EXPECT_THAT(Names(Read(*reader)), ElementsAre("6=4"));
}

TEST_F(FileSourceTest, ReplacedFileIsSaid) {
  Append("s", "1\n2\n");
  const auto reader = Open(Position::After("2"));
  ASSERT_EQ(Read(*reader).records.size(), 0u);
  std::ofstream(Path("s.jsonl")) << "\"other\"\n\"lines\"\n";
  EXPECT_THAT(std::string(ReadError(*reader).message()), HasSubstr("no line starts at 4"));
  EXPECT_FALSE(ReadError(*Open(Position::At("3"))).ok());
}

TEST_F(FileSourceTest, SequenceNumberThatIsNoOffset) {
  Append("s", "1\n");
  EXPECT_TRUE(absl::IsFailedPrecondition(
      ReadError(*Open(Position::At("49590338271490256608559692538361571095921575989136588898")))));
}

TEST_F(FileSourceTest, FileThatIsGoneAndComesBack) {
  Append("s", "1\n");
  const auto reader = Open(Position::TrimHorizon());
  ASSERT_EQ(Read(*reader).records.size(), 1u);
  std::filesystem::rename(Path("s.jsonl"), Path("away"));
  EXPECT_TRUE(absl::IsNotFound(ReadError(*reader)));
  std::filesystem::rename(Path("away"), Path("s.jsonl"));
  EXPECT_EQ(Read(*reader).state, State::kUpToDate);
}

TEST_F(FileSourceTest, WhatIsNoRegularFile) {
  std::filesystem::create_directory(Path("s.jsonl"));
  EXPECT_THAT(std::string(ReadError(*Open(Position::TrimHorizon())).message()),
              HasSubstr("not a regular file"));
  ASSERT_EQ(mkfifo(Path("pipe.jsonl").c_str(), 0600), 0);
  EXPECT_FALSE(ReadError(*Open(Position::TrimHorizon(), "pipe")).ok());
}

TEST_F(FileSourceTest, FileThatMayNotBeRead) {
  Append("s", "1\n");
  // Nothing is forbidden to root; a link that leads nowhere is the same to a reader.
  std::filesystem::create_symlink(Path("nowhere"), Path("link.jsonl"));
  EXPECT_FALSE(ReadError(*Open(Position::TrimHorizon(), "link")).ok());
  if (geteuid() == 0) return;
  chmod(Path("s.jsonl").c_str(), 0);
  EXPECT_TRUE(absl::IsPermissionDenied(ReadError(*Open(Position::TrimHorizon()))));
}

}  // namespace
}  // namespace lowmark
