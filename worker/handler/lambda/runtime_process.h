// Keeps one runtime running: a child that is started again whenever it ends.
#ifndef LOWMARK_WORKER_HANDLER_LAMBDA_RUNTIME_PROCESS_H_
#define LOWMARK_WORKER_HANDLER_LAMBDA_RUNTIME_PROCESS_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "service/process/child_process.h"
#include "service/process/mutex.h"

namespace lowmark {

// Thread safe. Has a thread of its own, on which it calls what it is given. The
// destructor ends the child.
class RuntimeProcess {
 public:
  struct Options {
    // The command line, for /bin/sh -c.
    std::string command;
    std::vector<std::pair<std::string, std::string>> env = {};
    absl::Duration start_timeout;
    absl::Duration restart_initial;
    absl::Duration restart_maximum;
    std::function<void()> on_start;
    // Whether it works by now; one that does not in time is killed.
    std::function<bool()> started;
    // It has ended, and how. False where it did no work and should be left for a
    // while before it is started again.
    std::function<bool(const std::string& how)> on_exit;
    // A line that it wrote.
    std::function<void(const std::string& line)> output;
  };

  explicit RuntimeProcess(Options options);
  ~RuntimeProcess();
  RuntimeProcess(const RuntimeProcess&) = delete;
  RuntimeProcess& operator=(const RuntimeProcess&) = delete;

  // Asks the child to end, without waiting; it is not started again. The destructor
  // gives it a moment.
  void AskToStop();
  // Kills the child; it is started again.
  void Kill();

 private:
  void Loop();
  // Runs the child once. How it ended.
  std::string RunOnce();
  std::string Tend(ChildProcess& child);
  // False where it is to stop.
  bool Pause(absl::Duration pause);
  bool stopping();

  const Options options_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  ChildProcess* child_ LOWMARK_GUARDED_BY(mutex_) = nullptr;
  std::thread thread_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_LAMBDA_RUNTIME_PROCESS_H_
