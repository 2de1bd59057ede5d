#include "service/on_failure/destinations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "service/core/error.h"

namespace lowmark {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

class DestinationsTest : public testing::Test {
 protected:
  DestinationsTest() {
    std::string name = testing::TempDir() + "lowmark-destinations-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~DestinationsTest() override { std::filesystem::remove_all(directory_); }

  void WriteSecret(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name) << text;
  }

  static OnFailure To(const decltype(OnFailure::destination)& destination) {
    OnFailure on_failure;
    on_failure.destination = destination;
    return on_failure;
  }

  std::string directory_;
};

TEST_F(DestinationsTest, ReadsSecretsWithoutTheLineEnd) {
  WriteSecret("token", "t0ken\n");
  WriteSecret("pem", "-----BEGIN\nabc\n-----END\n\n");
  auto read = ReadSecrets({{"a", "Bearer ${secret:token}!"}, {"b", "${secret:pem}"}, {"c", "c"}},
                          directory_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(*read, ElementsAre(Pair("a", "Bearer t0ken!"), Pair("b", "-----BEGIN\nabc\n-----END"),
                                 Pair("c", "c")));
}

TEST_F(DestinationsTest, SaysWhichSecretIsMissing) {
  WriteSecret("blank", " \n");
  WriteSecret("large", std::string(65537, 'x'));
  for (const char* name : {"gone", "blank", "large"}) {
    const absl::Status status =
        ReadSecrets({{"a", std::string("${secret:") + name + "}"}}, directory_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(status.message(), HasSubstr(std::string("the secret ") + name));
  }
  EXPECT_THAT(ReadSecrets({{"a", "${secret:x}"}}, "").status().message(),
              HasSubstr("--on-failure-secrets"));
}

TEST_F(DestinationsTest, MakesOneOfEachKind) {
  WriteSecret("token", "t0ken");
  const MakeDestination make = Destinations({.directory_root = directory_, .secrets = directory_});
  for (const auto& destination : std::vector<decltype(OnFailure::destination)>{
           OnFailure::Http{"http://localhost", {{"A", "${secret:token}"}}},
           OnFailure::Kafka{"localhost:1", "t", {{"sasl.password", "${secret:token}"}}},
           OnFailure::Directory{"letters"}}) {
    auto made = make(To(destination));
    EXPECT_TRUE(made.ok()) << made.status();
  }
}

TEST_F(DestinationsTest, AnErrorHoldsNoSecret) {
  WriteSecret("token", "t0ken");
  const MakeDestination make = Destinations({.directory_root = "", .secrets = directory_});
  const absl::Status status =
      make(To(OnFailure::Kafka{"localhost:1", "t", {{"security.protocol", "${secret:token}"}}}))
          .status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), AllOf(HasSubstr("security.protocol"), Not(HasSubstr("t0ken"))));
  EXPECT_FALSE(make(To(OnFailure::Directory{"letters"})).ok()) << "there is no root";
  EXPECT_FALSE(make(To(std::monostate())).ok());
}

TEST(DestinationOptions, AllowNothingOfTheHostByDefault) {
  OnFailure directory;
  directory.destination = OnFailure::Directory{"letters"};
  OnFailure secret;
  secret.destination = OnFailure::Http{"http://h", {{"a", "${secret:b}"}}};
  OnFailure plain;
  plain.destination = OnFailure::Http{"http://h", {{"a", "b"}}};
  const DestinationOptions none;
  EXPECT_THAT(none.Check(directory).message(), HasSubstr("--on-failure-directory-root"));
  EXPECT_THAT(none.Check(secret).message(), HasSubstr("--on-failure-secrets"));
  EXPECT_EQ(Reason(none.Check(directory)), kInvalidArgument);
  EXPECT_TRUE(none.Check(plain).ok());
  EXPECT_TRUE(none.Check({}).ok());
  const DestinationOptions all{.directory_root = "/a", .secrets = "/b"};
  EXPECT_TRUE(all.Check(directory).ok());
  EXPECT_TRUE(all.Check(secret).ok());
  EXPECT_TRUE(all.Validate().ok());
  EXPECT_FALSE((DestinationOptions{.directory_root = "a", .secrets = ""}.Validate().ok()));
  EXPECT_FALSE((DestinationOptions{.directory_root = "", .secrets = "b"}.Validate().ok()));
}

}  // namespace
}  // namespace lowmark
