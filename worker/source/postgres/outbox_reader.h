// Reads one shard of an outbox table forward.
#ifndef LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_READER_H_
#define LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_READER_H_

#include <memory>

#include "worker/source/postgres/outbox_database.h"

namespace lowmark {

class OutboxReader : public ShardReader {
 public:
  // `from` is any position but SHARD_END. FAILED_PRECONDITION where its sequence
  // number is none of an outbox.
  static absl::StatusOr<std::unique_ptr<OutboxReader>> Make(
      std::shared_ptr<OutboxDatabase> database, int32_t shard, const Position& from);

  absl::StatusOr<ReadResult> Read(const ReadLimits& limits) override;

 private:
  OutboxReader(std::shared_ptr<OutboxDatabase> database, Position from)
      : database_(std::move(database)), from_(std::move(from)) {}

  // Sets next_ from from_, and sees that the table is the one it was; once, and
  // again after an error, for then it may be another server that answers.
  absl::Status Resolve();
  absl::StatusOr<ReadResult> ReadPage(const ReadLimits& limits);
  // Counts, now and then, what follows.
  void Count(int64_t read);

  const std::shared_ptr<OutboxDatabase> database_;
  const Position from_;

  bool checked_ = false;
  bool resolved_ = false;
  // Where reading goes on; of it, the place and the shard.
  OutboxRequest next_;
  OutboxRest behind_;
  SteadyTime counted_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_READER_H_
