#include "worker/source/kinesis/kinesis_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/source/kinesis/aggregate.h"

namespace lowmark {
namespace {

// What GetRecords returns at most.
constexpr int32_t kMostRecords = 10000;
// Five times a second, so many are what a shard takes.
constexpr int32_t kLeastRecords = 200;

// "shardId-000000000012" against others of its kind: later ones have higher numbers.
bool IsLater(const std::string& shard, const std::string& than) {
  return shard.size() != than.size() ? shard.size() > than.size() : shard > than;
}

int64_t Bytes(const Record& record) {
  return static_cast<int64_t>(record.data.size() + record.partition_key.size());
}

}  // namespace

absl::Status SourceError(const absl::Status& error) {
  if (error.ok() || absl::IsUnavailable(error) || absl::IsUnauthenticated(error) ||
      absl::IsPermissionDenied(error)) {
    return error;
  }
  if (absl::IsNotFound(error)) {
    return absl::FailedPreconditionError(
        absl::StrCat(error.message(), " (are the stream's name and region right?)"));
  }
  return absl::FailedPreconditionError(error.message());
}

absl::StatusOr<Position> ResolveKinesisLatest(KinesisApi& api, const std::string& shard) {
  auto iterator = api.GetShardIterator(shard, Position::Latest());
  // A shard that is not there is found to be over, or wrong, when it is read.
  if (absl::IsNotFound(iterator.status())) return Position::Latest();
  if (!iterator.ok()) return SourceError(iterator.status());
  return Position::AtTimestamp(iterator->made);
}

KinesisReader::KinesisReader(KinesisReading reading, std::string shard,
                             std::shared_ptr<ReadQuota> quota, Position from)
    : reading_(std::move(reading)),
      shard_(std::move(shard)),
      quota_(std::move(quota)),
      from_(std::move(from)) {}

KinesisReader::~KinesisReader() {
  for (const Record& record : surplus_) *reading_.surplus_bytes -= Bytes(record);
}

absl::StatusOr<ReadResult> KinesisReader::Read(const ReadLimits& limits) {
  if (auto s = CheckPosition(limits); !s.ok()) return s;
  if (surplus_.empty() && !ended_ &&
      quota_->Wait(std::chrono::steady_clock::now()) <= absl::ZeroDuration()) {
    if (auto s = Fetch(limits); !s.ok()) return s;
  }
  return Serve(limits);
}

absl::Status KinesisReader::CheckPosition(const ReadLimits& limits) const {
  if (!reading_.deaggregate && HasSubsequence(from_)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the checkpoint ", from_.ToString(), " of shard ", shard_,
        " is from de-aggregation, which is turned off; turn it on again, or move the checkpoint"));
  }
  if (reading_.deaggregate && !limits.end_sequence.empty() &&
      !HasSubsequence(Position::At(limits.end_sequence))) {
    // Its records would all seem to lie beyond its end, and be passed over.
    return absl::FailedPreconditionError(absl::StrCat(
        "a batch of shard ", shard_, " up to ", limits.end_sequence,
        " failed before de-aggregation was turned on; turn it off until that is done, or move the "
        "checkpoint"));
  }
  return absl::OkStatus();
}

absl::Status KinesisReader::Fetch(const ReadLimits& limits) {
  if (iterator_.empty()) {
    if (auto s = RenewIterator(); !s.ok()) return absl::IsNotFound(s) ? OnNotFound(s) : s;
  }
  const bool much = *reading_.surplus_bytes < reading_.most_surplus_bytes;
  const int32_t limit =
      much ? kMostRecords : std::clamp(limits.max_records, kLeastRecords, kMostRecords);
  auto page = reading_.api->GetRecords(iterator_, limit);
  // What fails is spaced by who reads: a read that waited for the quota here would look as if
  // all were well again.
  if (page.ok()) {
    int64_t bytes = 0;
    for (const Record& record : page->records) bytes += Bytes(record);
    quota_->Spend(std::chrono::steady_clock::now(), bytes);
    expired_ = false;
    Keep(*std::move(page), limit);
    return absl::OkStatus();
  }
  if (absl::IsNotFound(page.status())) return OnNotFound(page.status());
  if (absl::IsInvalidArgument(page.status())) iterator_.clear();
  if (!absl::IsAborted(page.status())) return SourceError(page.status());
  iterator_.clear();
  caught_up_ = nothing_ = false;
  // Once is as usual: the worker was busy with what it had.
  if (std::exchange(expired_, true)) return absl::UnavailableError(page.status().message());
  return absl::OkStatus();
}

