// Which of the records that were read make the next batch, and whether they can
// go to the handler. Pure.
#ifndef LOWMARK_WORKER_INTERNAL_ASSEMBLE_H_
#define LOWMARK_WORKER_INTERNAL_ASSEMBLE_H_

#include <cstdint>
#include <deque>
#include <string>

#include "absl/time/time.h"
#include "service/core/policy.h"
#include "service/core/step.h"
#include "service/process/mutex.h"
#include "worker/source.h"

namespace lowmark {

// What was read of a shard from the start of a delivery on.
struct ReadAhead {
  std::deque<SourceRecord> records;
  // What the source said after the last of them.
  ReadResult::State state = ReadResult::State::kMore;
  // With kEndReached: up to which sequence number nothing follows.
  std::string end_sequence;
  // When the first of them was read, where there are any.
  SteadyTime first_read = SteadyTime::max();
};

struct Assembly {
  enum class Kind {
    kWait,         // records are missing; decide again when read, or at `wake`
    kNothingLeft,  // no record is left up to the end of the batch, or of the shard
    kSetAside,     // the first `set_aside` of `count` records, for `condition`
    kDeliver,      // the first `count` records are the batch
  };

  Kind kind = Kind::kWait;
  int32_t count = 0;
  int32_t set_aside = 0;
  Condition condition = Condition::kRecordAgeExceeded;
  // Whether nothing will ever follow these records in the shard.
  bool shard_end = false;
  SteadyTime wake = SteadyTime::max();

  bool operator==(const Assembly&) const = default;
};

// The rules:
// - A delivery with an end is every record up to it, whatever the policy's
//   limits. One without is up to max_records and maximum_batch_bytes, and goes
//   when one of them is reached, when the source has no more for now and
//   maximum_batching_window has passed since its first record was read, or when
//   the shard ends.
// - A record that is unreadable or too large makes, with those like it that
//   follow, a batch that is set aside; the records before it are a batch of
//   their own.
// - Records older than maximum_record_age at the front of a batch are set aside:
//   by `now`, since the source dates them. The window is of `steady`, which
//   nobody sets.
Assembly Assemble(const ReadAhead& read, const Delivery& delivery, const Policy& policy,
                  absl::Time now, SteadyTime steady);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_ASSEMBLE_H_
