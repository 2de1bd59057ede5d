// The pause before something that failed is tried again: doubled each time,
// spread by a fifth so that many that failed together do not come back together.
#ifndef LOWMARK_WORKER_INTERNAL_RETRY_PAUSE_H_
#define LOWMARK_WORKER_INTERNAL_RETRY_PAUSE_H_

#include <algorithm>
#include <random>

#include "absl/time/time.h"
#include "service/core/policy.h"

namespace lowmark {

class RetryPause {
 public:
  RetryPause(absl::Duration initial, absl::Duration maximum)
      : backoff_{.initial = initial, .multiplier = 2, .maximum = maximum, .jitter = 0.2} {}

  absl::Duration Next(std::mt19937_64& random) {
    attempts_ = std::min(attempts_ + 1, kMostAttempts);
    return Backoff(backoff_, attempts_, std::uniform_real_distribution<>()(random));
  }
  void Reset() { attempts_ = 0; }
  // Failures in a row.
  int attempts() const { return attempts_; }

 private:
  static constexpr int kMostAttempts = 1000;

  RetryBackoff backoff_;
  int attempts_ = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_RETRY_PAUSE_H_
