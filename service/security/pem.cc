#include "service/security/pem.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "absl/strings/str_join.h"

namespace lowmark {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Text = std::unique_ptr<BIO, FreeBio>;

Text Open(const std::string& text) {
  return Text(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// OpenSSL's own asks on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

absl::Time ToTime(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfiniteFuture();
  return absl::FromTM(parts, absl::UTCTimeZone());
}

std::string ToText(const ASN1_STRING* text) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<size_t>(ASN1_STRING_length(text)));
}

std::string AddressText(const ASN1_STRING* address) {
  char text[INET6_ADDRSTRLEN] = "";
  const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
  inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof(text));
  return text;
}

}  // namespace

std::vector<Certificate> ParseCertificates(const std::string& pem) {
  ERR_clear_error();
  const Text text = Open(pem);
  std::vector<Certificate> certificates;
  while (X509* one = PEM_read_bio_X509(text.get(), nullptr, NoPassphrase, nullptr)) {
    certificates.emplace_back(one);
  }
  // It ends with "no start line" where everything was read.
  const bool all = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!all) certificates.clear();
  return certificates;
}

PrivateKey ParseKey(const std::string& pem) {
  const Text text = Open(pem);
  PrivateKey key(PEM_read_bio_PrivateKey(text.get(), nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  return key;
}

absl::Time NotBefore(const X509& certificate) { return ToTime(X509_get0_notBefore(&certificate)); }
absl::Time NotAfter(const X509& certificate) { return ToTime(X509_get0_notAfter(&certificate)); }

std::string NamesOf(X509& certificate) {
  std::vector<std::string> all;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) all.push_back(ToText(name->d.dNSName));
    if (name->type == GEN_IPADD) all.push_back(AddressText(name->d.iPAddress));
  }
  GENERAL_NAMES_free(names);
  if (!all.empty()) return absl::StrJoin(all, ", ");
  char common[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(&certificate), NID_commonName, common,
                            sizeof(common));
  return common;
}

}  // namespace lowmark
