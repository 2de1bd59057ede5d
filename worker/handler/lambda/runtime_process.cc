#include "worker/handler/lambda/runtime_process.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

// How often it is looked after a child that writes nothing. Its end shows at once,
// unless something that it left behind holds its output open.
constexpr absl::Duration kLookInterval = absl::Milliseconds(200);
constexpr absl::Duration kGrace = absl::Seconds(2);
constexpr size_t kShownBytes = 1000;
// As long as an event of CloudWatch's logs.
constexpr size_t kLongestLine = size_t{256} << 10;

absl::Duration RestartPause(const RuntimeProcess::Options& options, int failures) {
  if (failures == 0) return absl::ZeroDuration();
  return std::min(options.restart_initial * (int64_t{1} << std::min(failures - 1, 20)),
                  options.restart_maximum);
}

}  // namespace

RuntimeProcess::RuntimeProcess(Options options)
    : options_(std::move(options)), thread_([this] { Loop(); }) {}

RuntimeProcess::~RuntimeProcess() {
  AskToStop();
  thread_.join();
}

void RuntimeProcess::AskToStop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  if (child_ != nullptr) child_->Signal(SIGTERM);
  changed_.NotifyAll();
}

void RuntimeProcess::Kill() {
  MutexLock lock(mutex_);
  if (child_ != nullptr) child_->Kill();
}

bool RuntimeProcess::stopping() {
  MutexLock lock(mutex_);
  return stopping_;
}

bool RuntimeProcess::Pause(absl::Duration pause) {
  const SteadyTime until = SteadyDeadline(pause);
  MutexLock lock(mutex_);
  while (!stopping_ && changed_.WaitUntil(mutex_, until)) {
  }
  return !stopping_;
}

void RuntimeProcess::Loop() {
  int failures = 0;
  do {
    options_.on_start();
    const std::string how = RunOnce();
    failures = options_.on_exit(how) ? 0 : failures + 1;
  } while (Pause(RestartPause(options_, failures)));
}

std::string RuntimeProcess::RunOnce() {
  ProcessOptions process;
  process.argv = {"/bin/sh", "-c", options_.command};
  process.env = options_.env;
  process.out = Output::Pipe();
  process.err = Output::Stdout();
  process.guarded = true;  // the shell, and what it starts
  process.longest_line = kLongestLine;
  auto child = ChildProcess::Start(process);
  if (!child.ok()) return std::string(child.status().message());
  {
    MutexLock lock(mutex_);
    child_ = child->get();
    if (stopping_) child_->Signal(SIGTERM);
  }
  const std::string how = Tend(**child);
  MutexLock lock(mutex_);
  child_ = nullptr;
  return how;
}

std::string RuntimeProcess::Tend(ChildProcess& child) {
  const SteadyTime start_deadline = SteadyDeadline(options_.start_timeout);
  SteadyTime stop_deadline = SteadyTime::max();
  // What it wrote before its end is there at once; another process may hold its output open,
  // and write on.
  SteadyTime last_words = SteadyTime::max();
  std::string last_line, why;
  while (true) {
    if (last_words == SteadyTime::max() && child.Wait(absl::ZeroDuration())) {
      last_words = SteadyDeadline(kLookInterval);
    }
    const auto line = child.ReadLine(kLookInterval);
    if (line.ok() && std::chrono::steady_clock::now() < last_words) {
      if (!absl::StripAsciiWhitespace(*line).empty()) {
        options_.output(*line);
        last_line = line->substr(0, kShownBytes);
      }
    } else {
      // At the end of its output it ends, or has ended.
      const bool closed = !absl::IsDeadlineExceeded(line.status());
      if (const auto exit = child.Wait(closed ? kLookInterval : absl::ZeroDuration())) {
        if (!why.empty()) return why;
        return absl::StrCat("the runtime ", exit->ToString(), last_line.empty() ? "" : ": ",
                            last_line);
      }
    }
    const SteadyTime now = std::chrono::steady_clock::now();
    if (stopping()) {
      stop_deadline = std::min(stop_deadline, SteadyDeadline(kGrace));
      if (now >= stop_deadline) child.Kill();
    } else if (why.empty() && now >= start_deadline && !options_.started()) {
      why = absl::StrCat("the runtime did not ask for work within ",
                         absl::FormatDuration(options_.start_timeout),
                         last_line.empty() ? "" : ": ", last_line);
      child.Kill();
    }
  }
}

}  // namespace lowmark
