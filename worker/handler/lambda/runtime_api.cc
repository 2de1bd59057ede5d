#include "worker/handler/lambda/runtime_api.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"

namespace lowmark {
namespace {

constexpr char kBase[] = "/2018-06-01/runtime/";
constexpr char kInvocation[] = "invocation/";

HttpAnswer Error(unsigned status, const std::string& type, absl::string_view message) {
  const nlohmann::json body = {{"errorType", type}, {"errorMessage", std::string(message)}};
  return {status, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

// X-Ray's header. Nobody gathers traces here, so none are sampled.
std::string TraceId(uint64_t random) {
  return absl::StrFormat("Root=1-%08x-%024x;Parent=%016x;Sampled=0",
                         static_cast<uint32_t>(absl::ToUnixSeconds(absl::Now())), random, ~random);
}

RuntimeCall WithMethod(RuntimeCall call, absl::string_view method, absl::string_view wanted) {
  return method == wanted ? call : RuntimeCall{RuntimeCall::Kind::kWrongMethod};
}

}  // namespace

RuntimeCall ParseCall(absl::string_view method, absl::string_view path) {
  using Kind = RuntimeCall::Kind;
  if (!absl::ConsumePrefix(&path, kBase)) return {};
  if (path == "init/error") return WithMethod({Kind::kInitError}, method, "POST");
  if (!absl::ConsumePrefix(&path, kInvocation)) return {};
  if (path == "next") return WithMethod({Kind::kNext}, method, "GET");
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos || slash == 0) return {};
  const std::string id(path.substr(0, slash));
  const absl::string_view verb = path.substr(slash + 1);
  if (verb == "response") return WithMethod({Kind::kResponse, id}, method, "POST");
  if (verb == "error") return WithMethod({Kind::kError, id}, method, "POST");
  return {};
}

HttpAnswer InvocationAnswer(const Batch& batch, std::string event, const std::string& request_id,
                            const std::string& function_name, uint64_t random) {
  const std::string region = batch.origin.region.empty() ? "local" : batch.origin.region;
  HttpAnswer answer;
  answer.body = std::move(event);
  answer.headers = {
      {"Lambda-Runtime-Aws-Request-Id", request_id},
      {"Lambda-Runtime-Deadline-Ms", absl::StrCat(absl::ToUnixMillis(batch.deadline))},
      {"Lambda-Runtime-Invoked-Function-Arn",
       absl::StrCat("arn:aws:lambda:", region, ":000000000000:function:", function_name)},
      {"Lambda-Runtime-Trace-Id", TraceId(random)}};
  return answer;
}

HttpAnswer Accepted() { return {202, R"({"status":"OK"})"}; }

HttpAnswer InvalidRequestId(absl::string_view request_id) {
  return Error(400, "InvalidRequestID",
               absl::StrCat("no invocation waits for an answer with the request id ", request_id));
}

HttpAnswer TooLarge() {
  return Error(413, "RequestEntityTooLarge",
               absl::StrCat("an answer may have ", kMaxResponseBytes, " bytes"));
}

HttpAnswer NotFound() {
  return Error(404, "NotFound", "this is the Lambda Runtime API 2018-06-01: it has no such path");
}

HttpAnswer WrongMethod() { return Error(405, "MethodNotAllowed", "wrong method for this path"); }

std::string RequestId(absl::string_view batch_id, uint64_t process, uint64_t invocation) {
  std::string id(batch_id);
  // It becomes part of a path.
  for (char& c : id) {
    if (!absl::ascii_isalnum(c) && c != '-' && c != '_' && c != '.') c = '-';
  }
  return absl::StrFormat("%s-%08x%08x", id, static_cast<uint32_t>(process), invocation);
}

}  // namespace lowmark
