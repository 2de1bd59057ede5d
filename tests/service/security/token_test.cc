#include "service/security/token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

using Match = TokenSet::Match;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const SecretFile kFile = {"admin-tokens", "/etc/tokens"};

std::string Wrong(const std::string& text) {
  const auto tokens = ParseTokens(kFile, text);
  EXPECT_EQ(tokens.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(tokens.status().message()),
              testing::StartsWith("admin-tokens is \"/etc/tokens\": "));
  return std::string(tokens.status().message());
}

std::vector<Token> Named(const std::vector<std::string>& texts) {
  std::vector<Token> tokens;
  for (const std::string& text : texts) tokens.push_back({text, {}});
  return tokens;
}

TEST(ParseTokens, ReadsOneALine) {
  const auto tokens = ParseTokens(kFile, "# of March\nfirst-token-0123\r\n\n  second/token+01=\n");
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_THAT(*tokens,
              ElementsAre(Token{"first-token-0123", {}, 2}, Token{"second/token+01=", {}, 4}));
}

TEST(ParseTokens, ReadsTheStreamsThatATokenIsFor) {
  const auto tokens =
      ParseTokens(kFile, "first-token-0123 orders\t payments-* \r\nsecond-token-012 *\n");
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_THAT(*tokens, ElementsAre(Token{"first-token-0123", {"orders", "payments-*"}, 1},
                                   Token{"second-token-012", {"*"}, 2}));
  for (const char* bad : {"a/b", "*-orders", "or*ders", "orders,payments", "orders**", "# note"}) {
    EXPECT_THAT(Wrong(absl::StrCat("0123456789abcdef ", bad)),
                HasSubstr("line 1 names no stream after its token: it must be"));
  }
}

TEST(ParseTokens, NamesTheLineAndNeverTheToken) {
  EXPECT_THAT(Wrong(""), HasSubstr("holds no token"));
  EXPECT_THAT(Wrong("# nothing\n"), HasSubstr("holds no token"));
  for (const std::string& bad :
       {std::string("short"), std::string("0123456789abcde"), std::string(257, 'x'),
        std::string("has a space in it"), std::string("0123456789abcde\xff"),
        std::string("0123456789\0abcdef", 17)}) {
    const std::string said = Wrong(absl::StrCat("0123456789abcdef\n", bad, "\n"));
    EXPECT_THAT(said, HasSubstr("line 2 is no token: it must be 16..256 of the characters"));
    EXPECT_THAT(said, Not(HasSubstr(bad)));
  }
  std::string many;
  for (int i = 0; i < 257; ++i) absl::StrAppend(&many, "0123456789abcdef", i, "\n");
  EXPECT_THAT(Wrong(many), HasSubstr("at most 256 tokens"));
}

TEST(TokenSet, HasItsTokensAndNothingThatIsLikeThem) {
  const std::string longest(kLongestToken, 'y');
  const TokenSet tokens(Named({"0123456789abcdef", "fedcba9876543210", longest}));
  for (const std::string& good :
       {std::string("0123456789abcdef"), std::string("fedcba9876543210"), longest}) {
    EXPECT_EQ(tokens.Find(good, "any"), Match::kMatch) << good;
  }
  for (const std::string& bad :
       {std::string(), std::string("0"), std::string("0123456789abcde"),
        std::string("0123456789abcdeF"), std::string("0123456789abcdefg"),
        std::string("0123456789abcdef\0", 17), std::string(16, '\0'), std::string(256, '\0'),
        longest + "y", longest.substr(1), std::string(10000, 'y')}) {
    EXPECT_EQ(tokens.Find(bad, "any"), Match::kNone) << bad;
  }
  EXPECT_EQ(TokenSet({}).Find("", ""), Match::kNone);
}

TEST(TokenSet, ATokenIsForTheStreamsOfAllOfItsLines) {
  const TokenSet tokens({{"0123456789abcdef", {"orders", "payments-*"}},
                         {"fedcba9876543210", {"other"}},
                         {"0123456789abcdef", {"returns"}}});
  for (const char* stream : {"orders", "payments-", "payments-eu", "returns"}) {
    EXPECT_EQ(tokens.Find("0123456789abcdef", stream), Match::kMatch) << stream;
  }
  for (const char* stream : {"", "order", "orders2", "payments", "other", "*"}) {
    EXPECT_EQ(tokens.Find("0123456789abcdef", stream), Match::kOtherStreams) << stream;
  }
  EXPECT_EQ(tokens.Find("fedcba9876543210", "orders"), Match::kOtherStreams);
  EXPECT_EQ(tokens.Find("fedcba9876543210", "other"), Match::kMatch);
}

}  // namespace
}  // namespace lowmark
