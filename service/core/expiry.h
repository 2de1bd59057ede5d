// When sessions may be ended. A session expires by the store's clock when its
// worker was not heard of for its TTL. That says nothing about the worker where
// nobody could be heard of: while the store was out of reach, while this process
// was not there, or when the store's clock was set. Then live workers are first
// given the time to show themselves; otherwise an outage that is longer than the
// TTL would cost every worker all its leases at once.
//
// Pure: `monotonic` is the time of a clock that is never set, since any moment of
// the process's own.
#ifndef LOWMARK_SERVICE_CORE_EXPIRY_H_
#define LOWMARK_SERVICE_CORE_EXPIRY_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace lowmark {

struct ExpiryRules {
  // How long live workers need to renew their sessions: from when the store can be
  // reached again until sessions may be ended.
  absl::Duration grace;
  // Of how much the store's clock may go wrong before it counts as set.
  absl::Duration tolerance;
  // Without an answer of the store for so long, it may have been out of reach.
  absl::Duration longest_silence;
};

// The rules for sessions that live this long and are renewed each third of it,
// where the store is asked at least every `poll`.
ExpiryRules RulesFor(absl::Duration session_ttl, absl::Duration poll);

// What is known of the store: nothing at first.
struct ExpiryWatch {
  absl::Duration heard_at;             // the last answer, monotonic
  absl::Duration settled_at;           // sessions may be ended from then on, monotonic
  std::optional<absl::Duration> skew;  // the store's clock less the monotonic one
  bool reached = false;                // whether the last call was answered
};

// The store has answered a call; `store_now`, where the answer said it, is its clock.
ExpiryWatch NoteAnswer(const ExpiryWatch& watch, const ExpiryRules& rules, absl::Duration monotonic,
                       std::optional<absl::Time> store_now);
// The store was out of reach.
ExpiryWatch NoteFailure(const ExpiryWatch& watch);

// An UNAVAILABLE that is no sign of that: the store was reached, and a lock, or something
// else of one stream's, held the call up; or it was not asked.
absl::Status MarkReached(absl::Status status);
bool IsMarkedReached(const absl::Status& status);

// Sessions may be ended while the store's clock is within these; where not at all,
// `from` is after `until`.
struct ClockRange {
  absl::Time from = absl::InfiniteFuture();
  absl::Time until = absl::InfinitePast();
};
ClockRange MayEndSessions(const ExpiryWatch& watch, const ExpiryRules& rules,
                          absl::Duration monotonic);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_EXPIRY_H_
