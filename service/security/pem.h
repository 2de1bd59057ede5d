// What is in PEM texts, as far as an operator has to be told of it.
#ifndef LOWMARK_SERVICE_SECURITY_PEM_H_
#define LOWMARK_SERVICE_SECURITY_PEM_H_

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace lowmark {

struct FreeOpenSsl {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* connection) const { SSL_free(connection); }
};
using Certificate = std::unique_ptr<X509, FreeOpenSsl>;
using PrivateKey = std::unique_ptr<EVP_PKEY, FreeOpenSsl>;

// The certificates in a text, in their order; empty where one of them cannot be read.
std::vector<Certificate> ParseCertificates(const std::string& pem);

// The first private key; null where there is none, or where it has a passphrase.
PrivateKey ParseKey(const std::string& pem);

absl::Time NotBefore(const X509& certificate);
absl::Time NotAfter(const X509& certificate);

// The DNS names and addresses that it is for, as "a, b"; its common name where it has
// none.
std::string NamesOf(X509& certificate);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_SECURITY_PEM_H_
