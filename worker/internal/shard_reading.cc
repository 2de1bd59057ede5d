#include "worker/internal/shard_reading.h"

#include <algorithm>
#include <utility>

namespace lowmark {
namespace {

// The first pause after a shard had nothing new.
constexpr absl::Duration kShortestIdle = absl::Milliseconds(10);
// How much is read ahead, in batches.
constexpr int kBatchesAhead = 2;

// A reader may take its time to end: what it waits for is not to hold up the loop.
void LetGo(WorkerContext& context, std::shared_ptr<ShardReader> reader) {
  if (reader) context.source_pool.Submit([reader = std::move(reader)] {});
}

}  // namespace

struct ShardReading::Outcome {
  uint64_t generation = 0;
  std::shared_ptr<ShardReader> reader;
  std::string end_sequence;
  absl::StatusOr<ReadResult> result;
  std::optional<Position> resolved = {};
};

ShardReading::ShardReading(WorkerContext& context, std::string shard, Position start,
                           std::function<void()> on_change)
    : context_(context),
      shard_(std::move(shard)),
      on_change_(std::move(on_change)),
      buffer_(std::move(start)),
      idle_(std::min(kShortestIdle, context.options.poll_interval), context.options.poll_interval),
      trouble_(context.options.retry_initial, context.options.retry_maximum) {}

ShardReading::~ShardReading() { Stop(); }

int64_t ShardReading::waiting() const {
  return buffer_.records() + std::max<int64_t>(0, buffer_.records_behind());
}

bool ShardReading::idle(SteadyTime now) const {
  const bool nothing = known_ && !resolved_ && buffer_.read().records.empty() &&
                       buffer_.records_behind() <= 0 &&
                       buffer_.read().state == ReadResult::State::kUpToDate;
  return nothing &&
         (!last_record_ || absl::FromChrono(now - *last_record_) >= context_.options.idle_after);
}

std::optional<int64_t> ShardReading::backlog() const {
  if (buffer_.records_behind() >= 0) return buffer_.records() + buffer_.records_behind();
  if (!known_ || buffer_.read().state == ReadResult::State::kMore) return std::nullopt;
  return buffer_.records();
}

void ShardReading::MoveTo(const Position& start) {
  if (!buffer_.Align(start)) {
    ++generation_;
    LetGo(context_, std::move(reader_));
    resolved_.reset();
  }
  Account();
}

void ShardReading::Demand(const ReadDemand& demand) {
  demand_ = demand;
  if (stopped_ || reading_ || pausing_ || Enough()) return;
  Read();
}

void ShardReading::Stop() {
  if (stopped_) return;
  stopped_ = true;
  on_change_ = nullptr;
  LetGo(context_, std::move(reader_));
  context_.loop->Cancel(timer_);
  context_.buffered_bytes -= accounted_;
  accounted_ = 0;
}

bool ShardReading::Enough() const {
  const ReadAhead& read = buffer_.read();
  if (read.state == ReadResult::State::kShardEnd || resolved_) return true;
  if (demand_.needed) return false;
  return context_.buffered_bytes >= context_.options.read_ahead_bytes ||
         buffer_.records() >= int64_t{kBatchesAhead} * demand_.batch_size ||
         buffer_.bytes() >= kBatchesAhead * demand_.batch_bytes;
}

void ShardReading::Read() {
  reading_ = true;
  ReadLimits limits;
  limits.end_sequence = demand_.end_sequence;
  const bool bounded = !limits.end_sequence.empty();
  const int64_t records =
      (bounded ? Policy::kLargestBatch : int64_t{kBatchesAhead} * demand_.batch_size) -
      buffer_.records();
  limits.max_records = static_cast<int32_t>(std::clamp<int64_t>(records, 1, Policy::kLargestBatch));
  limits.max_bytes = std::clamp<int64_t>(kBatchesAhead * demand_.batch_bytes - buffer_.bytes(),
                                         int64_t{1} << 20, demand_.batch_bytes + (1 << 20));
  // The thread keeps the source and the loop alive, not this: the shard may be
  // lost meanwhile.
  context_.source_pool.Submit([self = weak_from_this(), &context = context_, loop = context_.loop,
                               source = context_.source, shard = shard_, start = buffer_.next(),
                               reader = reader_, generation = generation_, limits]() mutable {
    Outcome outcome{generation, std::move(reader), limits.end_sequence, ReadResult()};
    if (!outcome.reader && start.kind == Position::Kind::kLatest) {
      auto resolved = source->ResolveLatest(shard);
      if (!resolved.ok()) outcome.result = resolved.status();
      if (resolved.ok() && *resolved != start) outcome.resolved = *std::move(resolved);
    }
    if (!outcome.reader && !outcome.resolved && outcome.result.ok()) {
      auto opened = source->Open(shard, start);
      if (opened.ok()) {
        outcome.reader = *std::move(opened);
      } else {
        outcome.result = opened.status();
      }
    }
    if (outcome.reader) outcome.result = outcome.reader->Read(limits);
    loop->Post([self, &context, outcome = std::make_shared<Outcome>(std::move(outcome))] {
      if (auto reading = self.lock()) {
        reading->OnRead(std::move(*outcome));
      } else {
        LetGo(context, std::move(outcome->reader));
      }
    });
  });
}

void ShardReading::OnRead(Outcome outcome) {
  reading_ = false;
  if (stopped_) return LetGo(context_, std::move(outcome.reader));
  if (outcome.generation != generation_) {
    LetGo(context_, std::move(outcome.reader));
    Demand(demand_);
    return;
  }
  reader_ = std::move(outcome.reader);
  absl::Status status = outcome.result.status();
  bool fresh = false;
  absl::Duration pause;
  if (status.ok()) {
    fresh = !outcome.result->records.empty();
    pause = outcome.result->pause;
    NoteVanished(outcome.result->vanished);
    resolved_ = std::move(outcome.resolved);
    if (outcome.result->lost > 0) NoteLost(*outcome.result);
    status = buffer_.Append(*std::move(outcome.result), outcome.end_sequence, demand_.order,
                            std::chrono::steady_clock::now());
    // The reader is past what was refused.
    if (!status.ok()) LetGo(context_, std::move(reader_));
  }
  if (!status.ok()) {
    OnError(status);
  } else {
    if (watch_.End()) {
      context_.log.Info("shard can be read again",
                        {{"stream", context_.options.stream}, {"shard", shard_}});
    }
    trouble_.Reset();
    known_ = true;
    if (fresh) {
      idle_.Reset();
      last_record_ = std::chrono::steady_clock::now();
    }
    if (buffer_.read().state == ReadResult::State::kUpToDate && !resolved_) {
      pause = std::max(pause, idle_.Next(context_.random));
    }
    if (pause > absl::ZeroDuration()) PauseFor(pause);
  }
  Account();
  // The owner decides what it needs now, and demands it.
  if (on_change_) on_change_();
}

void ShardReading::NoteVanished(const std::string& what) {
  if (what.empty() || !vanished_.empty()) return;
  vanished_ = what;
  context_.metrics.CountVanished();
  context_.log.Error("shard is over, though not all of it was read",
                     {{"stream", context_.options.stream}, {"shard", shard_}, {"detail", what}});
}

void ShardReading::OnError(const absl::Status& error) {
  const bool passing = absl::IsUnavailable(error);
  context_.metrics.CountSourceError(passing);
  buffer_.StopWaiting();
  PauseFor(trouble_.Next(context_.random));
  if (!watch_.Note(passing, std::string(error.message()), std::chrono::steady_clock::now())) return;
  context_.log.Warning(passing ? "source has trouble, reading is tried again"
                               : "shard cannot be read, reading is tried again",
                       {{"stream", context_.options.stream}, {"shard", shard_}, {"error", error}});
}

void ShardReading::NoteLost(const ReadResult& result) {
  context_.metrics.CountLostRecords(result.lost);
  context_.log.Error("records are gone that were not processed",
                     {{"stream", context_.options.stream},
                      {"shard", shard_},
                      {"records", result.lost},
                      {"detail", result.lost_reason}});
}

void ShardReading::PauseFor(absl::Duration pause) {
  pausing_ = true;
  timer_ = context_.loop->After(pause, [self = weak_from_this()] {
    auto reading = self.lock();
    if (!reading) return;
    reading->timer_ = 0;
    reading->pausing_ = false;
    reading->Demand(reading->demand_);
  });
}

void ShardReading::Account() {
  context_.buffered_bytes += buffer_.bytes() - accounted_;
  accounted_ = buffer_.bytes();
}

}  // namespace lowmark
