#include "tests/bench/results.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace lowmark {
namespace {

// What the project holds itself to, with the most reports in flight.
constexpr double kEmptyTarget = 0.4;
constexpr double kPgbenchTarget = 1.0;

double Ratio(double value, double base) { return base > 0 ? value / base : 0; }

// "31,250".
std::string Thousands(double number) {
  std::string digits = absl::StrFormat("%.0f", number);
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3) digits.insert(i, 1, ',');
  return digits;
}

nlohmann::ordered_json ToJson(const LoadFigures& figures) {
  return {{"per_second", figures.per_second},
          {"p50_ms", figures.p50_ms},
          {"p99_ms", figures.p99_ms},
          {"client_cpu_us", figures.client_cpu_us},
          {"server_cpu_us", figures.server_cpu_us},
          {"postgres_cpu_us", figures.postgres_cpu_us},
          {"group_size", figures.group_size}};
}

nlohmann::ordered_json ToJson(const std::vector<LoadFigures>& rounds) {
  auto array = nlohmann::ordered_json::array();
  for (const LoadFigures& figures : rounds) array.push_back(ToJson(figures));
  return {{"median", ToJson(Median(rounds))}, {"rounds", array}};
}

const char* Verdict(double ratio, double target) { return ratio >= target ? "reached" : "MISSED"; }

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

LoadFigures Median(const std::vector<LoadFigures>& rounds) {
  LoadFigures median;
  for (double LoadFigures::*field :
       {&LoadFigures::per_second, &LoadFigures::p50_ms, &LoadFigures::p99_ms,
        &LoadFigures::client_cpu_us, &LoadFigures::server_cpu_us, &LoadFigures::postgres_cpu_us,
        &LoadFigures::group_size}) {
    std::vector<double> values;
    for (const LoadFigures& figures : rounds) values.push_back(figures.*field);
    median.*field = Median(values);
  }
  return median;
}

double Quantile(const std::vector<float>& ascending, double q) {
  const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(ascending.size())));
  return ascending[std::clamp<size_t>(rank, 1, ascending.size()) - 1];
}

BestPgbench Best(const std::vector<PgbenchFigures>& pgbench) {
  BestPgbench best;
  for (const PgbenchFigures& figures : pgbench) {
    const double median = Median(figures.per_second);
    if (median > best.per_second) best = {figures.clients, median};
  }
  return best;
}

void PrintTable(const Results& results, std::ostream& out) {
  const BestPgbench best = Best(results.pgbench);
  out << absl::StrFormat("\nDurable reports: %s shards of one stream, %s\n%s\n\n",
                         Thousands(results.shards), results.postgresql, results.machine);
  out << "             ----------------- ReportBatch -----------------    ------- empty RPC ------"
         "-      reports/s as a share of\n"
         "  in flight  reports/s    p50 ms    p99 ms   in a group   cpu us    calls/s    p50 ms   "
         "cpu us     empty RPC    pgbench\n";
  for (const Level& level : results.levels) {
    const LoadFigures reports = Median(level.reports);
    const LoadFigures empty = Median(level.empty);
    out << absl::StrFormat(
        "  %9s  %9s  %8.2f  %8.2f  %11.1f  %7.1f  %9s  %8.2f  %7.1f  %12.2f  %9.2f\n",
        Thousands(level.in_flight), Thousands(reports.per_second), reports.p50_ms, reports.p99_ms,
        reports.group_size, reports.client_cpu_us + reports.server_cpu_us + reports.postgres_cpu_us,
        Thousands(empty.per_second), empty.p50_ms, empty.client_cpu_us + empty.server_cpu_us,
        Ratio(reports.per_second, empty.per_second), Ratio(reports.per_second, best.per_second));
  }
  out << "\n  pgbench, one conditional update of one such row a transaction:\n";
  for (const PgbenchFigures& figures : results.pgbench) {
    out << absl::StrFormat("  %9d clients  %9s updates/s%s\n", figures.clients,
                           Thousands(Median(figures.per_second)),
                           figures.clients == best.clients ? "  (best)" : "");
  }
  if (results.levels.empty()) return;
  const Level& last = results.levels.back();
  const LoadFigures reports = Median(last.reports);
  const double of_empty = Ratio(reports.per_second, Median(last.empty).per_second);
  const double of_pgbench = Ratio(reports.per_second, best.per_second);
  out << absl::StrFormat(
      "\n  With %s in flight a report costs, in microseconds of processor time: client %.1f, "
      "coordinator %.1f, PostgreSQL %.1f.\n",
      Thousands(last.in_flight), reports.client_cpu_us, reports.server_cpu_us,
      reports.postgres_cpu_us);
  out << absl::StrFormat(
      "  Targets there: %.1f of the empty RPC: %.2f, %s; %.1f of pgbench's best: %.2f, %s.\n",
      kEmptyTarget, of_empty, Verdict(of_empty, kEmptyTarget), kPgbenchTarget, of_pgbench,
      Verdict(of_pgbench, kPgbenchTarget));
}

nlohmann::ordered_json ToJson(const Results& results) {
  const BestPgbench best = Best(results.pgbench);
  nlohmann::ordered_json json = {{"time", results.time},
                                 {"machine", results.machine},
                                 {"postgresql", results.postgresql},
                                 {"seconds", results.seconds},
                                 {"shards", results.shards}};
  json["levels"] = nlohmann::ordered_json::array();
  for (const Level& level : results.levels) {
    const double rate = Median(level.reports).per_second;
    json["levels"].push_back({{"in_flight", level.in_flight},
                              {"reports", ToJson(level.reports)},
                              {"empty", ToJson(level.empty)},
                              {"ratio_to_empty", Ratio(rate, Median(level.empty).per_second)},
                              {"ratio_to_pgbench", Ratio(rate, best.per_second)}});
  }
  json["pgbench"] = nlohmann::ordered_json::array();
  for (const PgbenchFigures& figures : results.pgbench) {
    json["pgbench"].push_back({{"clients", figures.clients},
                               {"median", Median(figures.per_second)},
                               {"rounds", figures.per_second}});
  }
  json["pgbench_best"] = best.per_second;
  return json;
}

}  // namespace lowmark
