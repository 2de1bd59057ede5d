// A gRPC server's certificate that is replaced while it serves: connections that are
// there stay, each new one gets what there is then.
#ifndef LOWMARK_SERVICE_RPC_RELOADING_CREDENTIALS_H_
#define LOWMARK_SERVICE_RPC_RELOADING_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "service/security/reloaded.h"
#include "service/security/tls_texts.h"

namespace lowmark {

// Clients need a certificate of the CAs in `tls` where it has any now. Both `tls` and
// what is returned must outlive the server. For one port.
std::shared_ptr<grpc::ServerCredentials> ReloadingCredentials(const Reloaded<TlsTexts>& tls);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_RELOADING_CREDENTIALS_H_
