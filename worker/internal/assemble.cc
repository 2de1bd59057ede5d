#include "worker/internal/assemble.h"

#include <algorithm>
#include <optional>

namespace lowmark {
namespace {

// What keeps a record from any handler; none for most.
std::optional<Condition> Defect(const SourceRecord& record, const Policy& policy) {
  switch (record.defect) {
    case SourceRecord::Defect::kUnreadable:
      return Condition::kRecordUnreadable;
    case SourceRecord::Defect::kTooLarge:
      return Condition::kRecordTooLarge;
    case SourceRecord::Defect::kNone:
      break;
  }
  if (static_cast<int64_t>(record.record.data.size()) > policy.maximum_batch_bytes) {
    return Condition::kRecordTooLarge;
  }
  return std::nullopt;
}

bool Expired(const SourceRecord& record, const Policy& policy, absl::Time now) {
  return policy.maximum_record_age >= absl::ZeroDuration() &&
         now - record.record.arrival_time > policy.maximum_record_age;
}

// The records that a delivery with an end takes, and whether those are all of it.
struct Bounded {
  size_t count = 0;
  bool complete = false;
};

Bounded UpToEnd(const ReadAhead& read, const std::string& end, SequenceOrder order) {
  for (size_t i = 0; i < read.records.size(); ++i) {
    const std::string& sequence = read.records[i].record.sequence;
    if (sequence == end) return {i + 1, true};
    if (order == SequenceOrder::kNumeric && CompareNumeric(sequence, end) > 0) return {i, true};
  }
  const bool said_so = read.state == ReadResult::State::kShardEnd ||
                       (read.state == ReadResult::State::kEndReached && read.end_sequence == end);
  return {read.records.size(), said_so};
}

// The records from the front that make one batch: `full` where no more may join.
struct Cut {
  size_t count = 0;
  bool full = false;
};

Cut CutBatch(const ReadAhead& read, size_t available, bool bounded, const Delivery& delivery,
             const Policy& policy) {
  const auto most = static_cast<size_t>(bounded ? Policy::kLargestBatch : delivery.max_records);
  int64_t bytes = 0;
  for (size_t i = 0; i < available; ++i) {
    if (i >= most) return {i, true};
    const SourceRecord& record = read.records[i];
    if (Defect(record, policy)) return {i, true};
    bytes += static_cast<int64_t>(record.record.data.size());
    if (!bounded && i > 0 && bytes > policy.maximum_batch_bytes) return {i, true};
  }
  return {available, available >= most};
}

// How many records from the front share the defect of the first: no more than go
// into one report with their data.
size_t DefectRun(const ReadAhead& read, size_t available, const Policy& policy) {
  const auto first = Defect(read.records.front(), policy);
  const size_t most = std::min<size_t>(available, Policy::kLargestBatch);
  size_t bytes = read.records.front().record.data.size();
  size_t count = 1;
  for (; count < most && Defect(read.records[count], policy) == first; ++count) {
    bytes += read.records[count].record.data.size();
    if (bytes > static_cast<size_t>(Policy::kLargestBatchBytes)) break;
  }
  return count;
}

// When a batch that is not full goes nevertheless.
SteadyTime GoesAt(const ReadAhead& read, const Policy& policy, SteadyTime now) {
  switch (read.state) {
    case ReadResult::State::kShardEnd:
      return now;
    case ReadResult::State::kMore:
    case ReadResult::State::kEndReached:
      // More is there already: a batch of what one read happened to bring would
      // be smaller than it need be.
      if (policy.maximum_batching_window <= absl::ZeroDuration()) return SteadyTime::max();
      break;
    case ReadResult::State::kUpToDate:
      break;
  }
  return read.first_read + absl::ToChronoNanoseconds(policy.maximum_batching_window);
}

}  // namespace

Assembly Assemble(const ReadAhead& read, const Delivery& delivery, const Policy& policy,
                  absl::Time now, SteadyTime steady) {
  Assembly result;
  const bool bounded = !delivery.end_sequence.empty();
  const bool at_shard_end = read.state == ReadResult::State::kShardEnd;
  Bounded available{read.records.size(), at_shard_end};
  if (bounded) available = UpToEnd(read, delivery.end_sequence, policy.sequence_order);

  if (available.count == 0) {
    if (available.complete) {
      result.kind = Assembly::Kind::kNothingLeft;
      result.shard_end = at_shard_end && read.records.empty();
    }
    return result;
  }
  if (auto defect = Defect(read.records.front(), policy)) {
    result.kind = Assembly::Kind::kSetAside;
    result.count = static_cast<int32_t>(DefectRun(read, available.count, policy));
    result.set_aside = result.count;
    result.condition = *defect;
    return result;
  }

  const Cut cut = CutBatch(read, available.count, bounded, delivery, policy);
  if (!cut.full && !(bounded && available.complete)) {
    if (bounded) return result;
    result.wake = GoesAt(read, policy, steady);
    if (steady < result.wake) return result;
    result.wake = SteadyTime::max();
  }
  result.kind = Assembly::Kind::kDeliver;
  result.count = static_cast<int32_t>(cut.count);
  result.shard_end = at_shard_end && cut.count == read.records.size();
  while (result.set_aside < result.count && Expired(read.records[result.set_aside], policy, now)) {
    ++result.set_aside;
  }
  if (result.set_aside > 0) {
    result.kind = Assembly::Kind::kSetAside;
    result.condition = Condition::kRecordAgeExceeded;
    result.shard_end = false;
  }
  return result;
}

}  // namespace lowmark
