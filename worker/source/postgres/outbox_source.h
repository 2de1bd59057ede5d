// A PostgreSQL table as a source: an outbox, to which transactions append rows
// beside their other work. Rows are spread over shards, named "0-of-8", "1-of-8",
// ..., by the hash of a key column. docs/outbox.md has the table's definition.
//
// Each row has a mark, which says when it was written in terms of transactions: the
// greater of the number of its own and that of the last one that had ended by then.
// Rows are read in the order of (mark, id), and only those whose mark is lower than
// the number of every transaction that still runs. So
// - no row is ever passed over, however late its transaction commits: its mark is
//   not lower than that transaction's number, which holds back what comes after;
// - a row that was inserted after another one's transaction had committed comes
//   after it.
// Sequence numbers are (mark, id) as one decimal number: the mark, followed by 19
// digits of the id.
#ifndef LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_SOURCE_H_
#define LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_SOURCE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/source.h"

namespace lowmark {

struct OutboxSourceOptions {
  // As libpq takes it; what it leaves open comes from PGHOST etc. May be empty.
  std::string url;
  // "table" or "schema.table", without quotes.
  std::string table = "outbox";
  // How many shards there are: 1..1000. Another number makes other shards.
  int32_t shards = 8;

  // The table's columns.
  std::string mark_column = "mark";  // bigint
  std::string id_column = "id";      // bigint or integer
  std::string key_column = "key";    // text, varchar, uuid or an integer
  std::string data_column = "data";  // bytea, text, varchar, json or jsonb
  // timestamptz. Empty: a record's arrival time is when it was read.
  std::string time_column = "created_at";

  // Connections at most: 1..100. Each serves one read at a time.
  int32_t connections = 4;
  // What the server ends: 10 ms..10 min.
  absl::Duration statement_timeout = absl::Seconds(5);

  // INVALID_ARGUMENT naming field, value and what is allowed.
  absl::Status Validate() const;
};

class OutboxDatabase;

class OutboxSource : public Source {
 public:
  // Does not wait for the database.
  static absl::StatusOr<std::shared_ptr<OutboxSource>> Create(const OutboxSourceOptions& options);
  ~OutboxSource() override;

  // NOT_FOUND without the table, FAILED_PRECONDITION where its columns are not
  // what they have to be.
  absl::StatusOr<std::vector<ListedShard>> ListShards() override;
  // Before every transaction that still runs.
  absl::StatusOr<Position> ResolveLatest(const std::string& shard) override;
  // FAILED_PRECONDITION for a shard of another number of shards.
  absl::StatusOr<std::unique_ptr<ShardReader>> Open(const std::string& shard,
                                                    const Position& from) override;

 private:
  explicit OutboxSource(std::shared_ptr<OutboxDatabase> database);

  const std::shared_ptr<OutboxDatabase> database_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_SOURCE_H_
