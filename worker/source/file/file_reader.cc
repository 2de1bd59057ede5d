#include "worker/source/file/file_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace lowmark {
namespace {

// What one call reads at most, so that it returns within seconds.
constexpr int64_t kBytesPerCall = int64_t{64} << 20;
// How far it looks back at a time for the last newline.
constexpr int64_t kStepBack = int64_t{64} << 10;
// What is kept of a line that is too large.
constexpr int64_t kKeptOfTooLarge = int64_t{64} << 10;

absl::StatusOr<bool> IsClosed(const std::string& path) {
  struct stat info;
  if (stat((path + ".closed").c_str(), &info) == 0) return true;
  if (errno == ENOENT) return false;
  return FileError("cannot look at", path + ".closed", errno);
}

absl::StatusOr<int64_t> ParseOffset(const std::string& sequence, const std::string& path) {
  int64_t offset = 0;
  if (absl::SimpleAtoi(sequence, &offset) && offset >= 0) return offset;
  return absl::FailedPreconditionError(
      absl::StrCat("sequence number ", sequence, " is no offset in ", path));
}

// Just after the last complete line. A line that is being written is not a record
// yet: it will be a new one.
absl::StatusOr<int64_t> EndOfLines(InputFile& file, bool closed) {
  if (closed) return file.size();
  for (int64_t end = file.size(); end > 0;) {
    const int64_t start = std::max<int64_t>(0, end - kStepBack);
    auto bytes = file.Bytes(start, end);
    if (!bytes.ok()) return bytes.status();
    if (auto newline = bytes->rfind('\n'); newline != absl::string_view::npos) {
      return start + static_cast<int64_t>(newline) + 1;
    }
    end = start;
  }
  return 0;
}

}  // namespace

absl::StatusOr<int64_t> EndOfFile(const std::string& path) {
  auto closed = IsClosed(path);
  if (!closed.ok()) return closed.status();
  auto file = InputFile::Open(path + ".jsonl");
  if (!file.ok()) return file.status();
  return EndOfLines(*file, *closed);
}

absl::StatusOr<ReadResult> FileReader::Read(const ReadLimits& limits) {
  // In this order: what was appended before it was closed is seen.
  auto closed = IsClosed(path_);
  if (!closed.ok()) return closed.status();
  auto file = InputFile::Open(path_ + ".jsonl");
  if (!file.ok()) return file.status();
  if (!resolved_) {
    if (auto s = Resolve(*file, *closed); !s.ok()) return s;
  }
  if (auto s = CheckLineStart(*file, *closed); !s.ok()) return s;
  return ReadLines(*file, *closed, limits);
}

absl::Status FileReader::Resolve(InputFile& file, bool closed) {
  switch (from_.kind) {
    case Position::Kind::kTrimHorizon:
    case Position::Kind::kShardEnd:
      break;
    case Position::Kind::kAtTimestamp:
      skipping_ = !fields_.time.empty();
      break;
    case Position::Kind::kLatest: {
      auto end = EndOfLines(file, closed);
      if (!end.ok()) return end.status();
      offset_ = *end;
      break;
    }
    case Position::Kind::kAt:
    case Position::Kind::kAfter: {
      auto offset = ParseOffset(from_.sequence, file.path());
      if (!offset.ok()) return offset.status();
      offset_ = *offset;
      if (auto s = CheckLineStart(file, closed); !s.ok()) return s;
      if (from_.kind == Position::Kind::kAt) break;
      auto newline = file.FindNewline(offset_, file.size());
      if (!newline.ok()) return newline.status();
      if (*newline < 0 && !closed) {
        return absl::FailedPreconditionError(
            absl::StrCat(file.path(), " has no complete line at ", offset_,
                         ", which was read before: it was truncated or replaced"));
      }
      offset_ = *newline < 0 ? file.size() : *newline + 1;
      break;
    }
  }
  resolved_ = true;
  return absl::OkStatus();
}

