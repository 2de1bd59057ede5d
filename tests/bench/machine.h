// What a benchmark runs on: the machine, and a PostgreSQL whose commits are
// durable, since everything is faster where they are not.
#ifndef LOWMARK_TESTS_BENCH_MACHINE_H_
#define LOWMARK_TESTS_BENCH_MACHINE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "service/dev/postgres_cluster.h"

namespace lowmark {

// "2 cores, AMD EPYC, Linux 6.1".
std::string Machine();

// A private PostgreSQL with fsync on and its files below `directory`, running.
// INVALID_ARGUMENT where that is in memory. `settings` as in PostgresClusterOptions.
absl::StatusOr<std::unique_ptr<PostgresCluster>> StartDurablePostgres(
    const std::string& directory, const std::vector<std::string>& settings);

// "PostgreSQL 15.4, fsync on, synchronous_commit on".
absl::StatusOr<std::string> DescribePostgres(const PostgresCluster& cluster);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_MACHINE_H_
