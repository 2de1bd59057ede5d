// What a coordinator's operator lets the destinations of streams use of its host.
#ifndef LOWMARK_SERVICE_ON_FAILURE_OPTIONS_H_
#define LOWMARK_SERVICE_ON_FAILURE_OPTIONS_H_

#include <string>

#include "absl/status/status.h"
#include "service/core/on_failure.h"

namespace lowmark {

// Whoever may change streams may send dead letters, and the secrets here, anywhere.
struct DestinationOptions {
  // Destinations that are directories lie below this one; where empty, there are
  // none.
  std::string directory_root;
  // Where "${secret:NAME}" is read from, as the file NAME; where empty, nowhere.
  std::string secrets;

  // INVALID_ARGUMENT for a path that is not absolute.
  absl::Status Validate() const;
  // Whether a coordinator with these options can send to it: INVALID_ARGUMENT naming
  // the field and the option that is missing.
  absl::Status Check(const OnFailure& on_failure) const;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_ON_FAILURE_OPTIONS_H_