absl::Status FileReader::CheckLineStart(InputFile& file, bool closed) const {
  if (offset_ > file.size()) {
    return absl::FailedPreconditionError(absl::StrCat(file.path(), " has ", file.size(),
                                                      " bytes, but was read up to ", offset_,
                                                      ": it was truncated or replaced"));
  }
  if (offset_ == 0 || (closed && offset_ == file.size())) return absl::OkStatus();
  auto before = file.Bytes(offset_ - 1, offset_);
  if (!before.ok()) return before.status();
  if (*before == "\n") return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("no line starts at ", offset_, " in ", file.path(), ": it was replaced"));
}

absl::StatusOr<ReadResult> FileReader::ReadLines(InputFile& file, bool closed,
                                                 const ReadLimits& limits) {
  int64_t end_offset = -1;
  if (!limits.end_sequence.empty()) {
    auto offset = ParseOffset(limits.end_sequence, file.path());
    if (!offset.ok()) return offset.status();
    end_offset = *offset;
    if (end_offset >= file.size()) {
      return absl::FailedPreconditionError(
          absl::StrCat(file.path(), " has ", file.size(), " bytes, but a record at ", end_offset,
                       " was read before: it was truncated or replaced"));
    }
  }
  const int64_t stop = offset_ + kBytesPerCall;
  int64_t bytes = 0;
  ReadResult result;
  result.state = ReadResult::State::kMore;
  while (static_cast<int32_t>(result.records.size()) < limits.max_records && offset_ < stop) {
    if (end_offset >= 0 && offset_ > end_offset) {
      result.state = ReadResult::State::kEndReached;
      break;
    }
    Line line;
    auto found = FindLine(file, closed, line, result.state);
    if (!found.ok()) return found.status();
    if (!*found) break;
    if (!result.records.empty() && bytes + line.end - offset_ > limits.max_bytes) break;
    auto record = MakeRecord(file, line);
    if (!record.ok()) return record.status();
    offset_ = searched_ = line.next;
    if (TooEarly(*record)) continue;
    bytes += static_cast<int64_t>(record->record.data.size());
    result.records.push_back(*std::move(record));
  }
  if (end_offset >= 0 && offset_ > end_offset) result.state = ReadResult::State::kEndReached;
  result.records_behind = EstimateBehind(file.size());
  return result;
}

absl::StatusOr<bool> FileReader::FindLine(InputFile& file, bool closed, Line& line,
                                          ReadResult::State& state) {
  const int64_t from = std::max(offset_, searched_);
  const int64_t limit = std::min(file.size(), from + kBytesPerCall);
  auto newline = file.FindNewline(from, limit);
  if (!newline.ok()) return newline.status();
  if (*newline >= 0) {
    line = {*newline, *newline + 1};
    return true;
  }
  searched_ = limit;
  if (limit < file.size()) {
    state = ReadResult::State::kMore;
    return false;
  }
  if (closed && offset_ < file.size()) {
    line = {file.size(), file.size()};
    return true;
  }
  state = closed ? ReadResult::State::kShardEnd : ReadResult::State::kUpToDate;
  return false;
}

absl::StatusOr<SourceRecord> FileReader::MakeRecord(InputFile& file, const Line& line) {
  const int64_t length = line.end - offset_;
  const bool too_large = length > max_line_bytes_;
  auto text =
      file.Bytes(offset_, too_large ? offset_ + std::min(kKeptOfTooLarge, length) : line.end);
  if (!text.ok()) return text.status();
  ++lines_;
  line_bytes_ += line.next - offset_;
  if (!too_large) return ParseLine(*text, offset_, fields_, absl::Now());
  SourceRecord record;
  record.record = {absl::StrCat(offset_), "", absl::Now(), std::string(*text)};
  record.defect = SourceRecord::Defect::kTooLarge;
  record.problem = absl::StrCat("the line has ", length, " bytes, more than ", max_line_bytes_,
                                "; its first ", text->size(), " are kept");
  return record;
}

bool FileReader::TooEarly(const SourceRecord& record) {
  if (!skipping_) return false;
  if (record.defect != SourceRecord::Defect::kNone) return true;
  if (record.record.arrival_time < from_.time) return true;
  skipping_ = false;
  return false;
}

int64_t FileReader::EstimateBehind(int64_t size) const {
  if (offset_ >= size) return 0;
  if (lines_ == 0) return -1;
  return std::max<int64_t>(1, (size - offset_) * lines_ / std::max<int64_t>(1, line_bytes_));
}

}  // namespace lowmark
