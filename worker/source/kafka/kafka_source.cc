#include "worker/source/kafka/kafka_source.h"

#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "service/process/mutex.h"
#include "worker/source/kafka/client.h"
#include "worker/source/kafka/kafka_reader.h"

namespace lowmark {
namespace {

// The partition that a shard's name stands for.
absl::StatusOr<int32_t> PartitionOf(const std::string& shard, const std::string& topic) {
  absl::string_view number = shard;
  int32_t partition = 0;
  if (!absl::ConsumePrefix(&number, topic) || !absl::ConsumePrefix(&number, "-") ||
      !IsNumericSequence(number) || !absl::SimpleAtoi(number, &partition)) {
    return absl::NotFoundError(absl::StrCat("shard ", shard, " is no partition of topic ", topic));
  }
  return partition;
}

}  // namespace

struct KafkaSource::Shards {
  Mutex mutex;
  // Those that have readers.
  std::map<int32_t, std::weak_ptr<KafkaShard>> open LOWMARK_GUARDED_BY(mutex);
};

KafkaSource::KafkaSource(const KafkaSourceOptions& options, std::shared_ptr<KafkaClient> client)
    : options_(options), client_(std::move(client)), shards_(std::make_unique<Shards>()) {}

KafkaSource::~KafkaSource() = default;

absl::StatusOr<std::shared_ptr<KafkaSource>> KafkaSource::Create(
    const KafkaSourceOptions& options) {
  auto client = KafkaClient::Make(options);
  if (!client.ok()) return client.status();
  return std::shared_ptr<KafkaSource>(new KafkaSource(options, *std::move(client)));
}

absl::StatusOr<std::vector<ListedShard>> KafkaSource::ListShards() {
  const auto partitions = client_->CountPartitions();
  if (!partitions.ok()) return partitions.status();
  std::vector<ListedShard> shards;
  for (int32_t i = 0; i < *partitions; ++i) {
    shards.push_back({absl::StrCat(options_.topic, "-", i), {}});
  }
  return shards;
}

absl::StatusOr<Position> KafkaSource::ResolveLatest(const std::string& shard) {
  const auto partition = PartitionOf(shard, options_.topic);
  if (!partition.ok()) return partition.status();
  if (auto s = client_->CheckBrokers(); !s.ok()) return s;
  const auto range = client_->QueryRange(*partition);
  if (!range.ok()) return range.status();
  return Position::At(absl::StrCat(range->end));
}

absl::StatusOr<std::unique_ptr<ShardReader>> KafkaSource::Open(const std::string& shard,
                                                               const Position& from) {
  const auto partition = PartitionOf(shard, options_.topic);
  if (!partition.ok()) return partition.status();
  std::shared_ptr<KafkaShard> opened;
  {
    MutexLock lock(shards_->mutex);
    std::weak_ptr<KafkaShard>& known = shards_->open[*partition];
    opened = known.lock();
    if (opened == nullptr) {
      opened = std::make_shared<KafkaShard>(client_->Partition(*partition));
      known = opened;
    }
  }
  KafkaReader::Options options;
  options.shard = shard;
  options.out_of_range = options_.out_of_range;
  return KafkaReader::Make(std::move(opened), from, options);
}

Origin KafkaSource::origin() const {
  Origin origin;
  origin.shape = Origin::Shape::kKafka;
  origin.arn = options_.brokers;  // what the event calls bootstrapServers
  return origin;
}

}  // namespace lowmark
