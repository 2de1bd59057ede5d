// How a coordinator secures its gRPC port: with a certificate, by asking clients for
// theirs, by asking calls for a token. Any of it, or nothing.
#ifndef LOWMARK_SERVICE_SECURITY_SERVER_SECRETS_H_
#define LOWMARK_SERVICE_SECURITY_SERVER_SECRETS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/security/access.h"
#include "service/security/reloaded.h"
#include "service/security/tls_texts.h"

namespace lowmark {

// Files, which may be replaced while the coordinator runs.
struct ServerSecurity {
  // The coordinator's certificate (PEM, with what lies between it and its CA) and its
  // key: connections are encrypted. Both or neither.
  std::string tls_cert = {};
  std::string tls_key = {};
  // CAs: a client needs a certificate that one of them has signed.
  std::string tls_client_ca = {};
  // Tokens that may call CoordinatorService; tokens that may call everything. With
  // the second, calls without a token are refused. See token.h.
  std::string worker_tokens = {};
  std::string admin_tokens = {};
  // Take tokens without TLS, though others could read them on their way: where
  // something else encrypts. Not needed on loopback and unix sockets.
  bool allow_insecure_tokens = false;

  // `listen`: where the coordinator serves. INVALID_ARGUMENT naming option, value and
  // what is allowed. Does not look at the files.
  absl::Status Validate(const std::string& listen) const;
};

// What is in them. Thread-safe, but for Refresh.
class ServerSecrets {
 public:
  // INVALID_ARGUMENT where a file is of no use. `security` must be valid.
  static absl::StatusOr<std::unique_ptr<ServerSecrets>> Load(const ServerSecurity& security);

  // Null without a certificate.
  const Reloaded<TlsTexts>* tls() const { return tls_.get(); }
  // Null where calls need no token.
  const Access* access() const { return access_.get(); }

  // Looks at the files again. On one thread at a time.
  SecretsNews Refresh();

 private:
  std::unique_ptr<Reloaded<TlsTexts>> tls_;
  std::unique_ptr<Access> access_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_SERVER_SECRETS_H_
