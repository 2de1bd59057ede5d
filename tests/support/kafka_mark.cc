#include "tests/support/kafka_mark.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>

namespace lowmark {
namespace {

// Integers as Kafka's protocol has them.
class Bytes {
 public:
  Bytes& Int(int64_t value, int size) {
    for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) {
      text_ += static_cast<char>(static_cast<uint64_t>(value) >> shift);
    }
    return *this;
  }
  // Of a record: small numbers that are not negative, here.
  Bytes& Varint(int value) {
    text_ += static_cast<char>(value << 1);
    return *this;
  }
  Bytes& Text(const std::string& text) {
    text_ += text;
    return *this;
  }
  const std::string& str() const { return text_; }
  int size() const { return static_cast<int>(text_.size()); }

 private:
  std::string text_;
};

// Castagnoli's.
uint32_t Crc32c(const std::string& text) {
  uint32_t crc = ~uint32_t{0};
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
  }
  return ~crc;
}

constexpr int kTransactional = 0x10;
constexpr int kControl = 0x20;

// A batch of one control record that says: committed.
std::string Batch() {
  const std::string key = Bytes().Int(/*version=*/0, 2).Int(/*commit=*/1, 2).str();
  const std::string value = Bytes().Int(/*version=*/0, 2).Int(/*epoch=*/0, 4).str();
  Bytes record;
  record.Int(/*attributes=*/0, 1).Varint(/*time=*/0).Varint(/*offset=*/0);
  record.Varint(static_cast<int>(key.size())).Text(key);
  record.Varint(static_cast<int>(value.size())).Text(value).Varint(/*headers=*/0);
  Bytes checked;
  checked.Int(kTransactional | kControl, 2).Int(/*last_offset_delta=*/0, 4);
  checked.Int(/*first_time=*/1, 8).Int(/*last_time=*/1, 8);
  checked.Int(/*producer=*/1, 8).Int(/*producer_epoch=*/0, 2).Int(/*sequence=*/-1, 4);
  checked.Int(/*records=*/1, 4).Varint(record.size()).Text(record.str());
  Bytes rest;
  rest.Int(/*leader_epoch=*/0, 4).Int(/*magic=*/2, 1);
  rest.Int(static_cast<int64_t>(Crc32c(checked.str())), 4).Text(checked.str());
  return Bytes().Int(/*offset=*/0, 8).Int(rest.size(), 4).Text(rest.str()).str();
}

std::string Request(const std::string& topic, int partition) {
  const std::string batch = Batch();
  Bytes request;
  request.Int(/*Produce*/ 0, 2).Int(/*version=*/7, 2).Int(/*correlation=*/1, 4);
  request.Int(/*no client id*/ -1, 2).Int(/*no transactional id*/ -1, 2);
  request.Int(/*acks=*/-1, 2).Int(/*timeout_ms=*/10000, 4).Int(/*topics=*/1, 4);
  request.Int(static_cast<int64_t>(topic.size()), 2).Text(topic).Int(/*partitions=*/1, 4);
  request.Int(partition, 4).Int(static_cast<int64_t>(batch.size()), 4).Text(batch);
  return Bytes().Int(request.size(), 4).Text(request.str()).str();
}

bool Receive(int socket, size_t size, std::string& text) {
  text.assign(size, '\0');
  return recv(socket, text.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

std::string Exchange(int socket, const std::string& topic, int partition) {
  const std::string request = Request(topic, partition);
  if (send(socket, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return strerror(errno);
  }
  std::string size;
  std::string answer;
  if (!Receive(socket, 4, size)) return "no answer";
  const size_t length =
      (static_cast<unsigned char>(size[2]) << 8) | static_cast<unsigned char>(size[3]);
  if (!Receive(socket, length, answer)) return "half an answer";
  // Correlation, one topic with one partition, its number, and the error.
  const size_t error = 4 + 4 + 2 + topic.size() + 4 + 4;
  if (answer.size() < error + 2) return "a short answer";
  if (answer[error] != 0 || answer[error + 1] != 0) {
    return "error " + std::to_string(answer[error + 1]);
  }
  return "";
}

}  // namespace

std::string SendKafkaMark(const std::string& broker, const std::string& topic, int partition) {
  const size_t colon = broker.rfind(':');
  addrinfo hints = {};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(broker.substr(0, colon).c_str(), broker.substr(colon + 1).c_str(), &hints,
                  &found) != 0) {
    return "no address";
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return strerror(errno);
  const std::string wrong = connect(fd, found->ai_addr, found->ai_addrlen) != 0
                                ? strerror(errno)
                                : Exchange(fd, topic, partition);
  close(fd);
  return wrong;
}

}  // namespace lowmark
