// Random lines, appended in random pieces and read in random bites, against an
// oracle that splits the whole text at its newlines.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "nlohmann/json.hpp"
#include "tests/core/seed.h"
#include "worker/source/file/file_source.h"

namespace lowmark {
namespace {

struct Expected {
  std::string sequence;
  std::string data;
};

// The complete lines of a text; all of them where it is closed.
std::vector<Expected> Lines(const std::string& text, bool closed) {
  std::vector<Expected> lines;
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\n') continue;
    lines.push_back({std::to_string(start), text.substr(start, i - start)});
    start = i + 1;
  }
  if (closed && start < text.size()) lines.push_back({std::to_string(start), text.substr(start)});
  return lines;
}

class Writer {
 public:
  explicit Writer(std::mt19937_64& random) : random_(random) {}

  // A piece of text: whole lines, parts of lines, or bytes of any kind.
  std::string Piece() {
    std::string piece;
    const int parts = Upto(5);
    for (int i = 0; i < parts; ++i) {
      switch (Upto(6)) {
        case 0:
          piece += "{\"n\":" + std::to_string(Upto(1000)) + "}\n";
          break;
        case 1:
          piece += "\"" + std::string(Upto(3000), 'x') + "\"\n";
          break;
        case 2:
          piece += "{\"half\":";
          break;
        case 3:
          piece += static_cast<char>(Upto(256));
          break;
        case 4:
          piece += std::string(Upto(3), '\n');
          break;
        default:
          piece += std::string(Upto(400000), 'y') + "\n";
          break;
      }
    }
    return piece;
  }
  int Upto(int end) { return static_cast<int>(random_() % end); }

 private:
  std::mt19937_64& random_;
};

void Compare(const SourceRecord& record, const Expected& expected) {
  ASSERT_EQ(record.record.sequence, expected.sequence);
  ASSERT_EQ(record.record.data, expected.data);
  ASSERT_EQ(record.defect == SourceRecord::Defect::kNone, nlohmann::json::accept(expected.data));
}

// Writes and reads one file to its end.
void PlayFile(const std::string& path, std::mt19937_64& random) {
  Writer writer(random);
  FileSourceOptions options;
  options.directory = path;
  auto source = FileSource::Create(options);
  ASSERT_TRUE(source.ok());
  std::ofstream file(path + "/s.jsonl", std::ios::binary);
  file.flush();

  std::string text;
  size_t next = 0;  // of the lines
  Position position = Position::TrimHorizon();
  std::unique_ptr<ShardReader> reader;
  bool closed = false;
  for (int round = 0;; ++round) {
    if (!closed) {
      const std::string piece = writer.Piece();
      file << piece << std::flush;
      text += piece;
      if (round > 20) {
        closed = true;
        std::ofstream(path + "/s.closed");
      }
    }
    const auto lines = Lines(text, closed);
    if (!reader || writer.Upto(4) == 0) {
      // A reader that starts at any line that was not passed sees the same.
      if (next < lines.size() && writer.Upto(2) == 0) position = Position::At(lines[next].sequence);
      reader = *(*source)->Open("s", position);
    }
    ReadLimits limits{1 + writer.Upto(20), 1 + writer.Upto(500000), ""};
    size_t most = lines.size();
    if (next < lines.size() && writer.Upto(3) == 0) {
      most = next + 1 + writer.Upto(static_cast<int>(lines.size() - next));
      limits.end_sequence = lines[most - 1].sequence;
    }
    auto result = reader->Read(limits);
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_LE(static_cast<int>(result->records.size()), limits.max_records);
    for (const SourceRecord& record : result->records) {
      ASSERT_LT(next, most);
      Compare(record, lines[next++]);
      if (testing::Test::HasFatalFailure()) return;
      position = Position::After(record.record.sequence);
    }
    switch (result->state) {
      case ReadResult::State::kMore:
        break;
      case ReadResult::State::kUpToDate:
        ASSERT_EQ(next, lines.size());
        ASSERT_FALSE(closed);
        break;
      case ReadResult::State::kEndReached:
        ASSERT_EQ(next, most);
        ASSERT_FALSE(limits.end_sequence.empty());
        break;
      case ReadResult::State::kShardEnd:
        ASSERT_EQ(next, lines.size());
        ASSERT_TRUE(closed);
        return;
    }
  }
}

TEST(FileSourceRandom, EveryLineOnceAndInOrder) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(testing::Message() << "LOWMARK_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 100; ++i) {
    std::string name = testing::TempDir() + "/file_source_XXXXXX";
    const std::string path = mkdtemp(name.data());
    PlayFile(path, random);
    std::filesystem::remove_all(path);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace lowmark
