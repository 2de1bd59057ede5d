#include "tests/bench/fleet_results.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/bench/results.h"

namespace lowmark {
namespace {

std::string Number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return absl::StrFormat("%.0f", value);
  return absl::StrFormat("%.*f", std::abs(value) < 10 ? 2 : 1, value);
}

std::string Text(double value, const std::string& unit) {
  return unit.empty() ? Number(value) : absl::StrCat(Number(value), " ", unit);
}

std::string Text(const Limit& limit) {
  if (limit.kind == Limit::Kind::kNone) return "";
  return absl::StrCat(limit.kind == Limit::Kind::kAtMost ? "<= " : ">= ", Number(limit.value));
}

bool Counts(const Limit& limit, bool all) {
  return limit.kind != Limit::Kind::kNone && (all || limit.always);
}

}  // namespace

bool Limit::KeptBy(double measured) const {
  if (kind == Kind::kNone) return true;
  return kind == Kind::kAtMost ? measured <= value : measured >= value;
}

void FleetResults::Add(const std::string& phase, const std::string& name, double measured,
                       const std::string& unit, Limit limit) {
  figures.push_back({phase, name, measured, unit, limit});
}

void FleetResults::AddViolations(const std::string& phase, const std::vector<std::string>& texts) {
  Add(phase, "contradictions", static_cast<double>(texts.size()), "", Limit::Always(0));
  for (const std::string& text : texts) violations.push_back(absl::StrCat(phase, ": ", text));
}

void FleetResults::AddLatencies(const std::string& phase, const std::string& name,
                                const std::vector<float>& latencies_ms, Limit p50, Limit p99) {
  if (latencies_ms.empty()) return;
  Add(phase, absl::StrCat(name, ", p50"), Quantile(latencies_ms, 0.5), "ms", p50);
  Add(phase, absl::StrCat(name, ", p99"), Quantile(latencies_ms, 0.99), "ms", p99);
}

bool Passed(const FleetResults& results, bool all) {
  return std::all_of(results.figures.begin(), results.figures.end(), [&](const Figure& figure) {
    return !Counts(figure.limit, all) || figure.limit.KeptBy(figure.measured);
  });
}

void PrintTable(const FleetResults& results, bool all, std::ostream& out) {
  out << absl::StrFormat("\nA fleet of %d workers with %d shards, %s\n%s, %s\n\n", results.workers,
                         results.shards, results.postgresql, results.machine, results.time);
  out << absl::StrFormat("  %-56s  %18s  %12s  %s\n", "figure", "measured", "limit", "ok");
  std::string phase;
  for (const Figure& figure : results.figures) {
    if (figure.phase != phase) out << "  " << (phase = figure.phase) << "\n";
    const char* verdict = !Counts(figure.limit, all)             ? ""
                          : figure.limit.KeptBy(figure.measured) ? "yes"
                                                                 : "NO";
    out << absl::StrFormat("    %-54s  %18s  %12s  %s\n", figure.name,
                           Text(figure.measured, figure.unit), Text(figure.limit), verdict);
  }
  for (const std::string& violation : results.violations) out << "\n  " << violation;
  const char* kept = all ? "All limits were kept." : "Nothing was wrong; how fast was not judged.";
  out << "\n  " << (Passed(results, all) ? kept : "A limit was MISSED.") << "\n";
}

nlohmann::ordered_json ToJson(const FleetResults& results) {
  nlohmann::ordered_json json = {
      {"time", results.time},     {"machine", results.machine}, {"postgresql", results.postgresql},
      {"shards", results.shards}, {"workers", results.workers}, {"violations", results.violations}};
  json["figures"] = nlohmann::ordered_json::array();
  for (const Figure& figure : results.figures) {
    nlohmann::ordered_json row = {{"phase", figure.phase},
                                  {"name", figure.name},
                                  {"measured", figure.measured},
                                  {"unit", figure.unit}};
    if (figure.limit.kind != Limit::Kind::kNone) {
      row[figure.limit.kind == Limit::Kind::kAtMost ? "at_most" : "at_least"] = figure.limit.value;
      row["ok"] = figure.limit.KeptBy(figure.measured);
    }
    json["figures"].push_back(row);
  }
  return json;
}

}  // namespace lowmark
