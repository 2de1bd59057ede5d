#include "service/security/tls_texts.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/security/pem.h"

namespace lowmark {
namespace {

constexpr char kNoCertificate[] = "holds no certificate in PEM form";

absl::StatusOr<TlsTexts> Make(const TlsFiles& files, std::vector<std::string> texts) {
  TlsTexts made;
  if (!files.ca.path.empty()) {
    if (ParseCertificates(texts.front()).empty()) return WrongFile(files.ca, kNoCertificate);
    made.ca = std::move(texts.front());
    texts.erase(texts.begin());
  }
  if (files.certificate.path.empty()) return made;
  const std::vector<Certificate> chain = ParseCertificates(texts[0]);
  if (chain.empty()) return WrongFile(files.certificate, kNoCertificate);
  const PrivateKey key = ParseKey(texts[1]);
  if (!key) return WrongFile(files.key, "holds no private key in PEM form without a passphrase");
  const bool match = X509_check_private_key(chain.front().get(), key.get()) == 1;
  ERR_clear_error();
  if (!match) {
    return WrongFile(files.key,
                     absl::StrCat("does not belong to the certificate in ", files.certificate.path,
                                  " (--", files.certificate.field, ")"));
  }
  made.certificate = std::move(texts[0]);
  made.key = std::move(texts[1]);
  made.expires = NotAfter(*chain.front());
  return made;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Reloaded<TlsTexts>>> LoadTls(const TlsFiles& files) {
  std::vector<SecretFile> named;
  for (const SecretFile& file : {files.ca, files.certificate, files.key}) {
    if (!file.path.empty()) named.push_back(file);
  }
  return Reloaded<TlsTexts>::Create(
      std::move(named),
      [files](const std::vector<std::string>& texts) { return Make(files, texts); });
}

}  // namespace lowmark
