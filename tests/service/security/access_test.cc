#include "service/security/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "service/core/error.h"
#include "tests/support/test_certificates.h"

namespace lowmark {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kWorker[] = "worker-0123456789";
constexpr char kAdmin[] = "admin-0123456789";

class AccessTest : public testing::Test {
 protected:
  AccessTest() {
    files_.Write("workers", std::string(kWorker) + "\n");
    files_.Write("admins", std::string(kAdmin) + "\n");
    Load(files_.Path("workers"));
  }

  void Load(const std::string& workers) {
    auto access = Access::Load({"worker-tokens", workers}, {"admin-tokens", files_.Path("admins")});
    ASSERT_TRUE(access.ok()) << access.status();
    access_ = *std::move(access);
  }

  // The reason, empty where the call is allowed.
  std::string Reasons(const std::string& authorization, Scope scope,
                      const std::string& stream = "orders") {
    const absl::Status status = access_->Check(authorization, scope, stream);
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("0123456789")));
    return Reason(status);
  }

  TestCertificates files_;
  std::unique_ptr<Access> access_;
};

TEST_F(AccessTest, WorkersMayDoWhatWorkersDoAndAdminsEverything) {
  const std::string worker = std::string("Bearer ") + kWorker;
  const std::string admin = std::string("Bearer ") + kAdmin;
  EXPECT_EQ(Reasons(worker, Scope::kWorker), "");
  EXPECT_EQ(Reasons(admin, Scope::kWorker), "");
  EXPECT_EQ(Reasons(admin, Scope::kAdmin), "");
  EXPECT_EQ(Reasons(std::string("bearer ") + kAdmin, Scope::kAdmin), "");
  EXPECT_EQ(Reasons(worker, Scope::kAdmin), kPermissionDenied);
  EXPECT_EQ(access_->Check(worker, Scope::kAdmin, "orders").code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(AccessTest, OthersMayNothing) {
  for (const std::string& authorization :
       {std::string(), std::string("Bearer"), std::string("Bearer "), std::string(kAdmin),
        std::string("Basic ") + kAdmin, std::string("Bearer  ") + kAdmin,
        std::string("Bearer ") + kAdmin + " ", std::string("Bearer ") + kAdmin + "x"}) {
    for (const Scope scope : {Scope::kWorker, Scope::kAdmin}) {
      EXPECT_EQ(Reasons(authorization, scope), kUnauthenticated) << authorization;
      EXPECT_EQ(access_->Check(authorization, scope, "orders").code(),
                absl::StatusCode::kUnauthenticated);
    }
  }
}

TEST_F(AccessTest, WithoutWorkersTokensOnlyAdminsMay) {
  Load("");
  EXPECT_EQ(Reasons(std::string("Bearer ") + kWorker, Scope::kWorker), kUnauthenticated);
  EXPECT_EQ(Reasons(std::string("Bearer ") + kAdmin, Scope::kWorker), "");
}

TEST_F(AccessTest, AWorkersTokenMayBeForSomeStreamsAlone) {
  files_.Write("workers", std::string(kWorker) + " orders payments-*\n");
  Load(files_.Path("workers"));
  const std::string worker = std::string("Bearer ") + kWorker;
  EXPECT_EQ(Reasons(worker, Scope::kWorker, "orders"), "");
  EXPECT_EQ(Reasons(worker, Scope::kWorker, "payments-eu"), "");
  EXPECT_EQ(Reasons(worker, Scope::kWorker, "returns"), kPermissionDenied);
  EXPECT_EQ(Reasons(worker, Scope::kWorker, ""), kPermissionDenied);
  EXPECT_EQ(Reasons(worker, Scope::kAdmin, "orders"), kPermissionDenied);
  EXPECT_EQ(Reasons(std::string("Bearer ") + kAdmin, Scope::kWorker, "returns"), "");
  EXPECT_EQ(access_->Check(worker, Scope::kWorker, std::string(100000, '\n')).message(),
            absl::StrCat("the call's token is for other streams than \"",
                         absl::StrReplaceAll(std::string(128, 'n'), {{"n", "\\n"}}),
                         "\": give the worker the file of one for this stream (--token-file), or "
                         "name the stream after the token in the coordinator's --worker-tokens"));
}

TEST_F(AccessTest, AnAdminsTokenIsForAllStreams) {
  files_.Write("admins", std::string(kAdmin) + " orders\n");
  const auto access = Access::Load({"worker-tokens", ""}, {"admin-tokens", files_.Path("admins")});
  EXPECT_TRUE(absl::IsInvalidArgument(access.status()));
  EXPECT_THAT(std::string(access.status().message()),
              HasSubstr("line 1 has more than a token, and an admin's is for all streams"));
  EXPECT_THAT(std::string(access.status().message()), Not(HasSubstr("orders")))
      << "it may be another token";
}

TEST_F(AccessTest, TokensAreReplacedWithBothValidMeanwhile) {
  const std::string old_token = std::string("Bearer ") + kWorker;
  const std::string new_token = "Bearer another-0123456789";
  files_.Write("workers", std::string(kWorker) + "\nanother-0123456789\n");
  EXPECT_EQ(Reasons(new_token, Scope::kWorker), kUnauthenticated);
  auto changed = access_->Refresh();
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_TRUE(*changed);
  EXPECT_EQ(Reasons(old_token, Scope::kWorker), "");
  EXPECT_EQ(Reasons(new_token, Scope::kWorker), "");
  files_.Write("workers", "another-0123456789\n");
  ASSERT_TRUE(access_->Refresh().ok());
  EXPECT_EQ(Reasons(old_token, Scope::kWorker), kUnauthenticated);
  EXPECT_EQ(Reasons(new_token, Scope::kWorker), "");
}

// A file that was emptied must neither lock everybody out nor let anybody in.
TEST_F(AccessTest, FilesThatAreOfNoUseChangeNothing) {
  files_.Write("workers", "");
  EXPECT_TRUE(access_->Refresh().ok());
  EXPECT_FALSE(access_->Refresh().ok());
  EXPECT_TRUE(access_->Refresh().ok()) << "said twice";
  EXPECT_EQ(Reasons(std::string("Bearer ") + kWorker, Scope::kWorker), "");
  EXPECT_EQ(Reasons("Bearer ", Scope::kWorker), kUnauthenticated);
}

}  // namespace
}  // namespace lowmark