absl::Status KinesisReader::RenewIterator() {
  if (last_.empty() && from_.kind == Position::Kind::kLatest) {
    // A second iterator of LATEST would be another place.
    auto pinned = ResolveKinesisLatest(*reading_.api, shard_);
    if (!pinned.ok()) return pinned.status();
    from_ = *std::move(pinned);
  }
  auto iterator = reading_.api->GetShardIterator(
      shard_, last_.empty() ? KinesisPosition(from_) : Position::After(last_));
  if (absl::IsNotFound(iterator.status())) return iterator.status();
  if (!iterator.ok()) return SourceError(iterator.status());
  iterator_ = std::move(iterator->token);
  return absl::OkStatus();
}

void KinesisReader::Keep(RecordsPage page, int32_t limit) {
  nothing_ = page.records.empty();
  caught_up_ = page.millis_behind_latest == 0 && page.records.size() < static_cast<size_t>(limit);
  ended_ = page.next_iterator.empty();
  iterator_ = std::move(page.next_iterator);
  if (!nothing_) last_ = page.records.back().sequence;
  for (Record& record : page.records) {
    std::vector<Record> records;
    if (reading_.deaggregate) {
      records = Deaggregate(std::move(record));
    } else {
      records.push_back(std::move(record));
    }
    for (Record& each : records) {
      // What an aggregate holds before the position.
      if (!from_.Includes(each.sequence)) continue;
      *reading_.surplus_bytes += Bytes(each);
      surplus_.push_back(std::move(each));
    }
  }
}

absl::Status KinesisReader::OnNotFound(const absl::Status& error) {
  auto listed = reading_.api->ListShards();
  // It may be the stream that is not there.
  if (!listed.ok()) return SourceError(listed.status());
  bool later = false;
  for (const ListedShard& other : *listed) {
    // Then it is the sequence number that is not found, or a server that lags.
    if (other.shard == shard_) {
      return from_.sequence.empty() && last_.empty()
                 ? absl::UnavailableError(error.message())
                 : absl::FailedPreconditionError(error.message());
    }
    later = later || IsLater(other.shard, shard_);
  }
  if (!later) {
    return absl::FailedPreconditionError(absl::StrCat(
        "stream ", reading_.api->stream().name, " in ", reading_.api->stream().region,
        " has no shard ", shard_, ", nor a later one: it is another stream, or was made anew"));
  }
  ended_ = true;
  vanished_ = absl::StrCat("shard ", shard_,
                           " is not in the stream any more: its records had passed "
                           "the stream's retention before they were read up to the end");
  return absl::OkStatus();
}

ReadResult KinesisReader::Serve(const ReadLimits& limits) {
  ReadResult result;
  int64_t bytes = 0;
  while (!surplus_.empty() && static_cast<int32_t>(result.records.size()) < limits.max_records) {
    Record& record = surplus_.front();
    const auto size = static_cast<int64_t>(record.data.size());
    if (!limits.end_sequence.empty() && CompareNumeric(record.sequence, limits.end_sequence) > 0) {
      break;
    }
    if (!result.records.empty() && bytes + size > limits.max_bytes) break;
    bytes += size;
    *reading_.surplus_bytes -= Bytes(record);
    served_ = record.sequence;
    result.records.push_back({std::move(record), SourceRecord::Defect::kNone, ""});
    surplus_.pop_front();
  }
  result.state = StateAfter(limits);
  if (surplus_.empty() && !ended_) {
    result.pause = quota_->Wait(std::chrono::steady_clock::now());
  }
  if (result.state == ReadResult::State::kShardEnd) result.vanished = vanished_;
  if (ended_ || caught_up_) result.records_behind = static_cast<int64_t>(surplus_.size());
  return result;
}

ReadResult::State KinesisReader::StateAfter(const ReadLimits& limits) const {
  using State = ReadResult::State;
  const std::string& end = limits.end_sequence;
  if (!surplus_.empty()) {
    return !end.empty() && CompareNumeric(surplus_.front().sequence, end) > 0 ? State::kEndReached
                                                                              : State::kMore;
  }
  if (!end.empty() && !served_.empty() && CompareNumeric(served_, end) >= 0) {
    return State::kEndReached;
  }
  if (ended_) return State::kShardEnd;
  if (!caught_up_) return State::kMore;
  // Nothing is left of what was read up to there once.
  return !end.empty() && nothing_ ? State::kEndReached : State::kUpToDate;
}

}  // namespace lowmark
