// How many workers a stream needs: the answer to who starts and stops them (KEDA).
//
// A shard has work where its holder said so last, or where nobody knows: it was never
// read, or its lease ended before its holder had looked, or by the holder's death. A
// shard that was idle when it was read last stays so for as long as nobody reads it; so
// where all workers were stopped, one is asked for from time to time, to look; also for
// shards that nobody has heard of yet.
#ifndef LOWMARK_SERVICE_CORE_SCALING_H_
#define LOWMARK_SERVICE_CORE_SCALING_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace lowmark {

// A stream's shards that are held or can be leased, and who holds them.
struct Workload {
  bool paused = false;
  int64_t shards = 0;
  // Of them: those that have work ...
  int64_t with_work = 0;
  // ... those that had none when they were read last, and whose holder has not looked yet ...
  int64_t unread = 0;
  // ... and those that had none when they were read last, and that nobody holds.
  int64_t untaken = 0;
  // The highest that a holder told.
  absl::Duration lag_age;
  // Live workers that hold shards, and how long ago the first of them came.
  int64_t holders = 0;
  absl::Duration holders_age;
  // How long ago a worker that held shards was heard of last; any worker, where there are no
  // shards to hold. Not set where there was none.
  std::optional<absl::Duration> last_read;
  // How long ago the newest live worker came; not set where there is none.
  std::optional<absl::Duration> newest;
};

// What is asked for.
struct ScaleRule {
  // How long a stream is left unread, at most, that had no work when it was read last.
  absl::Duration wake_every = absl::Minutes(10);
};

// What is answered.
struct ScaleNeed {
  bool active = false;  // whether there should be a worker at all
  int64_t shards = 0;   // that need a worker; no more than there are
  absl::Duration lag_age;
};

ScaleNeed NeedOf(const Workload& load, const ScaleRule& rule);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_SCALING_H_
