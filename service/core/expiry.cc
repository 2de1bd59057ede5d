#include "service/core/expiry.h"

#include <algorithm>

namespace lowmark {
namespace {

// Of this process alone: nobody else is told.
constexpr char kReached[] = "lowmark/reached";

}  // namespace

absl::Status MarkReached(absl::Status status) {
  status.SetPayload(kReached, absl::Cord());
  return status;
}

bool IsMarkedReached(const absl::Status& status) { return status.GetPayload(kReached).has_value(); }

ExpiryRules RulesFor(absl::Duration session_ttl, absl::Duration poll) {
  ExpiryRules rules;
  // A heartbeat each third of the TTL, and one that fails is repeated within a sixth.
  rules.grace = session_ttl / 2;
  rules.tolerance = std::max(absl::Seconds(1), session_ttl / 6);
  rules.longest_silence = std::max(rules.grace, 3 * poll);
  return rules;
}

ExpiryWatch NoteAnswer(const ExpiryWatch& watch, const ExpiryRules& rules, absl::Duration monotonic,
                       std::optional<absl::Time> store_now) {
  ExpiryWatch next = watch;
  bool anew = !watch.reached || monotonic - watch.heard_at > rules.longest_silence;
  if (store_now) {
    next.skew = *store_now - (absl::UnixEpoch() + monotonic);
    anew = anew || !watch.skew || absl::AbsDuration(*next.skew - *watch.skew) > rules.tolerance;
  }
  if (anew) next.settled_at = monotonic + rules.grace;
  next.heard_at = std::max(watch.heard_at, monotonic);
  next.reached = true;
  return next;
}

ExpiryWatch NoteFailure(const ExpiryWatch& watch) {
  ExpiryWatch next = watch;
  next.reached = false;
  return next;
}

ClockRange MayEndSessions(const ExpiryWatch& watch, const ExpiryRules& rules,
                          absl::Duration monotonic) {
  const bool heard = watch.reached && monotonic - watch.heard_at <= rules.longest_silence;
  if (!heard || !watch.skew || monotonic < watch.settled_at) return {};
  const absl::Time expected = absl::UnixEpoch() + monotonic + *watch.skew;
  return {expected - rules.tolerance, expected + rules.tolerance};
}

}  // namespace lowmark
