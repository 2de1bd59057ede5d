// The seam to where records are: a source lists its shards and reads them.
// Ready-made: a directory of files (worker/source/file/file_source.h).
#ifndef LOWMARK_WORKER_SOURCE_H_
#define LOWMARK_WORKER_SOURCE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/core/position.h"
#include "service/core/record.h"
#include "worker/origin.h"

namespace lowmark {

// A shard that a source has.
struct ListedShard {
  // Matches [A-Za-z0-9._:-]{1,128}.
  std::string shard;
  // The shards it came from by a split or merge, also those no longer listed.
  std::vector<std::string> parents;

  bool operator==(const ListedShard&) const = default;
};

// What a source has at one sequence number.
struct SourceRecord {
  enum class Defect {
    kNone,
    kUnreadable,  // it is no record; `data` holds what is there instead
    kTooLarge,    // too large for the source to hand out; `data` holds its start
  };

  Record record;
  // A record with a defect is set aside with its data; the shard goes on.
  Defect defect = Defect::kNone;
  // What is wrong with it.
  std::string problem;
};

// How much one read may return. A source may always return less.
struct ReadLimits {
  // At least 1.
  int32_t max_records = 1;
  // Bytes of record data; a single larger record is returned all the same.
  int64_t max_bytes = int64_t{1} << 20;
  // Where not empty: no record after this sequence number, which is one that
  // the source returned before.
  std::string end_sequence = {};
};

// What one read found.
struct ReadResult {
  enum class State {
    kMore,        // read again at once
    kUpToDate,    // nothing follows now, but may later
    kEndReached,  // nothing follows up to limits.end_sequence
    kShardEnd,    // nothing will ever follow in this shard
  };

  // In the shard's order, each after the one before.
  std::vector<SourceRecord> records;
  State state = State::kUpToDate;
  // The source wants to be left alone for so long before the next read (a quota).
  absl::Duration pause = absl::ZeroDuration();
  // With kShardEnd, where the shard is over though not all of it was read: what
  // became of the rest. For log and audit.
  std::string vanished = {};
  // Records that follow these in the shard now, as far as the source can tell;
  // an estimate will do. -1 where it cannot.
  int64_t records_behind = -1;
  // The arrival time of the first of these, where the source knows it.
  std::optional<absl::Time> behind_since = {};
  // Records, at most so many, that the source was to return before these and no
  // longer has; and a line that says so. Goes into log and metrics.
  int64_t lost = 0;
  std::string lost_reason = {};
};

// Reads one shard forward. Used by one thread at a time.
class ShardReader {
 public:
  virtual ~ShardReader() = default;

  // Reads on from where the read before ended. Should return within seconds,
  // with nothing rather than wait for records to come. After an error the next
  // call tries the same again. Errors:
  //   UNAVAILABLE  the source has trouble that will pass; retried.
  //   any other    this shard cannot be read (gone, truncated, no permission);
  //                said in log and metrics, retried, other shards go on.
  virtual absl::StatusOr<ReadResult> Read(const ReadLimits& limits) = 0;
};

// Where a stream's records are. Thread safe.
class Source {
 public:
  virtual ~Source() = default;

  // Every shard that the source has now. Errors as in ShardReader::Read.
  virtual absl::StatusOr<std::vector<ListedShard>> ListShards() = 0;

  // What LATEST is in a shard now, as a position that stays where it is: AT, AFTER or
  // AT_TIMESTAMP. A worker has it stored before it reads, so that a crash before the first
  // record skips nothing. A source that cannot tell says LATEST. Errors as in
  // ShardReader::Read.
  virtual absl::StatusOr<Position> ResolveLatest(const std::string& /*shard*/) {
    return Position::Latest();
  }

  // A reader of a shard from a position; any but SHARD_END. LATEST is resolved
  // by the first read and stays there. Errors as in ShardReader::Read.
  virtual absl::StatusOr<std::unique_ptr<ShardReader>> Open(const std::string& shard,
                                                            const Position& from) = 0;

  // What events say of it; the same at every call.
  virtual Origin origin() const { return {}; }
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_H_
