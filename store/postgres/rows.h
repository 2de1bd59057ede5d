// How shards, streams and times look in PostgreSQL's rows.
#ifndef LOWMARK_STORE_POSTGRES_ROWS_H_
#define LOWMARK_STORE_POSTGRES_ROWS_H_

#include <cstdint>
#include <pqxx/pqxx>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "store/store.h"

namespace lowmark {

int64_t ToInt(const pqxx::field& field);
// Reads what `extract(epoch FROM ...)` gave, exact to the microsecond.
absl::Time ToTime(const pqxx::field& field);
// The same of a length of time.
absl::Duration ToDuration(const pqxx::field& field);
// A timestamptz parameter; exact to the microsecond.
std::string FormatTimestamp(absl::Time time);
// A duration parameter: microseconds, at least 0, at most a century.
int64_t ToMicros(absl::Duration duration);
// A name of the enum lowmark.position_kind.
const char* PositionKindName(Position::Kind kind);

// A row of SHARD_COLUMNS.
Shard ReadShard(const std::string& stream, const pqxx::row& row);
// A row of SHARD_WITH_STAT.
ShardRecord ReadShardRecord(const std::string& stream, const pqxx::row& row);
// A row of STREAM_COLUMNS. INTERNAL where its policy cannot be read.
absl::StatusOr<Stream> ReadStream(const pqxx::row& row);
// A row of STREAM_WITH_TROUBLE. As ReadStream.
absl::StatusOr<Stream> ReadStreamWithTrouble(const pqxx::row& row);
// Rows of DEAD_LETTER_COLUMNS and of EVENT_COLUMNS.
DeadLetter ReadDeadLetter(const std::string& stream, const pqxx::row& row);
ShardEvent ReadEvent(const std::string& stream, const pqxx::row& row);
// A record's headers as they are written: name, value, name, value, ...
std::vector<std::pair<std::string, std::string>> ReadHeaders(const pqxx::field& field);

// The last row of kLockShards and kLockFree, told by its lack of a shard: the
// stream when all locks are held. Etag and policy are of kLockShards alone; the
// policy is empty where the etag is the one that was known.
struct StreamRow {
  int64_t stream_id = 0;
  std::string etag;
  std::string policy;
  int64_t timeline = 0;
  absl::Time now;
};
StreamRow ReadStreamRow(const pqxx::row& row);

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_ROWS_H_
