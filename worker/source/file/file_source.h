// A directory as a source: each file `<shard>.jsonl` in it is a shard, to which
// something appends lines of JSON.
//
// A record is a line; its sequence number is the offset of its first byte, so a
// position is a seek and LATEST the end of the file. A line is a record once it
// has its newline. The record's data is the line without it. A line that is not
// JSON is set aside as unreadable; so is, as too large, one beyond max_line_bytes.
//
// An (empty) file `<shard>.closed` says that nothing will be appended any more:
// after its last line, newline or not, the shard is at its end.
//
// Lines that were read must stay as they are. A file that is shorter than the
// position asked for, or has no line starting there, was truncated or replaced:
// reading that shard fails until an operator moves its checkpoint. So does
// reading a file that is gone or not permitted. Other shards go on.
#ifndef LOWMARK_WORKER_SOURCE_FILE_FILE_SOURCE_H_
#define LOWMARK_WORKER_SOURCE_FILE_FILE_SOURCE_H_

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/source.h"

namespace lowmark {

struct FileSourceOptions {
  // The directory. Required; it need not exist yet.
  std::string directory;
  // The member of each line's object that is the record's partition key: a
  // string as it is, anything else as JSON. Empty, or not there: an empty key.
  std::string key_field;
  // The member that is the arrival time: RFC 3339 text, or seconds since 1970 as
  // number or text. Empty, not there or neither: when the line was first read.
  std::string time_field;
  // Longer lines are not read into memory: 1 KiB..1 GiB.
  int64_t max_line_bytes = int64_t{64} << 20;
  // What events say of it. With the shape kDynamoDb each line has to be the JSON of
  // a DynamoDB stream's record; what is none is set aside.
  Origin origin = {};
  // Told once of each file whose name gives no valid shard id; may be empty.
  std::function<void(const std::string& message)> warn;

  // INVALID_ARGUMENT naming field, value and what is allowed.
  absl::Status Validate() const;
};

class FileSource : public Source {
 public:
  static absl::StatusOr<std::shared_ptr<FileSource>> Create(const FileSourceOptions& options);

  absl::StatusOr<std::vector<ListedShard>> ListShards() override;
  // Holds no file open between reads, so thousands of shards need no descriptors.
  absl::StatusOr<std::unique_ptr<ShardReader>> Open(const std::string& shard,
                                                    const Position& from) override;
  // The end of the file's last line.
  absl::StatusOr<Position> ResolveLatest(const std::string& shard) override;
  Origin origin() const override { return options_.origin; }

 private:
  explicit FileSource(const FileSourceOptions& options) : options_(options) {}
  void WarnOnce(const std::string& name);

  const FileSourceOptions options_;
  std::mutex mutex_;
  std::set<std::string> warned_;  // file names; guarded by mutex_
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_FILE_FILE_SOURCE_H_
