// What was measured, as a table for people and as JSON for machines.
#ifndef LOWMARK_TESTS_BENCH_RESULTS_H_
#define LOWMARK_TESTS_BENCH_RESULTS_H_

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace lowmark {

// One load at one number of calls in flight, for one round, or the median of
// several rounds, field by field.
struct LoadFigures {
  double per_second = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  // Processor time for each call, in microseconds.
  double client_cpu_us = 0;
  double server_cpu_us = 0;
  double postgres_cpu_us = 0;
  // Reports in a commit group; 0 for the empty RPC.
  double group_size = 0;
};

// Both loads at one level; a vector has an entry for each round.
struct Level {
  int in_flight = 0;
  std::vector<LoadFigures> reports;
  std::vector<LoadFigures> empty;
};

// pgbench with so many clients, updates a second in each round.
struct PgbenchFigures {
  int clients = 0;
  std::vector<double> per_second;
};

struct Results {
  std::string machine;     // "2 cores, AMD EPYC, Linux 6.1, ext4"
  std::string postgresql;  // its version
  std::string time;        // when it began, RFC 3339
  double seconds = 0;      // measured in each round of each load
  int shards = 0;
  std::vector<Level> levels;
  std::vector<PgbenchFigures> pgbench;
};

// The middle value, or the mean of the two in the middle; 0 of none.
double Median(std::vector<double> values);
LoadFigures Median(const std::vector<LoadFigures>& rounds);
// The value below which the share `q` of the values lies (nearest rank).
// `ascending` must not be empty.
double Quantile(const std::vector<float>& ascending, double q);
// The highest of the medians, and with how many clients that was.
struct BestPgbench {
  int clients = 0;
  double per_second = 0;
};
BestPgbench Best(const std::vector<PgbenchFigures>& pgbench);

void PrintTable(const Results& results, std::ostream& out);
// All rounds, and the medians and ratios of the table.
nlohmann::ordered_json ToJson(const Results& results);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_RESULTS_H_
