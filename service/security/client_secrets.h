// What a client needs for its connections: read from the files of a
// ConnectionSecurity, and read again when they change.
#ifndef LOWMARK_SERVICE_SECURITY_CLIENT_SECRETS_H_
#define LOWMARK_SERVICE_SECURITY_CLIENT_SECRETS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "service/security/connection_security.h"
#include "service/security/reloaded.h"
#include "service/security/tls_texts.h"

namespace lowmark {

// Thread-safe, but for Refresh.
class ClientSecrets {
 public:
  // None: connections are plain, and calls have no token.
  ClientSecrets() = default;
  // INVALID_ARGUMENT where `security` is wrong for that coordinator, or a file of no
  // use.
  static absl::StatusOr<std::shared_ptr<ClientSecrets>> Load(const ConnectionSecurity& security,
                                                             const std::string& coordinator);

  // Null where connections are plain.
  std::shared_ptr<const TlsTexts> tls() const;
  const std::string& server_name() const { return security_.tls_server_name; }
  // The value of the header `authorization`, "Bearer TOKEN"; null for none.
  std::shared_ptr<const std::string> authorization() const;

  // Looks at the files again. Other certificates take new connections, another token
  // does not. On one thread at a time.
  SecretsNews Refresh();

 private:
  explicit ClientSecrets(const ConnectionSecurity& security) : security_(security) {}

  const ConnectionSecurity security_ = {};
  std::unique_ptr<Reloaded<TlsTexts>> tls_;
  std::unique_ptr<Reloaded<std::string>> authorization_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_CLIENT_SECRETS_H_
