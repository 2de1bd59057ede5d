#include "tests/bench/pgbench.h"

#include <algorithm>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/reports.h"

namespace lowmark {
namespace {

// A copy of the shards, so that nobody else's rows are touched.
constexpr char kCreate[] = R"(
CREATE SCHEMA bench;
CREATE TABLE bench.shards (LIKE lowmark.shards INCLUDING ALL) WITH (fillfactor = 50))";

constexpr char kRefill[] = R"(
TRUNCATE bench.shards;
INSERT INTO bench.shards SELECT * FROM lowmark.shards;
UPDATE bench.shards SET stream_id = 1, epoch = 1, delivery = 0)";

// Each client owns the shards whose number is its own modulo the number of
// clients, and takes them in turn, so it knows what it left in each. The update is
// that of a coordinator for a batch that succeeded, alone in its transaction.
constexpr char kScript[] = R"(\set round :t / :shards_each
\set shard :first_shard + :client_id + (:t % :shards_each) * :clients
\set sequence :first_sequence + (:round + 1) * :batch
\set delivery :round + 1
\set t :t + 1
UPDATE bench.shards
SET position = 'AFTER', sequence = :sequence, batch_id = :delivery, delivery = :delivery
WHERE stream_id = 1 AND shard = :shard AND epoch = 1 AND delivery = :round;
)";

// The number after `label` in what pgbench printed.
absl::StatusOr<double> NumberAfter(const std::string& output, const std::string& label) {
  const size_t at = output.find(label);
  double number = 0;
  if (at != std::string::npos) {
    const size_t begin = at + label.size();
    const size_t end = output.find_first_not_of("0123456789.", begin);
    if (absl::SimpleAtod(output.substr(begin, end - begin), &number)) return number;
  }
  return absl::InternalError(absl::StrCat("pgbench did not print \"", label, "\": ", output));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Pgbench>> Pgbench::Create(const PostgresCluster& cluster,
                                                         const std::string& database, int shards) {
  std::unique_ptr<Pgbench> pgbench(new Pgbench(cluster, database, shards));
  pgbench->script_ = absl::StrCat(cluster.socket_directory(), "/update.sql");
  std::ofstream(pgbench->script_) << kScript;
  if (auto created = cluster.Query(database, kCreate); !created.ok()) return created.status();
  return pgbench;
}

absl::StatusOr<double> Pgbench::Run(int clients, absl::Duration duration) {
  if (auto s = Refill(); !s.ok()) return s;
  ProcessOptions options;
  options.argv = {cluster_.bin_directory() + "/pgbench", "--no-vacuum", "--protocol=prepared",
                  "--file=" + script_, "--define=t=0",
                  absl::StrCat("--define=first_shard=", ReportBench::kFirstShard),
                  absl::StrCat("--define=first_sequence=", ReportBench::kFirstSequence),
                  absl::StrCat("--define=batch=", ReportBench::kBatch),
                  absl::StrCat("--define=clients=", clients),
                  absl::StrCat("--define=shards_each=", shards_ / clients),
                  absl::StrCat("--client=", clients), absl::StrCat("--jobs=", std::min(clients, 2)),
                  // pgbench counts in whole seconds.
                  absl::StrCat("--time=", std::max<int64_t>(absl::ToInt64Seconds(duration), 1)),
                  cluster_.ConnectionString(database_)};
  auto result = RunCommand(options, duration + absl::Seconds(60));
  if (!result.ok()) return result.status();
  if (!result->exit.ok()) {
    return absl::InternalError(
        absl::StrCat("pgbench ", result->exit.ToString(), ": ", result->output));
  }
  auto transactions = NumberAfter(result->output, "number of transactions actually processed: ");
  if (!transactions.ok()) return transactions.status();
  auto updates = cluster_.Query(database_, "SELECT sum(delivery) FROM bench.shards");
  if (!updates.ok()) return updates.status();
  if (*updates != absl::StrCat(static_cast<int64_t>(*transactions))) {
    return absl::InternalError(absl::StrCat("pgbench ran ", *transactions,
                                            " transactions, but they updated ", *updates, " rows"));
  }
  return NumberAfter(result->output, "tps = ");
}

absl::Status Pgbench::Refill() {
  for (const char* sql :
       {kRefill, "VACUUM FULL bench.shards", "ANALYZE bench.shards", "CHECKPOINT"}) {
    if (auto done = cluster_.Query(database_, sql); !done.ok()) return done.status();
  }
  return absl::OkStatus();
}

}  // namespace lowmark
