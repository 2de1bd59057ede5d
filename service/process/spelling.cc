#include "service/process/spelling.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

int EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    int diagonal = std::exchange(row[0], static_cast<int>(i) + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const int replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string Nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string nearest;
  int distance = static_cast<int>(word.size() / 3) + 2;
  for (const std::string& candidate : candidates) {
    if (const int d = EditDistance(word, candidate); d < distance) {
      distance = d;
      nearest = candidate;
    }
  }
  // Or it is cut short.
  for (const std::string& candidate : candidates) {
    if (nearest.empty() && word.size() > 2 && absl::StartsWith(candidate, word)) return candidate;
  }
  return nearest;
}

std::string Quoted(absl::string_view value) {
  std::string text;
  for (const unsigned char c : value.substr(0, 80)) text.push_back(c < 32 || c == 127 ? '?' : c);
  return absl::StrCat("\"", text, value.size() > 80 ? "..." : "", "\"");
}

}  // namespace lowmark
