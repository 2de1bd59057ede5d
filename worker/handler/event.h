// The event that Lambda-style handlers are given: the one place that writes it.
#ifndef LOWMARK_WORKER_HANDLER_EVENT_H_
#define LOWMARK_WORKER_HANDLER_EVENT_H_

#include <string>
#include <vector>

#include "worker/batch.h"

namespace lowmark {

// The batch as the JSON event that AWS Lambda gives for a Kinesis stream, every
// field of it present: "Records" with data in base64 and sequence numbers as
// strings. Beside them "lowmark" holds what Kinesis has no place for:
//   {"stream", "shard", "epoch", "batchId", "attempt", "deadlineMs"}
// Bytes of a partition key that are not UTF-8 are replaced by U+FFFD.
std::string EventJson(const Batch& batch);

// The sequence numbers of the batch, in order.
std::vector<std::string> Sequences(const Batch& batch);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_EVENT_H_
