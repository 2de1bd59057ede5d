#include "service/process/version.h"

namespace lowmark {

absl::string_view Version() { return LOWMARK_VERSION; }

}  // namespace lowmark
