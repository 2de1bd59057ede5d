#include "service/security/client_secrets.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/security/token.h"

namespace lowmark {
namespace {

absl::StatusOr<std::unique_ptr<Reloaded<std::string>>> LoadToken(const SecretFile& file) {
  return Reloaded<std::string>::Create(
      {file}, [file](const std::vector<std::string>& texts) -> absl::StatusOr<std::string> {
        auto tokens = ParseTokens(file, texts[0]);
        if (!tokens.ok()) return tokens.status();
        return absl::StrCat("Bearer ", tokens->front().text);
      });
}

}  // namespace

absl::StatusOr<std::shared_ptr<ClientSecrets>> ClientSecrets::Load(
    const ConnectionSecurity& security, const std::string& coordinator) {
  if (auto s = security.Validate(coordinator); !s.ok()) return s;
  std::shared_ptr<ClientSecrets> secrets(new ClientSecrets(security));
  if (!security.tls_ca.empty()) {
    auto tls = LoadTls({.ca = {"tls-ca", security.tls_ca},
                        .certificate = {"tls-cert", security.tls_cert},
                        .key = {"tls-key", security.tls_key}});
    if (!tls.ok()) return tls.status();
    secrets->tls_ = *std::move(tls);
  }
  if (!security.token_file.empty()) {
    auto token = LoadToken({"token-file", security.token_file});
    if (!token.ok()) return token.status();
    secrets->authorization_ = *std::move(token);
  }
  return secrets;
}

std::shared_ptr<const TlsTexts> ClientSecrets::tls() const {
  return tls_ == nullptr ? nullptr : tls_->current();
}

std::shared_ptr<const std::string> ClientSecrets::authorization() const {
  return authorization_ == nullptr ? nullptr : authorization_->current();
}

SecretsNews ClientSecrets::Refresh() {
  SecretsNews news;
  if (tls_ != nullptr) news.Add("certificates", tls_->Refresh());
  if (authorization_ != nullptr) news.Add("token", authorization_->Refresh());
  return news;
}

}  // namespace lowmark
