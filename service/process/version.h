// The version of this build.
#ifndef LOWMARK_SERVICE_PROCESS_VERSION_H_
#define LOWMARK_SERVICE_PROCESS_VERSION_H_

#include "absl/strings/string_view.h"

namespace lowmark {

// As in "0.1.0".
absl::string_view Version();

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_VERSION_H_
