// What processes spend of the processor: the steadiest figure on a machine that
// the benchmark shares with others.
#ifndef LOWMARK_TESTS_BENCH_CPU_H_
#define LOWMARK_TESTS_BENCH_CPU_H_

#include <sys/types.h>

#include "absl/time/time.h"

namespace lowmark {

// User and system time of a process so far; zero where there is none.
absl::Duration CpuTime(pid_t pid);

// That of all living children of a process, as PostgreSQL's connections are.
absl::Duration CpuTimeOfChildren(pid_t parent);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_CPU_H_
