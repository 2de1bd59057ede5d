// What is asked of the database that holds an outbox table.
#ifndef LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_DATABASE_H_
#define LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_DATABASE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/process/mutex.h"
#include "store/postgres/connection_pool.h"
#include "worker/source/postgres/outbox_place.h"
#include "worker/source/postgres/outbox_source.h"
#include "worker/source/postgres/outbox_table.h"

namespace lowmark {

// What a page is to hold.
struct OutboxRequest {
  int32_t shard = 0;
  OutboxPlace from;
  bool inclusive = false;  // whether the row at `from` belongs to it
  // Where set, up to this row.
  std::optional<OutboxPlace> end;
  int32_t max_records = 1;
  int64_t max_bytes = 1;
};

struct OutboxPage {
  std::vector<SourceRecord> records;
  // Whether more of what was asked for can be read now.
  bool more = false;
  // Rows with this mark or a higher one cannot be read yet.
  int64_t horizon = 0;
  // No row of this server has this mark or a higher one.
  int64_t limit = 0;
};

// What follows a place in a shard.
struct OutboxRest {
  int64_t rows = 0;
  // Of the first of them; none where there is none, or it has none.
  std::optional<absl::Time> since;
};

// Thread safe. Errors: UNAVAILABLE where the database is out of reach.
class OutboxDatabase {
 public:
  // `options` must be valid.
  explicit OutboxDatabase(const OutboxSourceOptions& options);

  const OutboxSourceOptions& options() const { return options_; }

  // Looks at the table. NOT_FOUND where there is none, FAILED_PRECONDITION where
  // it is not as it has to be.
  absl::Status Check();

  // The rows of a shard from a place on, in order, that can be read for good.
  absl::StatusOr<OutboxPage> ReadPage(const OutboxRequest& request);
  // FAILED_PRECONDITION where the shard has rows with marks that this server has not
  // come to: they were written on another one.
  absl::Status CheckOrigin(int32_t shard);
  // The horizon now: no row with a lower mark will appear any more.
  absl::StatusOr<int64_t> Horizon();
  // The first row that can be read and has this time or a later one; none: there
  // is none.
  absl::StatusOr<std::optional<OutboxPlace>> FindTime(int32_t shard, absl::Time time);
  // Rows of the shard from a place on, readable or not, counted up to some number.
  absl::StatusOr<OutboxRest> CountFrom(const OutboxRequest& request);

 private:
  // Fills in what a statement needs to know of the table, runs it, and looks at the
  // table anew before the next one where that failed.
  using Body = std::function<absl::Status(const OutboxSql& sql, pqxx::transaction_base& db)>;
  absl::Status Run(const Body& body);
  absl::StatusOr<OutboxSql> Look();

  const OutboxSourceOptions options_;
  ConnectionPool pool_;
  Mutex mutex_;
  // Of the table as it was looked at last; none: to be looked at.
  std::optional<OutboxSql> sql_ LOWMARK_GUARDED_BY(mutex_);
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_DATABASE_H_
