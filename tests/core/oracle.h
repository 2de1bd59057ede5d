// The rules of a shard, told a second time and in another way: with lists of
// records and a plain loop, where the core has positions, bounds and events. It
// shares nothing with the core but the policy, so that a mistake would have to
// be made twice.
#ifndef LOWMARK_TESTS_CORE_ORACLE_H_
#define LOWMARK_TESTS_CORE_ORACLE_H_

#include "service/core/policy.h"
#include "tests/core/play.h"

namespace lowmark {

// What a shard with records 1..`records` is to go through until it is drained,
// or until `limit` deliveries were made.
Play Oracle(const Policy& policy, int records, const ScriptedHandler& handler, int limit);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_CORE_ORACLE_H_
