// Sockets to listen on, by their name.
#ifndef LOWMARK_WORKER_HANDLER_LAMBDA_LISTEN_SOCKET_H_
#define LOWMARK_WORKER_HANDLER_LAMBDA_LISTEN_SOCKET_H_

#include <string>

#include "absl/status/statusor.h"

namespace lowmark {

struct ListenSocket {
  int fd = -1;               // the caller's to close
  std::string address = {};  // as asked for, with the port that was taken
  std::string path = {};     // of a Unix socket: to be removed in the end
};

// Listens on "HOST:PORT", where port 0 takes a free one, or "unix:/PATH". A Unix
// socket that nobody listens on any more is replaced, and one that is made has
// mode 0660. Does not block on accept. INVALID_ARGUMENT where it is no address,
// UNAVAILABLE where it cannot be had.
absl::StatusOr<ListenSocket> ListenOn(const std::string& address);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_LAMBDA_LISTEN_SOCKET_H_
