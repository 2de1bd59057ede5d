// The records of a shard that were read and are not reported yet: the batch in
// processing, and what was read ahead of it.
#ifndef LOWMARK_WORKER_INTERNAL_READ_BUFFER_H_
#define LOWMARK_WORKER_INTERNAL_READ_BUFFER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "service/core/position.h"
#include "worker/internal/assemble.h"
#include "worker/source.h"

namespace lowmark {

class ReadBuffer {
 public:
  explicit ReadBuffer(Position start) : start_(std::move(start)) {}

  const ReadAhead& read() const { return read_; }
  int64_t records() const { return static_cast<int64_t>(read_.records.size()); }
  int64_t bytes() const { return bytes_; }
  // What follows the records taken: where the source is to be read from.
  Position next() const { return last_.empty() ? start_ : Position::After(last_); }
  // What the source said last of records that it has beyond these; -1: nothing.
  int64_t records_behind() const { return records_behind_; }
  // The arrival time of the first record that waits, here or in the source, as far as is known.
  std::optional<absl::Time> oldest() const;

  // Makes `start` the buffer's front, dropping what lies before. False where it
  // does not lie in the buffer: that is empty then, and the source has to be read
  // anew from `start`.
  bool Align(const Position& start);
  // Takes what one read with `end_sequence` brought. FAILED_PRECONDITION, and
  // nothing is taken, where a sequence number has the wrong form or does not come
  // after the one before.
  absl::Status Append(ReadResult result, const std::string& end_sequence, SequenceOrder order,
                      SteadyTime now);
  // Reading fails for now: a batch need not wait for what follows.
  void StopWaiting();

 private:
  void Clear();
  absl::Status CheckOrder(const ReadResult& result, SequenceOrder order) const;
  void DropFirst();

  Position start_;
  ReadAhead read_;
  // The last record taken, also where it was dropped since; empty after Clear.
  std::string last_;
  int64_t bytes_ = 0;
  int64_t records_behind_ = -1;
  std::optional<absl::Time> behind_since_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_READ_BUFFER_H_
