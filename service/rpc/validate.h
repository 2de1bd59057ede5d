// Everything that can be said about a request without looking at the database.
// OK, or INVALID_ARGUMENT naming field, value and what is allowed.
#ifndef LOWMARK_SERVICE_RPC_VALIDATE_H_
#define LOWMARK_SERVICE_RPC_VALIDATE_H_

#include "absl/status/status.h"
#include "lowmark/v1/admin.pb.h"
#include "lowmark/v1/coordinator.pb.h"

namespace lowmark {

absl::Status Validate(const v1::LeaseShardRequest& request);
absl::Status Validate(const v1::ReportBatchRequest& request);
absl::Status Validate(const v1::HeartbeatRequest& request);
absl::Status Validate(const v1::ReleaseShardRequest& request);
absl::Status Validate(const v1::SyncShardsRequest& request);

absl::Status Validate(const v1::CreateStreamRequest& request);
absl::Status Validate(const v1::GetStreamRequest& request);
absl::Status Validate(const v1::ListStreamsRequest& request);
absl::Status Validate(const v1::UpdateStreamRequest& request);
absl::Status Validate(const v1::DeleteStreamRequest& request);
absl::Status Validate(const v1::GetShardRequest& request);
absl::Status Validate(const v1::ListShardsRequest& request);
absl::Status Validate(const v1::SeekShardRequest& request);
absl::Status Validate(const v1::ListWorkersRequest& request);
absl::Status Validate(const v1::CordonWorkerRequest& request);
absl::Status Validate(const v1::UncordonWorkerRequest& request);
absl::Status Validate(const v1::DrainWorkerRequest& request);
absl::Status Validate(const v1::GetDeadLetterRequest& request);
absl::Status Validate(const v1::ListDeadLettersRequest& request);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_VALIDATE_H_
