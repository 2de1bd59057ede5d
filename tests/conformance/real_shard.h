// A shard of a real coordinator: a stream of its own with one shard, and a worker
// that is this object.
#ifndef LOWMARK_TESTS_CONFORMANCE_REAL_SHARD_H_
#define LOWMARK_TESTS_CONFORMANCE_REAL_SHARD_H_

#include <memory>
#include <string>
#include <vector>

#include "lowmark/v1/admin.grpc.pb.h"
#include "lowmark/v1/coordinator.grpc.pb.h"
#include "tests/conformance/servers.h"
#include "tests/conformance/shard_under_test.h"

namespace lowmark::conformance {

class RealShard : public ShardUnderTest {
 public:
  // `stream` must be new. The servers must outlive the object.
  RealShard(Servers& servers, std::string stream);

  absl::Status Create(const Policy& policy) override;
  absl::StatusOr<std::optional<Current>> Lease() override;
  absl::StatusOr<Current> Report(const ShardReport& report) override;
  void Die() override { ++workers_; }  // nothing is heard of the worker any more
  absl::Status Seek(const Position& position) override;
  absl::Status RestartCoordinator() override { return servers_.RestartCoordinator(); }
  absl::StatusOr<Position> Checkpoint() override;
  absl::StatusOr<std::vector<DeadLetterRange>> DeadLetters() override;
  absl::StatusOr<std::string> Snapshot() override;

 private:
  std::string Worker() const;
  // One LeaseShard call that waits for so long.
  absl::StatusOr<v1::LeaseShardResponse> TryLease(absl::Duration wait);
  absl::Status SyncShard();
  absl::StatusOr<v1::Shard> GetShard();
  absl::StatusOr<Current> Read(int64_t epoch, const v1::Delivery& delivery) const;

  Servers& servers_;
  const std::string stream_;
  std::unique_ptr<v1::CoordinatorService::Stub> coordinator_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  SequenceOrder order_ = SequenceOrder::kNumeric;
  bool paused_ = false;
  int workers_ = 1;
};

}  // namespace lowmark::conformance

#endif  // LOWMARK_TESTS_CONFORMANCE_REAL_SHARD_H_
