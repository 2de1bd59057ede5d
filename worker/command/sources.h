// The sources that lowmark-worker can be told to read, and their flags.
#ifndef LOWMARK_WORKER_COMMAND_SOURCES_H_
#define LOWMARK_WORKER_COMMAND_SOURCES_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "service/process/logging.h"
#include "service/process/options.h"
#include "worker/command/kafka_flags.h"
#include "worker/source.h"
#include "worker/source/file/file_source.h"
#include "worker/source/kinesis/kinesis_source.h"
#include "worker/source/postgres/outbox_source.h"

namespace lowmark {

struct SourceFlags {
  std::string source = "file";
  std::string shape = "kinesis";
  FileSourceOptions file;
  KinesisSourceOptions kinesis;
  KafkaFlags kafka;
  OutboxSourceOptions outbox;
};

void DeclareSource(Options& options, SourceFlags& flags);

// INVALID_ARGUMENT naming the flag. The log outlives the source.
absl::StatusOr<std::shared_ptr<Source>> MakeSource(const SourceFlags& flags, Logger& log);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_COMMAND_SOURCES_H_
