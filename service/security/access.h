// Who may call what, by bearer tokens: those of workers may call CoordinatorService, for
// the streams that they are for, those of admins everything.
#ifndef LOWMARK_SERVICE_SECURITY_ACCESS_H_
#define LOWMARK_SERVICE_SECURITY_ACCESS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "service/security/reloaded.h"
#include "service/security/token.h"

namespace lowmark {

// The reasons of its errors, beside those in service/core/error.h.
inline constexpr char kUnauthenticated[] = "UNAUTHENTICATED";
inline constexpr char kPermissionDenied[] = "PERMISSION_DENIED";

enum class Scope { kWorker, kAdmin };

class Access {
 public:
  // Tokens in files (see token.h); without `workers` only admins may call.
  // INVALID_ARGUMENT where a file is of no use, or an admin's token names streams.
  static absl::StatusOr<std::unique_ptr<Access>> Load(const SecretFile& workers,
                                                      const SecretFile& admins);

  // Whether a call with this `authorization` header, "Bearer TOKEN", may do what
  // takes `scope` to `stream`; otherwise UNAUTHENTICATED or PERMISSION_DENIED, which say what to
  // do and nothing of the token. Thread-safe; holds a lock for a pointer's copy.
  absl::Status Check(absl::string_view authorization, Scope scope, absl::string_view stream) const;

  // As Reloaded::Refresh.
  absl::StatusOr<bool> Refresh();

 private:
  std::unique_ptr<Reloaded<TokenSet>> workers_;  // null where there are none
  std::unique_ptr<Reloaded<TokenSet>> admins_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_ACCESS_H_
