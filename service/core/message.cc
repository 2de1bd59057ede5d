#include "service/core/message.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace lowmark {
namespace {

constexpr int kDigits = 4;

}  // namespace

std::string WithoutNumbers(absl::string_view message) {
  std::vector<absl::string_view> words = absl::StrSplit(message, ' ');
  std::erase_if(words, [](absl::string_view word) {
    return std::count_if(word.begin(), word.end(), absl::ascii_isdigit) >= kDigits;
  });
  return absl::StrJoin(words, " ");
}

}  // namespace lowmark
