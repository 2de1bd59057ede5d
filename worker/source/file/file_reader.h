// Reads one file of a directory source forward.
#ifndef LOWMARK_WORKER_SOURCE_FILE_FILE_READER_H_
#define LOWMARK_WORKER_SOURCE_FILE_FILE_READER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "worker/source.h"
#include "worker/source/file/file_io.h"
#include "worker/source/file/line.h"

namespace lowmark {

// Where the last complete line of the shard with that path, without ".jsonl", ends.
absl::StatusOr<int64_t> EndOfFile(const std::string& path);

// Not thread safe, as ShardReader says.
class FileReader : public ShardReader {
 public:
  // `path` is that of the file without ".jsonl". `from` is any position but
  // SHARD_END.
  FileReader(std::string path, LineFields fields, int64_t max_line_bytes, Position from)
      : path_(std::move(path)),
        fields_(std::move(fields)),
        max_line_bytes_(max_line_bytes),
        from_(std::move(from)) {}

  absl::StatusOr<ReadResult> Read(const ReadLimits& limits) override;

 private:
  // A line that is complete: [offset_, end), the next one at `next`.
  struct Line {
    int64_t end = 0;
    int64_t next = 0;
  };

  // Sets offset_ from from_, once.
  absl::Status Resolve(InputFile& file, bool closed);
  // Fails where no line can start at offset_.
  absl::Status CheckLineStart(InputFile& file, bool closed) const;
  absl::StatusOr<ReadResult> ReadLines(InputFile& file, bool closed, const ReadLimits& limits);
  // The line at offset_. Where there is none yet, false, with `state` why.
  absl::StatusOr<bool> FindLine(InputFile& file, bool closed, Line& line, ReadResult::State& state);
  absl::StatusOr<SourceRecord> MakeRecord(InputFile& file, const Line& line);
  // Whether the record lies before the time that reading starts at.
  bool TooEarly(const SourceRecord& record);
  int64_t EstimateBehind(int64_t size) const;

  const std::string path_;
  const LineFields fields_;
  const int64_t max_line_bytes_;
  const Position from_;

  bool resolved_ = false;
  bool skipping_ = false;  // AT_TIMESTAMP, and no record in time was found yet
  int64_t offset_ = 0;     // where the next line starts
  int64_t searched_ = 0;   // no newline lies between offset_ and here
  int64_t lines_ = 0;      // read so far, and their bytes
  int64_t line_bytes_ = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_FILE_FILE_READER_H_
