// The calls of the Kinesis API that reading a stream takes.
#ifndef LOWMARK_WORKER_SOURCE_KINESIS_KINESIS_API_H_
#define LOWMARK_WORKER_SOURCE_KINESIS_KINESIS_API_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "nlohmann/json_fwd.hpp"
#include "service/core/position.h"
#include "service/core/record.h"
#include "worker/source.h"
#include "worker/source/kinesis/credentials.h"
#include "worker/source/kinesis/http_client.h"

namespace lowmark {

// A stream, and where it is.
struct KinesisStream {
  std::string name;
  // Empty: not known; calls name the stream alone.
  std::string arn;
  std::string region;
  // "https://HOST", without a path.
  std::string endpoint;
};

// A place to read a shard from. It is good for five minutes.
struct ShardIterator {
  std::string token;
  // When it was made, by Kinesis' clock, rounded down to the second.
  absl::Time made;
};

// What one GetRecords call brought.
struct RecordsPage {
  std::vector<Record> records;
  // Empty: nothing will ever follow.
  std::string next_iterator;
  int64_t millis_behind_latest = 0;
};

// Thread safe. Errors of all calls:
//   UNAVAILABLE          throttled, 5xx, no or no sensible answer; tried again.
//   UNAUTHENTICATED      no credentials, or refused ones.
//   PERMISSION_DENIED    the credentials may not do this.
//   NOT_FOUND            no such stream, or no such shard.
//   ABORTED              the iterator has expired.
//   INVALID_ARGUMENT     the position does not exist in the shard.
//   FAILED_PRECONDITION  anything else that Kinesis refuses.
// Messages say which call on which stream it was, and what Kinesis said.
class KinesisApi {
 public:
  // `credentials` outlive it. `timeout` is that of one call.
  KinesisApi(KinesisStream stream, Credentials& credentials, HttpClient& http,
             absl::Duration timeout)
      : stream_(std::move(stream)), credentials_(credentials), http_(http), timeout_(timeout) {}

  const KinesisStream& stream() const { return stream_; }

  // The stream's ARN.
  absl::StatusOr<std::string> DescribeStreamArn();
  // All shards, open and closed, over as many pages as it takes.
  absl::StatusOr<std::vector<ListedShard>> ListShards();
  // `from` is any position but SHARD_END.
  absl::StatusOr<ShardIterator> GetShardIterator(const std::string& shard, const Position& from);
  absl::StatusOr<RecordsPage> GetRecords(const std::string& iterator, int32_t limit);

 private:
  struct Answer;
  absl::StatusOr<Answer> Call(const char* operation, const nlohmann::json& request);
  // A request that names the stream.
  nlohmann::json AboutStream() const;

  const KinesisStream stream_;
  Credentials& credentials_;
  HttpClient& http_;
  const absl::Duration timeout_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KINESIS_KINESIS_API_H_
