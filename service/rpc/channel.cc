#include "service/rpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

namespace lowmark {

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, const ClientSecrets& secrets,
                                           grpc::ChannelArguments arguments) {
  const std::shared_ptr<const TlsTexts> tls = secrets.tls();
  if (tls == nullptr) {
    return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  }
  if (!secrets.server_name().empty()) arguments.SetSslTargetNameOverride(secrets.server_name());
  return grpc::CreateCustomChannel(target,
                                   grpc::SslCredentials({.pem_root_certs = tls->ca,
                                                         .pem_private_key = tls->key,
                                                         .pem_cert_chain = tls->certificate}),
                                   arguments);
}

// Not as gRPC's call credentials, which it takes on TLS alone.
void AddToken(const ClientSecrets& secrets, grpc::ClientContext& context) {
  const std::shared_ptr<const std::string> authorization = secrets.authorization();
  if (authorization != nullptr) context.AddMetadata("authorization", *authorization);
}

}  // namespace lowmark
