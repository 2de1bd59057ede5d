#include "service/security/connection_security.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/security/client_secrets.h"
#include "tests/support/test_certificates.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kFar[] = "coordinator.example:7070";

std::string Wrong(const ConnectionSecurity& security, const std::string& coordinator = kFar) {
  const absl::Status status = security.Validate(coordinator);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(ConnectionSecurity, SaysWhatGoesWithWhat) {
  EXPECT_TRUE(ConnectionSecurity().Validate(kFar).ok());
  EXPECT_TRUE(ConnectionSecurity{.tls_ca = "ca"}.Validate(kFar).ok());
  EXPECT_THAT(Wrong({.tls_ca = "ca", .tls_cert = "c"}),
              HasSubstr("tls-cert is \"c\": needs --tls-key"));
  EXPECT_THAT(Wrong({.tls_ca = "ca", .tls_key = "k"}),
              HasSubstr("tls-key is \"k\": needs --tls-cert"));
  EXPECT_THAT(Wrong({.tls_cert = "c", .tls_key = "k"}),
              HasSubstr("tls-cert is \"c\": needs --tls-ca"));
  EXPECT_THAT(Wrong({.tls_server_name = "n"}),
              HasSubstr("tls-server-name is \"n\": needs --tls-ca"));
}

TEST(ConnectionSecurity, ATokenIsNotSentWhereOthersCanReadIt) {
  const ConnectionSecurity token = {.token_file = "t"};
  EXPECT_THAT(Wrong(token), HasSubstr("token-file is \"t\": others could read the token on its way "
                                      "to coordinator.example:7070: encrypt with --tls-ca"));
  EXPECT_TRUE(token.Validate("127.0.0.1:7070").ok());
  EXPECT_TRUE(token.Validate("unix:/run/lowmark").ok());
  EXPECT_TRUE((ConnectionSecurity{.tls_ca = "ca", .token_file = "t"}.Validate(kFar).ok()));
  EXPECT_TRUE(
      (ConnectionSecurity{.token_file = "t", .allow_insecure_tokens = true}.Validate(kFar).ok()));
}

TEST(ClientSecrets, SendsTheFirstTokenAndGoesOnWithAnother) {
  TestCertificates files;
  files.Write("token", "# ours\nfirst-0123456789\nsecond-0123456789\n");
  auto secrets = ClientSecrets::Load({.token_file = files.Path("token")}, "localhost:1");
  ASSERT_TRUE(secrets.ok()) << secrets.status();
  EXPECT_EQ((*secrets)->tls(), nullptr);
  EXPECT_EQ(*(*secrets)->authorization(), "Bearer first-0123456789");
  files.Write("token", "second-0123456789\nfirst-0123456789\n");
  EXPECT_THAT((*secrets)->Refresh().replaced, ElementsAre("token"));
  EXPECT_EQ(*(*secrets)->authorization(), "Bearer second-0123456789");
}

TEST(ClientSecrets, AnotherCertificateTakesNewConnections) {
  TestCertificates files;
  files.MakeCa("ca");
  files.Write("ca", files.Read("ca.crt"));
  files.Write("token", "first-0123456789\n");
  auto secrets =
      ClientSecrets::Load({.tls_ca = files.Path("ca"), .token_file = files.Path("token")}, kFar);
  ASSERT_TRUE(secrets.ok()) << secrets.status();
  files.MakeCa("new");
  files.Write("ca", files.Read("new.crt"));
  // A token that cannot be read does not hide that.
  files.Write("token", "");
  EXPECT_THAT((*secrets)->Refresh().replaced, ElementsAre("certificates"));
  EXPECT_EQ((*secrets)->tls()->ca, files.Read("new.crt"));
  const SecretsNews news = (*secrets)->Refresh();
  EXPECT_THAT(news.replaced, IsEmpty());
  ASSERT_EQ(news.wrong.size(), 1u);
  EXPECT_THAT(std::string(news.wrong[0].message()), HasSubstr("token-file is"));
  EXPECT_EQ(*(*secrets)->authorization(), "Bearer first-0123456789");
}

TEST(ClientSecrets, FilesThatAreOfNoUseAreSaid) {
  EXPECT_THAT(
      std::string(ClientSecrets::Load({.token_file = "/none"}, "localhost:1").status().message()),
      "token-file is \"/none\": cannot be read: No such file or directory");
  EXPECT_THAT(std::string(ClientSecrets::Load({.tls_ca = "/none"}, kFar).status().message()),
              "tls-ca is \"/none\": cannot be read: No such file or directory");
}

}  // namespace
}  // namespace lowmark
