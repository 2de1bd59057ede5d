// The words of the Lambda Runtime API, version 2018-06-01: what requests mean, and
// what answers look like. Values only.
#ifndef LOWMARK_WORKER_HANDLER_LAMBDA_RUNTIME_API_H_
#define LOWMARK_WORKER_HANDLER_LAMBDA_RUNTIME_API_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "worker/batch.h"
#include "worker/handler/lambda/http_listener.h"

namespace lowmark {

// A function's answer may be so large, as in Lambda.
inline constexpr size_t kMaxResponseBytes = 6291556;

struct RuntimeCall {
  enum class Kind { kNext, kResponse, kError, kInitError, kUnknown, kWrongMethod };

  Kind kind = Kind::kUnknown;
  std::string request_id = {};  // of kResponse and kError
};

RuntimeCall ParseCall(absl::string_view method, absl::string_view path);

// What `next` is answered.
HttpAnswer InvocationAnswer(const Batch& batch, std::string event, const std::string& request_id,
                            const std::string& function_name, uint64_t random);

HttpAnswer Accepted();
HttpAnswer InvalidRequestId(absl::string_view request_id);
HttpAnswer TooLarge();
HttpAnswer NotFound();
HttpAnswer WrongMethod();

// Unique among all tries that ever reach one runtime: the batch's id, then one that
// tells this process (`process`) and this try in it.
std::string RequestId(absl::string_view batch_id, uint64_t process, uint64_t invocation);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_LAMBDA_RUNTIME_API_H_
