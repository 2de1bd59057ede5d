#include "service/security/server_secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/test_certificates.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kAnyone[] = "0.0.0.0:7070";

std::string Wrong(const ServerSecurity& security) {
  const absl::Status status = security.Validate(kAnyone);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(ServerSecurity, SaysWhatGoesWithWhat) {
  EXPECT_TRUE(ServerSecurity().Validate(kAnyone).ok());
  EXPECT_TRUE((ServerSecurity{.tls_cert = "c", .tls_key = "k"}.Validate(kAnyone).ok()));
  EXPECT_THAT(Wrong({.tls_cert = "c"}), HasSubstr("tls-cert is \"c\": needs --tls-key"));
  EXPECT_THAT(Wrong({.tls_key = "k"}), HasSubstr("tls-key is \"k\": needs --tls-cert"));
  EXPECT_THAT(Wrong({.tls_client_ca = "a"}),
              HasSubstr("tls-client-ca is \"a\": needs --tls-cert and --tls-key"));
  EXPECT_THAT(Wrong({.worker_tokens = "w"}),
              HasSubstr("worker-tokens is \"w\": needs --admin-tokens"));
}

TEST(ServerSecurity, TokensAreNotTakenWhereOthersCanReadThem) {
  const ServerSecurity tokens = {.admin_tokens = "a"};
  EXPECT_THAT(Wrong(tokens),
              HasSubstr("admin-tokens is \"a\": others could read tokens on their way "
                        "to 0.0.0.0:7070: encrypt with --tls-cert and --tls-key"));
  EXPECT_TRUE(tokens.Validate("127.0.0.1:7070").ok());
  EXPECT_TRUE(tokens.Validate("unix:/run/lowmark").ok());
  ServerSecurity allowed = tokens;
  allowed.allow_insecure_tokens = true;
  EXPECT_TRUE(allowed.Validate(kAnyone).ok());
  ServerSecurity encrypted = tokens;
  encrypted.tls_cert = "c";
  encrypted.tls_key = "k";
  EXPECT_TRUE(encrypted.Validate(kAnyone).ok());
}

TEST(ServerSecrets, AreNoneUnlessNamed) {
  auto secrets = ServerSecrets::Load({});
  ASSERT_TRUE(secrets.ok()) << secrets.status();
  EXPECT_EQ((*secrets)->tls(), nullptr);
  EXPECT_EQ((*secrets)->access(), nullptr);
  EXPECT_THAT((*secrets)->Refresh().replaced, IsEmpty());
}

TEST(ServerSecrets, TellWhatWasReplacedAndWhatIsWrong) {
  TestCertificates files;
  files.MakeCa("ca");
  files.Make("server", "ca");
  files.Write("admins", "admin-0123456789\n");
  auto secrets = ServerSecrets::Load({.tls_cert = files.Path("server.crt"),
                                      .tls_key = files.Path("server.key"),
                                      .admin_tokens = files.Path("admins")});
  ASSERT_TRUE(secrets.ok()) << secrets.status();
  files.Write("admins", "admin-9876543210\n");
  files.Make("server", "ca");
  SecretsNews news = (*secrets)->Refresh();
  EXPECT_THAT(news.replaced, ElementsAre("certificates", "tokens"));
  EXPECT_THAT(news.wrong, IsEmpty());
  files.Make("other", "ca");
  files.Write("server.key", files.Read("other.key"));
  files.Write("admins", "");
  EXPECT_THAT((*secrets)->Refresh().wrong, IsEmpty());
  news = (*secrets)->Refresh();
  EXPECT_THAT(news.replaced, IsEmpty());
  EXPECT_EQ(news.wrong.size(), 2u);
}

}  // namespace
}  // namespace lowmark
