#include "worker/source/kinesis/kinesis_source.h"

#include <atomic>
#include <cstdlib>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "service/core/error.h"
#include "worker/source/kinesis/credentials.h"
#include "worker/source/kinesis/http_client.h"
#include "worker/source/kinesis/kinesis_api.h"
#include "worker/source/kinesis/kinesis_reader.h"

namespace lowmark {
namespace {

std::string Variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

std::string FirstOf(std::initializer_list<std::string> texts) {
  for (const std::string& text : texts) {
    if (!text.empty()) return text;
  }
  return "";
}

// arn:aws:kinesis:REGION:ACCOUNT:stream/NAME
struct StreamArn {
  std::string region;
  std::string name;
};

std::optional<StreamArn> ParseArn(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 5));
  if (parts.size() != 6 || parts[0] != "arn" || parts[2] != "kinesis") return std::nullopt;
  absl::string_view name = parts[5];
  if (!absl::ConsumePrefix(&name, "stream/") || name.empty()) return std::nullopt;
  return StreamArn{parts[3], std::string(name)};
}

bool IsName(absl::string_view text) { return IsToken(text) && !absl::StrContains(text, ":"); }

absl::StatusOr<KinesisStream> FindStream(const KinesisSourceOptions& options) {
  KinesisStream stream;
  stream.name = options.stream;
  if (absl::StartsWith(options.stream, "arn:")) {
    const auto arn = ParseArn(options.stream);
    if (!arn) {
      return InvalidField("kinesis_stream", options.stream,
                          "must be a name, or arn:aws:kinesis:REGION:ACCOUNT:stream/NAME");
    }
    stream.arn = options.stream;
    stream.name = arn->name;
    stream.region = arn->region;
  }
  if (!IsName(stream.name)) {
    return InvalidField("kinesis_stream", options.stream,
                        "must be a name of [A-Za-z0-9._-]{1,128}, or an ARN");
  }
  stream.region = FirstOf(
      {options.region, stream.region, Variable("AWS_REGION"), Variable("AWS_DEFAULT_REGION")});
  if (!IsName(stream.region)) {
    return InvalidField("kinesis_region", stream.region,
                        "must be a region such as eu-central-1, or AWS_REGION set to one");
  }
  stream.endpoint = FirstOf(
      {options.endpoint, Variable("AWS_ENDPOINT_URL_KINESIS"), Variable("AWS_ENDPOINT_URL")});
  if (stream.endpoint.empty()) {
    stream.endpoint = absl::StrCat("https://kinesis.", stream.region, ".amazonaws.com",
                                   absl::StartsWith(stream.region, "cn-") ? ".cn" : "");
  }
  stream.endpoint = std::string(absl::StripSuffix(stream.endpoint, "/"));
  if (!absl::StartsWith(stream.endpoint, "http://") &&
      !absl::StartsWith(stream.endpoint, "https://")) {
    return InvalidField("kinesis_endpoint", stream.endpoint,
                        "must be a URL such as http://localhost:4567");
  }
  return stream;
}

}  // namespace

absl::Status KinesisSourceOptions::Validate() const {
  if (stream.empty()) {
    return InvalidField("kinesis_stream", stream, "must be given with --source kinesis");
  }
  if (access_key_id.empty() != secret_access_key.empty()) {
    return InvalidField(
        access_key_id.empty() ? "kinesis_access_key_id" : "kinesis_secret_access_key", "",
        "must be given where the other half of the credentials is");
  }
  if (auto s =
          CheckDuration("kinesis_call_timeout", call_timeout, absl::Seconds(1), absl::Seconds(60));
      !s.ok()) {
    return s;
  }
  if (surplus_bytes < int64_t{1} << 20 || surplus_bytes > int64_t{16} << 30) {
    return InvalidField("kinesis_surplus_bytes", surplus_bytes, "must be 1048576..17179869184");
  }
  return FindStream(*this).status();
}

struct KinesisSource::Parts {
  Parts(const KinesisSourceOptions& options, KinesisStream stream)
      : region(stream.region),
        arn(stream.arn),
        credentials(CredentialPlaces({{options.access_key_id, options.secret_access_key,
                                       options.session_token, absl::InfiniteFuture()},
                                      options.profile,
                                      stream.region,
                                      &Variable},
                                     http)),
        reading{std::make_shared<KinesisApi>(std::move(stream), credentials, http,
                                             options.call_timeout),
                options.deaggregate, std::make_shared<std::atomic<int64_t>>(0),
                options.surplus_bytes} {}

  // Asks for the stream's ARN, until it is known.
  absl::Status Describe();
  std::shared_ptr<ReadQuota> QuotaOf(const std::string& shard);

  const std::string region;
  Mutex mutex;
  std::string arn LOWMARK_GUARDED_BY(mutex);
  // Of each shard that was opened: it counts for the next reader too.
  std::map<std::string, std::shared_ptr<ReadQuota>> quotas LOWMARK_GUARDED_BY(mutex);
  HttpClient http;
  Credentials credentials;
  const KinesisReading reading;
};

absl::Status KinesisSource::Parts::Describe() {
  {
    MutexLock lock(mutex);
    if (!arn.empty()) return absl::OkStatus();
  }
  auto described = reading.api->DescribeStreamArn();
  if (absl::IsPermissionDenied(described.status())) {
    return absl::PermissionDeniedError(
        absl::StrCat(described.status().message(),
                     "; allow kinesis:DescribeStreamSummary, or give the stream's ARN"));
  }
  if (!described.ok()) return SourceError(described.status());
  MutexLock lock(mutex);
  arn = *std::move(described);
  return absl::OkStatus();
}

std::shared_ptr<ReadQuota> KinesisSource::Parts::QuotaOf(const std::string& shard) {
  MutexLock lock(mutex);
  std::shared_ptr<ReadQuota>& quota = quotas[shard];
  if (!quota) quota = std::make_shared<ReadQuota>();
  return quota;
}

absl::StatusOr<std::shared_ptr<KinesisSource>> KinesisSource::Create(
    const KinesisSourceOptions& options) {
  if (auto s = options.Validate(); !s.ok()) return s;
  auto stream = FindStream(options);
  if (!stream.ok()) return stream.status();
  return std::shared_ptr<KinesisSource>(
      new KinesisSource(std::make_unique<Parts>(options, *std::move(stream))));
}

KinesisSource::KinesisSource(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

KinesisSource::~KinesisSource() = default;

absl::StatusOr<std::vector<ListedShard>> KinesisSource::ListShards() {
  auto shards = parts_->reading.api->ListShards();
  if (!shards.ok()) return SourceError(shards.status());
  return shards;
}

absl::StatusOr<std::unique_ptr<ShardReader>> KinesisSource::Open(const std::string& shard,
                                                                 const Position& from) {
  if (!IsToken(shard)) return InvalidField("shard", shard, "must match [A-Za-z0-9._:-]{1,128}");
  if (from.kind == Position::Kind::kShardEnd) {
    return InvalidField("from", from.ToString(), "must not be SHARD_END");
  }
  // Before the first record: each event says where it is from.
  if (auto s = parts_->Describe(); !s.ok()) return s;
  return std::make_unique<KinesisReader>(parts_->reading, shard, parts_->QuotaOf(shard), from);
}

absl::StatusOr<Position> KinesisSource::ResolveLatest(const std::string& shard) {
  return ResolveKinesisLatest(*parts_->reading.api, shard);
}

Origin KinesisSource::origin() const {
  MutexLock lock(parts_->mutex);
  return {Origin::Shape::kKinesis, parts_->arn, parts_->region};
}

}  // namespace lowmark
