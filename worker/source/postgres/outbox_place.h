// Where a row stands in the order of reading, and the sequence number that says so.
#ifndef LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_PLACE_H_
#define LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_PLACE_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace lowmark {

struct OutboxPlace {
  int64_t mark = 0;  // neither is negative
  int64_t id = 0;

  auto operator<=>(const OutboxPlace&) const = default;

  // mark * 10^19 + id: as integers these compare as places do, and the last 19
  // digits are the row's id.
  std::string Sequence() const;
  // None where the number stands for no place.
  static std::optional<OutboxPlace> Parse(absl::string_view sequence);
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_POSTGRES_OUTBOX_PLACE_H_
