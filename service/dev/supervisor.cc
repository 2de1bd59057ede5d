#include "service/dev/supervisor.h"

#include <algorithm>
#include <fstream>
#include <ostream>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

// A part that ran this long was not failing.
constexpr absl::Duration kSound = absl::Seconds(30);
constexpr auto kProbeInterval = std::chrono::milliseconds(50);

}  // namespace

absl::Duration RestartPause(int failures) {
  const int doublings = std::clamp(failures - 1, 0, 5);
  return std::min(absl::Milliseconds(500) * (1 << doublings), absl::Seconds(10));
}

std::string LastLine(const std::string& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!absl::StripAsciiWhitespace(line).empty()) last = line;
  }
  return last;
}

ProgramPart::ProgramPart(Options options) : options_(std::move(options)) {
  options_.process.out = Output::File(options_.log);
  options_.process.err = Output::Stdout();
}

absl::Status ProgramPart::Start() {
  process_.reset();
  auto process = ChildProcess::Start(options_.process);
  if (!process.ok()) return process.status();
  process_ = *std::move(process);
  return absl::OkStatus();
}

bool ProgramPart::running() { return process_ != nullptr && !process_->Wait(absl::ZeroDuration()); }

std::string ProgramPart::Ending() {
  const auto exit = process_ == nullptr ? std::nullopt : process_->Wait(absl::ZeroDuration());
  const std::string line = LastLine(options_.log);
  return absl::StrCat(exit ? exit->ToString() : "is not running", line.empty() ? "" : ": ", line);
}

void ProgramPart::AskToStop() {
  if (process_ != nullptr) process_->Signal(SIGTERM);
}

void ProgramPart::AwaitStop() {
  if (process_ != nullptr && !process_->Wait(options_.grace)) process_->Kill();
}

std::string PostgresPart::Ending() {
  return absl::StrCat("ended: ", LastLine(cluster_->log_path()));
}

void PostgresPart::AwaitStop() {
  if (!cluster_->Stop().ok()) (void)cluster_->Kill();
}

absl::Status Supervisor::Add(std::unique_ptr<Part> part, int stage, absl::Duration timeout,
                             const std::function<bool()>& cancelled) {
  const absl::Time deadline = absl::Now() + timeout;
  if (auto s = part->Start(); !s.ok()) return s;
  parts_.push_back({std::move(part), stage, absl::Now()});
  Part& added = *parts_.back().part;
  while (true) {
    if (!added.running()) {
      return absl::UnavailableError(absl::StrCat(added.name(), " ", added.Ending()));
    }
    if (added.ready()) return absl::OkStatus();
    if (cancelled()) return absl::CancelledError("stopped before it was ready");
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat(added.name(), " was not ready within ", absl::FormatDuration(timeout)));
    }
    std::this_thread::sleep_for(kProbeInterval);
  }
}

void Supervisor::Tend(absl::Time now) {
  for (Tended& tended : parts_) TendOne(tended, now);
}

void Supervisor::TendOne(Tended& tended, absl::Time now) {
  Part& part = *tended.part;
  if (!tended.restart) {
    if (part.running()) return;
    tended.failures = now - tended.started > kSound ? 1 : tended.failures + 1;
    const absl::Duration pause = RestartPause(tended.failures);
    out_ << part.name() << " " << part.Ending() << "\n  starting it again in "
         << absl::FormatDuration(pause) << std::endl;
    tended.restart = now + pause;
  }
  if (now < *tended.restart) return;
  tended.restart.reset();
  tended.started = now;
  if (const absl::Status started = part.Start(); started.ok()) {
    out_ << part.name() << " runs again" << std::endl;
  } else {
    out_ << part.name() << " cannot be started: " << started.message() << std::endl;
  }
}

void Supervisor::Stop() {
  while (!parts_.empty()) {
    const auto last =
        std::max_element(parts_.begin(), parts_.end(),
                         [](const Tended& a, const Tended& b) { return a.stage < b.stage; });
    const int stage = last->stage;
    const auto split = std::stable_partition(
        parts_.begin(), parts_.end(), [&](const Tended& tended) { return tended.stage < stage; });
    for (auto it = split; it != parts_.end(); ++it) it->part->AskToStop();
    for (auto it = split; it != parts_.end(); ++it) it->part->AwaitStop();
    parts_.erase(split, parts_.end());
  }
}

}  // namespace lowmark
