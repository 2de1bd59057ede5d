// What the fleet driver measured, each figure beside its limit, as a table for
// people and as JSON for machines.
#ifndef LOWMARK_TESTS_BENCH_FLEET_RESULTS_H_
#define LOWMARK_TESTS_BENCH_FLEET_RESULTS_H_

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace lowmark {

// What a figure is held to.
struct Limit {
  enum class Kind { kNone, kAtMost, kAtLeast };

  Kind kind = Kind::kNone;
  double value = 0;
  // It is about right and wrong, not about fast and slow: it is to be kept on any
  // machine.
  bool always = false;

  static Limit None() { return {}; }
  static Limit AtMost(double value) { return {Kind::kAtMost, value, false}; }
  static Limit AtLeast(double value) { return {Kind::kAtLeast, value, false}; }
  static Limit Always(double at_most) { return {Kind::kAtMost, at_most, true}; }
  bool KeptBy(double measured) const;
};

struct Figure {
  std::string phase;
  std::string name;
  double measured = 0;
  std::string unit;
  Limit limit;
};

struct FleetResults {
  std::string machine;
  std::string postgresql;
  std::string time;  // when it began, RFC 3339
  int shards = 0;
  int workers = 0;
  std::vector<Figure> figures;
  // What must never be and was, in words.
  std::vector<std::string> violations;

  void Add(const std::string& phase, const std::string& name, double measured,
           const std::string& unit, Limit limit = Limit::None());
  // One row for all, and their words below the table.
  void AddViolations(const std::string& phase, const std::vector<std::string>& texts);
  // Two rows: the median and the 99th percentile of values that ascend.
  void AddLatencies(const std::string& phase, const std::string& name,
                    const std::vector<float>& latencies_ms, Limit p50 = Limit::None(),
                    Limit p99 = Limit::None());
};

// Whether the limits were kept: all of them, or those of right and wrong alone.
bool Passed(const FleetResults& results, bool all);

void PrintTable(const FleetResults& results, bool all, std::ostream& out);
nlohmann::ordered_json ToJson(const FleetResults& results);

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_FLEET_RESULTS_H_
