#include "worker/handler/lambda.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "worker/handler/lambda/dispatcher.h"
#include "worker/handler/lambda/http_listener.h"
#include "worker/handler/lambda/runtime_api.h"
#include "worker/handler/lambda/runtime_process.h"

namespace lowmark {
namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

constexpr int kMaxCopies = 256;
constexpr unsigned kSpareConnections = 16;
constexpr char kOwnAddress[] = "127.0.0.1:0";

// What Lambda sets for a runtime. But for the address, and what the options say,
// this process' own environment counts more.
Environment RuntimeEnvironment(const LambdaOptions& options, const std::string& address, int copy) {
  Environment env = {{"AWS_LAMBDA_RUNTIME_API", address},
                     {"AWS_LAMBDA_FUNCTION_NAME", options.function_name}};
  if (!options.handler.empty()) env.emplace_back("_HANDLER", options.handler);
  const auto set_default = [&env](const char* name, const std::string& value) {
    if (std::getenv(name) == nullptr) env.emplace_back(name, value);
  };
  std::error_code error;
  set_default("LAMBDA_TASK_ROOT", std::filesystem::current_path(error).string());
  set_default("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
  set_default("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128");
  set_default("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
  set_default("AWS_LAMBDA_LOG_GROUP_NAME", absl::StrCat("/aws/lambda/", options.function_name));
  set_default("AWS_LAMBDA_LOG_STREAM_NAME", absl::StrCat(getpid(), "-", copy));
  return env;
}

}  // namespace

absl::Status LambdaOptions::Validate() const {
  if (copies < 1 || copies > kMaxCopies) {
    return InvalidField("lambda-copies", copies, absl::StrCat("must be 1 to ", kMaxCopies));
  }
  return CheckDuration("lambda-start-timeout", start_timeout, absl::Seconds(1), absl::Minutes(15));
}

class LambdaHandler::Parts {
 public:
  explicit Parts(const LambdaOptions& options)
      : options_(options), dispatcher_(DispatcherOptions()) {}

  ~Parts() {
    dispatcher_.Abort();
    for (auto& runtime : runtimes_) runtime->AskToStop();
    runtimes_.clear();
    listeners_.clear();
  }

  absl::Status Start() {
    const bool children = !options_.command.empty();
    for (int i = 0; i < (children ? options_.copies : 1); ++i) {
      HttpListener::Options http;
      http.listen = children ? kOwnAddress : options_.listen;
      http.max_body_bytes = kMaxResponseBytes;
      http.max_connections = 2 * options_.copies + kSpareConnections;
      http.on_request = [this, i](std::shared_ptr<HttpExchange> exchange) {
        dispatcher_.OnRequest(i, std::move(exchange));
      };
      auto listener = HttpListener::Start(std::move(http));
      if (!listener.ok()) return listener.status();
      listeners_.push_back(*std::move(listener));
    }
    // A child that cannot reach its listener ends, so they come first.
    for (int i = 0; children && i < options_.copies; ++i) StartRuntime(i);
    return absl::OkStatus();
  }

  Dispatcher& dispatcher() { return dispatcher_; }
  std::vector<std::string> addresses() const {
    std::vector<std::string> addresses;
    for (const auto& listener : listeners_) addresses.push_back(listener->address());
    return addresses;
  }

 private:
  Dispatcher::Options DispatcherOptions() {
    Dispatcher::Options dispatcher;
    const bool children = !options_.command.empty();
    dispatcher.endpoints = children ? options_.copies : 1;
    dispatcher.capacity = children ? 1 : options_.copies;
    dispatcher.function_name = options_.function_name;
    dispatcher.response_policy = options_.response_policy;
    if (children) dispatcher.kill = [this](int i) { runtimes_[i]->Kill(); };
    dispatcher.warn = options_.warn;
    return dispatcher;
  }

  void StartRuntime(int i) {
    RuntimeProcess::Options runtime;
    runtime.command = options_.command;
    runtime.env = RuntimeEnvironment(options_, listeners_[i]->address(), i);
    runtime.start_timeout = options_.start_timeout;
    runtime.restart_initial = options_.restart_initial;
    runtime.restart_maximum = options_.restart_maximum;
    runtime.on_start = [this, i] { dispatcher_.OnStart(i); };
    runtime.started = [this, i] { return dispatcher_.HasAsked(i); };
    runtime.on_exit = [this, i](const std::string& how) { return dispatcher_.OnExit(i, how); };
    runtime.output = [this, i](const std::string& line) { options_.output(i, line); };
    runtimes_.push_back(std::make_unique<RuntimeProcess>(std::move(runtime)));
  }

  const LambdaOptions options_;
  Dispatcher dispatcher_;
  std::vector<std::unique_ptr<HttpListener>> listeners_;
  // One for each listener. Complete before the first batch comes.
  std::vector<std::unique_ptr<RuntimeProcess>> runtimes_;
};

absl::StatusOr<std::shared_ptr<LambdaHandler>> LambdaHandler::Create(const LambdaOptions& options) {
  if (auto s = options.Validate(); !s.ok()) return s;
  LambdaOptions named = options;
  if (named.function_name.empty()) named.function_name = "function";
  auto parts = std::make_unique<Parts>(named);
  if (auto s = parts->Start(); !s.ok()) return s;
  return std::shared_ptr<LambdaHandler>(new LambdaHandler(std::move(parts)));
}

LambdaHandler::LambdaHandler(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

LambdaHandler::~LambdaHandler() = default;

HandlerResult LambdaHandler::Process(const Batch& batch) { return parts_->dispatcher().Run(batch); }

void LambdaHandler::Abort() { parts_->dispatcher().Abort(); }

LambdaStats LambdaHandler::stats() const { return parts_->dispatcher().stats(); }

std::vector<std::string> LambdaHandler::addresses() const { return parts_->addresses(); }

}  // namespace lowmark
