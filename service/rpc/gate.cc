#include "service/rpc/gate.h"

#include "absl/strings/string_view.h"

namespace lowmark {

absl::Status Gate::CheckCaller(const grpc::ServerContextBase& context,
                               absl::string_view stream) const {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find("authorization");
  const absl::string_view authorization =
      found == metadata.end() ? absl::string_view()
                              : absl::string_view(found->second.data(), found->second.size());
  const absl::Status status = access_->Check(authorization, scope_, stream);
  if (!status.ok()) metrics_.CountRefusedCall(status);
  return status;
}

}  // namespace lowmark
