// A Kafka topic as a source: each partition is a shard, named "TOPIC-PARTITION".
//
// A record's sequence number is its offset, its partition key the message's key,
// its arrival time the message's timestamp (create or append time, as the topic
// has it). Offsets may have gaps: what compaction removed, and the marks that
// transactions leave. Records of transactions that were aborted are not seen,
// those of open ones wait until it ends, and with them all that follow
// (`isolation.level` can be set to read_uncommitted).
//
// Leases say who reads a partition, and checkpoints lie with the coordinator: no
// consumer group takes part, and nothing is committed to Kafka.
//
// The client of librdkafka has a thread for each broker, whatever the number of
// partitions, and fetches ahead of the reader, for each partition that is read,
// up to `queued.max.messages.kbytes`.
#ifndef LOWMARK_WORKER_SOURCE_KAFKA_KAFKA_SOURCE_H_
#define LOWMARK_WORKER_SOURCE_KAFKA_KAFKA_SOURCE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/source.h"

namespace lowmark {

struct KafkaSourceOptions {
  // Where the cluster is found: "host:port,...". Required.
  std::string brokers;
  // Required; up to 117 characters, so that the shards' names are short enough.
  std::string topic;

  // What to do where the records after the checkpoint are gone, because the topic
  // kept them for too short a time.
  enum class OutOfRange {
    kFail,      // nothing, until an operator moves the checkpoint
    kEarliest,  // go on with the first record that there is
    kLatest,    // go on with what is produced from now on
  };
  OutOfRange out_of_range = OutOfRange::kFail;

  // Settings of librdkafka, such as {"security.protocol", "SASL_SSL"}; those of a
  // name that was given before win over it. Refused where they would take from
  // this source what it decides: brokers, groups, commits, where reading starts.
  std::vector<std::pair<std::string, std::string>> properties;

  // How long a question to the brokers may take: 100 ms..1 min.
  absl::Duration request_timeout = absl::Seconds(5);
  // Given each line that librdkafka logs where a property `debug` asks for them.
  // Called on its threads; may be empty.
  std::function<void(const std::string& message)> log;

  // INVALID_ARGUMENT naming field, value and what is allowed.
  absl::Status Validate() const;
};

// "name=value" as a property. INVALID_ARGUMENT where there is no name.
absl::StatusOr<std::pair<std::string, std::string>> ParseKafkaProperty(const std::string& text);

// The properties of a file with one a line, empty lines, and lines that begin
// with "#": what Kafka's own tools and kcat take. Errors name the line.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ReadKafkaProperties(
    const std::string& path);

class KafkaClient;
class KafkaShard;

class KafkaSource : public Source {
 public:
  // Does not wait for a broker.
  static absl::StatusOr<std::shared_ptr<KafkaSource>> Create(const KafkaSourceOptions& options);
  ~KafkaSource() override;

  absl::StatusOr<std::vector<ListedShard>> ListShards() override;
  // The partition's end, before transactions that are open.
  absl::StatusOr<Position> ResolveLatest(const std::string& shard) override;
  // NOT_FOUND for a shard that is no partition of the topic.
  absl::StatusOr<std::unique_ptr<ShardReader>> Open(const std::string& shard,
                                                    const Position& from) override;
  Origin origin() const override;

 private:
  struct Shards;

  KafkaSource(const KafkaSourceOptions& options, std::shared_ptr<KafkaClient> client);

  const KafkaSourceOptions options_;
  const std::shared_ptr<KafkaClient> client_;
  const std::unique_ptr<Shards> shards_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KAFKA_KAFKA_SOURCE_H_
