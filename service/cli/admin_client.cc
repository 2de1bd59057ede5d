#include "service/cli/admin_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "service/cli/text.h"
#include "service/rpc/channel.h"
#include "service/rpc/message_size.h"
#include "service/security/tls_probe.h"

namespace lowmark::cli {
namespace {

// For a look at what keeps from connecting.
constexpr absl::Duration kProbeTime = absl::Seconds(2);

// The reason that Lowmark gives its errors; empty for an error from elsewhere.
std::string Reason(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (!details.ParseFromString(status.error_details()) || details.details_size() == 0 ||
      !details.details(0).UnpackTo(&info) || info.domain() != "lowmark") {
    return "";
  }
  return info.reason();
}

// What to do about an error of Lowmark's.
std::string Advice(const std::string& reason, const std::string& stream) {
  if (reason == "STREAM_NOT_FOUND") return "`lowmark streams list` shows those there are";
  if (reason == "SHARD_NOT_FOUND") {
    return absl::StrCat("`lowmark shards list ", Safe(stream), "` shows those there are");
  }
  if (reason == "WORKER_NOT_FOUND") {
    return absl::StrCat("`lowmark workers list ", Safe(stream), "` shows those there are");
  }
  if (reason == "DEAD_LETTER_NOT_FOUND") {
    return absl::StrCat("`lowmark dead-letters list ", Safe(stream), "` shows those there are");
  }
  if (reason == "STREAM_EXISTS") return "`lowmark streams update` changes it";
  if (reason == "ETAG_MISMATCH") return "read it again, and decide anew";
  if (reason == "UNAVAILABLE") return "try again in a moment";
  if (reason == "INTERNAL") return "the coordinator's log says more";
  return "";
}

std::shared_ptr<grpc::Channel> Connect(const std::string& address, const ClientSecrets& secrets) {
  // Not shared with other clients of this process, whose failures would make this
  // one wait before it tries.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A dead letter comes with its data.
  arguments.SetMaxReceiveMessageSize(kLargestMessage);
  return MakeChannel(address, secrets, arguments);
}

}  // namespace

absl::StatusOr<std::unique_ptr<AdminClient>> AdminClient::Create(
    const std::string& address, absl::Duration timeout, const ConnectionSecurity& security) {
  auto secrets = ClientSecrets::Load(security, address);
  if (!secrets.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--", secrets.status().message()));
  }
  return std::unique_ptr<AdminClient>(new AdminClient(address, timeout, *std::move(secrets)));
}

AdminClient::AdminClient(const std::string& address, absl::Duration timeout,
                         std::shared_ptr<const ClientSecrets> secrets)
    : address_(address),
      timeout_(timeout),
      secrets_(std::move(secrets)),
      stub_(v1::AdminService::NewStub(Connect(address, *secrets_))) {}

void AdminClient::Prepare(grpc::ClientContext& context) const {
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout_));
  AddToken(*secrets_, context);
}

std::string AdminClient::ExplainUnreachable(const std::string& message) const {
  const std::string why = ExplainConnection(address_, *secrets_, kProbeTime);
  if (!why.empty())
    return absl::StrCat("cannot connect to the coordinator at ", address_, ": ", why);
  // gRPC lists what it tried; the last part is what the system said.
  const size_t last = message.rfind(": ");
  return absl::StrCat("cannot reach a coordinator at ", address_, " (",
                      last == std::string::npos ? message : message.substr(last + 2),
                      "): start one, as with `lowmark dev`, or name it with --coordinator");
}

absl::Status AdminClient::Explain(const grpc::Status& status, const std::string& stream) const {
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const std::string message = Safe(status.error_message());
  if (const std::string reason = Reason(status); !reason.empty()) {
    const std::string advice = Advice(reason, stream);
    return absl::Status(code, absl::StrCat(message, advice.empty() ? "" : "; ", advice));
  }
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      return absl::Status(code, ExplainUnreachable(message));
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return absl::Status(code, absl::StrCat("no answer from ", address_, " within ",
                                             absl::FormatDuration(timeout_),
                                             ": is it a coordinator, and can that reach its "
                                             "database? Its /readyz says"));
    case grpc::StatusCode::UNIMPLEMENTED:
      return absl::Status(code, absl::StrCat(address_,
                                             " does not know this call: it is no "
                                             "coordinator, or an older one"));
    default:
      return absl::Status(code,
                          absl::StrCat("the coordinator at ", address_, " answered: ", message));
  }
}

}  // namespace lowmark::cli
