// Keeps the records of one shard coming: opens it, reads ahead, pauses where
// nothing is new, and tries again where reading fails.
#ifndef LOWMARK_WORKER_INTERNAL_SHARD_READING_H_
#define LOWMARK_WORKER_INTERNAL_SHARD_READING_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "worker/internal/context.h"
#include "worker/internal/read_buffer.h"
#include "worker/internal/retry_pause.h"
#include "worker/internal/trouble_watch.h"

namespace lowmark {

// What a shard needs to go on.
struct ReadDemand {
  // Whether the batch at the front misses records; otherwise reading is ahead.
  bool needed = false;
  // Where the batch at the front ends, if that is given and not reached.
  std::string end_sequence;
  // Of the stream's policy.
  int32_t batch_size = 1;
  int64_t batch_bytes = 1;
  SequenceOrder order = SequenceOrder::kNumeric;
};

// Used on the loop only. Must be held by a shared_ptr.
class ShardReading : public std::enable_shared_from_this<ShardReading> {
 public:
  // `on_change` is called on the loop when more is known than before.
  ShardReading(WorkerContext& context, std::string shard, Position start,
               std::function<void()> on_change);
  ~ShardReading();

  const ReadAhead& read() const { return buffer_.read(); }
  // When the oldest record that is not reported arrived; none where nothing is known.
  std::optional<absl::Time> oldest() const { return buffer_.oldest(); }
  // Records from there on, as far as is known.
  int64_t waiting() const;
  // What LATEST, where the buffer starts there, is: to be reported. Nothing is read
  // until MoveTo.
  const std::optional<Position>& resolved() const { return resolved_; }
  // What became of records that the source has no more; empty where all is well.
  const std::string& vanished() const { return vanished_; }
  // Whether the last read failed.
  bool in_trouble() const { return trouble_.attempts() > 0; }
  // What it failed for, where that is worth telling.
  std::optional<Trouble> trouble(SteadyTime now) const { return watch_.Get(now); }
  // Whether a read has said anything yet.
  bool known() const { return known_; }
  // Whether nothing waits, here or in the source (which may hold it back), and nothing has come for
  // as long as the options say.
  bool idle(SteadyTime now) const;
  // Records that are not processed, where the source can tell.
  std::optional<int64_t> backlog() const;

  // Goes on at `start`, keeping what was read of it.
  void MoveTo(const Position& start);
  // Reads, unless that is being done, or all that is wanted is there.
  void Demand(const ReadDemand& demand);
  // Reads nothing more, and calls nobody.
  void Stop();

 private:
  struct Outcome;

  bool Enough() const;
  void Read();
  void OnRead(Outcome outcome);
  void NoteVanished(const std::string& what);
  void OnError(const absl::Status& error);
  // The source no longer has records that it was to return.
  void NoteLost(const ReadResult& result);
  void PauseFor(absl::Duration pause);
  // Keeps the count of bytes in the context.
  void Account();

  WorkerContext& context_;
  const std::string shard_;
  std::function<void()> on_change_;
  ReadBuffer buffer_;
  std::shared_ptr<ShardReader> reader_;  // null: to be opened at buffer_.next()
  ReadDemand demand_;
  bool reading_ = false;
  bool stopped_ = false;
  bool pausing_ = false;
  // Raised when the buffer moves elsewhere: what is being read is not for it.
  uint64_t generation_ = 0;
  std::optional<Position> resolved_;
  std::string vanished_;
  EventLoop::TimerId timer_ = 0;
  RetryPause idle_;     // nothing new
  RetryPause trouble_;  // errors
  TroubleWatch watch_{Trouble::Kind::kSource};
  bool known_ = false;
  std::optional<SteadyTime> last_record_;  // when one came last
  int64_t accounted_ = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_SHARD_READING_H_
