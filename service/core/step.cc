#include "service/core/step.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/core/step_check.h"

namespace lowmark {
namespace {

// Bounds at most. Halving the largest batch takes 15; only a worker that keeps
// naming other batches than those it was given can ask for more.
constexpr size_t kDeepest = 64;

// A batch as a report names it.
struct Batch {
  std::string first;
  std::string middle;
  std::string last;
  int32_t count = 0;
};

Batch MakeBatch(const std::vector<std::string>& sequences) {
  return {sequences.front(), sequences[(sequences.size() + 1) / 2 - 1], sequences.back(),
          static_cast<int32_t>(sequences.size())};
}

// --- Pieces of the rules ---------------------------------------------------

// How many times the current batch reached a handler and did not succeed. The
// losses beyond the limit are in `attempts` already.
int32_t TriesSoFar(const ShardState& state, const Policy& policy) {
  const int32_t limit = policy.maximum_lost_deliveries;
  const int32_t lost =
      limit == Policy::kForever ? state.lost_deliveries : std::min(state.lost_deliveries, limit);
  return state.attempts + lost;
}

// Fixes the end of the batch, so that what follows is exactly the rest of it.
void EnsureBound(ShardState& state, const std::string& last) {
  if (!state.bounds.empty() && state.bounds.back() == last) return;
  if (state.bounds.size() < kDeepest) state.bounds.push_back(last);
}

void PassRecord(ShardState& state, const std::string& sequence) {
  state.position = Position::After(sequence);
  if (state.bounds.empty() || state.bounds.back() != sequence) return;
  state.bounds.pop_back();
  if (!state.bounds.empty()) state.cause = Redelivery::kSplit;  // the other part comes next
}

// A batch other than the one before starts with delivery number `delivery`.
// Records under a bound were delivered before, for the reason they have.
void StartBatch(ShardState& state, int64_t delivery) {
  state.batch_id = delivery;
  state.attempts = 0;
  state.lost_deliveries = 0;
  state.not_before = absl::UnixEpoch();
  if (state.bounds.empty()) state.cause = Redelivery::kNone;
}

// Carries one event out on a copy of the state.
class Stepper {
 public:
  Stepper(const ShardState& state, const Policy& policy, absl::Time now, double jitter01)
      : policy_(policy), now_(now), jitter01_(jitter01), next_(state.delivery + 1) {
    result_.state = state;
  }

  absl::Status operator()(const Succeeded& event);
  absl::Status operator()(const Failed& event);
  absl::Status operator()(const SetAside& event);
  absl::Status operator()(const NotRun& event);
  absl::Status operator()(const Started& event);
  absl::Status operator()(const Resolved& event);
  absl::Status operator()(const Granted& event);
  absl::Status operator()(const Released& event);
  absl::Status operator()(const Sought& event);

  StepResult Take() { return std::move(result_); }

 private:
  ShardState& state() { return result_.state; }
  Facts& facts() { return result_.facts; }

  // Rule 3. `head_failed`: r1 is known to be the one that failed.
  void FailBatch(const Batch& batch, bool head_failed, const std::string& error_type,
                 const std::string& error_message);
  void Split(const std::string& end_of_first_part);
  void Discard(const Batch& batch, bool head_failed, const std::string& error_type,
               const std::string& error_message);
  void AddDeadLetter(const std::string& first, const std::string& last, int32_t count,
                     Condition condition, int32_t attempts, const std::string& error_type,
                     const std::string& error_message);
  void EndShard();
  // The reported delivery is over; the next one is handed over with the answer.
  void HandOver();
  void CountRedelivered(int64_t records);

