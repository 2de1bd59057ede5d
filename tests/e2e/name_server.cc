#include "tests/e2e/name_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

// RFC 1035, section 4.1.1.
constexpr size_t kHeader = 12;
constexpr char kTypeA = 1;

// The length of the first question: labels up to an empty one, type and class. 0
// where it is cut off.
size_t QuestionLength(const std::string& query) {
  size_t at = kHeader;
  while (at < query.size() && query[at] != 0) at += static_cast<unsigned char>(query[at]) + 1;
  at += 5;
  return at <= query.size() ? at - kHeader : 0;
}

// A record of class IN for the name in the question, not to be kept.
std::string AddressRecord(const std::string& address) {
  in_addr binary = {};
  inet_pton(AF_INET, address.c_str(), &binary);
  std::string record("\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04", 12);
  return record.append(reinterpret_cast<const char*>(&binary), sizeof(binary));
}

}  // namespace

NameServer::NameServer()
    : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), stop_fd_(eventfd(0, EFD_CLOEXEC)) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Serve(); });
}

NameServer::~NameServer() {
  (void)eventfd_write(stop_fd_, 1);
  thread_.join();
  close(fd_);
  close(stop_fd_);
}

void NameServer::Set(std::vector<std::string> addresses) {
  MutexLock lock(mutex_);
  addresses_ = std::move(addresses);
}

std::string NameServer::Target(int port) const {
  return absl::StrCat("dns://127.0.0.1:", port_, "/coordinators.test:", port);
}

void NameServer::Serve() {
  pollfd fds[] = {{fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
  while (poll(fds, 2, /*timeout=*/-1) >= 0 && fds[1].revents == 0) {
    char buffer[512];
    sockaddr_in from = {};
    socklen_t size = sizeof(from);
    const ssize_t length =
        recvfrom(fd_, buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (length < 0) continue;
    const std::string answer = Answer(std::string(buffer, static_cast<size_t>(length)));
    (void)sendto(fd_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
}

std::string NameServer::Answer(const std::string& query) {
  const size_t question = QuestionLength(query);
  if (question == 0) return "";
  std::string answer = query.substr(0, kHeader + question);
  answer[2] = static_cast<char>(0x84);  // an answer, with authority
  answer[3] = 0;                        // no error
  for (size_t i = 6; i < kHeader; ++i) answer[i] = 0;
  // There are no records of other types.
  const bool for_addresses = query[kHeader + question - 3] == kTypeA;
  if (!for_addresses) return answer;
  MutexLock lock(mutex_);
  answer[7] = static_cast<char>(addresses_.size());
  for (const std::string& address : addresses_) answer += AddressRecord(address);
  return answer;
}

}  // namespace lowmark
