// The handlers that lowmark-worker can be told to use, and their flags.
#ifndef LOWMARK_WORKER_COMMAND_HANDLERS_H_
#define LOWMARK_WORKER_COMMAND_HANDLERS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "service/process/logging.h"
#include "service/process/options.h"
#include "worker/handler.h"
#include "worker/handler/lambda.h"
#include "worker/internal/lambda_metrics.h"

namespace lowmark {

struct HandlerFlags {
  std::string handler = "exec";
  std::string command;
  std::string url;
  std::string response_policy = "strict";
  // Its command, name and policy are filled in by MakeHandler.
  LambdaOptions lambda;
};

void DeclareHandler(Options& options, HandlerFlags& flags);

struct MadeHandler {
  std::shared_ptr<Handler> handler;
  // What it tells Prometheus beside what every worker does; may be null.
  std::shared_ptr<prometheus::Collectable> metrics;
};

// The handler for a stream; sets `threads` to what it can use. INVALID_ARGUMENT
// naming the flag. The log outlives the handler.
absl::StatusOr<MadeHandler> MakeHandler(const HandlerFlags& flags, const std::string& stream,
                                        Logger& log, int32_t* threads);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_COMMAND_HANDLERS_H_
