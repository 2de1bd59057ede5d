#include "service/process/shutdown.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <optional>

namespace lowmark {
namespace {

// Some send a signal to a process and to its group, so that it comes twice:
// timeout(1), and terminals through a shell.
constexpr auto kSameSignal = std::chrono::milliseconds(500);

}  // namespace

Shutdown::Shutdown() {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  stop_fd_ = eventfd(0, EFD_CLOEXEC);
  watcher_ = std::thread([this] { WatchSignals(); });
}

// Leaves the signals blocked: a late one is not to cut the rest of main short.
Shutdown::~Shutdown() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(stop_fd_, &one, sizeof(one));
  watcher_.join();
  close(signal_fd_);
  close(stop_fd_);
}

void Shutdown::WatchSignals() {
  std::optional<SteadyTime> first;
  while (true) {
    pollfd fds[] = {{signal_fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents != 0) return;
    signalfd_siginfo info;
    if (read(signal_fd_, &info, sizeof(info)) != sizeof(info)) continue;
    const SteadyTime now = std::chrono::steady_clock::now();
    if (first && now - *first < kSameSignal) continue;
    if (first) {
      constexpr char kMessage[] = "second signal: stopping at once\n";
      [[maybe_unused]] const ssize_t written = write(2, kMessage, sizeof(kMessage) - 1);
      _exit(128 + static_cast<int>(info.ssi_signo));
    }
    first = now;
    Request();
  }
}

bool Shutdown::Wait(absl::Duration timeout) {
  const SteadyTime deadline = SteadyDeadline(timeout);
  MutexLock lock(mutex_);
  while (!requested_) {
    if (!changed_.WaitUntil(mutex_, deadline)) break;
  }
  return requested_;
}

void Shutdown::Request() {
  MutexLock lock(mutex_);
  requested_ = true;
  changed_.NotifyAll();
}

}  // namespace lowmark
