#include "service/on_failure/directory_destination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr absl::Duration kPatience = absl::Minutes(1);

class DirectoryDestinationTest : public testing::Test {
 protected:
  DirectoryDestinationTest() {
    std::string name = testing::TempDir() + "lowmark-directory-XXXXXX";
    root_ = mkdtemp(name.data());
  }
  ~DirectoryDestinationTest() override { std::filesystem::remove_all(root_); }

  std::vector<std::string> Names(const std::string& path) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(root_ + "/" + path)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  std::string Read(const std::string& path) {
    std::ifstream file(root_ + "/" + path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::string root_;
};

TEST_F(DirectoryDestinationTest, WritesAFileForEachDocument) {
  DirectoryDestination destination(root_, "a/b");
  EXPECT_THAT(
      destination.Send({{"orders/1", "0", 1, "{}"}, {"orders/20", "0", 1, "[1]"}}, kPatience),
      ElementsAre(absl::OkStatus(), absl::OkStatus()));
  EXPECT_THAT(Names("a/b"), UnorderedElementsAre("orders.1.json", "orders.20.json"));
  EXPECT_EQ(Read("a/b/orders.1.json"), "{}\n");
  EXPECT_EQ(Read("a/b/orders.20.json"), "[1]\n");
}

TEST_F(DirectoryDestinationTest, SentAgainItReplacesItsOwnFile) {
  DirectoryDestination first(root_, "a");
  ASSERT_TRUE(first.Send({{"orders/1", "0", 1, "first"}}, kPatience)[0].ok());
  DirectoryDestination second(root_, "a");
  ASSERT_TRUE(second.Send({{"orders/1", "0", 2, "second"}}, kPatience)[0].ok());
  EXPECT_THAT(Names("a"), ElementsAre("orders.1.json"));
  EXPECT_EQ(Read("a/orders.1.json"), "second\n");
}

// A coordinator that was killed while it wrote.
TEST_F(DirectoryDestinationTest, RemovesWhatAnEarlierTryLeft) {
  std::filesystem::create_directory(root_ + "/a");
  std::ofstream(root_ + "/a/.orders.1.json.3") << "hal";
  std::ofstream(root_ + "/a/.orders.2.json.3") << "another's";
  DirectoryDestination destination(root_, "a");
  ASSERT_TRUE(destination.Send({{"orders/1", "0", 4, "whole"}}, kPatience)[0].ok());
  EXPECT_THAT(Names("a"), UnorderedElementsAre("orders.1.json", ".orders.2.json.3"));
}

TEST_F(DirectoryDestinationTest, WithoutItsRootItTakesNothing) {
  DirectoryDestination destination(root_ + "/gone", "a");
  const auto answers =
      destination.Send({{"orders/1", "0", 1, "x"}, {"orders/2", "0", 1, "x"}}, kPatience);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(answers[0].message(), HasSubstr("/gone: No such file or directory"));
  EXPECT_EQ(answers[1].code(), absl::StatusCode::kCancelled);
  // It comes back without another destination being made.
  std::filesystem::create_directory(root_ + "/gone");
  EXPECT_TRUE(destination.Send({{"orders/1", "0", 1, "x"}}, kPatience)[0].ok());
}

TEST_F(DirectoryDestinationTest, FollowsNoLinkOutOfItsRoot) {
  std::filesystem::create_directory(root_ + "/elsewhere");
  std::filesystem::create_directory(root_ + "/root");
  std::filesystem::create_symlink(root_ + "/elsewhere", root_ + "/root/link");
  for (const char* path : {"link", "link/a"}) {
    DirectoryDestination destination(root_ + "/root", path);
    EXPECT_EQ(destination.Send({{"orders/1", "0", 1, "x"}}, kPatience)[0].code(),
              absl::StatusCode::kUnavailable);
  }
  EXPECT_THAT(Names("elsewhere"), ElementsAre());
}

TEST_F(DirectoryDestinationTest, WhereAFileIsInItsPlaceItTakesNothing) {
  std::ofstream(root_ + "/a") << "a file";
  DirectoryDestination destination(root_, "a");
  EXPECT_EQ(destination.Send({{"orders/1", "0", 1, "x"}}, kPatience)[0].code(),
            absl::StatusCode::kUnavailable);
}

// A name that is too long is that document's alone; it leaves nothing behind.
TEST_F(DirectoryDestinationTest, RefusesANameThatIsTooLong) {
  DirectoryDestination destination(root_, "a");
  const auto answers = destination.Send(
      {{std::string(300, 's') + "/1", "0", 1, "x"}, {"orders/2", "0", 1, "x"}}, kPatience);
  EXPECT_FALSE(answers[0].ok());
  EXPECT_NE(answers[0].code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(answers[1].ok());
  EXPECT_THAT(Names("a"), ElementsAre("orders.2.json"));
}

TEST_F(DirectoryDestinationTest, EndsWhenItIsStoppedAndWhenPatienceIsOver) {
  DirectoryDestination destination(root_, "a");
  EXPECT_EQ(destination.Send({{"orders/1", "0", 1, "x"}}, absl::ZeroDuration())[0].code(),
            absl::StatusCode::kCancelled);
  destination.Stop(absl::Hours(1));
  EXPECT_EQ(destination.Send({{"orders/1", "0", 1, "x"}}, kPatience)[0].code(),
            absl::StatusCode::kCancelled);
  EXPECT_THAT(Names("a"), ElementsAre());
}

}  // namespace
}  // namespace lowmark
