// Runs a program to its end: input in, output out, within a time.
#ifndef LOWMARK_WORKER_INTERNAL_CHILD_H_
#define LOWMARK_WORKER_INTERNAL_CHILD_H_

#include <string>

#include "absl/time/time.h"

namespace lowmark {

struct ChildEnd {
  enum class Kind {
    kNotStarted,     // `problem` says why
    kExited,         // with `code`
    kSignalled,      // by signal number `code`
    kTimedOut,       // killed at the deadline
    kTooMuchOutput,  // killed when it had written too much
    kAborted,        // killed since abort_fd became readable
  };
  Kind kind = Kind::kNotStarted;
  int code = 0;
  std::string output;      // all of its standard output
  std::string error_tail;  // the end of its standard error
  std::string problem;
};

// Runs `/bin/sh -c command` in a process group of its own and waits for it. The
// group is killed at `deadline`, when `abort_fd` becomes readable, and when the
// program has exited, so that nothing of it stays. A program need not read its
// input. Thread safe; leaves the process' signal handling alone.
ChildEnd RunChild(const std::string& command, const std::string& input, absl::Time deadline,
                  int abort_fd);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_CHILD_H_
