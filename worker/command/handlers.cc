#include "worker/command/handlers.h"

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "worker/handler/exec.h"
#include "worker/handler/http.h"

namespace lowmark {
namespace {

void DeclareLambda(Options& options, LambdaOptions& lambda) {
  CLI::App& app = options.app();
  options
      .Add(app, "lambda-copies", lambda.copies,
           "For lambda: runtimes, started or expected; takes the place of --threads")
      ->check(Range(1, 256))
      ->group("Handler");
  options
      .Add(app, "lambda-listen", lambda.listen,
           "For lambda without a command: where runtimes ask for work, HOST:PORT or unix:/PATH")
      ->group("Handler");
  options
      .Add(app, "lambda-function", lambda.function_name,
           "For lambda: the function's name; without one, the stream's")
      ->group("Handler");
  options
      .Add(app, "lambda-handler", lambda.handler,
           "For lambda: _HANDLER for runtimes that want it, such as app.handler")
      ->group("Handler");
  options
      .Add(app, "lambda-start-timeout", lambda.start_timeout,
           "For lambda: a runtime that has not asked for work by then is started again")
      ->group("Handler");
}

// The flags that say where the handler is: which of them it needs, and which must
// not be given.
absl::Status CheckFlags(const HandlerFlags& flags) {
  const bool http = flags.handler == "http";
  if (http && flags.url.empty()) {
    return InvalidField("handler-url", "", "must be given with --handler http");
  }
  if (http && !flags.command.empty()) {
    return InvalidField("handler-command", flags.command, "must not be given with --handler http");
  }
  if (flags.handler == "exec" && flags.command.empty()) {
    return InvalidField("handler-command", "", "must be given with --handler exec");
  }
  if (!http && !flags.url.empty()) {
    return InvalidField("handler-url", flags.url,
                        absl::StrCat("must not be given with --handler ", flags.handler,
                                     "; did you mean --handler http?"));
  }
  return absl::OkStatus();
}

template <typename Made>
absl::StatusOr<MadeHandler> Plain(Made made) {
  if (!made.ok()) return made.status();
  return MadeHandler{*std::move(made), nullptr};
}

absl::StatusOr<MadeHandler> MakeLambda(const HandlerFlags& flags, ResponsePolicy policy,
                                       const std::string& stream, Logger& log, int32_t* threads) {
  LambdaOptions lambda = flags.lambda;
  lambda.command = flags.command;
  lambda.response_policy = policy;
  if (lambda.function_name.empty()) lambda.function_name = stream;
  lambda.output = [&log](int copy, const std::string& line) {
    log.Info("function output", {{"copy", copy}, {"text", line}});
  };
  lambda.warn = [&log](const std::string& what, const std::string& why) {
    log.Error(what, {{"error", why}});
  };
  auto handler = LambdaHandler::Create(lambda);
  if (!handler.ok()) return handler.status();
  if (flags.command.empty()) {
    log.Info("runtimes may ask for work", {{"address", (*handler)->addresses().front()}});
  }
  *threads = lambda.copies;
  return MadeHandler{*handler, std::make_shared<LambdaMetrics>(stream, *handler)};
}

}  // namespace

void DeclareHandler(Options& options, HandlerFlags& flags) {
  CLI::App& app = options.app();
  options.Add(app, "handler", flags.handler, "What processes batches")
      ->type_name("exec|http|lambda")
      ->check(OneOf({"exec", "http", "lambda"}))
      ->group("Handler");
  options
      .Add(app, "handler-command", flags.command,
           "For exec: command line run for each batch; event on stdin, answer on stdout. For "
           "lambda: command line of a runtime; without one, runtimes come by themselves")
      ->group("Handler");
  options
      .Add(app, "handler-url", flags.url,
           "For http: where events are POSTed; without a path, that of a Lambda function")
      ->group("Handler");
  options
      .Add(app, "response-policy", flags.response_policy,
           "strict: an answer that lists failures under a wrong key fails its batch; lambda: it "
           "is a success, as in AWS Lambda")
      ->type_name("strict|lambda")
      ->check(OneOf({"strict", "lambda"}))
      ->group("Handler");
  DeclareLambda(options, flags.lambda);
}

absl::StatusOr<MadeHandler> MakeHandler(const HandlerFlags& flags, const std::string& stream,
                                        Logger& log, int32_t* threads) {
  if (auto s = CheckFlags(flags); !s.ok()) return s;
  const ResponsePolicy policy =
      flags.response_policy == "lambda" ? ResponsePolicy::kLambda : ResponsePolicy::kStrict;
  if (flags.handler == "http") return Plain(HttpHandler::Create(flags.url, policy));
  if (flags.handler == "exec") return Plain(ExecHandler::Create(flags.command, policy));
  return MakeLambda(flags, policy, stream, log, threads);
}

}  // namespace lowmark
