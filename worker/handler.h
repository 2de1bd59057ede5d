// The seam to the code that processes records. Ready-made handlers: a C++
// function (worker/handler/function.h), an HTTP endpoint (worker/handler/http.h),
// a program (worker/handler/exec.h), a Lambda function (worker/handler/lambda.h).
#ifndef LOWMARK_WORKER_HANDLER_H_
#define LOWMARK_WORKER_HANDLER_H_

#include <string>
#include <utility>
#include <vector>

#include "worker/batch.h"

namespace lowmark {

// What became of a batch.
struct HandlerResult {
  enum class Kind {
    kSuccess,  // every record was processed
    kFailed,   // `failed` were not; the shard is retried from the lowest of them
    kRaised,   // the batch failed as a whole
    kNotRun,   // the handler could not be reached; nothing was processed
  };

  Kind kind = Kind::kSuccess;
  // Sequence numbers of the batch, in any order, repeats allowed. One that is
  // not in the batch makes the whole batch fail.
  std::vector<std::string> failed;
  // A short name of the error and what went wrong, kept with dead letters.
  std::string error_type;
  std::string error_message;

  static HandlerResult Success() { return {}; }
  // An empty list is a success, so that a handler can return what it gathered.
  static HandlerResult Failed(std::vector<std::string> sequences, std::string error_type = "",
                              std::string error_message = "") {
    if (sequences.empty()) return Success();
    return {Kind::kFailed, std::move(sequences), std::move(error_type), std::move(error_message)};
  }
  static HandlerResult Raised(std::string error_type, std::string error_message) {
    return {Kind::kRaised, {}, std::move(error_type), std::move(error_message)};
  }
  // The batch is delivered again after a pause, and no retry is spent.
  static HandlerResult NotRun(std::string error_type, std::string error_message) {
    return {Kind::kNotRun, {}, std::move(error_type), std::move(error_message)};
  }

  bool operator==(const HandlerResult&) const = default;
};

// Processes batches. Called from several threads at once, but never with two
// batches of one shard at a time. Must not throw.
class Handler {
 public:
  virtual ~Handler() = default;

  // Processes one batch and returns what became of it, by batch.deadline. What
  // is returned later counts as the failure "Timeout" whatever it says. A call
  // that does not return keeps its shard waiting (two batches of a shard never
  // overlap) and its thread; see WorkerOptions::overrun_limit.
  virtual HandlerResult Process(const Batch& batch) = 0;

  // Makes the calls of Process that are running return soon, whatever the
  // result; called when a worker stops and its grace period is over. May be
  // called from any thread. Handlers that cannot do that do nothing.
  virtual void Abort() {}
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_H_
