// What every call of a service passes first: whether its caller may make it, then
// whether the request is right. The one place where tokens are looked at, so that no
// method is open by mistake: one that validates its request asks here.
#ifndef LOWMARK_SERVICE_RPC_GATE_H_
#define LOWMARK_SERVICE_RPC_GATE_H_

#include <grpcpp/server_context.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "service/metrics.h"
#include "service/rpc/validate.h"
#include "service/security/access.h"

namespace lowmark {

// Thread-safe; blocks for nothing.
class Gate {
 public:
  // For a service that takes `scope`. `access` null: everybody may call.
  Gate(const Access* access, Scope scope, Metrics& metrics)
      : access_(access), scope_(scope), metrics_(metrics) {}

  // OK, UNAUTHENTICATED, PERMISSION_DENIED, or what Validate says.
  template <typename Request>
  absl::Status Admit(const grpc::ServerContextBase& context, const Request& request) const {
    if (access_ != nullptr) {
      absl::string_view stream;
      if constexpr (requires { request.stream(); }) stream = request.stream();
      if (auto s = CheckCaller(context, stream); !s.ok()) return s;
    }
    return Validate(request);
  }

 private:
  absl::Status CheckCaller(const grpc::ServerContextBase& context, absl::string_view stream) const;

  const Access* const access_;
  const Scope scope_;
  Metrics& metrics_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_GATE_H_
