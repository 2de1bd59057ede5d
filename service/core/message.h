// Texts of errors.
#ifndef LOWMARK_SERVICE_CORE_MESSAGE_H_
#define LOWMARK_SERVICE_CORE_MESSAGE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace lowmark {

// What messages have in common that say the same of different times, positions or requests:
// the message without its words of four digits or more. A status such as 503 stays.
std::string WithoutNumbers(absl::string_view message);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_MESSAGE_H_
