#include "worker/handler/lambda/listen_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr char kUnix[] = "unix:";
constexpr char kForm[] = "must be HOST:PORT, such as 127.0.0.1:9001, or unix:/PATH";
constexpr int kBacklog = 128;
constexpr int kType = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

absl::Status Failed(const std::string& address) {
  return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ": ", strerror(errno)));
}

// Whether somebody listens on the socket file.
bool Answers(const sockaddr_un& name) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool answers = connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
  close(fd);
  return answers;
}

absl::StatusOr<ListenSocket> ListenUnix(const std::string& address) {
  ListenSocket made;
  made.address = address;
  made.path = address.substr(strlen(kUnix));
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (made.path.empty() || made.path[0] != '/' || made.path.size() >= sizeof name.sun_path) {
    return InvalidField("lambda-listen", address, kForm);
  }
  made.path.copy(name.sun_path, sizeof name.sun_path - 1);
  struct stat left = {};
  if (lstat(made.path.c_str(), &left) == 0 && S_ISSOCK(left.st_mode) && !Answers(name)) {
    unlink(made.path.c_str());
  }
  made.fd = socket(AF_UNIX, kType, 0);
  if (made.fd < 0) return Failed(address);
  if (bind(made.fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
      chmod(made.path.c_str(), 0660) != 0 || listen(made.fd, kBacklog) != 0) {
    const absl::Status failed = Failed(address);
    close(made.fd);
    return failed;
  }
  return made;
}

absl::StatusOr<int> PortOf(int fd) {
  sockaddr_storage name = {};
  socklen_t size = sizeof name;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) return Failed("a port");
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(name).sin6_port
                                          : reinterpret_cast<const sockaddr_in&>(name).sin_port);
}

absl::StatusOr<ListenSocket> ListenTcp(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size() ||
      address.find_first_not_of("0123456789", colon + 1) != std::string::npos) {
    return InvalidField("lambda-listen", address, kForm);
  }
  const std::string host = address.substr(0, colon);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const std::string bare = absl::StrReplaceAll(host, {{"[", ""}, {"]", ""}});
  const int error = getaddrinfo(bare.c_str(), address.c_str() + colon + 1, &hints, &list);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> freed(list, &freeaddrinfo);
  ListenSocket made;
  made.fd = socket(list->ai_family, kType, 0);
  if (made.fd < 0) return Failed(address);
  const int on = 1;
  setsockopt(made.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(made.fd, list->ai_addr, list->ai_addrlen) != 0 || listen(made.fd, kBacklog) != 0) {
    const absl::Status failed = Failed(address);
    close(made.fd);
    return failed;
  }
  auto port = PortOf(made.fd);
  if (!port.ok()) {
    close(made.fd);
    return port.status();
  }
  made.address = absl::StrCat(host, ":", *port);
  return made;
}

}  // namespace

absl::StatusOr<ListenSocket> ListenOn(const std::string& address) {
  return absl::StartsWith(address, kUnix) ? ListenUnix(address) : ListenTcp(address);
}

}  // namespace lowmark
