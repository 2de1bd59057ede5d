// What a handler is given: records of one shard that are processed together.
#ifndef LOWMARK_WORKER_BATCH_H_
#define LOWMARK_WORKER_BATCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "service/core/record.h"
#include "worker/origin.h"

namespace lowmark {

struct Batch {
  // Where the records are from.
  std::string stream;
  std::string shard;
  // Of what kind of source, as Source::origin has it.
  Origin origin;
  // The fencing token of the lease under which the batch is processed. A sink
  // that remembers the highest epoch it has seen for a shard, and refuses lower
  // ones, is safe from a worker that lost the shard without noticing.
  int64_t epoch = 0;
  // Stays the same only while the identical batch is re-sent: a key for sinks
  // that should take a batch once. Opaque, unique among all shards.
  std::string batch_id;
  // 1 for the first try of this batch, +1 for each re-send.
  int32_t attempt = 1;
  // Never empty, in the shard's order.
  std::vector<Record> records;
  // A handler that returns later than this has failed with "Timeout".
  absl::Time deadline = absl::InfiniteFuture();
  // The stream's setting of that name: whether a list of failed records counts.
  // Where false, a handler that returns has succeeded unless it raised.
  bool report_batch_item_failures = true;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_BATCH_H_
