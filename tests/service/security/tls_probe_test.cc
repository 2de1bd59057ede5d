// Against openssl(1), a server that is not ours; tests/integration has the same
// against a coordinator.
#include "service/security/tls_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/strip.h"
#include "service/process/child_process.h"
#include "tests/support/test_certificates.h"

namespace lowmark {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr absl::Duration kLong = absl::Seconds(30);
// For a server that has nothing to say, which is waited for.
constexpr absl::Duration kShort = absl::Milliseconds(300);

class TlsProbeTest : public testing::Test {
 protected:
  TlsProbeTest() {
    files_.MakeCa("ca");
    files_.MakeCa("other-ca");
    files_.Make("server", "ca");
    files_.Make("client", "ca");
  }

  void Serve(const std::string& certificate, const std::vector<std::string>& more = {}) {
    ProcessOptions options;
    options.argv = {"openssl",
                    "s_server",
                    "-accept",
                    "127.0.0.1:0",
                    "-www",
                    "-alpn",
                    "h2",
                    "-cert",
                    files_.Path(certificate + ".crt"),
                    "-key",
                    files_.Path(certificate + ".key")};
    options.argv.insert(options.argv.end(), more.begin(), more.end());
    options.out = Output::Pipe();
    options.err = Output::Stdout();
    auto server = ChildProcess::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    for (;;) {
      auto line = server_->ReadLine(kLong);
      ASSERT_TRUE(line.ok()) << line.status();
      absl::string_view rest = *line;
      if (!absl::ConsumePrefix(&rest, "ACCEPT ")) continue;
      address_ = std::string(rest);
      return;
    }
  }
  void AskForCertificates(const std::string& version) {
    Serve("server",
          {version, "-Verify", "1", "-verify_return_error", "-CAfile", files_.Path("ca.crt")});
  }

  std::string Explain(const ConnectionSecurity& security, absl::Duration timeout = kLong) {
    auto secrets = ClientSecrets::Load(security, address_);
    EXPECT_TRUE(secrets.ok()) << secrets.status();
    return ExplainConnection(address_, **secrets, timeout);
  }
  ConnectionSecurity Trusting(const std::string& ca, const std::string& client = "") {
    ConnectionSecurity security = {.tls_ca = files_.Path(ca + ".crt")};
    if (client.empty()) return security;
    security.tls_cert = files_.Path(client + ".crt");
    security.tls_key = files_.Path(client + ".key");
    return security;
  }

  TestCertificates files_;
  std::unique_ptr<ChildProcess> server_;
  std::string address_;
};

TEST_F(TlsProbeTest, ExplainsTheServersCertificate) {
  Serve("server");
  EXPECT_EQ(Explain(Trusting("ca"), kShort), "");
  EXPECT_THAT(Explain(Trusting("other-ca")),
              StartsWith("its certificate is signed by none of the CAs in --tls-ca ("));
  EXPECT_EQ(Explain({}), "it speaks TLS: give the file of its CA with --tls-ca");
  ConnectionSecurity named = Trusting("ca");
  named.tls_server_name = "marks.example";
  EXPECT_THAT(Explain(named), StartsWith("its certificate is for localhost, 127.0.0.1, not for "
                                         "marks.example: "));
  named.tls_server_name = "127.0.0.2";
  EXPECT_THAT(Explain(named), HasSubstr("not for 127.0.0.2"));
  named.tls_server_name = "localhost";
  EXPECT_EQ(Explain(named, kShort), "");
}

TEST_F(TlsProbeTest, ExplainsAnExpiredCertificate) {
  files_.Make("old", "ca", {.days = -1});
  Serve("old");
  EXPECT_THAT(Explain(Trusting("ca")), StartsWith("its certificate expired on 2"));
}

TEST_F(TlsProbeTest, ExplainsWhatIsWrongWithTheClientsCertificate) {
  files_.Make("stranger", "other-ca");
  files_.Make("old", "ca", {.days = -1});
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    AskForCertificates(version);
    EXPECT_EQ(Explain(Trusting("ca", "client"), kShort), "") << version;
    EXPECT_THAT(Explain(Trusting("ca")), StartsWith("it asks for a certificate of the client"))
        << version;
    EXPECT_THAT(Explain(Trusting("ca", "stranger")),
                StartsWith("it refuses the certificate in --tls-cert: one of"))
        << version;
    EXPECT_THAT(Explain(Trusting("ca", "old")),
                StartsWith("it refuses the certificate in --tls-cert, which expired on 2"))
        << version;
    EXPECT_THAT(Explain({}), StartsWith("it speaks TLS")) << version;
  }
}

// A server that closes while something is written to it ends nothing here.
TEST_F(TlsProbeTest, ExplainsNothingWhereNobodyAnswers) {
  Serve("server");
  server_->Kill();
  EXPECT_EQ(Explain(Trusting("ca")), "");
  EXPECT_EQ(Explain({}), "");
}

}  // namespace
}  // namespace lowmark
