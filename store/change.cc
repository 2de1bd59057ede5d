#include "store/change.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

// The length of the UTF-8 character at the front of `text`, which is not ASCII;
// 0 where it is none.
size_t CharacterLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t length = 0;
  // The bounds of the second byte exclude overlong forms, surrogates and what
  // lies beyond U+10FFFF.
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (byte(0) >= 0xC2 && byte(0) <= 0xDF) {
    length = 2;
  } else if (byte(0) >= 0xE0 && byte(0) <= 0xEF) {
    length = 3;
    if (byte(0) == 0xE0) low = 0xA0;
    if (byte(0) == 0xED) high = 0x9F;
  } else if (byte(0) >= 0xF0 && byte(0) <= 0xF4) {
    length = 4;
    if (byte(0) == 0xF0) low = 0x90;
    if (byte(0) == 0xF4) high = 0x8F;
  }
  if (length == 0 || text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  }
  return length;
}

bool IsStorable(absl::string_view text) {
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text[0]);
    if (c == 0) return false;
    const size_t length = c < 0x80 ? 1 : CharacterLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

absl::Status CheckState(const ShardState& state) {
  if (auto s = CheckText("position", state.position.sequence); !s.ok()) return s;
  for (const std::string& bound : state.bounds) {
    if (auto s = CheckText("bounds", bound); !s.ok()) return s;
  }
  if (!state.declared) return absl::OkStatus();
  for (const std::string* text :
       {&state.declared->first, &state.declared->middle, &state.declared->last}) {
    if (auto s = CheckText("declared", *text); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status CheckDeadLetter(const DeadLetter& letter) {
  for (const auto& [field, text] :
       {std::pair("dead_letter.first", &letter.range.first),
        std::pair("dead_letter.last", &letter.range.last),
        std::pair("dead_letter.error_type", &letter.range.error_type),
        std::pair("dead_letter.error_message", &letter.range.error_message),
        std::pair("dead_letter.worker", &letter.worker)}) {
    if (auto s = CheckText(field, *text); !s.ok()) return s;
  }
  for (const Record& record : letter.records) {
    if (auto s = CheckText("record.sequence", record.sequence); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status CheckEvent(const ShardEvent& event) {
  if (auto s = CheckText("event.kind", event.kind); !s.ok()) return s;
  if (auto s = CheckText("event.actor", event.actor); !s.ok()) return s;
  return CheckText("event.detail", event.detail);
}

absl::Status CheckTrouble(absl::string_view field, const std::optional<Trouble>& trouble) {
  return trouble ? CheckText(field, trouble->message) : absl::OkStatus();
}

// What is wrong with going from `before` to `after`; nullptr where nothing is.
const char* ForbiddenMove(const Shard& before, const Shard& after, SequenceOrder order) {
  if (after.stream != before.stream || after.shard != before.shard) return "is of another shard";
  if (after.parents_left != before.parents_left) return "counts the shard's parents";
  if (after.epoch < before.epoch) return "lowers the epoch";
  if (after.parents_left > 0 && !after.owner.empty())
    return "leases a shard before its parents end";
  if (after.epoch > before.epoch) return nullptr;
  if (after.state.delivery < before.state.delivery) return "lowers the delivery";
  if (!after.owner.empty() && after.owner != before.owner)
    return "changes the owner, not the epoch";
  if (before.state.done() && !after.state.done()) return "revives a shard that is done";
  if (order == SequenceOrder::kNumeric && !before.state.position.sequence.empty() &&
      MovesBack(before.state.position, after.state.position)) {
    return "moves the checkpoint back";
  }
  return nullptr;
}

}  // namespace

absl::Status CheckText(absl::string_view field, absl::string_view value) {
  if (IsStorable(value)) return absl::OkStatus();
  return InvalidField(field, value, "must be UTF-8 without NUL");
}

absl::Status CheckRenewal(const Renewal& renewal) {
  if (auto s = CheckText("worker", renewal.worker); !s.ok()) return s;
  for (const ShardLoad& each : renewal.loads) {
    if (auto s = CheckText("loads.shard", each.shard); !s.ok()) return s;
    if (each.load && !(std::isfinite(*each.load) && *each.load >= 0)) {
      return InvalidField("loads.load", absl::StrCat(*each.load), "must be a number, 0 or more");
    }
  }
  for (const ToldStat& each : renewal.stats) {
    if (auto s = CheckText("stats.shard", each.shard); !s.ok()) return s;
    if (auto s = CheckTrouble("stats.trouble", each.stat.trouble); !s.ok()) return s;
  }
  return renewal.listing ? CheckTrouble("listing.trouble", renewal.listing->trouble)
                         : absl::OkStatus();
}

absl::Time StoredTime(absl::Time time) {
  static const absl::Time kFirst = absl::FromCivil(absl::CivilYear(1), absl::UTCTimeZone());
  static const absl::Time kLast =
      absl::FromCivil(absl::CivilYear(10000), absl::UTCTimeZone()) - absl::Microseconds(1);
  const absl::Time bounded = std::clamp(time, kFirst, kLast);
  return absl::UnixEpoch() + absl::Floor(bounded - absl::UnixEpoch(), absl::Microseconds(1));
}

absl::Status CheckChange(const Shard& before, const Policy& policy, ShardChange& change) {
  Shard& after = change.shard;
  if (const char* wrong = ForbiddenMove(before, after, policy.sequence_order)) {
    return MakeError(
        absl::StatusCode::kInternal, kInternal,
        absl::StrCat("a change of shard ", before.stream, "/", before.shard, " ", wrong));
  }
  if (auto s = CheckText("owner", after.owner); !s.ok()) return s;
  if (auto s = CheckState(after.state); !s.ok()) return s;
  for (DeadLetter& letter : change.dead_letters) {
    if (auto s = CheckDeadLetter(letter); !s.ok()) return s;
    for (Record& record : letter.records) record.arrival_time = StoredTime(record.arrival_time);
  }
  for (const ShardEvent& event : change.events) {
    if (auto s = CheckEvent(event); !s.ok()) return s;
  }
  after.state.not_before = StoredTime(after.state.not_before);
  after.state.position.time = StoredTime(after.state.position.time);
  return absl::OkStatus();
}

bool BecomesFree(const Shard& before, const Shard& after) {
  return !before.leasable() && after.leasable();
}

}  // namespace lowmark
