// What a registry tells Prometheus, as tests like to read it.
#ifndef LOWMARK_TESTS_SUPPORT_SERIES_H_
#define LOWMARK_TESTS_SUPPORT_SERIES_H_

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace lowmark {

// Each series by how it is written, as `calls_total{code="OK",method="Get"}`.
inline std::map<std::string, double> SeriesOf(const prometheus::Registry& registry) {
  std::map<std::string, double> series;
  const std::string text = prometheus::TextSerializer().Serialize(registry.Collect());
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const size_t space = line.rfind(' ');
    double value = 0;
    if (line.empty() || line[0] == '#' || space == absl::string_view::npos) continue;
    if (absl::SimpleAtod(line.substr(space + 1), &value)) {
      series[std::string(line.substr(0, space))] = value;
    }
  }
  return series;
}

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SUPPORT_SERIES_H_
