#include "service/cli/table.h"

#include <algorithm>
#include <numeric>
#include <ostream>
#include <utility>

#include "service/cli/text.h"

namespace lowmark::cli {
namespace {

constexpr size_t kGap = 2;     // between columns
constexpr size_t kLeast = 16;  // what a shortened column keeps

}  // namespace

Table::Table(std::vector<std::string> headings) {
  for (std::string& heading : headings) {
    right_.push_back(!heading.empty() && heading[0] == '>');
    if (right_.back()) heading.erase(0, 1);
  }
  rows_.push_back(std::move(headings));
}

void Table::AddRow(std::vector<std::string> cells) {
  for (std::string& cell : cells) {
    if (cell.empty()) cell.push_back('-');
  }
  rows_.push_back(std::move(cells));
}

void Table::Print(std::ostream& out, size_t width) const {
  std::vector<size_t> widths(right_.size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  const size_t others =
      std::accumulate(widths.begin(), widths.end() - 1, size_t{0}) + kGap * (widths.size() - 1);
  if (width > 0) widths.back() = std::min(widths.back(), std::max(width, others + kLeast) - others);
  for (auto row : rows_) {
    row.back() = Shortened(row.back(), widths.back());
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - Width(row[i]), ' ');
      const bool last = i + 1 == row.size();
      out << (right_[i] ? padding : "") << row[i] << (right_[i] || last ? "" : padding)
          << (last ? "\n" : std::string(kGap, ' '));
    }
  }
}

}  // namespace lowmark::cli
