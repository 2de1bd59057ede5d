// What a fleet's workers ask of their coordinators: how often, how long the
// answers take, and which of them are errors. Used on the fleet's loop.
#ifndef LOWMARK_TESTS_BENCH_FLEET_CALLS_H_
#define LOWMARK_TESTS_BENCH_FLEET_CALLS_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/process/mutex.h"

namespace lowmark {

enum class FleetMethod { kLeaseShard, kReportBatch, kHeartbeat, kReleaseShard };

// The calls of one method that were answered since some moment.
struct CallFigures {
  int64_t answered = 0;
  std::map<std::string, int64_t> errors;  // by reason
  // Of answers that were what the caller wanted: a LeaseShard that ends
  // empty-handed took as long as the caller let it, and says nothing.
  std::vector<float> latencies_ms;
};

class FleetCalls {
 public:
  // `served`: whether its latency is to be kept.
  void NoteAnswer(FleetMethod method, SteadyTime sent, const absl::Status& status, bool served);

  // What was noted since the last Reset. Latencies ascend.
  CallFigures Figures(FleetMethod method) const;
  void Reset();
  // Errors with that reason of any method since the last Reset.
  int64_t Errors(const std::string& reason) const;

  // What was sent in a second: calls, and how many requests these can have been at
  // most. The client library tries a call that ends in UNAVAILABLE up to three
  // times, and does not tell; such a call counts three times, when it ends.
  struct Sent {
    double calls = 0;
    double requests = 0;
  };
  // A second on average between two moments, and, each by itself, in the second in
  // between that had most.
  Sent Rate(SteadyTime from, SteadyTime until) const;
  Sent BusiestSecond(SteadyTime from, SteadyTime until) const;

 private:
  std::array<CallFigures, 4> figures_;
  std::map<int64_t, Sent> sent_;  // by tenth of a second
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_FLEET_CALLS_H_
