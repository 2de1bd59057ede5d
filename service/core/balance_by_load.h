// The decisions of assignment.h where shards are balanced by their load; that
// header says what is promised. Some load must have been measured.
//
// The census has no load for shards that nobody holds: each is taken to weigh as
// much as the mean shard that is held.
#ifndef LOWMARK_SERVICE_CORE_BALANCE_BY_LOAD_H_
#define LOWMARK_SERVICE_CORE_BALANCE_BY_LOAD_H_

#include <cstdint>
#include <vector>

#include "service/core/assignment.h"

namespace lowmark {

std::vector<int64_t> ShareOutByLoad(const Census& census, int64_t free);
std::vector<Excess> ToHandOverByLoad(const Census& census);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_BALANCE_BY_LOAD_H_
