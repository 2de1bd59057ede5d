#include "service/rpc/status.h"

#include "google/rpc/error_details.pb.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr char kDomain[] = "lowmark";

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const std::string message(status.message());
  google::rpc::ErrorInfo info;
  info.set_reason(Reason(status));
  info.set_domain(kDomain);
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  details.add_details()->PackFrom(info);
  return grpc::Status(code, message, details.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (details.ParseFromString(status.error_details()) && details.details_size() == 1 &&
      details.details(0).UnpackTo(&info) && info.domain() == kDomain) {
    return MakeError(code, info.reason(), status.error_message());
  }
  return absl::Status(code, status.error_message());
}

}  // namespace lowmark
