#include "worker/source/kafka/kafka_reader.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

using State = ReadResult::State;
using OutOfRange = KafkaSourceOptions::OutOfRange;

// The offset that a sequence number is; none where it is too large for one.
std::optional<int64_t> ParseOffset(const std::string& sequence) {
  int64_t offset = 0;
  if (!IsNumericSequence(sequence) || !absl::SimpleAtoi(sequence, &offset)) return std::nullopt;
  if (offset == std::numeric_limits<int64_t>::max()) return std::nullopt;
  return offset;
}

// The last offset that may be returned.
int64_t EndOf(const ReadLimits& limits) {
  return ParseOffset(limits.end_sequence).value_or(std::numeric_limits<int64_t>::max());
}

}  // namespace

absl::StatusOr<std::unique_ptr<KafkaReader>> KafkaReader::Make(std::shared_ptr<KafkaShard> shard,
                                                               const Position& from,
                                                               const Options& options) {
  std::unique_ptr<KafkaReader> reader(new KafkaReader(std::move(shard), from, options));
  if (from.kind == Position::Kind::kAt || from.kind == Position::Kind::kAfter) {
    const std::optional<int64_t> offset = ParseOffset(from.sequence);
    if (!offset) {
      return absl::FailedPreconditionError(
          absl::StrCat(options.shard, ": position ", from.ToString(), " is no offset of Kafka's"));
    }
    reader->next_ = from.kind == Position::Kind::kAt ? *offset : *offset + 1;
    reader->resolved_ = true;
  }
  return reader;
}

KafkaReader::~KafkaReader() {
  MutexLock lock(shard_->mutex_);
  if (shard_->reader_ == this) LetGo();
}

absl::StatusOr<ReadResult> KafkaReader::Read(const ReadLimits& limits) {
  MutexLock lock(shard_->mutex_);
  if (auto s = Resolve(); !s.ok()) return s;
  if (auto s = TakeOver(); !s.ok()) return s;
  ReadResult result;
  if (auto s = ReadEvents(limits, result); !s.ok()) {
    if (result.records.empty()) return s;
    // What came before goes first; the next read meets the same.
    result.state = State::kMore;
  }
  if (next_ > EndOf(limits)) result.state = State::kEndReached;
  if (auto end = shard_->partition_->KnownEnd()) {
    result.records_behind = std::max<int64_t>(0, *end - next_);
  }
  return result;
}

absl::Status KafkaReader::Resolve() {
  if (resolved_) return absl::OkStatus();
  if (auto s = shard_->partition_->CheckBrokers(); !s.ok()) return s;
  std::optional<int64_t> offset;
  if (from_.kind == Position::Kind::kAtTimestamp) {
    auto found = shard_->partition_->QueryTime(from_.time);
    if (!found.ok()) return found.status();
    offset = *found;
  }
  if (!offset) {
    auto range = shard_->partition_->QueryRange();
    if (!range.ok()) return range.status();
    offset = from_.kind == Position::Kind::kTrimHorizon ? range->first : range->end;
  }
  next_ = *offset;
  resolved_ = true;
  return absl::OkStatus();
}

absl::Status KafkaReader::TakeOver() {
  if (shard_->reader_ == this) return absl::OkStatus();
  held_.reset();
  end_seen_ = false;
  flowing_ = false;
  heard_ = std::chrono::steady_clock::now();
  if (auto s = shard_->partition_->Start(next_); !s.ok()) return s;
  shard_->reader_ = this;
  return absl::OkStatus();
}

void KafkaReader::LetGo() {
  shard_->partition_->Stop();
  shard_->reader_ = nullptr;
}

bool KafkaReader::AtEnd() const {
  if (end_seen_) return true;
  const std::optional<int64_t> end = shard_->partition_->KnownEnd();
  return end && next_ >= *end;
}

