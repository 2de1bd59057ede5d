// The certificates and the key of one side of a TLS connection, out of PEM files.
#ifndef LOWMARK_SERVICE_SECURITY_TLS_TEXTS_H_
#define LOWMARK_SERVICE_SECURITY_TLS_TEXTS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/security/reloaded.h"
#include "service/security/secret_file.h"

namespace lowmark {

// Where they are; an empty path stands for none. A key goes with a certificate.
struct TlsFiles {
  SecretFile ca;
  SecretFile certificate;
  SecretFile key;
};

// What was read, in PEM; checked, so that OpenSSL takes it.
struct TlsTexts {
  std::string ca;           // whom to trust; empty for nobody
  std::string certificate;  // with what lies between it and its CA; empty for none
  std::string key;
  // When the certificate expires; for ever without one.
  absl::Time expires = absl::InfiniteFuture();
};

// INVALID_ARGUMENT naming the file and what is wrong: it cannot be read, is not PEM,
// or the key belongs to another certificate. A certificate that has expired is
// taken: it may be replaced any moment, and peers say it better.
absl::StatusOr<std::unique_ptr<Reloaded<TlsTexts>>> LoadTls(const TlsFiles& files);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_TLS_TEXTS_H_
