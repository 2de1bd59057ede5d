#include "service/core/step.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

// Up to this many digits a count can be compared with a distance in int64_t.
constexpr size_t kSafeDigits = 18;

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

// --- Checks ----------------------------------------------------------------

absl::Status CheckDistance(const std::string& first, const std::string& last, int32_t count) {
  if (first.size() > kSafeDigits || last.size() > kSafeDigits) return absl::OkStatus();
  const int64_t distance = std::stoll(last) - std::stoll(first);
  if (distance >= count - 1 && (count > 1 || distance == 0)) return absl::OkStatus();
  return InvalidField(
      "record_count", count,
      absl::StrCat("does not fit first_sequence ", first, " and last_sequence ", last));
}

// Whether a batch can be the current delivery's: within its bounds and, where it
// was declared, the one that was.
absl::Status CheckBatch(const ShardState& state, const Policy& policy, const std::string& first,
                        const std::string& last, int32_t count) {
  if (count < 1 || count > Policy::kLargestBatch) {
    return InvalidField("record_count", count, "must be 1..10000 for this outcome");
  }
  if (state.declared && (state.declared->first != first || state.declared->last != last ||
                         state.declared->count != count)) {
    return InvalidField(
        "first_sequence", first,
        absl::StrCat("the delivery was started with ", state.declared->count, " records ",
                     state.declared->first, "..", state.declared->last));
  }
  for (const auto& [field, sequence] :
       {std::pair("first_sequence", &first), std::pair("last_sequence", &last)}) {
    if (!IsSequence(*sequence, policy.sequence_order)) {
      return InvalidField(field, *sequence, SequenceForm(policy.sequence_order));
    }
  }
  if (policy.sequence_order == SequenceOrder::kPositional) {
    if ((count == 1) == (first == last)) return absl::OkStatus();
    return InvalidField("record_count", count, "does not fit first_sequence and last_sequence");
  }
  if (!state.position.Includes(first)) {
    return InvalidField("first_sequence", first,
                        absl::StrCat("the delivery starts ", state.position.ToString()));
  }
  if (!state.bounds.empty() && CompareNumeric(last, state.bounds.back()) > 0) {
    return InvalidField("last_sequence", last,
                        absl::StrCat("the delivery ends at ", state.bounds.back()));
  }
  const int order = CompareNumeric(first, last);
  if (order > 0 || (order == 0) != (count == 1)) {
    return InvalidField("record_count", count, "does not fit first_sequence and last_sequence");
  }
  return CheckDistance(first, last, count);
}

// The same for a batch whose records are listed.
absl::Status CheckListed(const ShardState& state, const Policy& policy,
                         const std::vector<std::string>& sequences) {
  if (sequences.empty()) return InvalidField("sequences", "", "must list the batch's records");
  for (size_t i = 0; i < sequences.size(); ++i) {
    if (!IsSequence(sequences[i], policy.sequence_order)) {
      return InvalidField(absl::StrCat("sequences[", i, "]"), sequences[i],
                          SequenceForm(policy.sequence_order));
    }
  }
  for (size_t i = 1; i < sequences.size(); ++i) {
    const bool ascends = policy.sequence_order == SequenceOrder::kPositional
                             ? sequences[i] != sequences[i - 1]
                             : CompareNumeric(sequences[i - 1], sequences[i]) < 0;
    if (!ascends) {
      return InvalidField(absl::StrCat("sequences[", i, "]"), sequences[i],
                          absl::StrCat("must come after ", sequences[i - 1]));
    }
  }
  return CheckBatch(state, policy, sequences.front(), sequences.back(),
                    static_cast<int32_t>(sequences.size()));
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
  if (state.bounds.empty() || state.bounds.back() != last) state.bounds.push_back(last);
}

void PassRecord(ShardState& state, const std::string& sequence) {
  state.position = Position::After(sequence);
  if (!state.bounds.empty() && state.bounds.back() == sequence) state.bounds.pop_back();
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
  if (event.shard_end) {
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
  state().not_before =
      std::max(state().not_before, now_ + Backoff(policy_.retry_backoff, 1, jitter01_));
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
  if (policy_.bisect_batch_on_failure && batch.count > 1) {
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
  if (alone) state().cause = Redelivery::kPartial;
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
  delivery.delay = std::max(absl::ZeroDuration(), state.not_before - now);
  delivery.attempt = TriesSoFar(state, policy) + 1;
  delivery.final_attempt = policy.maximum_retry_attempts != Policy::kForever &&
                           state.attempts >= policy.maximum_retry_attempts;
  delivery.declare = state.lost_deliveries > 0;
  delivery.cause = state.cause;
  return delivery;
}

}  // namespace lowmark
