// What an outbox table has to look like, and how its columns are read. Pure.
#ifndef LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_TABLE_H_
#define LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_TABLE_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "worker/source/postgres/outbox_source.h"

namespace lowmark {

struct OutboxColumn {
  std::string type;  // as PostgreSQL names it
  bool not_null = false;
};

// The table as SQL: quoted, and made to fit the columns' types.
struct OutboxSql {
  std::string table;
  std::string mark;
  std::string id;
  std::string key;      // as text
  std::string data;     // as text, or the column where that is bytes
  std::string size;     // of the data, in bytes
  std::string time;     // the column, or NULL
  bool binary = false;  // the data is bytea
};

// `name` as an identifier in quotes.
std::string QuoteName(const std::string& name);
// The table's name in quotes, with its schema where one is given.
std::string QuotedTable(const OutboxSourceOptions& options);

// FAILED_PRECONDITION naming the column, and what is wrong with it.
absl::StatusOr<OutboxSql> MakeOutboxSql(const OutboxSourceOptions& options,
                                        const std::map<std::string, OutboxColumn>& columns);

// The condition for rows of one of so many shards.
std::string InShard(const OutboxSql& sql, int32_t shard, int32_t shards);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_TABLE_H_
