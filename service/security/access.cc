#include "service/security/access.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr absl::string_view kScheme = "Bearer ";

absl::StatusOr<std::unique_ptr<Reloaded<TokenSet>>> LoadTokens(const SecretFile& file) {
  return Reloaded<TokenSet>::Create(
      {file}, [file](const std::vector<std::string>& texts) -> absl::StatusOr<TokenSet> {
        auto tokens = ParseTokens(file, texts[0]);
        if (!tokens.ok()) return tokens.status();
        return TokenSet(*tokens);
      });
}

absl::Status Unauthenticated(absl::string_view message) {
  return MakeError(absl::StatusCode::kUnauthenticated, kUnauthenticated, message);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Access>> Access::Load(const SecretFile& workers,
                                                     const SecretFile& admins) {
  auto access = std::make_unique<Access>();
  auto tokens = LoadTokens(admins);
  if (!tokens.ok()) return tokens.status();
  access->admins_ = *std::move(tokens);
  if (workers.path.empty()) return access;
  tokens = LoadTokens(workers);
  if (!tokens.ok()) return tokens.status();
  access->workers_ = *std::move(tokens);
  return access;
}

absl::Status Access::Check(absl::string_view authorization, Scope scope) const {
  if (authorization.empty()) {
    return Unauthenticated("the call has no token: give the client the file of one (--token-file)");
  }
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) {
    return Unauthenticated("the call's authorization is no \"Bearer TOKEN\"");
  }
  const absl::string_view token = authorization.substr(kScheme.size());
  if (admins_->current()->Has(token)) return absl::OkStatus();
  if (workers_ == nullptr || !workers_->current()->Has(token)) {
    return Unauthenticated(
        "the call's token is none of the coordinator's: was it replaced? Give the client the file "
        "of one that is (--token-file)");
  }
  if (scope == Scope::kWorker) return absl::OkStatus();
  return MakeError(absl::StatusCode::kPermissionDenied, kPermissionDenied,
                   "a worker's token may not do this: it takes an admin's (--token-file)");
}

absl::StatusOr<bool> Access::Refresh() {
  auto admins = admins_->Refresh();
  auto workers = workers_ == nullptr ? absl::StatusOr<bool>(false) : workers_->Refresh();
  if (!admins.ok()) return admins;
  if (!workers.ok()) return workers;
  return *admins || *workers;
}

}  // namespace lowmark
