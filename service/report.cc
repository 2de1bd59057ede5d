#include "service/report.h"

#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

// The sequence numbers that a report lists; empty where it lists none.
const std::vector<std::string>* Listed(const Event& event) {
  if (const auto* failed = std::get_if<Failed>(&event)) return &failed->sequences;
  if (const auto* set_aside = std::get_if<SetAside>(&event)) return &set_aside->sequences;
  return nullptr;
}

// The report's records that lie in `range`, in the order of the batch.
std::vector<Record> RecordsOf(const Report& report, const DeadLetterRange& range) {
  std::vector<Record> records;
  const std::vector<std::string>* listed = Listed(report.event);
  if (listed == nullptr) return records;
  std::unordered_set<std::string> within;
  bool inside = false;
  for (const std::string& sequence : *listed) {
    inside = inside || sequence == range.first;
    if (inside) within.insert(sequence);
    if (sequence == range.last) break;
  }
  for (const Record& record : report.records) {
    if (within.contains(record.sequence)) records.push_back(record);
  }
  return records;
}

const char* EventKind(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPartial:
      return "partial";
    case Outcome::kRetry:
      return "retry";
    case Outcome::kSplit:
      return "split";
    case Outcome::kDiscard:
      return "discarded";
    case Outcome::kSetAside:
      return "set_aside";
    case Outcome::kNotRun:
      return "not_run";
    case Outcome::kShardEnd:
      return "done";
    case Outcome::kResolved:
      return "resolved";
    default:
      return nullptr;  // successes are the checkpoint itself
  }
}

std::string Detail(const Report& report, const StepResult& step) {
  std::string detail = absl::StrCat("checkpoint ", step.state.position.ToString());
  if (const auto* failed = std::get_if<Failed>(&report.event)) {
    absl::StrAppend(&detail, "; ", failed->error_type, ": ", failed->error_message);
  } else if (const auto* set_aside = std::get_if<SetAside>(&report.event)) {
    absl::StrAppend(&detail, "; ", set_aside->error_message);
  } else if (!report.trouble.empty()) {
    absl::StrAppend(&detail, "; ", report.trouble);
  }
  return detail;
}

}  // namespace

absl::StatusOr<ShardChange> DecideReport(const Report& report, const ShardView& view,
                                         double jitter01, ReportDecision& decision) {
  decision = ReportDecision();
  auto kind = CheckReport(view.shard, report.worker, report.epoch, report.delivery);
  if (!kind.ok()) return kind.status();
  ShardChange change;
  ReportAnswer& answer = decision.answer;
  if (*kind == ReportKind::kCurrent) {
    auto step = Step(view.shard.state, view.policy, report.event, view.now, jitter01);
    if (!step.ok()) return step.status();
    change.changed = true;
    change.shard = view.shard;
    change.shard.state = step->state;
    if (step->state.done()) change.shard.owner.clear();
    for (const DeadLetterRange& range : step->dead_letters) {
      DeadLetter letter;
      letter.range = range;
      letter.epoch = report.epoch;
      letter.delivery = report.delivery;
      letter.batch_id = view.shard.state.batch_id;
      letter.worker = report.worker;
      letter.records = RecordsOf(report, range);
      change.dead_letters.push_back(std::move(letter));
    }
    // What a success has to tell is that the source lost records.
    const bool vanished = step->facts.outcome == Outcome::kShardEnd && !report.trouble.empty();
    if (const char* name = EventKind(step->facts.outcome)) {
      ShardEvent event;
      event.kind = vanished ? "vanished" : name;
      event.epoch = report.epoch;
      event.delivery = report.delivery;
      event.actor = report.worker;
      event.detail = Detail(report, *step);
      change.events.push_back(std::move(event));
    }
    answer.discarded = step->facts.discarded;
    decision.step = *std::move(step);
  }
  answer.shard = change.changed ? change.shard : view.shard;
  if (!answer.shard.state.done()) {
    answer.next = CurrentDelivery(answer.shard.state, view.policy, view.now);
  }
  answer.hand_over = IsFromBefore(view.shard.epoch, view.timeline);
  answer.etag = view.etag;
  if (report.config_etag != view.etag) answer.policy = view.policy;
  return change;
}

}  // namespace lowmark
