// What both stores ask of a decision's change before they keep it: the checks
// that the database's guard makes once more.
#ifndef LOWMARK_STORE_CHANGE_H_
#define LOWMARK_STORE_CHANGE_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "service/core/policy.h"
#include "store/store.h"

namespace lowmark {

// OK where `value` can be stored as text: UTF-8 without NUL. INVALID_ARGUMENT
// naming the field otherwise.
absl::Status CheckText(absl::string_view field, absl::string_view value);

// INVALID_ARGUMENT for a sign of life that cannot be stored.
absl::Status CheckRenewal(const Renewal& renewal);

// Times are kept to the microsecond, rounded down, and within the years 1..9999.
absl::Time StoredTime(absl::Time time);

// Checks the change of one shard and brings its times to the precision that is
// kept. INVALID_ARGUMENT for text that cannot be stored; INTERNAL for a change
// that no decision may make: another shard, an epoch that falls, within an epoch
// a delivery or a numeric checkpoint that moves back, a new owner or a shard that
// is no longer done, an owner of a shard that waits for its parents.
absl::Status CheckChange(const Shard& before, const Policy& policy, ShardChange& change);

// Whether the change makes the shard free to be leased.
bool BecomesFree(const Shard& before, const Shard& after);

}  // namespace lowmark

#endif  // LOWMARK_STORE_CHANGE_H_
