// Makes the destination that a policy names.
#ifndef LOWMARK_SERVICE_ON_FAILURE_DESTINATIONS_H_
#define LOWMARK_SERVICE_ON_FAILURE_DESTINATIONS_H_

#include <string>

#include "service/on_failure/destination.h"
#include "service/on_failure/options.h"

namespace lowmark {

// Secrets are read when a destination is made.
MakeDestination Destinations(const DestinationOptions& options);

// Every "${secret:NAME}" in the values becomes what the file `directory`/NAME holds,
// without white space at its end. FAILED_PRECONDITION, naming the secret, where it
// cannot be read, is empty or has more than 64 KiB, or where there is no directory.
absl::StatusOr<OnFailure::Texts> ReadSecrets(const OnFailure::Texts& texts,
                                             const std::string& directory);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_ON_FAILURE_DESTINATIONS_H_
