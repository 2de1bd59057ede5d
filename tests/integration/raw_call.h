// Calls a unary method by its name with any bytes, as a client in another
// language, or a broken one, would.
#ifndef LOWMARK_TESTS_INTEGRATION_RAW_CALL_H_
#define LOWMARK_TESTS_INTEGRATION_RAW_CALL_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"

namespace lowmark {

// `method` is "/package.Service/Method". The answer's bytes go to `answer`, where
// that is given; `authorization` is the header of that name, where it is not empty.
absl::Status RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     const std::string& bytes, absl::Duration timeout = absl::Seconds(30),
                     std::string* answer = nullptr, const std::string& authorization = "");

// What a byte buffer holds.
std::string Bytes(const grpc::ByteBuffer& buffer);

absl::Status RawCall(const std::shared_ptr<grpc::Channel>& channel,
                     const google::protobuf::MethodDescriptor& method,
                     const google::protobuf::Message& request,
                     absl::Duration timeout = absl::Seconds(30));

}  // namespace lowmark

#endif  // LOWMARK_TESTS_INTEGRATION_RAW_CALL_H_
