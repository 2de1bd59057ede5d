// A process that need not be a child of this one.
#ifndef LOWMARK_SERVICE_DEV_PROCESS_HANDLE_H_
#define LOWMARK_SERVICE_DEV_PROCESS_HANDLE_H_

#include <sys/types.h>

#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace lowmark {

// Stays with the process it was made for, whoever gets its pid next. One that had
// ended by then is an ended process.
class ProcessHandle {
 public:
  explicit ProcessHandle(pid_t pid);
  ~ProcessHandle();
  ProcessHandle(ProcessHandle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ProcessHandle(const ProcessHandle&) = delete;
  ProcessHandle& operator=(const ProcessHandle&) = delete;

  // The processes that are now children of that one.
  static std::vector<ProcessHandle> ChildrenOf(pid_t parent);

  void Kill();
  // False where it has not ended in time.
  bool AwaitExit(absl::Duration timeout);

 private:
  int fd_;  // -1 where it has ended
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_DEV_PROCESS_HANDLE_H_
