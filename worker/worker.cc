#include "worker/worker.h"

#include <utility>

#include "worker/internal/runner.h"

namespace lowmark {

absl::StatusOr<std::unique_ptr<Worker>> Worker::Create(const WorkerOptions& options,
                                                       std::shared_ptr<Source> source,
                                                       std::shared_ptr<Handler> handler) {
  if (auto s = options.Validate(); !s.ok()) return s;
  if (source == nullptr || handler == nullptr) {
    return absl::InvalidArgumentError("a worker needs a source and a handler");
  }
  auto format = ParseLogFormat(options.log_format);
  if (!format.ok()) return format.status();
  auto secrets = ClientSecrets::Load(options.security, options.coordinator);
  if (!secrets.ok()) return secrets.status();
  LogOptions log;
  log.format = *format;
  return std::unique_ptr<Worker>(new Worker(std::make_unique<Runner>(
      options, std::move(source), std::move(handler), log, *std::move(secrets))));
}

Worker::Worker(std::unique_ptr<Runner> runner) : runner_(std::move(runner)) {}
Worker::~Worker() = default;

absl::Status Worker::Run() { return runner_->Run(); }
void Worker::Stop() { runner_->Stop(); }
bool Worker::ready() const { return runner_->ready(); }
bool Worker::healthy() const { return runner_->healthy(); }
std::string Worker::Metrics() const { return runner_->metrics().Text(); }

}  // namespace lowmark
