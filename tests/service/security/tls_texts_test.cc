#include "service/security/tls_texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/security/pem.h"
#include "tests/support/test_certificates.h"

namespace lowmark {
namespace {

using testing::HasSubstr;

class TlsTextsTest : public testing::Test {
 protected:
  TlsTextsTest() {
    files_.MakeCa("ca");
    files_.Make("server", "ca");
    files_.Make("other", "ca");
  }

  TlsFiles Files(const std::string& ca, const std::string& certificate, const std::string& key) {
    const auto path = [this](const std::string& name) {
      return name.empty() ? "" : files_.Path(name);
    };
    return {{"tls-ca", path(ca)}, {"tls-cert", path(certificate)}, {"tls-key", path(key)}};
  }
  std::string Wrong(const TlsFiles& files) {
    const auto tls = LoadTls(files);
    EXPECT_EQ(tls.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(tls.status().message());
  }

  TestCertificates files_;
};

TEST_F(TlsTextsTest, ReadsWhatIsNamed) {
  auto tls = LoadTls(Files("ca.crt", "server.crt", "server.key"));
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_EQ((*tls)->current()->ca, files_.Read("ca.crt"));
  EXPECT_EQ((*tls)->current()->certificate, files_.Read("server.crt"));
  EXPECT_EQ((*tls)->current()->key, files_.Read("server.key"));
  EXPECT_GT((*tls)->current()->expires, absl::Now() + absl::Hours(47));
  EXPECT_LT((*tls)->current()->expires, absl::Now() + absl::Hours(49));
  tls = LoadTls(Files("ca.crt", "", ""));
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_EQ((*tls)->current()->certificate, "");
  EXPECT_EQ((*tls)->current()->expires, absl::InfiniteFuture());
  tls = LoadTls(Files("", "server.crt", "server.key"));
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_EQ((*tls)->current()->ca, "");
}

TEST_F(TlsTextsTest, ABundleMayHaveManyCertificatesAndWordsBetween) {
  files_.MakeCa("second");
  files_.Write("bundle", absl::StrCat("the old one\n", files_.Read("ca.crt"), "the new one\n",
                                      files_.Read("second.crt")));
  EXPECT_TRUE(LoadTls(Files("bundle", "", "")).ok());
  EXPECT_EQ(ParseCertificates(files_.Read("bundle")).size(), 2u);
}

TEST_F(TlsTextsTest, SaysWhatIsWrongWithWhichFile) {
  EXPECT_THAT(Wrong(Files("none", "", "")), HasSubstr("tls-ca is"));
  EXPECT_THAT(Wrong(Files("none", "", "")), HasSubstr("none\": cannot be read: No such file"));
  EXPECT_THAT(Wrong(Files("server.key", "", "")), HasSubstr("holds no certificate in PEM form"));
  EXPECT_THAT(Wrong(Files("", "server.key", "server.key")), HasSubstr("tls-cert is"));
  EXPECT_THAT(Wrong(Files("", "server.crt", "server.crt")),
              HasSubstr("holds no private key in PEM form without a passphrase"));
  EXPECT_THAT(Wrong(Files("", "server.crt", "other.key")),
              HasSubstr(absl::StrCat("tls-key is \"", files_.Path("other.key"),
                                     "\": does not belong to the certificate in ",
                                     files_.Path("server.crt"), " (--tls-cert)")));
  files_.Write("cut.crt", files_.Read("server.crt").substr(0, 200));
  EXPECT_THAT(Wrong(Files("", "cut.crt", "server.key")), HasSubstr("holds no certificate"));
  files_.Write("broken.crt", files_.Read("ca.crt") +
                                 "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  EXPECT_THAT(Wrong(Files("broken.crt", "", "")), HasSubstr("holds no certificate"));
}

TEST_F(TlsTextsTest, AKeyWithAPassphraseIsRefusedAndNotAskedFor) {
  const char kEncrypted[] =
      "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
      "DEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END EC PRIVATE KEY-----\n";
  files_.Write("locked.key", kEncrypted);
  EXPECT_THAT(Wrong(Files("", "server.crt", "locked.key")), HasSubstr("without a passphrase"));
}

TEST_F(TlsTextsTest, AnExpiredCertificateIsTaken) {
  files_.Make("old", "ca", {.days = -1});
  auto tls = LoadTls(Files("", "old.crt", "old.key"));
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_LT((*tls)->current()->expires, absl::Now());
}

TEST_F(TlsTextsTest, NamesOfACertificate) {
  files_.Make("named", "ca", {.names = "DNS:a.example,IP:127.0.0.1,IP:::1,URI:spiffe://x"});
  EXPECT_EQ(NamesOf(*ParseCertificates(files_.Read("named.crt"))[0]), "a.example, 127.0.0.1, ::1");
  EXPECT_EQ(NamesOf(*ParseCertificates(files_.Read("ca.crt"))[0]), "ca");
}

}  // namespace
}  // namespace lowmark
