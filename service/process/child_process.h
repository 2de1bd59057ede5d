// Programs run as children of this process, such that none outlives it: each
// is told to end when this process dies, even by kill -9.
//
//   ProcessOptions options;
//   options.argv = {"lowmark-worker", "--stream", "orders"};
//   options.out = Output::File("worker.log");
//   auto worker = ChildProcess::Start(options);
//   if (!worker.ok()) return worker.status();
//   ...
//   (*worker)->Signal(SIGTERM);
//   if (!(*worker)->Wait(absl::Seconds(10))) (*worker)->Kill();
#ifndef LOWMARK_SERVICE_PROCESS_CHILD_PROCESS_H_
#define LOWMARK_SERVICE_PROCESS_CHILD_PROCESS_H_

#include <signal.h>
#include <sys/types.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/process/mutex.h"

namespace lowmark {

// A user of this machine.
struct Account {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

// NOT_FOUND where there is no such user.
absl::StatusOr<Account> FindAccount(const std::string& name);

// The file that a program's name stands for: the name itself where it has a
// slash, otherwise the first match on PATH. NOT_FOUND where there is none.
absl::StatusOr<std::string> FindProgram(const std::string& name);

// Where a child's standard output or error goes.
struct Output {
  enum class Kind { kInherit, kNull, kFile, kPipe, kStdout };

  Kind kind = Kind::kInherit;
  std::string path;

  static Output Inherit() { return {}; }
  static Output Null() { return {Kind::kNull, ""}; }
  // Appended to; created with mode 0644 where it is missing.
  static Output File(std::string path) { return {Kind::kFile, std::move(path)}; }
  // To be read with ReadLine or from out_fd(); a child whose pipe is full
  // waits. For `out` alone.
  static Output Pipe() { return {Kind::kPipe, ""}; }
  // Where `out` goes. For `err` alone.
  static Output Stdout() { return {Kind::kStdout, ""}; }
};

struct ProcessOptions {
  // The program, found as FindProgram does, and its arguments.
  std::vector<std::string> argv = {};
  // Set on top of this process' environment.
  std::vector<std::pair<std::string, std::string>> env = {};
  // The working directory; empty for this process'.
  std::string directory = {};
  // Run as this user. Takes root.
  std::optional<Account> user = {};
  Output out = {};
  Output err = {};
  // Sent to the child (not to its children) when this process dies.
  int parent_death_signal = SIGKILL;
  // Whether all of the child's group is killed then.
  bool guarded = false;
  // Of a piped `out`: what ReadLine returns at most, or little more, in bytes.
  size_t longest_line = std::numeric_limits<size_t>::max();
};

// How a child ended.
struct ExitStatus {
  int code = 0;    // where it exited
  int signal = 0;  // where it was killed, otherwise 0

  bool ok() const { return code == 0 && signal == 0; }
  // "exited with code 3", "was killed by signal 9 (Killed)".
  std::string ToString() const;
};

// One child, in a process group of its own, with no standard input and no other
// file open. Signals that this process blocks or ignores are not blocked or
// ignored in it. Thread-safe, but for ReadLine, which one thread at a time may
// call. The destructor kills the child.
class ChildProcess {
 public:
  // NOT_FOUND where there is no such program; other errors say what failed. When
  // this returns OK the program runs.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const ProcessOptions& options);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Stays the same after the child ended; not to be signalled directly then.
  pid_t pid() const { return pid_; }
  // The reading end of `out` where that is a pipe, otherwise -1.
  int out_fd() const { return out_fd_; }

  // Sends a signal to the child alone. Does nothing once it has ended.
  void Signal(int signal) LOWMARK_EXCLUDES(mutex_);
  // Kills the child and its process group with SIGKILL and waits for its end.
  ExitStatus Kill() LOWMARK_EXCLUDES(mutex_);
  // Waits for the child's end; nullopt when it did not come in time. What is then
  // left of its process group is killed.
  std::optional<ExitStatus> Wait(absl::Duration timeout) LOWMARK_EXCLUDES(mutex_);
  // SIGTERM, and SIGKILL after `grace`.
  ExitStatus Terminate(absl::Duration grace);

  // The next line of a piped `out`, without its end; one that is too long in parts.
  // OUT_OF_RANGE at the end of the output, DEADLINE_EXCEEDED when no full line came in time.
  absl::StatusOr<std::string> ReadLine(absl::Duration timeout);

 private:
  struct Launch;

  ChildProcess() = default;
  void Run(const Launch& launch, std::string* error);
  void AwaitExit() LOWMARK_EXCLUDES(mutex_);

  pid_t pid_ = -1;
  bool guarded_ = false;
  int out_fd_ = -1;
  std::string unread_;
  size_t longest_line_ = 0;
  // Starts the child and waits for its end. The kernel sends the parent's death
  // signal when the *thread* that forked ends, so that thread must live as long
  // as the child.
  std::thread thread_;
  Mutex mutex_;
  CondVar changed_;
  bool started_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::optional<ExitStatus> exit_ LOWMARK_GUARDED_BY(mutex_);
};

// What a command printed, and how it ended.
struct CommandResult {
  ExitStatus exit;
  std::string output;  // standard output and error together
};

// Runs a command to its end. DEADLINE_EXCEEDED, with the command killed, when
// that does not come in time; `options.out` and `err` are ignored.
absl::StatusOr<CommandResult> RunCommand(ProcessOptions options, absl::Duration timeout);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_CHILD_PROCESS_H_
