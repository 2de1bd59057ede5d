// What a reader needs of one partition: the seam between what is decided
// (kafka_reader.cc) and librdkafka (client.cc).
#ifndef LOWMARK_WORKER_SOURCE_KAFKA_PARTITION_H_
#define LOWMARK_WORKER_SOURCE_KAFKA_PARTITION_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/source.h"

namespace lowmark {

struct KafkaEvent {
  enum class Kind {
    kNothing,     // nothing has come
    kMessage,     // `record`, at `offset`
    kEnd,         // there is nothing to read before `offset`, nor, for now, at it
    kOutOfRange,  // the broker does not have the offset that was asked for
    kError,       // `error`: what is wrong with the partition
  };

  Kind kind = Kind::kNothing;
  int64_t offset = 0;
  SourceRecord record;
  absl::Status error;
};

// The offset of the first record that is kept, and the one that is read up to:
// after the last record, or, where open transactions hold it back, before theirs.
struct KafkaRange {
  int64_t first = 0;
  int64_t end = 0;
};

// Used by one thread at a time.
class KafkaPartition {
 public:
  virtual ~KafkaPartition() = default;

  // Fetches from `offset` on, forgetting what was fetched before.
  virtual absl::Status Start(int64_t offset) = 0;
  virtual void Stop() = 0;
  // What comes next, waiting for it so long at most. While started.
  virtual KafkaEvent Next(absl::Duration wait) = 0;
  // The offset after the last record of the log, as of what was fetched last; none
  // before anything was.
  virtual std::optional<int64_t> KnownEnd() = 0;

  // Ask the brokers. UNAVAILABLE where none answers.
  virtual absl::StatusOr<KafkaRange> QueryRange() = 0;
  // The first record with this timestamp or a later one; none where there is none.
  virtual absl::StatusOr<std::optional<int64_t>> QueryTime(absl::Time time) = 0;
  // UNAVAILABLE, or what else is wrong, while no broker can be reached.
  virtual absl::Status CheckBrokers() = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KAFKA_PARTITION_H_
