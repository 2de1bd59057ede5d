// A YAML file with options of a program: lines of the form `option: value`.
#ifndef LOWMARK_SERVICE_PROCESS_OPTION_FILE_H_
#define LOWMARK_SERVICE_PROCESS_OPTION_FILE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace lowmark {

// What a file says of an option, and where.
struct OptionFileValue {
  std::vector<std::string> values;  // more than one for a list
  int line = 0;
};

// By the option's name, in which each _ has become -.
using OptionFile = std::map<std::string, OptionFileValue>;

// Reads a file in which only `known` options may stand. INVALID_ARGUMENT names the
// file, the line, and what is wrong there.
absl::StatusOr<OptionFile> ReadOptionFile(const std::string& path,
                                          const std::vector<std::string>& known);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_OPTION_FILE_H_
