// The settings of librdkafka: which may be given, and what they become.
#ifndef LOWMARK_WORKER_SOURCE_KAFKA_PROPERTIES_H_
#define LOWMARK_WORKER_SOURCE_KAFKA_PROPERTIES_H_

#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/source/kafka/kafka_source.h"

namespace lowmark {

using KafkaConf = std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)>;

// The configuration of a client that only reads: the given properties over
// defaults, and under what the source needs. INVALID_ARGUMENT naming the property.
absl::StatusOr<KafkaConf> MakeKafkaConf(const KafkaSourceOptions& options);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KAFKA_PROPERTIES_H_
