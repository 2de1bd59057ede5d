// A worker that the test plays itself, so that it knows exactly what was acknowledged.
// Records have the numbers 1, 2, ... as sequence; each batch is one record.
//
//   Reporter reporter(target, "stream", "worker");
//   reporter.AddShards({"0"});
//   auto lease = reporter.Lease();
//   auto answer = reporter.Report(*lease, /*delivery=*/1, /*number=*/1);
#ifndef LOWMARK_TESTS_E2E_REPORTER_H_
#define LOWMARK_TESTS_E2E_REPORTER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lowmark/v1/coordinator.grpc.pb.h"

namespace lowmark {

// Thread-safe. Calls are repeated for up to a minute while they fail with what is to
// be tried again; anything else is returned.
class Reporter {
 public:
  // `target`: where gRPC finds the coordinators.
  Reporter(const std::string& target, std::string stream, std::string worker);

  // Adds shards to a stream that has none.
  absl::Status AddShards(const std::vector<std::string>& shards);
  // Waits for the stream's next free shard.
  absl::StatusOr<v1::Lease> Lease();
  // Reports success for the record `number`, as delivery `delivery` of the lease.
  absl::StatusOr<v1::ReportBatchResponse> Report(const v1::Lease& lease, int64_t delivery,
                                                 int64_t number);
  absl::Status Release(const v1::Lease& lease);

 private:
  const std::string stream_;
  const std::string worker_;
  std::unique_ptr<v1::CoordinatorService::Stub> stub_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_E2E_REPORTER_H_
