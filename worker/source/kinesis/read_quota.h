// How often a shard of Kinesis may be read: 5 times and 2 MB a second.
#ifndef LOWMARK_WORKER_SOURCE_KINESIS_READ_QUOTA_H_
#define LOWMARK_WORKER_SOURCE_KINESIS_READ_QUOTA_H_

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "service/process/mutex.h"

namespace lowmark {

// The pause after a read that brought so many bytes.
inline absl::Duration PauseAfterRead(int64_t bytes) {
  constexpr absl::Duration kBetweenReads = absl::Milliseconds(200);
  constexpr int64_t kBytesPerSecond = 2'000'000;
  return std::max(kBetweenReads, absl::Seconds(1) * (static_cast<double>(bytes) / kBytesPerSecond));
}

// Of one shard; shared by all its readers in the process, one after the other. Thread safe.
class ReadQuota {
 public:
  // How long to leave the shard alone.
  absl::Duration Wait(SteadyTime now) {
    MutexLock lock(mutex_);
    return std::max(absl::ZeroDuration(), absl::FromChrono(next_ - now));
  }
  // It was read.
  void Spend(SteadyTime now, int64_t bytes) {
    MutexLock lock(mutex_);
    next_ = now + absl::ToChronoNanoseconds(PauseAfterRead(bytes));
  }

 private:
  Mutex mutex_;
  SteadyTime next_ LOWMARK_GUARDED_BY(mutex_);  // the clock starts at 0
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KINESIS_READ_QUOTA_H_
