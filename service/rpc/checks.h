// Checks that the fields of more than one request need. INVALID_ARGUMENT naming
// field, value and what is allowed.
#ifndef LOWMARK_SERVICE_RPC_CHECKS_H_
#define LOWMARK_SERVICE_RPC_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace lowmark {

// The first error of several checks.
absl::Status First(std::initializer_list<absl::Status> checks);
absl::Status CheckId(absl::string_view field, const std::string& id);
absl::Status CheckRange(absl::string_view field, int64_t value, int64_t low, int64_t high);
absl::Status CheckPositive(absl::string_view field, int64_t value);
// Text for people: no control characters but, where it may have `lines`, tab and
// newline.
absl::Status CheckText(absl::string_view field, const std::string& text, size_t longest,
                       bool lines);
absl::Status CheckEtag(const std::string& field, const std::string& etag);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_CHECKS_H_
