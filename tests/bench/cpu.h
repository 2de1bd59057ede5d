// What processes spend of the processor, which is the steadiest figure on a machine
// that the benchmark shares with others, and of memory.
#ifndef LOWMARK_TESTS_BENCH_CPU_H_
#define LOWMARK_TESTS_BENCH_CPU_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/time/time.h"

namespace lowmark {

// User and system time of a process so far; zero where there is none.
absl::Duration CpuTime(pid_t pid);

// That of all living children of a process, as PostgreSQL's connections are.
absl::Duration CpuTimeOfChildren(pid_t parent);

// What a process has in memory, in bytes; zero where there is none.
int64_t ResidentBytes(pid_t pid);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_CPU_H_
