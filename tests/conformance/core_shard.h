// A shard that is nothing but the core's decisions on a state in memory.
#ifndef LOWMARK_TESTS_CONFORMANCE_CORE_SHARD_H_
#define LOWMARK_TESTS_CONFORMANCE_CORE_SHARD_H_

#include <memory>
#include <string>
#include <vector>

#include "service/core/lease.h"
#include "tests/conformance/shard_under_test.h"

namespace lowmark::conformance {

class CoreShard : public ShardUnderTest {
 public:
  absl::Status Create(const Policy& policy) override;
  absl::StatusOr<std::optional<Current>> Lease() override;
  absl::StatusOr<Current> Report(const ShardReport& report) override;
  void Die() override;
  absl::Status Seek(const Position& position) override;
  absl::Status RestartCoordinator() override { return absl::OkStatus(); }  // keeps nothing
  absl::StatusOr<Position> Checkpoint() override { return shard_.state.position; }
  absl::StatusOr<std::vector<DeadLetterRange>> DeadLetters() override { return dead_letters_; }
  absl::StatusOr<std::string> Snapshot() override;

 private:
  std::string Worker() const;
  void Apply(const StepResult& result);
  // What is current, once its delay is over.
  Current Now();

  Policy policy_;
  Shard shard_;
  std::vector<DeadLetterRange> dead_letters_;
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  int workers_ = 1;
};

}  // namespace lowmark::conformance

#endif  // LOWMARK_TESTS_CONFORMANCE_CORE_SHARD_H_
