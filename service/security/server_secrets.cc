#include "service/security/server_secrets.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/security/target.h"

namespace lowmark {

absl::Status ServerSecurity::Validate(const std::string& listen) const {
  if (tls_cert.empty() != tls_key.empty()) {
    return tls_key.empty()
               ? InvalidField("tls-cert", tls_cert, "needs --tls-key, the file with its key")
               : InvalidField("tls-key", tls_key,
                              "needs --tls-cert, the file with its certificate");
  }
  if (!tls_client_ca.empty() && tls_cert.empty()) {
    return InvalidField("tls-client-ca", tls_client_ca,
                        "needs --tls-cert and --tls-key: clients' certificates take TLS");
  }
  if (!worker_tokens.empty() && admin_tokens.empty()) {
    return InvalidField("worker-tokens", worker_tokens,
                        "needs --admin-tokens: without, nobody could look after streams");
  }
  if (!admin_tokens.empty() && tls_cert.empty() && !allow_insecure_tokens &&
      !IsLoopback(ParseTarget(listen))) {
    return InvalidField("admin-tokens", admin_tokens,
                        absl::StrCat("others could read tokens on their way to ", listen,
                                     ": encrypt with --tls-cert and --tls-key, listen on loopback, "
                                     "or give --allow-insecure-tokens where something else does"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ServerSecrets>> ServerSecrets::Load(const ServerSecurity& security) {
  auto secrets = std::make_unique<ServerSecrets>();
  if (!security.tls_cert.empty()) {
    auto tls = LoadTls({.ca = {"tls-client-ca", security.tls_client_ca},
                        .certificate = {"tls-cert", security.tls_cert},
                        .key = {"tls-key", security.tls_key}});
    if (!tls.ok()) return tls.status();
    secrets->tls_ = *std::move(tls);
  }
  if (!security.admin_tokens.empty()) {
    auto access = Access::Load({"worker-tokens", security.worker_tokens},
                               {"admin-tokens", security.admin_tokens});
    if (!access.ok()) return access.status();
    secrets->access_ = *std::move(access);
  }
  return secrets;
}

SecretsNews ServerSecrets::Refresh() {
  SecretsNews news;
  if (tls_ != nullptr) news.Add("certificates", tls_->Refresh());
  if (access_ != nullptr) news.Add("tokens", access_->Refresh());
  return news;
}

}  // namespace lowmark
