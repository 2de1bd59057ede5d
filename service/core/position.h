// Sequence numbers and positions: where a shard's next read starts.
#ifndef LOWMARK_SERVICE_CORE_POSITION_H_
#define LOWMARK_SERVICE_CORE_POSITION_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace lowmark {

// How a stream's sequence numbers are ordered.
enum class SequenceOrder {
  kNumeric,     // decimal integers of up to 128 digits, compared as integers
  kPositional,  // opaque tokens, in the order in which a batch lists them
};

// Whether `text` is `0|[1-9][0-9]{0,127}`.
bool IsNumericSequence(absl::string_view text);

// Whether `text` is an id or an opaque token: `[A-Za-z0-9._:-]{1,128}`.
bool IsToken(absl::string_view text);

// Whether `text` is a sequence number of a stream with this order.
bool IsSequence(absl::string_view text, SequenceOrder order);

// The form that sequence numbers with this order have, for error messages.
const char* SequenceForm(SequenceOrder order);

// Compares two numeric sequence numbers as integers: <0, 0 or >0. Both must be
// canonical (IsNumericSequence), so the longer one is the larger.
int CompareNumeric(absl::string_view a, absl::string_view b);

// Where the next read of a shard starts. A checkpoint is a position: everything
// before it is processed or set aside.
struct Position {
  enum class Kind {
    kTrimHorizon = 0,  // the oldest record that the source still has
    kLatest = 1,       // just after the newest one when first read
    kAtTimestamp = 2,  // the first record that arrived at or after `time`
    kAt = 3,           // `sequence`, inclusive
    kAfter = 4,        // the first record after `sequence`
    kShardEnd = 5,     // nothing follows
  };

  Kind kind = Kind::kTrimHorizon;
  std::string sequence;                 // kAt, kAfter
  absl::Time time = absl::UnixEpoch();  // kAtTimestamp

  static Position TrimHorizon() { return {}; }
  static Position Latest() { return {Kind::kLatest, "", absl::UnixEpoch()}; }
  static Position AtTimestamp(absl::Time t) { return {Kind::kAtTimestamp, "", t}; }
  static Position At(std::string s) { return {Kind::kAt, std::move(s), absl::UnixEpoch()}; }
  static Position After(std::string s) { return {Kind::kAfter, std::move(s), absl::UnixEpoch()}; }
  static Position ShardEnd() { return {Kind::kShardEnd, "", absl::UnixEpoch()}; }

  bool operator==(const Position& other) const {
    return kind == other.kind && sequence == other.sequence && time == other.time;
  }

  // "TRIM_HORIZON", "AT 4", "AFTER 10", "SHARD_END", ...
  std::string ToString() const;

  // Whether a record with this numeric sequence number lies at or after the
  // position. Positions without a sequence number exclude nothing.
  bool Includes(absl::string_view numeric_sequence) const;
};

// Whether going from `from` to `to` moves a shard with numeric sequence numbers
// back, so that records before `from` may be read again. A shard that has no
// sequence number yet (LATEST, AT_TIMESTAMP) does not move back by getting one.
bool MovesBack(const Position& from, const Position& to);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_POSITION_H_
