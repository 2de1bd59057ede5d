#include "service/dev/address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace lowmark {
namespace {

struct Resolved {
  std::string host;
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> info{nullptr, freeaddrinfo};
};

absl::StatusOr<Resolved> Resolve(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" is no address: must be host:port, such as 127.0.0.1:7070"));
  }
  Resolved resolved;
  resolved.host = address.substr(0, colon);
  const std::string name = absl::StrReplaceAll(resolved.host, {{"[", ""}, {"]", ""}});
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* info = nullptr;
  if (const int error = getaddrinfo(name.c_str(), absl::StrCat(port).c_str(), &hints, &info);
      error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot find the host of ", address, ": ", gai_strerror(error)));
  }
  resolved.info.reset(info);
  return resolved;
}

int Socket(const addrinfo& info) {
  return socket(info.ai_family, info.ai_socktype | SOCK_CLOEXEC, info.ai_protocol);
}

}  // namespace

absl::StatusOr<std::string> ClaimAddress(const std::string& address) {
  auto resolved = Resolve(address);
  if (!resolved.ok()) return resolved.status();
  const addrinfo& info = *resolved->info;
  const int fd = Socket(info);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  // Only a socket that listens is refused an address at which another one does.
  if (bind(fd, info.ai_addr, info.ai_addrlen) != 0 || listen(fd, 1) != 0) {
    const std::string why = strerror(errno);
    close(fd);
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ": ", why));
  }
  sockaddr_storage bound = {};
  socklen_t size = sizeof(bound);
  getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
  close(fd);
  const uint16_t port = bound.ss_family == AF_INET6
                            ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                            : reinterpret_cast<const sockaddr_in&>(bound).sin_port;
  return absl::StrCat(resolved->host, ":", ntohs(port));
}

bool AcceptsConnections(const std::string& address) {
  auto resolved = Resolve(address);
  if (!resolved.ok()) return false;
  const int fd = Socket(*resolved->info);
  const bool accepted = connect(fd, resolved->info->ai_addr, resolved->info->ai_addrlen) == 0;
  close(fd);
  return accepted;
}

}  // namespace lowmark
