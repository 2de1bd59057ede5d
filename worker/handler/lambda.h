// An AWS Lambda function as a handler, unmodified: the worker serves the Lambda
// Runtime API, from which the function's runtime (aws-lambda-ric, awslambdaric, a
// `bootstrap`) fetches events (worker/handler/event.h) and to which it answers
// (worker/handler/answer.h).
//
// The runtimes are children of the worker, started and kept running by it, each
// with an address of its own; or, where there is no command, whatever asks for work
// at one address, such as another container of the pod. Each has one invocation at
// a time.
//
//   /response         what the body says; beyond 6 MB the batch failed
//   /error            the function raised
//   no answer         "Timeout" at the batch's deadline; a child is killed and started
//                     again, and what still comes is refused
//   a runtime ends    the batch failed with "Runtime.ExitError": of a child at once, of
//                     others when the one started in its place asks for work
//   /init/error, or a child that ends before it has asked for work: the function does
//                     not start. Nothing has run, so no retry is spent.
//
// Each try of a batch has a request id of its own that begins with the batch's id:
// were it the same, an answer that comes late would be taken for that of the next try.
#ifndef LOWMARK_WORKER_HANDLER_LAMBDA_H_
#define LOWMARK_WORKER_HANDLER_LAMBDA_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "worker/handler.h"
#include "worker/handler/response_policy.h"

namespace lowmark {

struct LambdaOptions {
  // The command line of a runtime, run by /bin/sh -c. Empty: runtimes are not
  // started, but come to `listen`.
  std::string command = {};
  // Runtimes: started, or expected. Batches at a time at most: 1..256.
  int32_t copies = 1;
  // Without a command: "HOST:PORT" or "unix:/PATH". The API knows no passwords, so
  // that whoever reaches it can take records. Children have free ports of 127.0.0.1.
  std::string listen = "127.0.0.1:9001";
  // AWS_LAMBDA_FUNCTION_NAME of children, and the end of the function's ARN; where
  // empty, "function".
  std::string function_name = {};
  // _HANDLER of children, where not empty.
  std::string handler = {};
  ResponsePolicy response_policy = ResponsePolicy::kStrict;
  // A child that has not asked for work by then is killed: 1 s..15 min.
  absl::Duration start_timeout = absl::Minutes(1);
  // The pause before a child is started again that ended without having had work:
  // doubled from the first to the second.
  absl::Duration restart_initial = absl::Milliseconds(200);
  absl::Duration restart_maximum = absl::Seconds(30);
  // Called from any thread: a line that child number `copy` wrote; and what is wrong,
  // once for as long as it stays the same.
  std::function<void(int copy, const std::string& line)> output = [](int, const std::string&) {};
  std::function<void(const std::string& what, const std::string& why)> warn =
      [](const std::string&, const std::string&) {};

  // INVALID_ARGUMENT naming the field.
  absl::Status Validate() const;
};

// What an operator may want to know of the runtimes.
struct LambdaStats {
  int64_t ready = 0;          // runtimes that wait for work now
  int64_t busy = 0;           // invocations now
  int64_t starts = 0;         // children started
  int64_t failed_starts = 0;  // times that a function did not start
  int64_t lost = 0;           // runtimes that ended during an invocation
  int64_t killed = 0;         // children killed at a deadline
  int64_t late_answers = 0;   // answers refused: late, repeated or unknown
};

class LambdaHandler : public Handler {
 public:
  // Listens, and starts the runtimes. UNAVAILABLE where it cannot listen.
  static absl::StatusOr<std::shared_ptr<LambdaHandler>> Create(const LambdaOptions& options);
  // Ends the children, and all that they have started.
  ~LambdaHandler() override;

  HandlerResult Process(const Batch& batch) override;
  void Abort() override;

  LambdaStats stats() const;
  // Where the Runtime API is served, one for each child.
  std::vector<std::string> addresses() const;

 private:
  class Parts;

  explicit LambdaHandler(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_LAMBDA_H_
