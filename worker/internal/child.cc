#include "worker/internal/child.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/process/group_guard.h"
#include "service/process/mutex.h"

extern char** environ;

namespace lowmark {
namespace {

constexpr size_t kMaxOutputBytes = size_t{8} << 20;
constexpr size_t kErrorTailBytes = 4096;
constexpr size_t kChunkBytes = size_t{64} << 10;
// How often it is looked whether the program has exited while others may hold its
// output open.
constexpr absl::Duration kLongestWait = absl::Milliseconds(50);

// A file descriptor that is closed when it goes.
class Pipe {
 public:
  ~Pipe() { CloseBoth(); }
  bool Open() { return pipe2(ends_.data(), O_CLOEXEC) == 0; }
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void CloseReader() { Close(ends_[0]); }
  void CloseWriter() { Close(ends_[1]); }
  void CloseBoth() {
    CloseReader();
    CloseWriter();
  }

 private:
  static void Close(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  std::array<int, 2> ends_ = {-1, -1};
};

void SetNonBlocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

// Keeps SIGPIPE from this thread: a program need not read all of its input.
class SigpipeBlock {
 public:
  SigpipeBlock() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~SigpipeBlock() {
    if (sigismember(&before_, SIGPIPE) == 1) return;
    const timespec now = {0, 0};
    while (sigtimedwait(&sigpipe_, nullptr, &now) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t sigpipe_;
  sigset_t before_;
};

class Child {
 public:
  Child(const std::string& input, absl::Time deadline, int abort_fd)
      : input_(input), deadline_(SteadyDeadline(deadline - absl::Now())), abort_fd_(abort_fd) {}

  ChildEnd Run(const std::string& command);

 private:
  // 0, or the error.
  int Start(const std::string& command);
  // Feeds and drains the program until it has exited or must be killed.
  void Converse();
  bool Exited() const;
  void Write();
  // False at the end of the file.
  bool Read(int fd, std::string& into);
  void KeepLimits();
  // Kills the group; what it wrote before can still be read.
  void Finish();

  const std::string& input_;
  // Whoever sets the clock meanwhile does not take the program's time.
  const SteadyTime deadline_;
  const int abort_fd_;
  size_t written_ = 0;
  Pipe in_, out_, err_;
  pid_t pid_ = -1;
  bool running_ = true;
  ChildEnd end_;
};

ChildEnd Child::Run(const std::string& command) {
  const SigpipeBlock block;
  if (const int error = Start(command); error != 0) {
    end_.problem = absl::StrCat("cannot start /bin/sh: ", strerror(error));
    return std::move(end_);
  }
  Converse();
  Finish();
  return std::move(end_);
}

int Child::Start(const std::string& command) {
  if (!in_.Open() || !out_.Open() || !err_.Open()) return errno;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in_.reader(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out_.writer(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err_.writer(), STDERR_FILENO);
  // What libraries have opened, such as connections, is not the program's.
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  sigaddset(&signals, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &signals);

  GroupGuard& guard = GroupGuard::Get();  // before there is something to guard
  std::string shell = "/bin/sh", option = "-c", line = command;
  std::array<char*, 4> arguments = {shell.data(), option.data(), line.data(), nullptr};
  const int error =
      posix_spawn(&pid_, shell.c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return error;
  guard.Add(pid_);
  in_.CloseReader();
  out_.CloseWriter();
  err_.CloseWriter();
  SetNonBlocking(in_.writer());
  SetNonBlocking(out_.reader());
  SetNonBlocking(err_.reader());
  return 0;
}

void Child::Converse() {
  absl::Duration wait = absl::Milliseconds(1);
  while (running_) {
    if (Exited()) {
      end_.kind = ChildEnd::Kind::kExited;
      return;
    }
    const absl::Duration left = absl::FromChrono(deadline_ - std::chrono::steady_clock::now());
    if (left <= absl::ZeroDuration()) {
      end_.kind = ChildEnd::Kind::kTimedOut;
      return;
    }
    // A negative descriptor, which a closed one is, is left out.
    std::array<pollfd, 4> fds = {pollfd{in_.writer(), POLLOUT, 0}, pollfd{out_.reader(), POLLIN, 0},
                                 pollfd{err_.reader(), POLLIN, 0}, pollfd{abort_fd_, POLLIN, 0}};
    const auto timeout = absl::ToInt64Milliseconds(std::min(wait, left)) + 1;
    const int ready = poll(fds.data(), fds.size(), static_cast<int>(timeout));
    // Rarer while nothing happens, at once while something does.
    wait = ready > 0 ? absl::Milliseconds(1) : std::min(wait * 2, kLongestWait);
    if (fds[0].revents != 0) Write();
    if (fds[1].revents != 0 && !Read(out_.reader(), end_.output)) out_.CloseReader();
    if (fds[2].revents != 0 && !Read(err_.reader(), end_.error_tail)) err_.CloseReader();
    KeepLimits();
    if (fds[3].revents != 0) {
      end_.kind = ChildEnd::Kind::kAborted;
      return;
    }
  }
}

bool Child::Exited() const {
  siginfo_t info = {};
  return waitid(P_PID, pid_, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_;
}

void Child::Write() {
  while (written_ < input_.size()) {
    const ssize_t done = write(in_.writer(), input_.data() + written_, input_.size() - written_);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && errno == EAGAIN) return;
    if (done < 0) break;  // it reads no more
    written_ += done;
  }
  in_.CloseWriter();
}

bool Child::Read(int fd, std::string& into) {
  std::array<char, kChunkBytes> chunk;
  const ssize_t got = read(fd, chunk.data(), chunk.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  into.append(chunk.data(), got);
  return got > 0;
}

void Child::KeepLimits() {
  if (end_.error_tail.size() > kErrorTailBytes) {
    end_.error_tail.erase(0, end_.error_tail.size() - kErrorTailBytes);
  }
  if (end_.output.size() <= kMaxOutputBytes) return;
  end_.kind = ChildEnd::Kind::kTooMuchOutput;
  end_.problem = absl::StrCat("the program wrote more than ", kMaxOutputBytes, " bytes");
  running_ = false;
}

void Child::Finish() {
  // The program is not reaped yet, so the group's number is still its own.
  kill(-pid_, SIGKILL);
  GroupGuard::Get().Remove(pid_);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  ReapGroup(pid_);
  if (end_.kind != ChildEnd::Kind::kExited) return;
  // It wrote and exited: what is in the pipes is all there is.
  for (size_t before = 0; out_.reader() >= 0 && running_;) {
    before = end_.output.size();
    const bool more = Read(out_.reader(), end_.output);
    KeepLimits();
    if (!more || end_.output.size() == before) break;
  }
  for (size_t before = 0; err_.reader() >= 0;) {
    std::string chunk;
    before = chunk.size();
    const bool more = Read(err_.reader(), chunk);
    end_.error_tail += chunk;
    KeepLimits();
    if (!more || chunk.size() == before) break;
  }
  if (end_.kind == ChildEnd::Kind::kTooMuchOutput) return;
  if (WIFEXITED(status)) {
    end_.code = WEXITSTATUS(status);
  } else {
    end_.kind = ChildEnd::Kind::kSignalled;
    end_.code = WTERMSIG(status);
  }
}

}  // namespace

ChildEnd RunChild(const std::string& command, const std::string& input, absl::Time deadline,
                  int abort_fd) {
  return Child(input, deadline, abort_fd).Run(command);
}

}  // namespace lowmark
