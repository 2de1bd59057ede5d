#include "service/core/step_check.h"

#include <string_view>
#include <unordered_set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

// Up to this many digits a count can be compared with a distance in int64_t.
constexpr size_t kSafeDigits = 18;

absl::Status CheckDistance(const std::string& first, const std::string& last, int32_t count) {
  if (first.size() > kSafeDigits || last.size() > kSafeDigits) return absl::OkStatus();
  int64_t low = 0;
  int64_t high = 0;
  if (absl::SimpleAtoi(first, &low) && absl::SimpleAtoi(last, &high) && high - low >= count - 1) {
    return absl::OkStatus();
  }
  return InvalidField(
      "record_count", count,
      absl::StrCat("does not fit first_sequence ", first, " and last_sequence ", last));
}

absl::Status CheckForm(const char* field, const std::string& sequence, SequenceOrder order) {
  if (IsSequence(sequence, order)) return absl::OkStatus();
  return InvalidField(field, sequence, SequenceForm(order));
}

absl::Status CheckNumeric(const ShardState& state, const std::string& first,
                          const std::string& last, int32_t count) {
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

// What is wrong with the place of a positional record, as far as the state can
// tell: it lies outside the batch, or at its other end. Empty where nothing is.
// `is_first`, `is_last`: its place in the batch.
std::string WrongPlace(const ShardState& state, const std::string& sequence, bool is_first,
                       bool is_last) {
  const Position& start = state.position;
  if (start.kind == Position::Kind::kAfter && sequence == start.sequence) {
    return "the delivery starts after it";
  }
  if (start.kind == Position::Kind::kAt && sequence == start.sequence && !is_first) {
    return "the delivery starts at it";
  }
  for (size_t i = 0; i < state.bounds.size(); ++i) {
    if (sequence != state.bounds[i]) continue;
    if (i + 1 == state.bounds.size() && is_last) continue;
    return absl::StrCat("the delivery ends at ", state.bounds.back());
  }
  return "";
}

absl::Status CheckPositional(const ShardState& state, const std::string& first,
                             const std::string& last, int32_t count) {
  if ((count == 1) != (first == last)) {
    return InvalidField("record_count", count, "does not fit first_sequence and last_sequence");
  }
  if (std::string wrong = WrongPlace(state, first, true, count == 1); !wrong.empty()) {
    return InvalidField("first_sequence", first, wrong);
  }
  if (std::string wrong = WrongPlace(state, last, count == 1, true); !wrong.empty()) {
    return InvalidField("last_sequence", last, wrong);
  }
  return absl::OkStatus();
}

absl::Status CheckAscending(const std::vector<std::string>& sequences) {
  for (size_t i = 1; i < sequences.size(); ++i) {
    if (CompareNumeric(sequences[i - 1], sequences[i]) < 0) continue;
    return InvalidField(absl::StrCat("sequences[", i, "]"), sequences[i],
                        absl::StrCat("must come after ", sequences[i - 1]));
  }
  return absl::OkStatus();
}

absl::Status CheckDistinct(const ShardState& state, const std::vector<std::string>& sequences) {
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const bool is_last = i + 1 == sequences.size();
    const std::string wrong = seen.insert(sequences[i]).second
                                  ? WrongPlace(state, sequences[i], i == 0, is_last)
                                  : "must not be listed twice";
    if (!wrong.empty()) {
      return InvalidField(absl::StrCat("sequences[", i, "]"), sequences[i], wrong);
    }
  }
  return absl::OkStatus();
}

}  // namespace

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
  if (auto s = CheckForm("first_sequence", first, policy.sequence_order); !s.ok()) return s;
  if (auto s = CheckForm("last_sequence", last, policy.sequence_order); !s.ok()) return s;
  return policy.sequence_order == SequenceOrder::kPositional
             ? CheckPositional(state, first, last, count)
             : CheckNumeric(state, first, last, count);
}

absl::Status CheckListed(const ShardState& state, const Policy& policy,
                         const std::vector<std::string>& sequences) {
  if (sequences.empty()) return InvalidField("sequences", "", "must list the batch's records");
  for (size_t i = 0; i < sequences.size(); ++i) {
    if (IsSequence(sequences[i], policy.sequence_order)) continue;
    return InvalidField(absl::StrCat("sequences[", i, "]"), sequences[i],
                        SequenceForm(policy.sequence_order));
  }
  absl::Status order = policy.sequence_order == SequenceOrder::kPositional
                           ? CheckDistinct(state, sequences)
                           : CheckAscending(sequences);
  if (!order.ok()) return order;
  return CheckBatch(state, policy, sequences.front(), sequences.back(),
                    static_cast<int32_t>(sequences.size()));
}

}  // namespace lowmark
