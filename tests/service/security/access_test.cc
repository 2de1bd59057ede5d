#include "service/security/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  std::string Reasons(const std::string& authorization, Scope scope) {
    const absl::Status status = access_->Check(authorization, scope);
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
  EXPECT_EQ(access_->Check(worker, Scope::kAdmin).code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(AccessTest, OthersMayNothing) {
  for (const std::string& authorization :
       {std::string(), std::string("Bearer"), std::string("Bearer "), std::string(kAdmin),
        std::string("Basic ") + kAdmin, std::string("Bearer  ") + kAdmin,
        std::string("Bearer ") + kAdmin + " ", std::string("Bearer ") + kAdmin + "x"}) {
    for (const Scope scope : {Scope::kWorker, Scope::kAdmin}) {
      EXPECT_EQ(Reasons(authorization, scope), kUnauthenticated) << authorization;
      EXPECT_EQ(access_->Check(authorization, scope).code(), absl::StatusCode::kUnauthenticated);
    }
  }
}

TEST_F(AccessTest, WithoutWorkersTokensOnlyAdminsMay) {
  Load("");
  EXPECT_EQ(Reasons(std::string("Bearer ") + kWorker, Scope::kWorker), kUnauthenticated);
  EXPECT_EQ(Reasons(std::string("Bearer ") + kAdmin, Scope::kWorker), "");
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
