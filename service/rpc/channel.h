// Clients' connections to coordinators.
#ifndef LOWMARK_SERVICE_RPC_CHANNEL_H_
#define LOWMARK_SERVICE_RPC_CHANNEL_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>

#include "service/security/client_secrets.h"

namespace lowmark {

// A channel to `target`, as gRPC names it: by TLS with what the secrets have now, or
// plain. What they have later takes a channel of its own.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, const ClientSecrets& secrets,
                                           grpc::ChannelArguments arguments);

// Gives a call that is about to be made the token that there is now.
void AddToken(const ClientSecrets& secrets, grpc::ClientContext& context);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_CHANNEL_H_
