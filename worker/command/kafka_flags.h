// The flags of --source kafka.
#ifndef LOWMARK_WORKER_COMMAND_KAFKA_FLAGS_H_
#define LOWMARK_WORKER_COMMAND_KAFKA_FLAGS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "service/process/logging.h"
#include "service/process/options.h"
#include "worker/source/kafka/kafka_source.h"

namespace lowmark {

struct KafkaFlags {
  KafkaSourceOptions source;
  std::string out_of_range = "fail";
  std::vector<std::string> properties;
  std::string properties_file;
};

void DeclareKafka(Options& options, KafkaFlags& flags);

// INVALID_ARGUMENT naming the flag. The log outlives the source.
absl::StatusOr<std::shared_ptr<Source>> MakeKafka(const KafkaFlags& flags, Logger& log);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_COMMAND_KAFKA_FLAGS_H_
