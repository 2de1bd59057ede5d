#include "worker/source/postgres/outbox_place.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "service/core/position.h"

namespace lowmark {
namespace {

// Those of the largest bigint.
constexpr size_t kIdDigits = 19;

}  // namespace

std::string OutboxPlace::Sequence() const {
  return mark == 0 ? absl::StrCat(id) : absl::StrFormat("%d%019d", mark, id);
}

std::optional<OutboxPlace> OutboxPlace::Parse(absl::string_view sequence) {
  if (!IsNumericSequence(sequence)) return std::nullopt;
  OutboxPlace place;
  if (sequence.size() > kIdDigits) {
    const size_t digits = sequence.size() - kIdDigits;
    if (!absl::SimpleAtoi(sequence.substr(0, digits), &place.mark)) return std::nullopt;
    sequence.remove_prefix(digits);
  }
  if (!absl::SimpleAtoi(sequence, &place.id)) return std::nullopt;
  return place;
}

}  // namespace lowmark
