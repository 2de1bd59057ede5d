#include "service/dev/process_handle.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "service/process/mutex.h"

namespace lowmark {

ProcessHandle::ProcessHandle(pid_t pid) : fd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {}

ProcessHandle::~ProcessHandle() {
  if (fd_ >= 0) close(fd_);
}

std::vector<ProcessHandle> ProcessHandle::ChildrenOf(pid_t parent) {
  std::vector<ProcessHandle> children;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    // "pid (name) state ppid ...", where the name may hold anything.
    // Not by an iterator, which throws where the process ends meanwhile.
    std::ifstream file(entry.path() / "stat");
    std::string stat;
    std::getline(file, stat, '\0');
    const size_t name_end = stat.rfind(") ");
    if (name_end == std::string::npos) continue;
    const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 2), ' ');
    pid_t ppid = 0;
    if (fields.size() > 1 && absl::SimpleAtoi(fields[1], &ppid) && ppid == parent) {
      children.emplace_back(pid);
    }
  }
  return children;
}

void ProcessHandle::Kill() {
  if (fd_ >= 0) syscall(SYS_pidfd_send_signal, fd_, SIGKILL, nullptr, 0);
}

bool ProcessHandle::AwaitExit(absl::Duration timeout) {
  if (fd_ < 0) return true;
  const SteadyTime deadline = SteadyDeadline(timeout);
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const int64_t wait = std::clamp<int64_t>(left.count(), 0, 60'000);
    pollfd poll_fd = {fd_, POLLIN, 0};
    const int ready = poll(&poll_fd, 1, static_cast<int>(wait));
    if (ready > 0) return true;
    if (ready == 0 && wait == 0) return false;
  }
}

}  // namespace lowmark
