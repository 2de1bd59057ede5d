// A policy as it is stored: a JSON object with the field names of the wire's
// StreamConfig, so that people can read it with psql.
#ifndef LOWMARK_STORE_POSTGRES_POLICY_JSON_H_
#define LOWMARK_STORE_POSTGRES_POLICY_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "service/core/policy.h"

namespace lowmark {

std::string PolicyToJson(const Policy& policy);

// A field that is missing has its default: the policy was stored before there was
// such a field. INTERNAL where the text is not a policy's.
absl::StatusOr<Policy> PolicyFromJson(const std::string& text);

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_POLICY_JSON_H_
