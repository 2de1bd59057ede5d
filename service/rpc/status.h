// The one place where errors meet gRPC: code, text, and the reason as
// google.rpc.ErrorInfo{reason, domain "lowmark"} in the status details.
#ifndef LOWMARK_SERVICE_RPC_STATUS_H_
#define LOWMARK_SERVICE_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace lowmark {

// For servers.
grpc::Status ToGrpc(const absl::Status& status);

// For clients: the reason comes back as Reason(status). An error that does not
// come from Lowmark has the name of its code as its reason.
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_STATUS_H_