absl::Status KafkaReader::ReadEvents(const ReadLimits& limits, ReadResult& result) {
  bytes_ = 0;
  absl::Duration wait = absl::ZeroDuration();
  while (result.records.size() < static_cast<size_t>(limits.max_records)) {
    KafkaEvent event = held_ ? *std::exchange(held_, std::nullopt) : shard_->partition_->Next(wait);
    if (event.kind != KafkaEvent::Kind::kNothing) {
      heard_ = std::chrono::steady_clock::now();
      flowing_ = true;
    }
    switch (event.kind) {
      case KafkaEvent::Kind::kMessage:
        end_seen_ = false;
        if (!Add(std::move(event), limits, result)) return absl::OkStatus();
        break;
      case KafkaEvent::Kind::kEnd:
        next_ = std::max(next_, event.offset);
        end_seen_ = true;
        result.state = State::kUpToDate;
        return absl::OkStatus();
      case KafkaEvent::Kind::kNothing:
        if (result.records.empty() && wait == absl::ZeroDuration() && flowing_ && !AtEnd()) {
          wait = options_.patience;
          break;
        }
        return OnNothing(result);
      case KafkaEvent::Kind::kOutOfRange:
        LetGo();
        return result.records.empty() ? OnOutOfRange(result)
                                      : absl::OutOfRangeError("met again by the next read");
      case KafkaEvent::Kind::kError:
        LetGo();
        return event.error;
    }
  }
  result.state = AtEnd() ? State::kUpToDate : State::kMore;
  return absl::OkStatus();
}

bool KafkaReader::Add(KafkaEvent event, const ReadLimits& limits, ReadResult& result) {
  const int64_t size = RecordBytes(event.record.record);
  const bool too_many = !result.records.empty() && bytes_ + size > limits.max_bytes;
  if (too_many || event.offset > EndOf(limits)) {
    // Nothing lies before it.
    next_ = event.offset;
    held_ = std::move(event);
    result.state = State::kMore;
    return false;
  }
  bytes_ += size;
  next_ = event.offset + 1;
  given_ = true;
  result.records.push_back(std::move(event.record));
  return true;
}

absl::Status KafkaReader::OnNothing(ReadResult& result) {
  if (AtEnd()) {
    result.state = State::kUpToDate;
    return result.records.empty() ? shard_->partition_->CheckBrokers() : absl::OkStatus();
  }
  if (!result.records.empty()) {
    result.state = State::kMore;
    return absl::OkStatus();
  }
  if (auto s = shard_->partition_->CheckBrokers(); !s.ok()) return s;
  // It may be the broker's turn; other shards are not to wait for it.
  result.state = State::kUpToDate;
  const auto silence = absl::FromChrono(std::chrono::steady_clock::now() - heard_);
  if (silence < options_.silence) return absl::OkStatus();
  LetGo();
  // They may know why.
  if (auto range = shard_->partition_->QueryRange(); !range.ok()) return range.status();
  return absl::UnavailableError(absl::StrCat(options_.shard, ": the brokers have sent nothing for ",
                                             absl::FormatDuration(options_.silence),
                                             ", although there is more to come"));
}

absl::Status KafkaReader::OnOutOfRange(ReadResult& result) {
  const auto range = shard_->partition_->QueryRange();
  if (!range.ok()) return range.status();
  const auto there = absl::StrCat("it has ", range->first, " up to, not including, ", range->end);
  if (next_ > range->end) {
    return absl::FailedPreconditionError(absl::StrCat(
        options_.shard, ": offset ", next_, " lies beyond the end of the partition (", there,
        "): it was cut, or the topic was made anew; move the shard's checkpoint"));
  }
  if (next_ >= range->first) {
    return absl::UnavailableError(
        absl::StrCat(options_.shard, ": the broker did not have offset ", next_, " for a moment"));
  }
  // Retention was quicker than the first read, which promised no certain record.
  const bool nothing_promised = from_.kind == Position::Kind::kTrimHorizon && !given_;
  const std::string gone =
      absl::StrCat(options_.shard, ": offset ", next_, " is gone (", there, "): up to ",
                   range->first - next_, " records were deleted before they were read");
  if (!nothing_promised && options_.out_of_range == OutOfRange::kFail) {
    return absl::FailedPreconditionError(
        absl::StrCat(gone, "; move the shard's checkpoint, or choose --kafka-out-of-range"));
  }
  const bool skip = !nothing_promised && options_.out_of_range == OutOfRange::kLatest;
  const int64_t on = skip ? range->end : range->first;
  if (!nothing_promised) {
    result.lost = on - next_;
    result.lost_reason = absl::StrCat(gone, "; going on at ", on);
  }
  next_ = on;
  result.state = State::kMore;
  return absl::OkStatus();
}

}  // namespace lowmark
