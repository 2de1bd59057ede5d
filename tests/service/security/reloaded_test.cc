#include "service/security/reloaded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/test_certificates.h"

namespace lowmark {
namespace {

using testing::HasSubstr;

// Two files that must go together: the second is the first with a "!".
class ReloadedTest : public testing::Test {
 protected:
  using Pair = Reloaded<std::string>;

  ReloadedTest() { files_.Mount("secret", {{"a", Put("one")}, {"b", Put("one!")}}); }

  // The name of a file with that text.
  std::string Put(const std::string& text) {
    files_.Write("text-" + text, text);
    return "text-" + text;
  }

  absl::StatusOr<std::unique_ptr<Pair>> Make() {
    return Pair::Create(
        {{"first", files_.Path("secret/a")}, {"second", files_.Path("secret/b")}},
        [this](const std::vector<std::string>& texts) -> absl::StatusOr<std::string> {
          ++made_;
          if (texts[1] == texts[0] + "!") return texts[0];
          return absl::InvalidArgumentError("they do not go together");
        });
  }

  TestCertificates files_;
  int made_ = 0;
};

TEST_F(ReloadedTest, IsMadeAnewOnlyWhenTheFilesChange) {
  auto pair = Make();
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_EQ(*(*pair)->current(), "one");
  for (int i = 0; i < 3; ++i) {
    auto changed = (*pair)->Refresh();
    ASSERT_TRUE(changed.ok());
    EXPECT_FALSE(*changed);
  }
  EXPECT_EQ(made_, 1);
  const std::shared_ptr<const std::string> before = (*pair)->current();
  // Of the same length, within the same second, behind a link.
  files_.Mount("secret", {{"a", Put("two")}, {"b", Put("two!")}});
  auto changed = (*pair)->Refresh();
  ASSERT_TRUE(changed.ok());
  EXPECT_TRUE(*changed);
  EXPECT_EQ(*(*pair)->current(), "two");
  EXPECT_EQ(*before, "one");
}

TEST_F(ReloadedTest, FilesThatAreWrongForOneLookAreNotSpokenOf) {
  auto pair = Make();
  ASSERT_TRUE(pair.ok()) << pair.status();
  files_.Mount("secret", {{"a", Put("two")}, {"b", Put("one!")}});
  auto changed = (*pair)->Refresh();
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_FALSE(*changed);
  files_.Mount("secret", {{"a", Put("two")}, {"b", Put("two!")}});
  changed = (*pair)->Refresh();
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_TRUE(*changed);
}

TEST_F(ReloadedTest, FilesThatStayWrongAreSaidOnceAndChangeNothing) {
  auto pair = Make();
  ASSERT_TRUE(pair.ok()) << pair.status();
  for (int round = 0; round < 2; ++round) {
    files_.Mount("secret", {{"a", Put("two")}, {"b", Put("one!")}});
    EXPECT_TRUE((*pair)->Refresh().ok());
    EXPECT_EQ((*pair)->Refresh().status().message(), "they do not go together");
    for (int i = 0; i < 3; ++i) EXPECT_TRUE((*pair)->Refresh().ok());
    EXPECT_EQ(*(*pair)->current(), "one");
    // Once they are right again, another time is said again.
    files_.Mount("secret", {{"a", Put("one")}, {"b", Put("one!")}});
    EXPECT_TRUE((*pair)->Refresh().ok());
  }
}

TEST_F(ReloadedTest, AFileThatIsGoneChangesNothing) {
  auto pair = Make();
  ASSERT_TRUE(pair.ok()) << pair.status();
  std::filesystem::remove(files_.Path("secret/..data"));
  EXPECT_TRUE((*pair)->Refresh().ok());
  EXPECT_THAT(std::string((*pair)->Refresh().status().message()),
              HasSubstr("first is \"" + files_.Path("secret/a") +
                        "\": cannot be read: No such file or directory"));
  EXPECT_EQ(*(*pair)->current(), "one");
}

TEST_F(ReloadedTest, IsNotMadeOfFilesThatAreWrongAtFirst) {
  files_.Mount("secret", {{"a", Put("two")}, {"b", Put("one!")}});
  EXPECT_EQ(Make().status().message(), "they do not go together");
}

TEST(ReadSecretFile, SaysWhatIsWrongWithAFile) {
  TestCertificates files;
  files.Write("large", std::string((1 << 20) + 1, 'x'));
  const std::string fifo = files.Path("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const auto said = [](const std::string& path) {
    return std::string(ReadSecretFile({"tls-key", path}).status().message());
  };
  EXPECT_THAT(said("/no/such/file"),
              "tls-key is \"/no/such/file\": cannot be read: No such file or directory");
  EXPECT_THAT(said(files.Path("")), HasSubstr("must be a file"));
  EXPECT_THAT(said(fifo), HasSubstr("must be a file"));
  EXPECT_THAT(said(files.Path("large")), HasSubstr("must have at most 1 MiB"));
  EXPECT_THAT(said(""), HasSubstr("tls-key is \"\": cannot be read"));
}

}  // namespace
}  // namespace lowmark
