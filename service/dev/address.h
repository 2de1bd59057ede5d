// TCP addresses of the form host:port that parts of `lowmark dev` will listen on.
#ifndef LOWMARK_SERVICE_DEV_ADDRESS_H_
#define LOWMARK_SERVICE_DEV_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"

namespace lowmark {

// The address with its port, a free one where that was 0, so that a program can be
// started on it, and started again. INVALID_ARGUMENT where it is no address,
// UNAVAILABLE where it is taken. Another process may take it before it is used.
absl::StatusOr<std::string> ClaimAddress(const std::string& address);

// Whether somebody listens there.
bool AcceptsConnections(const std::string& address);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_DEV_ADDRESS_H_
