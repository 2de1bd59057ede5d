#include "tests/bench/fleet_ledger.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace lowmark {
namespace {

constexpr size_t kViolationsKept = 20;

SteadyTime Now() { return std::chrono::steady_clock::now(); }

}  // namespace

int64_t SequenceOf(const v1::Position& position) {
  if (position.has_trim_horizon()) return 0;
  int64_t sequence = 0;
  if (position.position_case() != v1::Position::kAfterSequence ||
      !absl::SimpleAtoi(position.after_sequence(), &sequence)) {
    return -1;
  }
  return sequence;
}

void FleetLedger::OnLease(const std::string& worker, const v1::Lease& lease) {
  ShardStory& story = shards_[lease.shard()];
  if (lease.epoch() == story.epoch && worker == story.before) {
    // One of several that go by the same id.
    story.owner = worker;
    return;
  }
  if (lease.epoch() <= story.epoch) {
    // Late, where a later lease was answered first; it is fenced already.
    if (lease.epoch() == story.epoch) {
      NoteViolation(absl::StrCat("shard ", lease.shard(), " was leased to ", story.before,
                                 " and to ", worker, " under epoch ", lease.epoch()));
    }
    return;
  }
  CheckStart(story, lease);
  const SteadyTime now = Now();
  if (!story.before.empty() && story.before != worker) {
    moves_.push_back({lease.shard(), story.before, worker, story.owner.empty() && !story.lost,
                      story.reported_at, story.released_at, now});
  }
  story.epoch = lease.epoch();
  story.owner = worker;
  story.before = worker;
  story.leased_at = now;
  story.acknowledged = std::max(story.acknowledged, SequenceOf(lease.delivery().start()));
  story.attempted = story.acknowledged;
}

void FleetLedger::CheckStart(const ShardStory& story, const v1::Lease& lease) {
  const int64_t start = SequenceOf(lease.delivery().start());
  // A report whose answer did not come may have been committed.
  const bool exact = start == story.acknowledged ||
                     (start == story.attempted && start > story.acknowledged && story.lost);
  if (!exact && (!story.lost || start < story.acknowledged || start > story.attempted)) {
    NoteViolation(absl::StrCat("shard ", lease.shard(), ": ", story.acknowledged,
                               " was acknowledged and ", story.attempted, " reported, but epoch ",
                               lease.epoch(), " starts with {",
                               lease.delivery().start().ShortDebugString(), "}"));
  }
  const bool again = lease.delivery().cause() != v1::REDELIVERY_CAUSE_UNSPECIFIED;
  // In between it may have been leased to one who died before the answer came.
  const bool next = lease.epoch() == story.epoch + 1;
  if (again && next && !story.lost && story.owner.empty()) {
    NoteViolation(
        absl::StrCat("shard ", lease.shard(), " epoch ", lease.epoch(),
                     " delivers again: ", v1::RedeliveryCause_Name(lease.delivery().cause()),
                     ", though it was released with nothing unreported"));
  }
}

void FleetLedger::OnReportSent(const std::string& shard, int64_t last_sequence) {
  ShardStory& story = shards_[shard];
  story.attempted = std::max(story.attempted, last_sequence);
}

void FleetLedger::OnReported(const std::string& shard, int64_t last_sequence,
                             const v1::ReportBatchResponse& answer) {
  ShardStory& story = shards_[shard];
  const int64_t checkpoint = SequenceOf(answer.checkpoint());
  if (checkpoint != last_sequence || SequenceOf(answer.next().start()) != last_sequence ||
      answer.discarded_records() != 0) {
    NoteViolation(absl::StrCat("shard ", shard, ": a wrong answer to a report up to ",
                               last_sequence, ": {", answer.ShortDebugString(), "}"));
  }
  story.acknowledged = std::max(story.acknowledged, last_sequence);
  story.reported_at = Now();
  story.lost = false;
  ++reports_;
}

void FleetLedger::OnReleased(const std::string& worker, const std::string& shard, int64_t epoch) {
  ShardStory& story = shards_[shard];
  if (story.owner != worker || story.epoch != epoch) return;
  story.owner.clear();
  story.released_at = Now();
}

void FleetLedger::OnLost(const std::string& worker, const std::string& shard, int64_t epoch) {
  ShardStory& story = shards_[shard];
  if (story.owner != worker || story.epoch != epoch) return;
  story.owner.clear();
  story.lost = true;
}

void FleetLedger::NoteViolation(const std::string& text) {
  if (violations_.size() < kViolationsKept) violations_.push_back(text);
}

int64_t FleetLedger::ReportedSince(SteadyTime time) const {
  return std::count_if(shards_.begin(), shards_.end(),
                       [&](const auto& entry) { return entry.second.reported_at >= time; });
}

void FleetLedger::CheckRows(const std::string& text) {
  const std::vector<std::string> rows = absl::StrSplit(text, '\n', absl::SkipEmpty());
  size_t found = 0;
  for (const std::string& row : rows) {
    const std::vector<std::string> columns = absl::StrSplit(row, '|');
    const auto story = shards_.find(columns[0]);
    if (story == shards_.end()) continue;
    ++found;
    int64_t sequence = 0;
    if (!columns[1].empty() && !absl::SimpleAtoi(columns[1], &sequence)) sequence = -1;
    if (sequence < story->second.acknowledged || sequence > story->second.attempted) {
      NoteViolation(absl::StrCat("shard ", columns[0], ": ", story->second.acknowledged,
                                 " was acknowledged and ", story->second.attempted,
                                 " reported, but the database has ", columns[1]));
    }
  }
  if (found != shards_.size()) {
    NoteViolation(absl::StrCat("the database has ", found, " of ", shards_.size(), " shards"));
  }
}

}  // namespace lowmark