  const Policy& policy_;
  const absl::Time now_;
  const double jitter01_;
  const int64_t next_;
  StepResult result_;
};

absl::Status Stepper::operator()(const Succeeded& event) {
  if (event.count == 0) {
    if (!event.first.empty() || !event.last.empty()) {
      return InvalidField("record_count", 0, "first_sequence and last_sequence must not be set");
    }
    if (state().declared) {
      return InvalidField("record_count", 0, "the delivery was started with records");
    }
    if (state().bounds.empty() && !event.shard_end) {
      return InvalidField("record_count", 0,
                          "must be 1..10000: the delivery has no end_sequence, and this is not "
                          "the shard's end");
    }
    if (!state().bounds.empty()) PassRecord(state(), std::string(state().bounds.back()));
  } else {
    if (auto s = CheckBatch(state(), policy_, event.first, event.last, event.count); !s.ok()) {
      return s;
    }
    CountRedelivered(event.count);
    PassRecord(state(), event.last);
    facts().processed = event.count;
  }
  // While a bound is left there were records up to it when it was set, whatever
  // the source says now: they are asked for before the shard can end.
  if (event.shard_end && state().bounds.empty()) {
    EndShard();
    return absl::OkStatus();
  }
  facts().outcome = Outcome::kSuccess;
  StartBatch(state(), next_);
  HandOver();
  return absl::OkStatus();
}

absl::Status Stepper::operator()(const Failed& event) {
  if (auto s = CheckListed(state(), policy_, event.sequences); !s.ok()) return s;
  const Batch batch = MakeBatch(event.sequences);
  if (!event.failed.empty() && !policy_.report_batch_item_failures) {
    return (*this)(Succeeded{batch.first, batch.last, batch.count, false});
  }
  CountRedelivered(batch.count);

  std::optional<size_t> lowest;
  std::unordered_map<std::string, size_t> index;
  for (size_t i = 0; i < event.sequences.size(); ++i) index.emplace(event.sequences[i], i);
  for (const std::string& failed : event.failed) {
    auto found = index.find(failed);
    if (found == index.end()) {  // not in the batch: the answer means nothing
      lowest.reset();
      break;
    }
    lowest = std::min(lowest.value_or(found->second), found->second);
  }
  if (!lowest || *lowest == 0) {
    FailBatch(batch, lowest.has_value() || batch.count == 1, event.error_type, event.error_message);
  } else {
    EnsureBound(state(), batch.last);
    state().position = Position::At(event.sequences[*lowest]);
    state().cause = Redelivery::kPartial;
    StartBatch(state(), next_);
    facts().outcome = Outcome::kPartial;
    facts().processed = static_cast<int64_t>(*lowest);
  }
  HandOver();
  return absl::OkStatus();
}

absl::Status Stepper::operator()(const SetAside& event) {
  if (auto s = CheckListed(state(), policy_, event.sequences); !s.ok()) return s;
  const auto size = static_cast<int32_t>(event.sequences.size());
  if (event.count < 1 || event.count > size) {
    return InvalidField("set_aside.count", event.count, absl::StrCat("must be 1..", size));
  }
  if (event.condition == Condition::kRetryAttemptsExhausted) {
    return InvalidField("set_aside.condition", "RETRY_ATTEMPTS_EXHAUSTED",
                        "must be a reason that lies in the records, not in their handler");
  }
  const std::string& last = event.sequences[event.count - 1];
  AddDeadLetter(event.sequences.front(), last, event.count, event.condition,
                TriesSoFar(state(), policy_), "", event.error_message);
  if (event.count < size) EnsureBound(state(), event.sequences.back());
  PassRecord(state(), last);
  StartBatch(state(), next_);
  facts().outcome = Outcome::kSetAside;
  HandOver();
  return absl::OkStatus();
}

absl::Status Stepper::operator()(const NotRun&) {
  const absl::Duration pause = std::max(CurrentDelivery(state(), policy_, now_).delay,
                                        Backoff(policy_.retry_backoff, 1, jitter01_));
  state().not_before = now_ + pause;
  facts().outcome = Outcome::kNotRun;
  HandOver();
  return absl::OkStatus();
}

absl::Status Stepper::operator()(const Started& event) {
  if (auto s = CheckListed(state(), policy_, event.sequences); !s.ok()) return s;
  const Batch batch = MakeBatch(event.sequences);
  state().declared = DeclaredBatch{batch.first, batch.middle, batch.last, batch.count};
  facts().outcome = Outcome::kStarted;
  return absl::OkStatus();
}

absl::Status Stepper::operator()(const Resolved& event) {
  if (state().position.kind != Position::Kind::kLatest) {
    return InvalidField(
        "resolved.position", event.position.ToString(),
        absl::StrCat("the delivery does not start at LATEST, but ", state().position.ToString()));
  }
  switch (event.position.kind) {
    case Position::Kind::kAt:
    case Position::Kind::kAfter:
      if (IsSequence(event.position.sequence, policy_.sequence_order)) break;
      return InvalidField(event.position.kind == Position::Kind::kAt
                              ? "resolved.position.at_sequence"
                              : "resolved.position.after_sequence",
                          event.position.sequence, SequenceForm(policy_.sequence_order));
    case Position::Kind::kAtTimestamp:
      break;
    default:
      return InvalidField("resolved.position", event.position.ToString(),
                          "must be a sequence number or a time");
  }
  state().position = event.position;
  facts().outcome = Outcome::kResolved;
  HandOver();
  return absl::OkStatus();
}

absl::Status Stepper::operator()(const Granted&) {
  facts().outcome = Outcome::kGranted;
  if (state().batch_id == 0) StartBatch(state(), next_);
  if (state().outstanding) {
    facts().outcome = Outcome::kLost;
    facts().lost = true;
    state().cause = Redelivery::kLost;
    // After the first loss a delivery that was not declared never reached the
    // handler, so the batch is not to blame for the worker's end.
    if (state().lost_deliveries == 0 || state().declared) ++state().lost_deliveries;
    // What the handler saw is known: the next owner gets exactly that.
    if (state().declared) {
      EnsureBound(state(), state().declared->last);
      state().position = Position::At(state().declared->first);
    }
    const int32_t limit = policy_.maximum_lost_deliveries;
    if (state().declared && limit != Policy::kForever && state().lost_deliveries > limit) {
      const DeclaredBatch declared = *state().declared;
      FailBatch(
          {declared.first, declared.middle, declared.last, declared.count}, declared.count == 1,
          "LostDelivery",
          absl::StrCat("the worker was lost with this batch ", state().lost_deliveries, " times"));
    }
  }
  HandOver();
  return absl::OkStatus();
}

absl::Status Stepper::operator()(const Released&) {
  state().outstanding = false;
  state().declared.reset();
  facts().outcome = Outcome::kReleased;
  return absl::OkStatus();
}

absl::Status Stepper::operator()(const Sought& event) {
  if (event.position.kind == Position::Kind::kShardEnd) {
    return InvalidField("position", event.position.ToString(), "must not be shard_end");
  }
  state().position = event.position;
  state().bounds.clear();
  StartBatch(state(), next_);
  state().cause = Redelivery::kOperator;
  state().outstanding = false;
  state().declared.reset();
  facts().outcome = Outcome::kSought;
  return absl::OkStatus();
}

void Stepper::FailBatch(const Batch& batch, bool head_failed, const std::string& error_type,
                        const std::string& error_message) {
  EnsureBound(state(), batch.last);
  state().position = Position::At(batch.first);
  const bool room = state().bounds.size() < kDeepest;
  if (policy_.bisect_batch_on_failure && batch.count > 1 && room) {
    Split(head_failed ? batch.first : batch.middle);
    return;
  }
  ++state().attempts;
  if (policy_.maximum_retry_attempts != Policy::kForever &&
      state().attempts > policy_.maximum_retry_attempts) {
    Discard(batch, head_failed, error_type, error_message);
    return;
  }
  state().not_before = now_ + Backoff(policy_.retry_backoff, state().attempts, jitter01_);
  state().cause = Redelivery::kRetry;
  facts().outcome = Outcome::kRetry;
}

void Stepper::Split(const std::string& end_of_first_part) {
  state().bounds.push_back(end_of_first_part);
  state().cause = Redelivery::kSplit;
  StartBatch(state(), next_);
  facts().outcome = Outcome::kSplit;
}

void Stepper::Discard(const Batch& batch, bool head_failed, const std::string& error_type,
                      const std::string& error_message) {
  const bool alone = head_failed && policy_.discard_scope == DiscardScope::kRecord;
  const std::string& last = alone ? batch.first : batch.last;
  AddDeadLetter(batch.first, last, alone ? 1 : batch.count, Condition::kRetryAttemptsExhausted,
                TriesSoFar(state(), policy_), error_type, error_message);
  PassRecord(state(), last);
  if (alone && batch.count > 1) state().cause = Redelivery::kPartial;
  StartBatch(state(), next_);
  facts().outcome = Outcome::kDiscard;
}

void Stepper::AddDeadLetter(const std::string& first, const std::string& last, int32_t count,
                            Condition condition, int32_t attempts, const std::string& error_type,
                            const std::string& error_message) {
  result_.dead_letters.push_back(
      {first, last, count, condition, attempts, error_type, error_message});
  facts().discarded += count;
}

void Stepper::EndShard() {
  state().position = Position::ShardEnd();
  state().bounds.clear();
  StartBatch(state(), next_);
  state().delivery = next_;
  state().outstanding = false;
  state().declared.reset();
  facts().outcome = Outcome::kShardEnd;
}

void Stepper::HandOver() {
  state().delivery = next_;
  state().outstanding = true;
  state().declared.reset();
}

void Stepper::CountRedelivered(int64_t records) {
  if (state().cause == Redelivery::kNone) return;
  facts().redelivered = records;
  facts().cause = state().cause;
}

}  // namespace

absl::StatusOr<StepResult> Step(const ShardState& state, const Policy& policy, const Event& event,
                                absl::Time now, double jitter01) {
  if (state.done() && !std::holds_alternative<Released>(event)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, kShardDone,
                     "the shard was read to its end");
  }
  Stepper stepper(state, policy, now, jitter01);
  if (auto s = std::visit(stepper, event); !s.ok()) return s;
  return stepper.Take();
}

Delivery CurrentDelivery(const ShardState& state, const Policy& policy, absl::Time now) {
  Delivery delivery;
  delivery.batch_id = state.batch_id;
  delivery.delivery = state.delivery;
  delivery.start = state.position;
  if (state.bounds.empty()) {
    delivery.max_records = policy.batch_size;
  } else {
    // The batch is fixed; a policy that changed since must not cut it anew.
    delivery.end_sequence = state.bounds.back();
    delivery.max_records = Policy::kLargestBatch;
  }
  // A longer pause than was ever set is from before the clock was set back.
  const absl::Duration longest = Backoff(policy.retry_backoff, state.attempts, /*jitter01=*/1);
  delivery.delay = std::clamp(state.not_before - now, absl::ZeroDuration(), longest);
  delivery.attempt = TriesSoFar(state, policy) + 1;
  delivery.final_attempt = policy.maximum_retry_attempts != Policy::kForever &&
                           state.attempts >= policy.maximum_retry_attempts;
  delivery.declare = state.lost_deliveries > 0;
  delivery.cause = state.cause;
  return delivery;
}

}  // namespace lowmark
