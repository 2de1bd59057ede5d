// The end of a process, asked for by SIGTERM or SIGINT.
//
//   int main() {
//     Shutdown shutdown;      // before any thread is started
//     ... start serving ...
//     shutdown.Wait();
//     ... drain ...
//   }
#ifndef LOWMARK_SERVICE_PROCESS_SHUTDOWN_H_
#define LOWMARK_SERVICE_PROCESS_SHUTDOWN_H_

#include <thread>

#include "absl/time/time.h"
#include "service/process/mutex.h"

namespace lowmark {

// Takes SIGTERM and SIGINT for the process, and lets it ignore SIGPIPE. A second
// signal, half a second or more after the first, ends the process at once, without
// destructors, with 128 + its number.
// One per process, made before any other thread: threads inherit what is blocked.
// Thread-safe.
class Shutdown {
 public:
  Shutdown();
  ~Shutdown();
  Shutdown(const Shutdown&) = delete;
  Shutdown& operator=(const Shutdown&) = delete;

  // Waits until the end is asked for; false when the time is up first.
  bool Wait(absl::Duration timeout = absl::InfiniteDuration()) LOWMARK_EXCLUDES(mutex_);
  bool requested() { return Wait(absl::ZeroDuration()); }
  // Asks for the end from inside.
  void Request() LOWMARK_EXCLUDES(mutex_);

 private:
  void WatchSignals();

  int signal_fd_ = -1;
  int stop_fd_ = -1;
  Mutex mutex_;
  CondVar changed_;
  bool requested_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::thread watcher_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_SHUTDOWN_H_
