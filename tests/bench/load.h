// A closed loop of gRPC calls: so many in flight, each answer checked and
// followed at once by the next call.
#ifndef LOWMARK_TESTS_BENCH_LOAD_H_
#define LOWMARK_TESTS_BENCH_LOAD_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace lowmark {

// What is in flight once: one call after another. RunLoad never calls two methods
// of a slot at the same time.
class Slot {
 public:
  virtual ~Slot() = default;
  // Starts the next call; `queue` delivers `tag` when it is answered.
  virtual void Start(grpc::CompletionQueue& queue, void* tag) = 0;
  // Checks the answer; an error ends the load.
  virtual absl::Status Finish() = 0;
};

// What a load did in its measured time.
struct LoadResult {
  int64_t calls = 0;
  absl::Duration elapsed;
  int64_t all_calls = 0;            // with those of the warm-up
  std::vector<float> latencies_ms;  // of each of these calls, ascending

  double rate() const { return static_cast<double>(calls) / absl::ToDoubleSeconds(elapsed); }
};

// Keeps all slots busy for `warm_up`, which does not count, and then for
// `duration`. Returns when every call is answered.
absl::StatusOr<LoadResult> RunLoad(const std::vector<std::unique_ptr<Slot>>& slots,
                                   absl::Duration warm_up, absl::Duration duration);

// Connections to a server: a few, since one cannot carry a thousand calls well.
class Channels {
 public:
  // UNAVAILABLE where the server does not answer within ten seconds.
  static absl::StatusOr<Channels> Connect(const std::string& address);

  const std::shared_ptr<grpc::Channel>& Get(size_t slot) const {
    return channels_[slot % channels_.size()];
  }

 private:
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
};

// The time a call of this benchmark may take: an answer that does not come is an
// error, not a slow call.
void SetDeadline(grpc::ClientContext& context);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_LOAD_H_
