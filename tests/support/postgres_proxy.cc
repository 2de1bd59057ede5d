#include "tests/support/postgres_proxy.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

constexpr char kSocket[] = "/.s.PGSQL.5432";

sockaddr_un Address(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  return address;
}

int ConnectTo(const std::string& path) {
  const sockaddr_un address = Address(path);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  close(fd);
  return -1;
}

bool SendAll(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

// Whether these bytes of a client hold a simple query "COMMIT". libpq sends it by
// itself, when the answers to all before it have come.
bool HoldsCommit(const char* data, size_t size) {
  static constexpr char kCommit[] =
      "Q\0\0\0\x0B"
      "COMMIT";  // with its closing NUL
  return memmem(data, size, kCommit, sizeof(kCommit)) != nullptr;
}

}  // namespace

PostgresProxy::PostgresProxy(const std::string& server_directory)
    : server_path_(server_directory + kSocket) {
  std::string path = "/tmp/lowmark-proxy-XXXXXX";  // short: a socket's path is at most 107 bytes
  directory_ = mkdtemp(path.data());
  listen_fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stop_fd_ = eventfd(0, EFD_CLOEXEC);
  const sockaddr_un address = Address(directory_ + kSocket);
  if (bind(listen_fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listen_fd_, 16) != 0) {
    abort();
  }
  acceptor_ = std::thread([this] { Accept(); });
}

PostgresProxy::~PostgresProxy() {
  (void)eventfd_write(stop_fd_, 1);
  acceptor_.join();
  std::vector<std::thread> connections;
  {
    MutexLock lock(mutex_);
    connections.swap(connections_);
  }
  for (std::thread& connection : connections) connection.join();
  close(listen_fd_);
  close(stop_fd_);
  std::filesystem::remove_all(directory_);
}

void PostgresProxy::CutCommits(Cut cut, int times) {
  MutexLock lock(mutex_);
  cut_ = cut;
  left_ = times;
}

int PostgresProxy::cuts() {
  MutexLock lock(mutex_);
  return cuts_;
}

bool PostgresProxy::TakeCut(Cut& cut) {
  MutexLock lock(mutex_);
  if (left_ == 0) return false;
  --left_;
  ++cuts_;
  cut = cut_;
  return true;
}

void PostgresProxy::Accept() {
  for (;;) {
    pollfd fds[] = {{stop_fd_, POLLIN, 0}, {listen_fd_, POLLIN, 0}};
    (void)poll(fds, 2, -1);
    if ((fds[0].revents & POLLIN) != 0) return;
    const int client = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    const int server = ConnectTo(server_path_);
    if (server < 0) {
      close(client);
      continue;
    }
    MutexLock lock(mutex_);
    connections_.emplace_back([this, client, server] {
      Serve(client, server);
      close(client);
      close(server);
    });
  }
}

void PostgresProxy::Serve(int client, int server) {
  std::vector<char> buffer(size_t{1} << 16);
  bool cut_after_answer = false;
  for (;;) {
    pollfd fds[] = {{stop_fd_, POLLIN, 0}, {client, POLLIN, 0}, {server, POLLIN, 0}};
    (void)poll(fds, 3, -1);
    if ((fds[0].revents & POLLIN) != 0) return;
    for (int i : {1, 2}) {
      if ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
      const ssize_t size = recv(fds[i].fd, buffer.data(), buffer.size(), 0);
      if (size <= 0) return;
      const bool from_client = i == 1;
      // The answer says that the server has committed.
      if (!from_client && cut_after_answer) return;
      Cut cut = Cut::kBefore;
      if (from_client && HoldsCommit(buffer.data(), static_cast<size_t>(size)) && TakeCut(cut)) {
        if (cut == Cut::kBefore) return;
        cut_after_answer = true;
      }
      if (!SendAll(from_client ? server : client, buffer.data(), static_cast<size_t>(size))) return;
    }
  }
}

}  // namespace lowmark
