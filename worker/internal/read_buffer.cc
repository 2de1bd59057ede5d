#include "worker/internal/read_buffer.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace lowmark {

std::optional<absl::Time> ReadBuffer::oldest() const {
  return read_.records.empty() ? behind_since_ : read_.records.front().record.arrival_time;
}

bool ReadBuffer::Align(const Position& start) {
  if (start == start_) return true;
  const bool at = start.kind == Position::Kind::kAt;
  if (at || start.kind == Position::Kind::kAfter) {
    for (size_t i = 0; i < read_.records.size(); ++i) {
      if (read_.records[i].record.sequence != start.sequence) continue;
      for (size_t drop = at ? i : i + 1; drop > 0; --drop) DropFirst();
      start_ = start;
      return true;
    }
  }
  start_ = start;
  Clear();
  return false;
}

void ReadBuffer::Clear() {
  read_ = ReadAhead();
  last_.clear();
  bytes_ = 0;
  records_behind_ = -1;
  behind_since_.reset();
}

absl::Status ReadBuffer::Append(ReadResult result, const std::string& end_sequence,
                                SequenceOrder order, SteadyTime now) {
  if (auto s = CheckOrder(result, order); !s.ok()) return s;
  if (read_.records.empty() && !result.records.empty()) read_.first_read = now;
  if (!result.records.empty()) last_ = result.records.back().record.sequence;
  for (SourceRecord& record : result.records) {
    // A producer's clock, or its unit, may be anything; a report must hold the time.
    record.record.arrival_time =
        std::clamp(record.record.arrival_time, kEarliestArrival, kLatestArrival);
    bytes_ += RecordBytes(record.record);
    read_.records.push_back(std::move(record));
  }
  read_.state = result.state;
  read_.end_sequence = end_sequence;
  records_behind_ = result.records_behind;
  behind_since_ = result.behind_since;
  return absl::OkStatus();
}

void ReadBuffer::StopWaiting() {
  if (read_.state == ReadResult::State::kMore) read_.state = ReadResult::State::kUpToDate;
}

absl::Status ReadBuffer::CheckOrder(const ReadResult& result, SequenceOrder order) const {
  const std::string* before = last_.empty() ? nullptr : &last_;
  for (const SourceRecord& record : result.records) {
    const std::string& sequence = record.record.sequence;
    if (!IsSequence(sequence, order)) {
      return absl::FailedPreconditionError(absl::StrCat("the source gave sequence number \"",
                                                        absl::CHexEscape(sequence), "\", which ",
                                                        SequenceForm(order)));
    }
    const bool numeric = order == SequenceOrder::kNumeric;
    if (before == nullptr
            ? numeric && !start_.Includes(sequence)
            : (numeric ? CompareNumeric(*before, sequence) >= 0 : *before == sequence)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the source gave sequence number ", sequence, " after ",
                       before == nullptr ? start_.ToString() : *before));
    }
    before = &sequence;
  }
  return absl::OkStatus();
}

void ReadBuffer::DropFirst() {
  bytes_ -= RecordBytes(read_.records.front().record);
  read_.records.pop_front();
  // What is left was read with or after it; a window counts from its own start.
  if (read_.records.empty()) read_.first_read = SteadyTime::max();
}

}  // namespace lowmark
