// Why a connection was not made, where gRPC says no more than "unavailable": because
// of TLS, or of a certificate.
#ifndef LOWMARK_SERVICE_SECURITY_TLS_PROBE_H_
#define LOWMARK_SERVICE_SECURITY_TLS_PROBE_H_

#include <string>

#include "absl/time/time.h"
#include "service/security/client_secrets.h"

namespace lowmark {

// Connects to the coordinator as its client would, and says in one line what stands in
// the way and what to do: another CA, a certificate that expired or is for other
// names, TLS on one side alone, a client's certificate that is missing or refused.
// Empty where TLS is not the reason, or where there is none. Blocks for `timeout` at
// most, or a few of them where a name has many addresses.
std::string ExplainConnection(const std::string& coordinator, const ClientSecrets& secrets,
                              absl::Duration timeout);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_TLS_PROBE_H_
