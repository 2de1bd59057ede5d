#include "worker/source/postgres/outbox_reader.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

constexpr absl::Duration kCountInterval = absl::Seconds(5);

}  // namespace

absl::StatusOr<std::unique_ptr<OutboxReader>> OutboxReader::Make(
    std::shared_ptr<OutboxDatabase> database, int32_t shard, const Position& from) {
  std::unique_ptr<OutboxReader> reader(new OutboxReader(std::move(database), from));
  reader->next_.shard = shard;
  if (from.kind == Position::Kind::kAt || from.kind == Position::Kind::kAfter) {
    const auto place = OutboxPlace::Parse(from.sequence);
    if (!place) {
      return absl::FailedPreconditionError(
          absl::StrCat("position ", from.ToString(), " is none of an outbox table"));
    }
    reader->next_.from = *place;
    reader->next_.inclusive = from.kind == Position::Kind::kAt;
    reader->resolved_ = true;
  }
  return reader;
}

absl::StatusOr<ReadResult> OutboxReader::Read(const ReadLimits& limits) {
  if (auto s = Resolve(); !s.ok()) return s;
  auto result = ReadPage(limits);
  if (!result.ok()) {
    checked_ = false;
    return result.status();
  }
  Count(static_cast<int64_t>(result->records.size()));
  result->records_behind = behind_.rows;
  result->behind_since = behind_.since;
  return result;
}

absl::Status OutboxReader::Resolve() {
  if (!checked_) {
    if (auto s = database_->CheckOrigin(next_.shard); !s.ok()) return s;
    checked_ = true;
  }
  if (resolved_) return absl::OkStatus();
  std::optional<OutboxPlace> place;
  if (from_.kind == Position::Kind::kTrimHorizon) place = OutboxPlace();
  if (from_.kind == Position::Kind::kAtTimestamp) {
    auto found = database_->FindTime(next_.shard, from_.time);
    if (!found.ok()) return found.status();
    place = *found;
  }
  if (!place) {
    // What is not committed yet is later than all that is.
    auto horizon = database_->Horizon();
    if (!horizon.ok()) return horizon.status();
    place = OutboxPlace{*horizon, 0};
  }
  next_.from = *place;
  next_.inclusive = true;
  resolved_ = true;
  return absl::OkStatus();
}

absl::StatusOr<ReadResult> OutboxReader::ReadPage(const ReadLimits& limits) {
  OutboxRequest request = next_;
  request.max_records = limits.max_records;
  request.max_bytes = limits.max_bytes;
  if (!limits.end_sequence.empty()) request.end = OutboxPlace::Parse(limits.end_sequence);
  auto page = database_->ReadPage(request);
  if (!page.ok()) return page.status();
  if (next_.from.mark > page->limit) {
    return absl::FailedPreconditionError(
        absl::StrCat("the shard is at mark ", next_.from.mark,
                     ", but this server has only come to ", page->limit,
                     ": it is another one, or has lost what was committed; see \"Moving the "
                     "table\" in docs/outbox.md"));
  }
  ReadResult result;
  result.records = std::move(page->records);
  if (!result.records.empty()) {
    next_.from = *OutboxPlace::Parse(result.records.back().record.sequence);
    next_.inclusive = false;
  }
  result.state = page->more ? ReadResult::State::kMore : ReadResult::State::kUpToDate;
  if (request.end &&
      (next_.from >= *request.end || (!page->more && request.end->mark < page->horizon))) {
    result.state = ReadResult::State::kEndReached;
  }
  return result;
}

void OutboxReader::Count(int64_t read) {
  behind_.rows = std::max<int64_t>(0, behind_.rows - read);
  if (read > 0) behind_.since.reset();
  const SteadyTime now = std::chrono::steady_clock::now();
  if (now - counted_ < absl::ToChronoNanoseconds(kCountInterval)) return;
  auto count = database_->CountFrom(next_);
  // A count that fails is no reason not to return what was read.
  if (!count.ok()) return;
  behind_ = *count;
  counted_ = now;
}

}  // namespace lowmark
