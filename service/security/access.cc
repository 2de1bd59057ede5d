#include "service/security/access.h"

#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr absl::string_view kScheme = "Bearer ";
constexpr size_t kLongestName = 128;  // of a stream; the request was not looked at yet

absl::StatusOr<std::unique_ptr<Reloaded<TokenSet>>> LoadTokens(const SecretFile& file,
                                                               Scope scope) {
  return Reloaded<TokenSet>::Create(
      {file}, [file, scope](const std::vector<std::string>& texts) -> absl::StatusOr<TokenSet> {
        auto tokens = ParseTokens(file, texts[0]);
        if (!tokens.ok()) return tokens.status();
        for (const Token& token : *tokens) {
          if (scope == Scope::kAdmin && !token.streams.empty()) {
            return WrongFile(file, absl::StrCat("line ", token.line,
                                                " has more than a token, and an admin's is for all "
                                                "streams: only in --worker-tokens may one be for "
                                                "those that are named after it"));
          }
        }
        return TokenSet(*tokens);
      });
}

absl::Status Unauthenticated(absl::string_view message) {
  return MakeError(absl::StatusCode::kUnauthenticated, kUnauthenticated, message);
}

absl::Status PermissionDenied(absl::string_view message) {
  return MakeError(absl::StatusCode::kPermissionDenied, kPermissionDenied, message);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Access>> Access::Load(const SecretFile& workers,
                                                     const SecretFile& admins) {
  auto access = std::make_unique<Access>();
  auto tokens = LoadTokens(admins, Scope::kAdmin);
  if (!tokens.ok()) return tokens.status();
  access->admins_ = *std::move(tokens);
  if (workers.path.empty()) return access;
  tokens = LoadTokens(workers, Scope::kWorker);
  if (!tokens.ok()) return tokens.status();
  access->workers_ = *std::move(tokens);
  return access;
}

absl::Status Access::Check(absl::string_view authorization, Scope scope,
                           absl::string_view stream) const {
  if (authorization.empty()) {
    return Unauthenticated("the call has no token: give the client the file of one (--token-file)");
  }
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) {
    return Unauthenticated("the call's authorization is no \"Bearer TOKEN\"");
  }
  const absl::string_view token = authorization.substr(kScheme.size());
  using Match = TokenSet::Match;
  if (admins_->current()->Find(token, stream) == Match::kMatch) return absl::OkStatus();
  const Match match = workers_ == nullptr ? Match::kNone : workers_->current()->Find(token, stream);
  if (match == Match::kNone) {
    return Unauthenticated(
        "the call's token is none of the coordinator's: was it replaced? Give the client the file "
        "of one that is (--token-file)");
  }
  if (scope == Scope::kAdmin) {
    return PermissionDenied("a worker's token may not do this: it takes an admin's (--token-file)");
  }
  if (match == Match::kMatch) return absl::OkStatus();
  return PermissionDenied(
      absl::StrCat("the call's token is for other streams than \"",
                   absl::CHexEscape(stream.substr(0, kLongestName)),
                   "\": give the worker the file of one for this stream (--token-file), or name "
                   "the stream after the token in the coordinator's --worker-tokens"));
}

absl::StatusOr<bool> Access::Refresh() {
  auto admins = admins_->Refresh();
  auto workers = workers_ == nullptr ? absl::StatusOr<bool>(false) : workers_->Refresh();
  if (!admins.ok()) return admins;
  if (!workers.ok()) return workers;
  return *admins || *workers;
}

}  // namespace lowmark
