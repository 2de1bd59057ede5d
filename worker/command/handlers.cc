#include "worker/command/handlers.h"

#include "service/core/error.h"
#include "worker/handler/exec.h"
#include "worker/handler/http.h"

namespace lowmark {

void DeclareHandler(Options& options, HandlerFlags& flags) {
  CLI::App& app = options.app();
  options.Add(app, "handler", flags.handler, "What processes batches")
      ->type_name("exec|http")
      ->check(OneOf({"exec", "http"}))
      ->group("Handler");
  options
      .Add(app, "handler-command", flags.command,
           "For exec: command line run for each batch; event on stdin, answer on stdout")
      ->group("Handler");
  options
      .Add(app, "handler-url", flags.url,
           "For http: where events are POSTed; without a path, that of a Lambda function")
      ->group("Handler");
}

absl::StatusOr<std::shared_ptr<Handler>> MakeHandler(const HandlerFlags& flags) {
  if (flags.handler == "http") {
    if (flags.url.empty()) {
      return InvalidField("handler-url", "", "must be given with --handler http");
    }
    if (!flags.command.empty()) {
      return InvalidField("handler-command", flags.command,
                          "must not be given with --handler http");
    }
    return HttpHandler::Create(flags.url);
  }
  if (flags.command.empty()) {
    return InvalidField("handler-command", "", "must be given with --handler exec");
  }
  if (!flags.url.empty()) {
    return InvalidField("handler-url", flags.url,
                        "must not be given with --handler exec; did you mean --handler http?");
  }
  return ExecHandler::Create(flags.command);
}

}  // namespace lowmark
