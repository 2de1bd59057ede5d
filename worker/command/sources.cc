#include "worker/command/sources.h"

#include "service/core/error.h"
#include "worker/command/kinesis_flags.h"
#include "worker/command/outbox_flags.h"

namespace lowmark {

void DeclareSource(Options& options, SourceFlags& flags) {
  CLI::App& app = options.app();
  options.Add(app, "source", flags.source, "Where records are")
      ->type_name("file|kafka|kinesis|outbox")
      ->check(OneOf({"file", "kafka", "kinesis", "outbox"}))
      ->group("Source");
  options
      .Add(app, "source-path", flags.file.directory,
           "For file: directory with a file SHARD.jsonl for each shard, a JSON text a line")
      ->group("Source");
  options
      .Add(app, "source-key-field", flags.file.key_field,
           "For file: member of each line that is its partition key")
      ->group("Source");
  options
      .Add(app, "source-time-field", flags.file.time_field,
           "For file: member of each line that is its arrival time, RFC 3339 or seconds "
           "since 1970")
      ->group("Source");
  options
      .Add(app, "source-shape", flags.shape,
           "For file: what events look like. dynamodb: each line is a DynamoDB stream's record")
      ->type_name("kinesis|dynamodb|kafka")
      ->check(OneOf({"kinesis", "dynamodb", "kafka"}))
      ->group("Source");
  DeclareKafka(options, flags.kafka);
  DeclareKinesis(options, flags.kinesis);
  DeclareOutbox(options, flags.outbox);
}

absl::StatusOr<std::shared_ptr<Source>> MakeSource(const SourceFlags& flags, Logger& log) {
  if (flags.source == "kafka") return MakeKafka(flags.kafka, log);
  if (flags.source == "kinesis") return KinesisSource::Create(flags.kinesis);
  if (flags.source == "outbox") return OutboxSource::Create(flags.outbox);
  if (flags.file.directory.empty()) {
    return InvalidField("source-path", "", "must be given with --source file");
  }
  FileSourceOptions file = flags.file;
  if (flags.shape == "dynamodb") file.origin.shape = Origin::Shape::kDynamoDb;
  if (flags.shape == "kafka") file.origin.shape = Origin::Shape::kKafka;
  file.warn = [&log](const std::string& message) { log.Warning(message); };
  return FileSource::Create(file);
}

}  // namespace lowmark
