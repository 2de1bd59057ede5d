// Where documents go: an HTTP endpoint, a Kafka topic, a directory.
#ifndef LOWMARK_SERVICE_ON_FAILURE_DESTINATION_H_
#define LOWMARK_SERVICE_ON_FAILURE_DESTINATION_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/core/on_failure.h"
#include "service/process/mutex.h"

namespace lowmark {

// A document on its way.
struct Document {
  std::string key;  // the same however often it is sent; see DocumentKey
  std::string shard;
  int64_t claim = 0;  // another each time it is sent
  std::string text;
};

// Says that a Send is to end. Thread-safe.
class StopSignal {
 public:
  // No document is begun any more; one that is on its way has `grace`.
  void Stop(absl::Duration grace) { over_ = Nanos(SteadyDeadline(grace)); }
  bool stopping() const { return over_ != kNever; }
  bool over() const { return Nanos(SteadyDeadline(absl::ZeroDuration())) >= over_; }

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  static int64_t Nanos(SteadyTime time) {
    return time.time_since_epoch() / std::chrono::nanoseconds(1);
  }

  std::atomic<int64_t> over_{kNever};
};

// Used by one thread at a time, but for Stop.
class Destination {
 public:
  virtual ~Destination() = default;

  // Sends the documents in their order, and answers for each, in the same order:
  //   OK                   the destination has it, durably as far as it can tell
  //   UNAVAILABLE          the destination takes nothing now
  //   CANCELLED            it was not tried, or cut off by Stop
  //   any other error      the destination refuses this document; others may pass
  // May be cut short after the first UNAVAILABLE, and once `patience` is over; it
  // takes no longer than that and the policy's timeout. Messages go to operators:
  // they hold no secret and nothing that a destination answered.
  virtual std::vector<absl::Status> Send(const std::vector<Document>& documents,
                                         absl::Duration patience) = 0;

  // Lets a Send that runs, and all that follow, end; see StopSignal. From any thread.
  void Stop(absl::Duration grace) { stop_.Stop(grace); }

 protected:
  const StopSignal& stop() const { return stop_; }

 private:
  StopSignal stop_;
};

// Makes the destination of a policy. An error, such as a secret that cannot be read,
// counts as an UNAVAILABLE destination.
using MakeDestination =
    std::function<absl::StatusOr<std::unique_ptr<Destination>>(const OnFailure& on_failure)>;

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_ON_FAILURE_DESTINATION_H_
