#include "tests/conformance/play.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace lowmark::conformance {
namespace {

// The policy's own pauses would be waited for: they are shortened, which a case
// cannot see.
Policy Quick(Policy policy) {
  if (policy.Validate().ok()) {
    policy.retry_backoff = {absl::Milliseconds(1), 2, absl::Milliseconds(5), 0.2};
  }
  return policy;
}

class Player {
 public:
  Player(const Case& c, Reading reading, ShardUnderTest& shard)
      : case_(c), shard_(shard), handler_(c, reading), op_done_(c.ops.size(), false) {
    for (size_t i = 0; i < c.sequences.size(); ++i) {
      ordinals_.emplace(c.sequences[i], static_cast<int>(i) + 1);
    }
  }

  absl::Status Run();
  Seen Take() { return std::move(seen_); }

 private:
  absl::Status Lease();
  // Plays until nothing is left to deliver.
  absl::Status Drain();
  // One hand-over; false where nothing is left.
  absl::StatusOr<bool> Deliver();
  absl::Status SetAsideExpired(const std::vector<int>& batch, int count);
  absl::Status Handle(const std::vector<int>& batch);
  absl::Status Report(Event event);

  // Runs the ops of after_delivery `n`, or those for when the shard is drained.
  absl::Status RunOps(std::optional<int> n);
  absl::Status RunOp(const Op& op);
  absl::Status RepeatReport();
  absl::Status ReportStaleEpoch();
  absl::Status ReportOutside(const Op& op);
  // Sends a report that must change nothing, and keeps the error it got.
  absl::Status ReportIdly(const ShardReport& report, const char* op);

  std::vector<int> Due() const;
  int ExpiredPrefix(const std::vector<int>& batch) const;
  size_t FirstDue() const;
  std::vector<std::string> Names(const std::vector<int>& batch) const;
  std::string NameOutside(int record) const;
  int Limit() const;

