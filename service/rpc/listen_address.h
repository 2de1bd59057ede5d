// Checks of the address that a server is told to listen on: gRPC itself takes
// some that are wrong, and does what nobody meant.
#ifndef LOWMARK_SERVICE_RPC_LISTEN_ADDRESS_H_
#define LOWMARK_SERVICE_RPC_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/status.h"

namespace lowmark {

// OK for HOST:PORT and unix:PATH, otherwise INVALID_ARGUMENT saying what is
// wanted. (gRPC takes port 99999 for 34463.)
absl::Status CheckListenAddress(const std::string& listen);

// Why HOST:PORT cannot be listened on, as " (Address already in use)"; empty where it
// can be, or where that is not known.
std::string WhyNotListen(const std::string& listen);

// FAILED_PRECONDITION where `listen` is a unix socket on which a server answers.
// (gRPC would remove the socket and make its own.)
absl::Status CheckSocketIsFree(const std::string& listen);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_LISTEN_ADDRESS_H_
