// Whether a report can be about the current delivery of a shard. What a worker
// says is checked against what the shard's state knows of the batch, before any
// rule is applied; all errors are INVALID_ARGUMENT and name the field.
#ifndef LOWMARK_SERVICE_CORE_STEP_CHECK_H_
#define LOWMARK_SERVICE_CORE_STEP_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "service/core/policy.h"
#include "service/core/step.h"

namespace lowmark {

// Checks a batch named by its ends: of the right form, within the delivery's
// bounds and, where it was declared, the one that was. Positional sequence
// numbers have no order to check; what can be told is that a record is not
// before the delivery's start or after its end.
absl::Status CheckBatch(const ShardState& state, const Policy& policy, const std::string& first,
                        const std::string& last, int32_t count);

// Checks a batch whose records are listed: also each record's form, and that
// they ascend or, where they are positional, that none is listed twice.
absl::Status CheckListed(const ShardState& state, const Policy& policy,
                         const std::vector<std::string>& sequences);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_STEP_CHECK_H_
