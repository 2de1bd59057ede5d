// A Kafka topic as a destination: a message for each document. Its key is the shard,
// so that those of a shard come to one partition; its headers are idempotency-key and
// content-type. The producer is idempotent and waits for all in-sync replicas.
#ifndef LOWMARK_SERVICE_ON_FAILURE_KAFKA_DESTINATION_H_
#define LOWMARK_SERVICE_ON_FAILURE_KAFKA_DESTINATION_H_

#include <memory>
#include <string>
#include <vector>

#include "service/on_failure/destination.h"

namespace lowmark {

class KafkaDestination : public Destination {
 public:
  // FAILED_PRECONDITION, in librdkafka's words, for a property's value that it does
  // not take. Connects when it is first used.
  static absl::StatusOr<std::unique_ptr<Destination>> Create(const OnFailure::Kafka& kafka,
                                                             absl::Duration timeout);
  ~KafkaDestination() override;

  // Documents that are too large for the broker are refused.
  std::vector<absl::Status> Send(const std::vector<Document>& documents,
                                 absl::Duration patience) override;

 private:
  struct Producer;

  KafkaDestination(std::string topic, std::unique_ptr<Producer> producer);

  const std::string topic_;
  const std::unique_ptr<Producer> producer_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_ON_FAILURE_KAFKA_DESTINATION_H_
