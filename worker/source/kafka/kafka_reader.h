// Reads one partition forward: what is decided about offsets.
#ifndef LOWMARK_WORKER_SOURCE_KAFKA_KAFKA_READER_H_
#define LOWMARK_WORKER_SOURCE_KAFKA_KAFKA_READER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "service/process/mutex.h"
#include "worker/source/kafka/kafka_source.h"
#include "worker/source/kafka/partition.h"

namespace lowmark {

// A partition, and which of its readers it is fetched for. A process has one of
// them for a partition; where there is more than one reader, as for a moment after
// a lease was lost and regained, the one that reads takes it over.
class KafkaShard {
 public:
  explicit KafkaShard(std::unique_ptr<KafkaPartition> partition)
      : partition_(std::move(partition)) {}

 private:
  friend class KafkaReader;

  Mutex mutex_;
  const std::unique_ptr<KafkaPartition> partition_ LOWMARK_GUARDED_BY(mutex_);
  const void* reader_ LOWMARK_GUARDED_BY(mutex_) = nullptr;
};

class KafkaReader : public ShardReader {
 public:
  struct Options {
    std::string shard;  // for messages
    KafkaSourceOptions::OutOfRange out_of_range = KafkaSourceOptions::OutOfRange::kFail;
    // How long a read waits for what follows records that came, if more is on its
    // way. The first one does not wait: with thousands of partitions that would add up.
    absl::Duration patience = absl::Milliseconds(20);
    // A broker that sends nothing for so long, although it should, has trouble.
    absl::Duration silence = absl::Seconds(10);
  };

  // `from` is any position but SHARD_END. INVALID_ARGUMENT where it is no offset.
  static absl::StatusOr<std::unique_ptr<KafkaReader>> Make(std::shared_ptr<KafkaShard> shard,
                                                           const Position& from,
                                                           const Options& options);
  ~KafkaReader() override;

  absl::StatusOr<ReadResult> Read(const ReadLimits& limits) override;

 private:
  KafkaReader(std::shared_ptr<KafkaShard> shard, Position from, Options options)
      : shard_(std::move(shard)), from_(std::move(from)), options_(std::move(options)) {}

  // Sets next_ from from_, once.
  absl::Status Resolve() LOWMARK_REQUIRES(shard_->mutex_);
  // Has the partition fetched for this reader, from next_ on.
  absl::Status TakeOver() LOWMARK_REQUIRES(shard_->mutex_);
  void LetGo() LOWMARK_REQUIRES(shard_->mutex_);
  absl::Status ReadEvents(const ReadLimits& limits, ReadResult& result)
      LOWMARK_REQUIRES(shard_->mutex_);
  // Adds the message to the result; false, and it is held back, where it does not
  // belong there, with the result's state why.
  bool Add(KafkaEvent event, const ReadLimits& limits, ReadResult& result);
  // Nothing has come: whether that is fine, and what it says.
  absl::Status OnNothing(ReadResult& result) LOWMARK_REQUIRES(shard_->mutex_);
  // The records from next_ on are not there: goes on as it is told to.
  absl::Status OnOutOfRange(ReadResult& result) LOWMARK_REQUIRES(shard_->mutex_);
  // Whether nothing is at next_ for now.
  bool AtEnd() const LOWMARK_REQUIRES(shard_->mutex_);

  const std::shared_ptr<KafkaShard> shard_;
  const Position from_;
  const Options options_;

  bool resolved_ = false;
  int64_t next_ = 0;                // the offset after what was returned last
  bool given_ = false;              // whether any record was returned
  bool end_seen_ = false;           // a kEnd came after it
  bool flowing_ = false;            // something came since it was taken over
  std::optional<KafkaEvent> held_;  // came, but did not fit in what was asked for
  int64_t bytes_ = 0;               // of the read that goes on
  SteadyTime heard_;                // when something came last, or should have begun to
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KAFKA_KAFKA_READER_H_
