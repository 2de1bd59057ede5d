// Makes streams with shards through a coordinator, for loads to work on. All calls
// block.
#ifndef LOWMARK_TESTS_BENCH_STREAMS_H_
#define LOWMARK_TESTS_BENCH_STREAMS_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lowmark/v1/coordinator.pb.h"

namespace lowmark {

// Creates a stream with the default policy.
absl::Status CreateStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& stream);

// Waits for leases no longer than `patience`; none is no error. The first call of
// a worker opens its session.
absl::StatusOr<v1::LeaseShardResponse> Lease(const std::shared_ptr<grpc::Channel>& channel,
                                             const std::string& stream, const std::string& worker,
                                             size_t held, absl::Duration patience);

// Adds shards in the name of a worker that has a session, 10,000 a call.
absl::Status AddShards(const std::shared_ptr<grpc::Channel>& channel, const std::string& stream,
                       const std::string& worker, const std::vector<std::string>& shards);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_STREAMS_H_
