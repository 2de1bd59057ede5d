// The event that Lambda-style handlers are given: the one place that writes it.
#ifndef LOWMARK_WORKER_HANDLER_EVENT_H_
#define LOWMARK_WORKER_HANDLER_EVENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "worker/batch.h"

namespace lowmark {

// The batch as the JSON event that AWS Lambda gives for such a source, by
// batch.origin.shape, with every field that Lambda's events have:
//
//   kKinesis   {"Records": [{"kinesis": {...}, "eventSource": "aws:kinesis", ...}]}
//   kDynamoDb  {"Records": [{"dynamodb": {...}, "eventSource": "aws:dynamodb", ...}]}:
//              what a record's data says, completed
//   kKafka     {"eventSource": "SelfManagedKafka", "bootstrapServers": "...",
//              "records": {"TOPIC-0": [{"topic": "TOPIC", "offset": 3, ...}]}}
//
// Data is in base64 (not in DynamoDB's), sequence numbers are strings (numbers in
// Kafka's). Beside that "lowmark" holds what those events have no place for:
//   {"stream", "shard", "epoch", "batchId", "attempt", "deadlineMs"}
// Bytes of a Kinesis partition key that are not UTF-8 are replaced by U+FFFD.
std::string EventJson(const Batch& batch);

// The sequence numbers of the batch, in order.
std::vector<std::string> Sequences(const Batch& batch);

// Which Kafka partition events say a batch is from: that of a shard named
// "TOPIC-NUMBER"; elsewhere partition 0 of a topic with the shard's name.
struct KafkaPartition {
  explicit KafkaPartition(const Batch& batch);
  // "TOPIC-NUMBER".
  std::string ToString() const;

  std::string topic;
  int32_t number = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_EVENT_H_
