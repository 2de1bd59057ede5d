// A policy's OnFailure between the wire and the core; a part of convert.h.
#ifndef LOWMARK_SERVICE_RPC_CONVERT_ON_FAILURE_H_
#define LOWMARK_SERVICE_RPC_CONVERT_ON_FAILURE_H_

#include "absl/status/statusor.h"
#include "lowmark/v1/stream.pb.h"
#include "service/core/on_failure.h"

namespace lowmark {

void ToProto(const OnFailure& on_failure, v1::OnFailure* proto);

// Fields that are not set have their defaults; no destination is none. Validates no
// more than that a duration is one.
absl::StatusOr<OnFailure> OnFailureFromProto(const v1::OnFailure& proto);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_CONVERT_ON_FAILURE_H_
