// Rows of text in aligned columns, for people.
#ifndef LOWMARK_SERVICE_CLI_TABLE_H_
#define LOWMARK_SERVICE_CLI_TABLE_H_

#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

namespace lowmark::cli {

class Table {
 public:
  // The columns' headings; one that starts with ">" is of numbers, which are
  // aligned to the right.
  explicit Table(std::vector<std::string> headings);

  // One cell for each column; an empty one is shown as "-".
  void AddRow(std::vector<std::string> cells);
  // Where `width` is given, the last column is shortened to keep lines within it,
  // though not to less than can be read.
  void Print(std::ostream& out, size_t width = 0) const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;  // the headings first
};

}  // namespace lowmark::cli

#endif  // LOWMARK_SERVICE_CLI_TABLE_H_
