#include "tests/integration/health.h"

#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/generic/generic_stub.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "tests/integration/raw_call.h"

namespace lowmark {
namespace {

using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

// The texts, or messages, that a message has in one field; without its description.
std::vector<std::string> Texts(const std::string& bytes, int number) {
  UnknownFieldSet fields;
  fields.ParseFromString(bytes);
  std::vector<std::string> texts;
  for (int i = 0; i < fields.field_count(); ++i) {
    const UnknownField& field = fields.field(i);
    if (field.number() == number && field.type() == UnknownField::TYPE_LENGTH_DELIMITED) {
      texts.push_back(field.length_delimited());
    }
  }
  return texts;
}

grpc::ByteBuffer Buffer(const std::string& bytes) {
  grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

std::string Health(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(20));
  // HealthCheckRequest{service = 1}
  const std::string request = absl::StrCat("\x0a", std::string(1, service.size()), service);
  std::string answer;
  const absl::Status status =
      RawCall(channel, "/grpc.health.v1.Health/Check", request, absl::Seconds(30), &answer);
  if (!status.ok()) return absl::StatusCodeToString(status.code());
  // HealthCheckResponse{status = 1}
  UnknownFieldSet fields;
  fields.ParseFromString(answer);
  const uint64_t value = fields.field_count() > 0 ? fields.field(0).varint() : 0;
  return value == 1 ? "SERVING" : value == 2 ? "NOT_SERVING" : "UNKNOWN";
}

std::vector<std::string> ListServices(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  grpc::CompletionQueue queue;
  const auto await = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  auto call = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  call->StartCall(nullptr);
  await();
  // ServerReflectionRequest{list_services = 7}
  call->Write(Buffer("\x3a\x01*"), nullptr);
  await();
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  std::vector<std::string> services;
  if (await()) {
    // ServerReflectionResponse{list_services_response = 6 {service = 1 {name = 1}}}
    for (const std::string& list : Texts(Bytes(answer), 6)) {
      for (const std::string& service : Texts(list, 1)) {
        for (const std::string& name : Texts(service, 1)) services.push_back(name);
      }
    }
  }
  context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  await();
  return services;
}

void MakeStaleSocket(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  close(fd);
}

}  // namespace lowmark