  const Case& case_;
  ShardUnderTest& shard_;
  ScriptedHandler handler_;
  std::vector<bool> op_done_;
  std::unordered_map<std::string, int> ordinals_;
  std::optional<Current> current_;  // not set while no worker has the shard
  std::optional<ShardReport> last_report_;
  std::map<std::string, int> batch_numbers_;
  Seen seen_;
};

absl::Status Player::Run() {
  if (auto s = shard_.Create(Quick(case_.policy)); !s.ok()) {
    seen_.error = s;
    if (case_.expect.error) return absl::OkStatus();
    return s;
  }
  if (auto s = Lease(); !s.ok()) return s;
  if (auto s = Drain(); !s.ok()) return s;
  if (auto s = RunOps(std::nullopt); !s.ok()) return s;
  if (auto s = Drain(); !s.ok()) return s;
  for (size_t i = 0; i < case_.ops.size(); ++i) {
    if (op_done_[i]) continue;
    return absl::InternalError(absl::StrCat("ops[", i, "] waits for delivery ",
                                            *case_.ops[i].after_delivery, ", but only ",
                                            seen_.deliveries.size(), " were made"));
  }
  auto checkpoint = shard_.Checkpoint();
  if (!checkpoint.ok()) return checkpoint.status();
  seen_.checkpoint = CheckpointText(*checkpoint, case_.sequences);
  auto dead_letters = shard_.DeadLetters();
  if (!dead_letters.ok()) return dead_letters.status();
  seen_.dead_letters = *std::move(dead_letters);
  return absl::OkStatus();
}

absl::Status Player::Lease() {
  auto lease = shard_.Lease();
  if (!lease.ok()) return lease.status();
  current_ = *std::move(lease);
  return absl::OkStatus();
}

absl::Status Player::Drain() {
  // Also what never reaches the handler must come to an end.
  for (int steps = 0; steps < 4 * Limit(); ++steps) {
    auto delivered = Deliver();
    if (!delivered.ok()) return delivered.status();
    if (!*delivered) return absl::OkStatus();
  }
  return absl::InternalError(
      "not drained, though nothing is delivered; it seems to go on for ever");
}

absl::StatusOr<bool> Player::Deliver() {
  if (!current_ || current_->done) return false;
  const std::vector<int> batch = Due();
  if (batch.empty()) {
    if (current_->end_sequence.empty()) return false;
    // Nothing is left up to the bound.
    if (auto s = Report(Succeeded{"", "", 0, false}); !s.ok()) return s;
    return true;
  }
  const int expired = ExpiredPrefix(batch);
  absl::Status status = expired > 0 ? SetAsideExpired(batch, expired) : Handle(batch);
  if (!status.ok()) return status;
  return true;
}

absl::Status Player::SetAsideExpired(const std::vector<int>& batch, int count) {
  return Report(
      SetAside{Names(batch), count, Condition::kRecordAgeExceeded, "older than the policy allows"});
}

absl::Status Player::Handle(const std::vector<int>& batch) {
  if (static_cast<int>(seen_.deliveries.size()) == Limit()) {
    return absl::InternalError(
        absl::StrCat("not drained after ", Limit(), " deliveries; it seems to go on for ever"));
  }
  const int number =
      batch_numbers_.emplace(current_->batch_id, static_cast<int>(batch_numbers_.size()) + 1)
          .first->second;
  seen_.deliveries.push_back(batch);
  seen_.batches.push_back(number);
  seen_.backoff.push_back(current_->backoff);
  const std::vector<std::string> names = Names(batch);
  if (current_->declare) {
    auto declared = shard_.Report({current_->epoch, current_->delivery, Started{names}});
    if (!declared.ok()) return declared.status();
  }

  const std::optional<HandlerResult> result = handler_.Process(batch);
  absl::Status status;
  if (!result) {
    shard_.Die();
    status = Lease();
    if (status.ok() && !current_) status = absl::InternalError("nobody could take the shard over");
  } else if (result->kind == HandlerResult::Kind::kSuccess) {
    status =
        Report(Succeeded{names.front(), names.back(), static_cast<int32_t>(names.size()), false});
  } else {
    status = Report(Failed{names, result->failed, result->error_type, result->error_message});
  }
  if (!status.ok()) return status;
  return RunOps(static_cast<int>(seen_.deliveries.size()));
}

absl::Status Player::Report(Event event) {
  last_report_ = ShardReport{current_->epoch, current_->delivery, std::move(event)};
  auto next = shard_.Report(*last_report_);
  if (!next.ok()) return next.status();
  current_ = *std::move(next);
  return absl::OkStatus();
}

absl::Status Player::RunOps(std::optional<int> n) {
  for (size_t i = 0; i < case_.ops.size(); ++i) {
    const Op& op = case_.ops[i];
    if (op_done_[i] || op.after_delivery != n) continue;
    op_done_[i] = true;
    if (auto s = RunOp(op); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Player::RunOp(const Op& op) {
  if (op.kind == Op::Kind::kRestartCoordinator) return shard_.RestartCoordinator();
  if (op.kind == Op::Kind::kSeek) {
    const absl::Status moved = shard_.Seek(Position::At(case_.sequences[op.at - 1]));
    seen_.error = moved;
    return moved.ok() ? Lease() : absl::OkStatus();
  }
  if (!current_) return absl::InternalError("there is no lease to report under");
  switch (op.kind) {
    case Op::Kind::kRepeatReport:
      return RepeatReport();
    case Op::Kind::kStaleEpochReport:
      return ReportStaleEpoch();
    default:
      return ReportOutside(op);
  }
}

absl::Status Player::RepeatReport() {
  if (!last_report_) return absl::InternalError("repeat_report: nothing was reported yet");
  if (auto s = ReportIdly(*last_report_, "repeat_report"); !s.ok()) return s;
  // An error is for the case to expect; where it does not, there must be none.
  if (seen_.error.ok() || case_.expect.error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("repeat_report got ", seen_.error.ToString()));
}

absl::Status Player::ReportStaleEpoch() {
  const std::vector<std::string> due = Names(Due());
  Succeeded event;
  if (!due.empty()) {
    event = {due.front(), due.back(), static_cast<int32_t>(due.size()), false};
  } else if (!case_.sequences.empty()) {
    event = {case_.sequences.back(), case_.sequences.back(), 1, false};
  }
  return ReportIdly({current_->epoch - 1, current_->delivery, event}, "stale_epoch_report");
}

absl::Status Player::ReportOutside(const Op& op) {
  Failed event;
  event.error_type = "ScriptedReport";
  event.error_message = "reported from outside of the batch, as scripted";
  event.sequences = Names(Due());
  for (int record : op.failed) {
    event.failed.push_back(NameOutside(record));
    // Where nothing is due, the records are reported as a batch of their own.
    const bool known = record <= static_cast<int>(case_.sequences.size());
    if (Due().empty() && known) event.sequences.push_back(event.failed.back());
  }
  last_report_ = ShardReport{current_->epoch, current_->delivery, std::move(event)};
  auto next = shard_.Report(*last_report_);
  seen_.error = next.status();
  if (next.ok()) current_ = *std::move(next);
  return absl::OkStatus();
}

absl::Status Player::ReportIdly(const ShardReport& report, const char* op) {
  auto before = shard_.Snapshot();
  if (!before.ok()) return before.status();
  auto answer = shard_.Report(report);
  seen_.error = answer.status();
  auto after = shard_.Snapshot();
  if (!after.ok()) return after.status();
  if (*before == *after) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(op, " changed the shard from (", *before, ") to (", *after, ")"));
}

size_t Player::FirstDue() const {
  const std::vector<std::string>& sequences = case_.sequences;
  const Position& start = current_->start;
  switch (start.kind) {
    case Position::Kind::kTrimHorizon:
      return 0;
    case Position::Kind::kLatest:
    case Position::Kind::kShardEnd:
      return sequences.size();
    case Position::Kind::kAtTimestamp:
      for (size_t i = 0; i < sequences.size(); ++i) {
        if (absl::Now() - case_.Age(static_cast<int>(i) + 1) >= start.time) return i;
      }
      return sequences.size();
    case Position::Kind::kAt:
    case Position::Kind::kAfter:
      break;
  }
  const auto found = ordinals_.find(start.sequence);
  if (found != ordinals_.end()) {
    return static_cast<size_t>(found->second) - (start.kind == Position::Kind::kAt ? 1 : 0);
  }
  if (case_.policy.sequence_order == SequenceOrder::kPositional) return sequences.size();
  const auto first =
      std::partition_point(sequences.begin(), sequences.end(),
                           [&](const std::string& sequence) { return !start.Includes(sequence); });
  return static_cast<size_t>(first - sequences.begin());
}

std::vector<int> Player::Due() const {
  std::vector<int> batch;
  if (!current_ || current_->done) return batch;
  const std::string& end = current_->end_sequence;
  const bool numeric = case_.policy.sequence_order == SequenceOrder::kNumeric;
  for (size_t i = FirstDue(); i < case_.sequences.size(); ++i) {
    const std::string& sequence = case_.sequences[i];
    if (static_cast<int>(batch.size()) == current_->max_records) break;
    if (!end.empty() && numeric && CompareNumeric(sequence, end) > 0) break;
    batch.push_back(static_cast<int>(i) + 1);
    if (sequence == end) break;
  }
  return batch;
}

int Player::ExpiredPrefix(const std::vector<int>& batch) const {
  const absl::Duration limit = case_.policy.maximum_record_age;
  if (limit < absl::ZeroDuration()) return 0;
  int count = 0;
  while (count < static_cast<int>(batch.size()) && case_.Age(batch[count]) > limit) ++count;
  return count;
}

std::vector<std::string> Player::Names(const std::vector<int>& batch) const {
  std::vector<std::string> names;
  names.reserve(batch.size());
  for (int record : batch) names.push_back(case_.sequences[record - 1]);
  return names;
}

// The sequence number of a record that the shard need not have.
std::string Player::NameOutside(int record) const {
  const int records = static_cast<int>(case_.sequences.size());
  if (record <= records) return case_.sequences[record - 1];
  std::string name = absl::StrCat(record);
  while (std::find(case_.sequences.begin(), case_.sequences.end(), name) != case_.sequences.end()) {
    name.push_back('0');
  }
  return name;
}

int Player::Limit() const {
  const int expected =
      case_.expect.deliveries ? static_cast<int>(case_.expect.deliveries->size()) : 0;
  return 200 + 2 * expected + 4 * static_cast<int>(case_.sequences.size());
}

}  // namespace

Seen Play(const Case& c, Reading reading, ShardUnderTest& shard) {
  Player player(c, reading, shard);
  const absl::Status status = player.Run();
  Seen seen = player.Take();
  if (!status.ok()) seen.trouble = std::string(status.message());
  return seen;
}

}  // namespace lowmark::conformance
