// The rules of a shard. One pure function decides what a report, a lease or its
// loss does to a shard's state; everything else in Lowmark carries its decisions
// out. No clock, database, network, randomness or logging here: `now` and the
// jitter are arguments.
//
// The rules (docs/rules.md tells them with examples), for a report on the
// current delivery of a batch r1..rn:
//   1. success: position AFTER rn.
//   2. partial failure, the lowest failed is rk, k > 1: position AT rk; a new
//      batch of exactly rk..rn, at once.
//   3. whole failure, or r1 failed: split in two where the policy bisects and
//      n > 1 (spends no retry), else re-send the identical batch after a
//      backoff, else set aside.
//   4. records that cannot be processed whatever the handler (too old, too
//      large, unreadable) are set aside from the front of a batch.
//   5. a lost delivery spends no retry, until losses exceed the policy's limit.
//   6. trouble before the handler ran spends nothing.
//   7. the end of the shard is a position.
//   8. LATEST is pinned before the first record is read.
#ifndef LOWMARK_SERVICE_CORE_STEP_H_
#define LOWMARK_SERVICE_CORE_STEP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/core/policy.h"
#include "service/core/position.h"

namespace lowmark {

// Why records that were delivered before are delivered again.
enum class Redelivery {
  kNone = 0,
  kRetry = 1,     // the identical batch failed
  kSplit = 2,     // part of a batch that was split
  kPartial = 3,   // from the lowest failed record on
  kLost = 4,      // the worker died or was fenced with the batch unreported
  kOperator = 5,  // an operator moved the checkpoint
};

// Why records are set aside. The first two are Lambda's words.
enum class Condition {
  kRetryAttemptsExhausted = 1,
  kRecordAgeExceeded = 2,
  kRecordTooLarge = 3,
  kRecordUnreadable = 4,
};

// A batch that was named before its handler ran.
struct DeclaredBatch {
  std::string first;
  std::string middle;  // the last record of its first half, ceil(count / 2)
  std::string last;
  int32_t count = 0;

  bool operator==(const DeclaredBatch&) const = default;
};

// What is durable of a shard's progress. Small, whatever happens.
struct ShardState {
  Position position;
  // A stack of batch ends, inclusive; the last is the top. The current batch
  // runs from `position` to the top or, when empty, is up to batch_size fresh
  // records. Below the top lie the ends of the batches it was cut from: the
  // stack is the bisect tree.
  std::vector<std::string> bounds;
  // The number of the first delivery of the current batch.
  int64_t batch_id = 0;
  // The number of the current, or else last, delivery.
  int64_t delivery = 0;
  // Failures of the current batch.
  int32_t attempts = 0;
  // Lost deliveries of the current batch.
  int32_t lost_deliveries = 0;
  // No delivery to a handler before this time.
  absl::Time not_before = absl::UnixEpoch();
  // Whether the delivery was handed over and is neither reported nor released.
  bool outstanding = false;
  // Why the current batch was delivered before, if it was.
  Redelivery cause = Redelivery::kNone;
  // Set while the outstanding delivery is declared.
  std::optional<DeclaredBatch> declared;

  bool done() const { return position.kind == Position::Kind::kShardEnd; }
  bool operator==(const ShardState&) const = default;
};

// --- Events ----------------------------------------------------------------

// The batch was processed. count 0, without first and last, means that nothing
// is left up to the bound, or up to the shard's end.
struct Succeeded {
  std::string first;
  std::string last;
  int32_t count = 0;
  bool shard_end = false;
};

// The batch failed: `failed` names records of it, or is empty (or names one that
// is not in it) when all of it failed.
struct Failed {
  std::vector<std::string> sequences;  // the whole batch, in order
  std::vector<std::string> failed;     // any order, repeats allowed
  std::string error_type;
  std::string error_message;
};

// The first `count` records of the batch are set aside unseen.
struct SetAside {
  std::vector<std::string> sequences;  // the whole batch, in order
  int32_t count = 0;
  Condition condition = Condition::kRecordAgeExceeded;
  std::string error_message;
};

// The handler could not be run.
struct NotRun {};

// The handler is about to run on these records.
struct Started {
  std::vector<std::string> sequences;
};

// A worker gets the shard. Where the delivery before is outstanding, it is lost.
struct Granted {};

// The worker gives the shard back; an outstanding delivery was not run.
struct Released {};

// The source has said where LATEST is, at which the delivery starts.
struct Resolved {
  Position position;
};

// An operator moves the checkpoint.
struct Sought {
  Position position;
};

using Event =
    std::variant<Succeeded, Failed, SetAside, NotRun, Started, Resolved, Granted, Released, Sought>;

// --- Results ---------------------------------------------------------------

// Records to be set aside in the transaction that moves the checkpoint.
struct DeadLetterRange {
  std::string first;
  std::string last;
  int32_t count = 0;
  Condition condition = Condition::kRetryAttemptsExhausted;
  // How many times the failing batch was delivered to a handler.
  int32_t attempts = 0;
  std::string error_type;
  std::string error_message;
};

// What an event turned out to be.
enum class Outcome {
  kSuccess,   // rule 1
  kPartial,   // rule 2
  kRetry,     // rule 3: the identical batch again
  kSplit,     // rule 3: two batches
  kDiscard,   // rule 3: set aside, retries exhausted
  kSetAside,  // rule 4
  kLost,      // rule 5: granted again with a delivery outstanding
  kNotRun,    // rule 6
  kShardEnd,  // rule 7
  kStarted,
  kResolved,
  kGranted,
  kReleased,
  kSought,
};

// For metrics and the audit; decides nothing.
struct Facts {
  Outcome outcome = Outcome::kSuccess;
  // Records now known to be processed.
  int64_t processed = 0;
  // Records now set aside.
  int64_t discarded = 0;
  // Records of the reported delivery that had been delivered before, and why.
  int64_t redelivered = 0;
  Redelivery cause = Redelivery::kNone;
  // Whether a delivery was lost.
  bool lost = false;
};

struct StepResult {
  ShardState state;
  std::vector<DeadLetterRange> dead_letters;
  Facts facts;
};

// Decides one event. `jitter01` is a random number in [0, 1).
// INVALID_ARGUMENT, naming the field, for a report that cannot be about the
// current delivery (outside its bounds, out of order, empty, not what was
// declared); FAILED_PRECONDITION for anything but Released on a shard that is
// done. Either way nothing is to be changed.
absl::StatusOr<StepResult> Step(const ShardState& state, const Policy& policy, const Event& event,
                                absl::Time now, double jitter01);

// One hand-over of a batch to a worker, as it follows from the state.
struct Delivery {
  int64_t batch_id = 0;
  int64_t delivery = 0;
  Position start;
  // The last record of the batch, inclusive; empty where it is not fixed.
  std::string end_sequence;
  int32_t max_records = 0;
  // How long to wait before the handler runs.
  absl::Duration delay = absl::ZeroDuration();
  // 1 for the first try of a batch.
  int32_t attempt = 1;
  // Whether a failure, where it is not split, sets records aside.
  bool final_attempt = false;
  // Whether to report `started` before the handler runs.
  bool declare = false;
  Redelivery cause = Redelivery::kNone;
};

// The delivery that is current in a state that is not done.
Delivery CurrentDelivery(const ShardState& state, const Policy& policy, absl::Time now);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_STEP_H_
