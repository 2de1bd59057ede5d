// The baseline that PostgreSQL sets: pgbench with one conditional update of one
// shard's row a transaction, as a coordinator without group commit would do.
#ifndef LOWMARK_TESTS_BENCH_PGBENCH_H_
#define LOWMARK_TESTS_BENCH_PGBENCH_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/dev/postgres_cluster.h"

namespace lowmark {

class Pgbench {
 public:
  // `database` holds Lowmark's schema with a stream of `shards` shards, named as
  // ReportBench does. They are copied: the same columns and key, no trigger.
  static absl::StatusOr<std::unique_ptr<Pgbench>> Create(const PostgresCluster& cluster,
                                                         const std::string& database, int shards);

  // Updates a second with so many clients, each on a connection of its own. An
  // error where an update met no row.
  absl::StatusOr<double> Run(int clients, absl::Duration duration);

 private:
  Pgbench(const PostgresCluster& cluster, const std::string& database, int shards)
      : cluster_(cluster), database_(database), shards_(shards) {}
  absl::Status Refill();

  const PostgresCluster& cluster_;
  const std::string database_;
  const int shards_;
  std::string script_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_PGBENCH_H_
