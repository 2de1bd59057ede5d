// How a stream's records are batched, retried and given up.
#ifndef LOWMARK_SERVICE_CORE_POLICY_H_
#define LOWMARK_SERVICE_CORE_POLICY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/core/on_failure.h"
#include "service/core/position.h"

namespace lowmark {

// What becomes a dead letter when a batch's retries are exhausted.
enum class DiscardScope { kRecord, kBatch };

// What a stream's shards are shared out by.
enum class BalanceBy {
  kShards = 0,       // their number
  kRecords = 1,      // records a second
  kHandlerTime = 2,  // seconds of handler time a second
};

// The pause before re-send number n: min(initial * multiplier^(n-1), maximum),
// spread by +-jitter.
struct RetryBackoff {
  absl::Duration initial = absl::Milliseconds(200);  // > 0, <= maximum
  double multiplier = 2;                             // 1..10
  absl::Duration maximum = absl::Seconds(60);        // at most one hour
  double jitter = 0.2;                               // 0..1, a share of the pause

  bool operator==(const RetryBackoff&) const = default;
};

// A stream's policy, on the wire `StreamConfig`; names, defaults and ranges
// follow the settings of AWS Lambda's event source mappings where those exist.
struct Policy {
  static constexpr int32_t kForever = -1;
  static constexpr int32_t kLargestBatch = 10000;                   // records
  static constexpr int64_t kLargestBatchBytes = int64_t{64} << 20;  // of data

  // Records in a batch at most: 1..10000.
  int32_t batch_size = 100;
  // How long a batch may wait to fill: 0..300 s.
  absl::Duration maximum_batching_window = absl::ZeroDuration();
  // Bytes of data in a batch at most: 1 KiB..64 MiB.
  int64_t maximum_batch_bytes = int64_t{6} << 20;
  // Where a shard without checkpoint starts: kTrimHorizon, kLatest, kAtTimestamp.
  Position starting_position;
  // Whether a handler's list of failed records counts.
  bool report_batch_item_failures = true;
  // Whether a batch that failed as a whole is split in two.
  bool bisect_batch_on_failure = true;
  // Re-sends of the identical batch before it is set aside: 0..10000, kForever.
  int32_t maximum_retry_attempts = 10;
  // Older records are set aside unseen: 60..604800 whole seconds, or -1 s for
  // no limit.
  absl::Duration maximum_record_age = absl::Seconds(-1);
  // What is set aside when retries are exhausted.
  DiscardScope discard_scope = DiscardScope::kRecord;
  // The pause before an identical batch is re-sent.
  RetryBackoff retry_backoff;
  // Lost deliveries of a batch before a further one counts as its failure:
  // 1..1000, kForever.
  int32_t maximum_lost_deliveries = 3;
  // How long a handler may take for a batch: 1..900 s.
  absl::Duration handler_timeout = absl::Seconds(60);
  // How long a worker that was asked to hand over may keep a shard: 1..900 s.
  absl::Duration handoff_timeout = absl::Seconds(30);
  // How sequence numbers are ordered; fixed when the stream is created.
  SequenceOrder sequence_order = SequenceOrder::kNumeric;
  // While true no shard of the stream is leased.
  bool paused = false;
  // While true no shard moves from one live worker to another; free ones are
  // leased as ever.
  bool frozen = false;
  // What shards are shared out by among workers.
  BalanceBy balance_by = BalanceBy::kShards;
  // Where dead letters are sent as well as stored.
  OnFailure on_failure;

  bool operator==(const Policy&) const = default;

  // The preset with AWS Lambda's own defaults: reporting and bisecting off,
  // retries for ever, scope BATCH.
  static Policy Lambda();

  // OK, or INVALID_ARGUMENT naming field ("config.batch_size"), value and range.
  absl::Status Validate() const;
};

// The pause before re-send number `attempts` (1 for the first). `jitter01` is a
// random number in [0, 1); the result never exceeds maximum * (1 + jitter).
absl::Duration Backoff(const RetryBackoff& backoff, int32_t attempts, double jitter01);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_POLICY_H_
