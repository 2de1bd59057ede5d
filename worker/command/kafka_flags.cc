#include "worker/command/kafka_flags.h"

namespace lowmark {

void DeclareKafka(Options& options, KafkaFlags& flags) {
  CLI::App& app = options.app();
  options.Add(app, "kafka-brokers", flags.source.brokers, "For kafka: host:port of brokers")
      ->group("Source: Kafka");
  options.Add(app, "kafka-topic", flags.source.topic, "Its topic; each partition is a shard")
      ->group("Source: Kafka");
  options
      .Add(app, "kafka-out-of-range", flags.out_of_range,
           "What to do where records were deleted before they were read: stop the shard, or go on "
           "with the first there is, or with new ones")
      ->type_name("fail|earliest|latest")
      ->check(OneOf({"fail", "earliest", "latest"}))
      ->group("Source: Kafka");
  options
      .Add(app, "kafka-property", flags.properties,
           "A setting of librdkafka, NAME=VALUE, such as security.protocol=ssl; repeatable")
      ->type_name("NAME=VALUE")
      ->group("Source: Kafka");
  options
      .Add(app, "kafka-properties-file", flags.properties_file,
           "A file of such settings, one a line; the place for passwords")
      ->group("Source: Kafka");
}

absl::StatusOr<std::shared_ptr<Source>> MakeKafka(const KafkaFlags& flags, Logger& log) {
  KafkaSourceOptions options = flags.source;
  if (flags.out_of_range == "earliest") {
    options.out_of_range = KafkaSourceOptions::OutOfRange::kEarliest;
  } else if (flags.out_of_range == "latest") {
    options.out_of_range = KafkaSourceOptions::OutOfRange::kLatest;
  }
  if (!flags.properties_file.empty()) {
    auto properties = ReadKafkaProperties(flags.properties_file);
    if (!properties.ok()) return properties.status();
    options.properties = *std::move(properties);
  }
  for (const std::string& text : flags.properties) {
    auto property = ParseKafkaProperty(text);
    if (!property.ok()) return property.status();
    options.properties.push_back(*std::move(property));
  }
  options.log = [&log](const std::string& message) { log.Info(message); };
  return KafkaSource::Create(options);
}

}  // namespace lowmark
