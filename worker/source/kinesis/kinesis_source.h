// A stream of Amazon Kinesis as a source: its shards are the shards.
//
// A record's sequence number is that of Kinesis. Where records that the Kinesis Producer
// Library aggregated are taken apart (`deaggregate`), each of their parts is a
// record, and all sequence numbers have seven digits more, which count the parts.
//
// Each shard is read at most 5 times and 2 MB a second, as Kinesis allows; what other
// readers of the shard take of that comes back as throttling, and is waited for. A shard
// is at its end when Kinesis gives no next iterator for it. One that Kinesis does not list
// any more, since all its records are older than the stream's retention, ends with what
// was lost said in the audit; its children go on.
//
// LATEST is pinned: it becomes AT_TIMESTAMP of Kinesis' clock, to the second.
#ifndef LOWMARK_WORKER_SOURCE_KINESIS_KINESIS_SOURCE_H_
#define LOWMARK_WORKER_SOURCE_KINESIS_KINESIS_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/source.h"

namespace lowmark {

struct KinesisSourceOptions {
  // The stream's name or ARN. Required; it need not exist yet.
  std::string stream;
  // Empty: that of the ARN, else of AWS_REGION or AWS_DEFAULT_REGION.
  std::string region;
  // The service's URL. Empty: AWS_ENDPOINT_URL_KINESIS, AWS_ENDPOINT_URL, else that of AWS
  // in the region.
  std::string endpoint;

  // Credentials, where both are given. Else they are looked for where AWS' own tools
  // do: AWS_ACCESS_KEY_ID and its like, web identity, the shared credentials file, a
  // container's endpoint, the machine's metadata; and fetched anew before they expire.
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  // Of the shared credentials file. Empty: AWS_PROFILE, else "default".
  std::string profile;

  // Whether records that the Kinesis Producer Library aggregated are taken apart. Turn it
  // on before the stream is first processed; it cannot be turned off again.
  bool deaggregate = false;
  // The time limit of one call: 1..60 s.
  absl::Duration call_timeout = absl::Seconds(20);
  // Record data that is kept in memory for shards that are far behind, beside what the
  // worker reads ahead: 1 MiB..16 GiB.
  int64_t surplus_bytes = int64_t{128} << 20;

  // INVALID_ARGUMENT naming field, value and what is allowed.
  absl::Status Validate() const;
};

class KinesisSource : public Source {
 public:
  // Connects to nothing yet.
  static absl::StatusOr<std::shared_ptr<KinesisSource>> Create(const KinesisSourceOptions& options);
  ~KinesisSource() override;

  absl::StatusOr<std::vector<ListedShard>> ListShards() override;
  absl::StatusOr<std::unique_ptr<ShardReader>> Open(const std::string& shard,
                                                    const Position& from) override;
  absl::StatusOr<Position> ResolveLatest(const std::string& shard) override;
  // The stream's ARN and region; complete once a shard was opened.
  Origin origin() const override;

 private:
  struct Parts;
  explicit KinesisSource(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KINESIS_KINESIS_SOURCE_H_
