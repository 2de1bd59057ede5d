// What a case is played on: one shard, and the one worker that processes it at a
// time. Two implementations: CoreShard asks the pure core, RealShard a real
// coordinator. All that a case says is done on top of this interface, once.
#ifndef LOWMARK_TESTS_CONFORMANCE_SHARD_UNDER_TEST_H_
#define LOWMARK_TESTS_CONFORMANCE_SHARD_UNDER_TEST_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/core/policy.h"
#include "service/core/step.h"

namespace lowmark::conformance {

// What the worker holds: its lease and the delivery that is to be reported next.
struct Current {
  int64_t epoch = 0;
  int64_t delivery = 0;
  std::string batch_id;
  Position start;
  std::string end_sequence;
  int32_t max_records = 0;
  bool backoff = false;  // the delivery is to be held back for a while
  bool declare = false;
  bool done = false;  // the shard was read to its end; the rest is not set
};

// A report: one of the outcomes among the core's events.
struct ShardReport {
  int64_t epoch = 0;
  int64_t delivery = 0;
  Event event;
};

class ShardUnderTest {
 public:
  virtual ~ShardUnderTest() = default;

  // Makes the stream with its one shard. An error where the policy is refused.
  virtual absl::Status Create(const Policy& policy) = 0;
  // Leases the shard to the worker. Nothing where it cannot be leased.
  virtual absl::StatusOr<std::optional<Current>> Lease() = 0;
  // Sends a report as the worker, exactly as given; what is current then.
  virtual absl::StatusOr<Current> Report(const ShardReport& report) = 0;
  // The worker vanishes and its session ends; the next Lease is another worker's.
  virtual void Die() = 0;
  // Moves the checkpoint as an operator. The worker's lease is over.
  virtual absl::Status Seek(const Position& position) = 0;
  // The coordinator dies and comes back; the worker goes on.
  virtual absl::Status RestartCoordinator() = 0;

  virtual absl::StatusOr<Position> Checkpoint() = 0;
  // In the order in which they were set aside.
  virtual absl::StatusOr<std::vector<DeadLetterRange>> DeadLetters() = 0;
  // All of the shard that can be seen: equal texts mean that nothing changed.
  virtual absl::StatusOr<std::string> Snapshot() = 0;
};

}  // namespace lowmark::conformance

#endif  // LOWMARK_TESTS_CONFORMANCE_SHARD_UNDER_TEST_H_
