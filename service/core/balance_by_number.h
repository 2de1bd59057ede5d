// The decisions of assignment.h where shards are balanced by their number; that
// header says what is promised. Targets is defined here too.
#ifndef LOWMARK_SERVICE_CORE_BALANCE_BY_NUMBER_H_
#define LOWMARK_SERVICE_CORE_BALANCE_BY_NUMBER_H_

#include <cstdint>
#include <vector>

#include "service/core/assignment.h"

namespace lowmark {

std::vector<int64_t> ShareOutByNumber(const Census& census, int64_t free);
// What each worker holds above its target.
std::vector<Excess> ToHandOverByNumber(const Census& census);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_BALANCE_BY_NUMBER_H_
