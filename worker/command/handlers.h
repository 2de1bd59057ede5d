// The handlers that lowmark-worker can be told to use, and their flags.
#ifndef LOWMARK_WORKER_COMMAND_HANDLERS_H_
#define LOWMARK_WORKER_COMMAND_HANDLERS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "service/process/options.h"
#include "worker/handler.h"

namespace lowmark {

struct HandlerFlags {
  std::string handler = "exec";
  std::string command;
  std::string url;
};

void DeclareHandler(Options& options, HandlerFlags& flags);

// INVALID_ARGUMENT naming the flag.
absl::StatusOr<std::shared_ptr<Handler>> MakeHandler(const HandlerFlags& flags);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_COMMAND_HANDLERS_H_
