#include "service/security/connection_security.h"

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/security/target.h"

namespace lowmark {

absl::Status ConnectionSecurity::Validate(const std::string& coordinator) const {
  if (tls_cert.empty() != tls_key.empty()) {
    return tls_key.empty()
               ? InvalidField("tls-cert", tls_cert, "needs --tls-key, the file with its key")
               : InvalidField("tls-key", tls_key,
                              "needs --tls-cert, the file with its certificate");
  }
  constexpr char kNeedsCa[] =
      "needs --tls-ca, the file with the CA of the coordinators' certificate";
  if (tls_ca.empty() && !tls_cert.empty()) return InvalidField("tls-cert", tls_cert, kNeedsCa);
  if (tls_ca.empty() && !tls_server_name.empty()) {
    return InvalidField("tls-server-name", tls_server_name, kNeedsCa);
  }
  if (!token_file.empty() && tls_ca.empty() && !allow_insecure_tokens &&
      !IsLoopback(ParseTarget(coordinator))) {
    return InvalidField("token-file", token_file,
                        absl::StrCat("others could read the token on its way to ", coordinator,
                                     ": encrypt with --tls-ca, or give --allow-insecure-tokens "
                                     "where something else does"));
  }
  return absl::OkStatus();
}

}  // namespace lowmark
