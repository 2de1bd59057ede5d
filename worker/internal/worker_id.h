// A worker's id.
#ifndef LOWMARK_WORKER_INTERNAL_WORKER_ID_H_
#define LOWMARK_WORKER_INTERNAL_WORKER_ID_H_

#include <string>

#include "absl/strings/string_view.h"

namespace lowmark {

// "<host>-<32 hexadecimal digits>": of the host's name what an id may hold, and
// 128 random bits, so that no two runs of a worker are ever taken for each other.
std::string MakeWorkerId(absl::string_view host);
// With this machine's name.
std::string MakeWorkerId();

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_WORKER_ID_H_
