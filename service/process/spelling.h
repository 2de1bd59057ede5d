// Words that a person typed, in messages about them.
#ifndef LOWMARK_SERVICE_PROCESS_SPELLING_H_
#define LOWMARK_SERVICE_PROCESS_SPELLING_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace lowmark {

// The candidate that `word` is most likely a misspelling of; empty where none is
// close.
std::string Nearest(const std::string& word, const std::vector<std::string>& candidates);

// In quotes, without control characters, and not too long.
std::string Quoted(absl::string_view value);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_SPELLING_H_
