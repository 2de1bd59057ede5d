#include "service/rpc/listen_address.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr char kUnix[] = "unix:";

}  // namespace

absl::Status CheckListenAddress(const std::string& listen) {
  if (absl::StartsWith(listen, kUnix)) {
    const size_t length = listen.size() - sizeof(kUnix) + 1;
    if (length > 0 && length < sizeof(sockaddr_un::sun_path)) return absl::OkStatus();
    return InvalidField("listen", listen,
                        absl::StrCat("the path after unix: must have 1..",
                                     sizeof(sockaddr_un::sun_path) - 1, " characters"));
  }
  const size_t colon = listen.rfind(':');
  int port = -1;
  if (colon != std::string::npos && colon > 0 &&
      absl::SimpleAtoi(listen.substr(colon + 1), &port) && port >= 0 && port <= 65535) {
    return absl::OkStatus();
  }
  return InvalidField("listen", listen, "must be HOST:PORT, such as 127.0.0.1:7070, or unix:PATH");
}

absl::Status CheckSocketIsFree(const std::string& listen) {
  if (!absl::StartsWith(listen, kUnix)) return absl::OkStatus();
  const std::string path(absl::StripPrefix(listen, kUnix));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::OkStatus();  // it will show when the server listens
  const bool answered =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  if (!answered) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("cannot listen on ", listen,
                   ": another server listens there; stop it or choose another path (--listen)"));
}

}  // namespace lowmark
