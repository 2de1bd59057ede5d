// A program as a handler: started for each batch, the event (worker/handler/event.h)
// on its standard input, its answer (worker/handler/answer.h) on its standard output.
//
// Exit code 0: what the answer says. Any other, or a signal: the batch failed, with
// the last lines of its standard error as the message. A command whose first word
// is no program at all, though, has not run: that is waited for, and spends nothing.
//
// The program is run by /bin/sh -c in a process group of its own, which is killed
// at the batch's deadline, and when the program has exited.
#ifndef LOWMARK_WORKER_HANDLER_EXEC_H_
#define LOWMARK_WORKER_HANDLER_EXEC_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/handler.h"
#include "worker/handler/response_policy.h"

namespace lowmark {

class ExecHandler : public Handler {
 public:
  // INVALID_ARGUMENT where the command is empty.
  static absl::StatusOr<std::shared_ptr<ExecHandler>> Create(
      const std::string& command, ResponsePolicy policy = ResponsePolicy::kStrict);
  ~ExecHandler() override;

  HandlerResult Process(const Batch& batch) override;
  // Kills the programs that run.
  void Abort() override;

 private:
  ExecHandler(std::string command, ResponsePolicy policy, int abort_fd);

  const std::string command_;
  const ResponsePolicy policy_;
  const int abort_fd_;  // an eventfd, readable once Abort was called
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_EXEC_H_
