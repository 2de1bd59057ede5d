#include "service/process/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "service/process/group_guard.h"

extern char** environ;

namespace lowmark {
namespace {

// A file descriptor that is closed when it goes.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

absl::Status Errno(absl::string_view what) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what));
}

// Away from 0, 1 and 2, which this process may have closed: those are the child's.
absl::Status MoveUp(Fd& fd) {
  if (fd.get() > 2) return absl::OkStatus();
  fd.reset(fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  return fd.get() > 2 ? absl::OkStatus() : Errno("move a file descriptor");
}

// Opens what a child's output goes to; the reading end of a pipe is `read_end`.
absl::Status OpenOutput(const Output& output, int inherited, const Fd& out, Fd& fd, Fd* read_end) {
  switch (output.kind) {
    case Output::Kind::kInherit:
      fd.reset(fcntl(inherited, F_DUPFD_CLOEXEC, 3));
      break;
    case Output::Kind::kNull:
      fd.reset(open("/dev/null", O_WRONLY | O_CLOEXEC));
      break;
    case Output::Kind::kFile:
      fd.reset(open(output.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
      break;
    case Output::Kind::kStdout:
      fd.reset(fcntl(out.get(), F_DUPFD_CLOEXEC, 3));
      break;
    case Output::Kind::kPipe: {
      if (read_end == nullptr) return absl::InvalidArgumentError("only `out` can be a pipe");
      int ends[2];
      if (pipe2(ends, O_CLOEXEC) != 0) return Errno("make a pipe");
      read_end->reset(ends[0]);
      fd.reset(ends[1]);
      break;
    }
  }
  if (fd.get() < 0) return Errno(absl::StrCat("open the output ", output.path));
  return MoveUp(fd);
}

bool IsProgram(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(
    const std::vector<std::pair<std::string, std::string>>& changes) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    bool changed = false;
    for (const auto& [name, value] : changes) {
      changed = changed || absl::StartsWith(*entry, absl::StrCat(name, "="));
    }
    if (!changed) environment.emplace_back(*entry);
  }
  for (const auto& [name, value] : changes) environment.push_back(absl::StrCat(name, "=", value));
  return environment;
}

}  // namespace

// All that the child needs, made before the fork: between fork and exec nothing
// may allocate or lock, since another thread may have held the lock.
struct ChildProcess::Launch {
  std::string program;
  std::vector<std::string> argv_strings;
  std::vector<std::string> env_strings;
  std::vector<char*> argv;
  std::vector<char*> env;
  std::string directory;
  std::optional<Account> user;
  Fd in, out, err;
  Fd error_read, error_write;  // errno of a launch that failed
  int parent_death_signal = SIGKILL;
  bool guarded = false;
  pid_t parent = -1;

  [[noreturn]] void Exec() const;
  bool Prepare() const;
};

// In the child. False with errno set where something failed.
bool ChildProcess::Launch::Prepare() const {
  if (setpgid(0, 0) != 0) return false;
  if (dup2(in.get(), 0) < 0 || dup2(out.get(), 1) < 0 || dup2(err.get(), 2) < 0) return false;
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return false;
  if (!directory.empty() && chdir(directory.c_str()) != 0) return false;
  if (user) {
    // The bare system calls: those of the C library talk to its threads.
    const gid_t gid = user->gid;
    if (syscall(SYS_setgroups, 1, &gid) != 0 || syscall(SYS_setresgid, gid, gid, gid) != 0 ||
        syscall(SYS_setresuid, user->uid, user->uid, user->uid) != 0) {
      return false;
    }
  }
  // After the change of user, which clears it. The parent may be gone already.
  if (prctl(PR_SET_PDEATHSIG, parent_death_signal) != 0) return false;
  if (getppid() != parent) _exit(127);
  for (int signal : {SIGPIPE, SIGINT, SIGTERM, SIGQUIT, SIGCHLD}) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

void ChildProcess::Launch::Exec() const {
  if (Prepare()) execve(program.c_str(), argv.data(), env.data());
  const int error = errno;
  // With the pipe gone there is nobody left to tell.
  [[maybe_unused]] const ssize_t written = write(error_write.get(), &error, sizeof(error));
  _exit(127);
}

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(const ProcessOptions& options) {
  if (options.argv.empty()) return absl::InvalidArgumentError("no program to start");
  auto program = FindProgram(options.argv[0]);
  if (!program.ok()) return program.status();

  Launch launch;
  launch.program = *program;
  launch.argv_strings = options.argv;
  launch.env_strings = Environment(options.env);
  launch.argv = Pointers(launch.argv_strings);
  launch.env = Pointers(launch.env_strings);
  launch.directory = options.directory;
  launch.user = options.user;
  launch.parent_death_signal = options.parent_death_signal;
  launch.guarded = options.guarded;
  launch.parent = getpid();
  Fd read_end;
  launch.in.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (launch.in.get() < 0) return Errno("open /dev/null");
  if (auto s = MoveUp(launch.in); !s.ok()) return s;
  if (auto s = OpenOutput(options.out, 1, launch.out, launch.out, &read_end); !s.ok()) return s;
  if (auto s = OpenOutput(options.err, 2, launch.out, launch.err, nullptr); !s.ok()) return s;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Errno("make a pipe");
  launch.error_read.reset(ends[0]);
  launch.error_write.reset(ends[1]);
  if (auto s = MoveUp(launch.error_write); !s.ok()) return s;

  auto process = std::unique_ptr<ChildProcess>(new ChildProcess);
  process->out_fd_ = read_end.release();
  process->longest_line_ = options.longest_line;
  std::string error;
  process->thread_ = std::thread([&process = *process, &launch, &error] {
    process.Run(launch, &error);
    process.AwaitExit();
  });
  {
    MutexLock lock(process->mutex_);
    while (!process->started_) process->changed_.Wait(process->mutex_);
  }
  if (!error.empty()) {
    return absl::InternalError(absl::StrCat("cannot start ", *program, ": ", error));
  }
  return process;
}

// Forks and waits until the program runs or could not be started. `launch` and
// `error` are the starter's and gone once started_ is set.
void ChildProcess::Run(const Launch& launch, std::string* error) {
  if (launch.guarded) GroupGuard::Get();  // before there is something to guard
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork();
  if (pid == 0) launch.Exec();
  const int fork_error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  int exec_error = 0;
  if (pid < 0) {
    *error = strerror(fork_error);
  } else {
    // The pipe closes with exec, or brings the error.
    close(const_cast<Launch&>(launch).error_write.release());
    ssize_t count;
    do {
      count = read(launch.error_read.get(), &exec_error, sizeof(exec_error));
    } while (count < 0 && errno == EINTR);
    if (count > 0) *error = strerror(exec_error);
  }
  guarded_ = launch.guarded && pid > 0;
  if (guarded_) GroupGuard::Get().Add(pid);
  MutexLock lock(mutex_);
  pid_ = pid;
  if (pid < 0) exit_ = ExitStatus{127, 0};
  started_ = true;
  changed_.NotifyAll();
}

void ChildProcess::AwaitExit() {
  if (pid_ < 0) return;
  // Waits without reaping: as long as the child is a zombie its pid and process
  // group are not given to another, so that a signal cannot go astray.
  siginfo_t info = {};
  while (waitid(P_PID, pid_, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  {
    MutexLock lock(mutex_);
    kill(-pid_, SIGKILL);
    if (guarded_) GroupGuard::Get().Remove(pid_);
    int status = 0;
    waitpid(pid_, &status, 0);
    exit_ = ExitStatus{WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                       WIFSIGNALED(status) ? WTERMSIG(status) : 0};
    changed_.NotifyAll();
  }
  ReapGroup(pid_);
}

ChildProcess::~ChildProcess() {
  if (thread_.joinable()) {
    Kill();
    thread_.join();
  }
  if (out_fd_ >= 0) close(out_fd_);
}

void ChildProcess::Signal(int signal) {
  MutexLock lock(mutex_);
  if (!exit_) kill(pid_, signal);
}

ExitStatus ChildProcess::Kill() {
  MutexLock lock(mutex_);
  if (!exit_) kill(-pid_, SIGKILL);
  while (!exit_) changed_.Wait(mutex_);
  return *exit_;
}

std::optional<ExitStatus> ChildProcess::Wait(absl::Duration timeout) {
  const SteadyTime deadline = SteadyDeadline(timeout);
  MutexLock lock(mutex_);
  while (!exit_) {
    if (!changed_.WaitUntil(mutex_, deadline) && !exit_) return std::nullopt;
  }
  return exit_;
}

ExitStatus ChildProcess::Terminate(absl::Duration grace) {
  Signal(SIGTERM);
  if (const auto exit = Wait(grace)) return *exit;
  return Kill();
}

absl::StatusOr<std::string> ChildProcess::ReadLine(absl::Duration timeout) {
  if (out_fd_ < 0) return absl::FailedPreconditionError("the output is not a pipe");
  const SteadyTime deadline = SteadyDeadline(timeout);
  while (true) {
    if (const size_t end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd poll_fd = {out_fd_, POLLIN, 0};
    const int ready =
        poll(&poll_fd, 1, static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1000)));
    if (ready < 0 && errno != EINTR) return Errno("wait for output");
    if (ready <= 0) {
      if (left.count() <= 0) return absl::DeadlineExceededError("no full line of output in time");
      continue;
    }
    char buffer[4096];
    const ssize_t count = read(out_fd_, buffer, sizeof(buffer));
    if (count < 0 && errno != EINTR) return Errno("read output");
    if (count > 0) unread_.append(buffer, count);
    if (unread_.size() >= longest_line_ && unread_.find('\n') == std::string::npos) {
      unread_.push_back('\n');
    }
    if (count == 0) {
      if (unread_.empty()) return absl::OutOfRangeError("the output has ended");
      unread_.push_back('\n');
    }
  }
}

absl::StatusOr<CommandResult> RunCommand(ProcessOptions options, absl::Duration timeout) {
  options.out = Output::Pipe();
  options.err = Output::Stdout();
  const SteadyTime deadline = SteadyDeadline(timeout);
  const auto left = [&] { return absl::FromChrono(deadline - std::chrono::steady_clock::now()); };
  auto process = ChildProcess::Start(options);
  if (!process.ok()) return process.status();
  CommandResult result;
  while (true) {
    auto line = (*process)->ReadLine(left());
    if (absl::IsOutOfRange(line.status())) break;
    if (!line.ok()) return line.status();
    absl::StrAppend(&result.output, *line, "\n");
  }
  const auto exit = (*process)->Wait(left());
  if (!exit)
    return absl::DeadlineExceededError(absl::StrCat(options.argv[0], " did not end in time"));
  result.exit = *exit;
  return result;
}

std::string ExitStatus::ToString() const {
  if (signal != 0)
    return absl::StrCat("was killed by signal ", signal, " (", strsignal(signal), ")");
  return absl::StrCat("exited with code ", code);
}

absl::StatusOr<Account> FindAccount(const std::string& name) {
  passwd entry;
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return absl::NotFoundError(absl::StrCat("there is no user ", name));
  return Account{name, found->pw_uid, found->pw_gid};
}

absl::StatusOr<std::string> FindProgram(const std::string& name) {
  if (absl::StrContains(name, '/')) {
    if (IsProgram(name)) return std::filesystem::absolute(name).string();
    return absl::NotFoundError(absl::StrCat("there is no program ", name));
  }
  const char* path = std::getenv("PATH");
  for (absl::string_view directory :
       absl::StrSplit(path == nullptr ? "/usr/bin:/bin" : path, ':')) {
    const std::string file = absl::StrCat(directory.empty() ? "." : directory, "/", name);
    if (IsProgram(file)) return std::filesystem::absolute(file).string();
  }
  return absl::NotFoundError(absl::StrCat("there is no program ", name, " on PATH"));
}

}  // namespace lowmark
