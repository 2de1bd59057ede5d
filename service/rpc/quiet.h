// Keeps gRPC and protobuf from writing to standard error in forms of their own,
// between our log lines: what they report there reaches callers as a status too.
// GRPC_VERBOSITY in the environment brings gRPC's lines back.
#ifndef LOWMARK_SERVICE_RPC_QUIET_H_
#define LOWMARK_SERVICE_RPC_QUIET_H_

namespace lowmark {

// For `main`, before anything else.
void QuietLibraries();

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_QUIET_H_
