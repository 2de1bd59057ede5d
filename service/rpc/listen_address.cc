#include "service/rpc/listen_address.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
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

std::string WhyNotListen(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  if (absl::StartsWith(listen, kUnix) || colon == std::string::npos) return "";
  const std::string host = absl::StrReplaceAll(listen.substr(0, colon), {{"[", ""}, {"]", ""}});
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int e = getaddrinfo(host.c_str(), &listen[colon + 1], &hints, &found); e != 0) {
    return absl::StrCat(" (", gai_strerror(e), ")");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    const int fd = socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const int error = bind(fd, each->ai_addr, each->ai_addrlen) == 0 ? 0 : errno;
    close(fd);
    if (error != 0) return absl::StrCat(" (", strerror(error), ")");
  }
  return "";
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
