#include "service/core/position.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

constexpr size_t kLongest = 128;

bool IsTokenCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == ':' ||
         c == '-';
}

}  // namespace

bool IsNumericSequence(absl::string_view text) {
  if (text.empty() || text.size() > kLongest) return false;
  if (text[0] == '0') return text.size() == 1;
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool IsToken(absl::string_view text) {
  return !text.empty() && text.size() <= kLongest &&
         std::all_of(text.begin(), text.end(), IsTokenCharacter);
}

bool IsSequence(absl::string_view text, SequenceOrder order) {
  return order == SequenceOrder::kNumeric ? IsNumericSequence(text) : IsToken(text);
}

const char* SequenceForm(SequenceOrder order) {
  return order == SequenceOrder::kNumeric
             ? "must be a decimal integer of 1..128 digits without leading zeros"
             : "must match [A-Za-z0-9._:-]{1,128}";
}

int CompareNumeric(absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

std::string Position::ToString() const {
  switch (kind) {
    case Kind::kTrimHorizon:
      return "TRIM_HORIZON";
    case Kind::kLatest:
      return "LATEST";
    case Kind::kAtTimestamp:
      return absl::StrCat("AT_TIMESTAMP ", absl::FormatTime(time, absl::UTCTimeZone()));
    case Kind::kAt:
      return absl::StrCat("AT ", sequence);
    case Kind::kAfter:
      return absl::StrCat("AFTER ", sequence);
    case Kind::kShardEnd:
      return "SHARD_END";
  }
  return "";
}

bool Position::Includes(absl::string_view numeric_sequence) const {
  switch (kind) {
    case Kind::kTrimHorizon:
    case Kind::kLatest:
    case Kind::kAtTimestamp:
      return true;
    case Kind::kAt:
      return CompareNumeric(numeric_sequence, sequence) >= 0;
    case Kind::kAfter:
      return CompareNumeric(numeric_sequence, sequence) > 0;
    case Kind::kShardEnd:
      return false;
  }
  return false;
}

bool MovesBack(const Position& from, const Position& to) {
  using Kind = Position::Kind;
  if (from == to || from.kind == Kind::kTrimHorizon || to.kind == Kind::kShardEnd) return false;
  if (from.kind == Kind::kShardEnd || to.kind == Kind::kTrimHorizon) return true;
  if (to.kind == Kind::kLatest) return false;
  if (to.kind == Kind::kAtTimestamp) {
    return from.kind != Kind::kAtTimestamp || to.time < from.time;
  }
  if (from.sequence.empty()) return false;
  const int order = CompareNumeric(to.sequence, from.sequence);
  if (order != 0) return order < 0;
  return from.kind == Kind::kAfter;
}

}  // namespace lowmark
