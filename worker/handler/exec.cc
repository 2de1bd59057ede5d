#include "worker/handler/exec.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/core/error.h"
#include "worker/handler/answer.h"
#include "worker/handler/event.h"
#include "worker/internal/child.h"

namespace lowmark {
namespace {

// The exit codes of a shell that cannot start a program, and of many that can.
constexpr int kCannotExecute = 126;
constexpr int kNotFound = 127;

constexpr absl::Duration kLookUpTime = absl::Seconds(10);

// Whether there is a program, or a word of the shell's, by the name that the command
// begins with. True where only the shell could tell.
bool CanStart(const std::string& command, int abort_fd) {
  const absl::string_view text = absl::StripAsciiWhitespace(command);
  const std::string word(text.substr(0, text.find_first_of(" \t\n")));
  for (const char c : word) {
    if (!absl::ascii_isalnum(c) && !absl::StrContains("/._+-", std::string(1, c))) return true;
  }
  if (absl::StrContains(word, "/")) {
    std::error_code error;
    return std::filesystem::is_regular_file(word, error) && access(word.c_str(), X_OK) == 0;
  }
  const ChildEnd found = RunChild("command -v " + word, "", absl::Now() + kLookUpTime, abort_fd);
  return found.kind != ChildEnd::Kind::kExited || found.code == 0;
}

HandlerResult ExitResult(const ChildEnd& end, const Batch& batch, ResponsePolicy policy) {
  if (end.code == 0) return ParseAnswer(end.output, batch, policy);
  const std::string said(absl::StripAsciiWhitespace(end.error_tail));
  return HandlerResult::Raised(
      "ExitCode", absl::StrCat("exit code ", end.code, said.empty() ? "" : ": ", said));
}

}  // namespace

absl::StatusOr<std::shared_ptr<ExecHandler>> ExecHandler::Create(const std::string& command,
                                                                 ResponsePolicy policy) {
  if (absl::StripAsciiWhitespace(command).empty()) {
    return InvalidField("handler_command", command, "must be a command line");
  }
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return absl::UnavailableError(absl::StrCat("eventfd: ", strerror(errno)));
  return std::shared_ptr<ExecHandler>(new ExecHandler(command, policy, fd));
}

ExecHandler::ExecHandler(std::string command, ResponsePolicy policy, int abort_fd)
    : command_(std::move(command)), policy_(policy), abort_fd_(abort_fd) {}

ExecHandler::~ExecHandler() { close(abort_fd_); }

HandlerResult ExecHandler::Process(const Batch& batch) {
  const ChildEnd end = RunChild(command_, EventJson(batch), batch.deadline, abort_fd_);
  const bool shells = end.code == kCannotExecute || end.code == kNotFound;
  if (end.kind == ChildEnd::Kind::kExited && shells && !CanStart(command_, abort_fd_)) {
    return HandlerResult::NotRun("CannotStart",
                                 std::string(absl::StripAsciiWhitespace(end.error_tail)));
  }
  switch (end.kind) {
    case ChildEnd::Kind::kExited:
      return ExitResult(end, batch, policy_);
    case ChildEnd::Kind::kNotStarted:
      return HandlerResult::NotRun("CannotStart", end.problem);
    case ChildEnd::Kind::kSignalled:
      return HandlerResult::Raised(
          "Signal", absl::StrCat("killed by signal ", end.code, ": ", end.error_tail));
    case ChildEnd::Kind::kTimedOut:
      return HandlerResult::Raised(
          "Timeout", absl::StrCat("the program was killed at its deadline",
                                  end.error_tail.empty() ? "" : ": ", end.error_tail));
    case ChildEnd::Kind::kTooMuchOutput:
      return HandlerResult::Raised("AnswerTooLarge", end.problem);
    case ChildEnd::Kind::kAborted:
      return HandlerResult::Raised("Aborted", "the worker stopped");
  }
  return HandlerResult::Raised("Internal", "unknown end of a program");
}

void ExecHandler::Abort() {
  const uint64_t one = 1;
  // Fails only where it is readable already.
  [[maybe_unused]] const ssize_t written = write(abort_fd_, &one, sizeof one);
}

}  // namespace lowmark
