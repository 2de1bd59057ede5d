#include "service/process/group_guard.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

namespace lowmark {
namespace {

// A worker has as many as it has threads, or copies of a function.
constexpr size_t kMostGroups = 4096;
std::array<pid_t, kMostGroups> groups;  // the guard's alone; 0: free

void Send(int socket, pid_t word) {
  while (send(socket, &word, sizeof(word), MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

// False where the other side is gone.
bool Receive(int socket, pid_t& word) {
  ssize_t got = 0;
  do {
    got = recv(socket, &word, sizeof(word), 0);
  } while (got < 0 && errno == EINTR);
  return got == sizeof(word);
}

// The guard: after the fork of a process with threads it may neither allocate nor lock.
[[noreturn]] void Watch(int socket) {
  // Whatever else is open is not to be held open by this; a session of its own keeps a
  // terminal's signals away.
  if (socket > 0) close_range(0, socket - 1, 0);
  close_range(socket + 1, ~0U, 0);
  setsid();
  prctl(PR_SET_NAME, "lowmark-guard");
  pid_t word = 0;
  Send(socket, word);  // it is out of this process' group
  while (Receive(socket, word)) {
    const pid_t known = word > 0 ? 0 : -word;
    *std::find(groups.begin(), groups.end() - 1, known) = std::max(word, 0);
  }
  for (const pid_t group : groups) {
    if (group > 0) kill(-group, SIGKILL);
  }
  _exit(0);
}

}  // namespace

GroupGuard& GroupGuard::Get() {
  static GroupGuard* const guard = new GroupGuard;
  return *guard;
}

GroupGuard::GroupGuard() {
  std::array<int, 2> ends;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return;
  sigset_t all, before;
  sigfillset(&all);
  // No handler of this process is to run in the guard, which keeps them blocked.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork();
  if (pid == 0) Watch(ends[1]);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  close(ends[1]);
  pid_t word = 0;
  if (pid > 0 && Receive(ends[0], word)) {
    socket_ = ends[0];
  } else {
    close(ends[0]);
  }
}

void GroupGuard::Add(pid_t group) { Tell(group); }

void GroupGuard::Remove(pid_t group) { Tell(-group); }

void GroupGuard::Tell(pid_t word) const {
  if (socket_ >= 0) Send(socket_, word);
}

void ReapGroup(pid_t group) {
  constexpr int kLooks = 200;
  for (int look = 0; look < kLooks; ++look) {
    pid_t reaped = 0;
    while ((reaped = waitpid(-group, nullptr, WNOHANG)) > 0) {
    }
    if (reaped < 0) return;  // none is ours, or none is left
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace lowmark
