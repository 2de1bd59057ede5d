#include "service/core/position.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lowmark {
namespace {

TEST(Sequence, NumericFormIsCanonicalDecimalOf1To128Digits) {
  for (const char* good :
       {"0", "1", "9", "10", "49590338271490256608559692538361571095921575989136588898"}) {
    EXPECT_TRUE(IsNumericSequence(good)) << good;
  }
  EXPECT_TRUE(IsNumericSequence(std::string(128, '9')));
  EXPECT_FALSE(IsNumericSequence(std::string(129, '9')));
  for (const char* bad : {"", "00", "01", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "a", "١"}) {
    EXPECT_FALSE(IsNumericSequence(bad)) << bad;
  }
  EXPECT_FALSE(IsNumericSequence(std::string("1\0", 2)));
}

TEST(Sequence, TokensAreShortAndPlain) {
  EXPECT_TRUE(IsToken("aZ09._:-"));
  EXPECT_TRUE(IsToken(std::string(128, 'x')));
  EXPECT_FALSE(IsToken(std::string(129, 'x')));
  for (const char* bad : {"", " ", "a b", "a/b", "a'b", "é", "a\n"}) EXPECT_FALSE(IsToken(bad));
  EXPECT_FALSE(IsToken(std::string("a\0b", 3)));
}

TEST(Sequence, TheOrderSaysWhichFormCounts) {
  EXPECT_TRUE(IsSequence("5", SequenceOrder::kNumeric));
  EXPECT_FALSE(IsSequence("a", SequenceOrder::kNumeric));
  EXPECT_TRUE(IsSequence("a", SequenceOrder::kPositional));
  EXPECT_FALSE(IsSequence("", SequenceOrder::kPositional));
}

TEST(Sequence, ComparesAsIntegersOfAnyLength) {
  const std::vector<std::string> ascending = {"0",
                                              "1",
                                              "2",
                                              "9",
                                              "10",
                                              "97",
                                              "118",
                                              "18446744073709551615",
                                              "18446744073709551616",
                                              std::string(127, '9'),
                                              "1" + std::string(127, '0'),
                                              std::string(128, '9')};
  for (size_t i = 0; i < ascending.size(); ++i) {
    for (size_t j = 0; j < ascending.size(); ++j) {
      const int order = CompareNumeric(ascending[i], ascending[j]);
      EXPECT_EQ(order < 0, i < j) << ascending[i] << " " << ascending[j];
      EXPECT_EQ(order == 0, i == j) << ascending[i] << " " << ascending[j];
    }
  }
}

TEST(Position, IsWrittenAsInTheDocumentation) {
  EXPECT_EQ(Position::TrimHorizon().ToString(), "TRIM_HORIZON");
  EXPECT_EQ(Position::Latest().ToString(), "LATEST");
  EXPECT_EQ(Position::At("4").ToString(), "AT 4");
  EXPECT_EQ(Position::After("10").ToString(), "AFTER 10");
  EXPECT_EQ(Position::ShardEnd().ToString(), "SHARD_END");
  EXPECT_EQ(Position::AtTimestamp(absl::FromUnixSeconds(0)).ToString(),
            "AT_TIMESTAMP 1970-01-01T00:00:00+00:00");
}

TEST(Position, AtIncludesItsRecordAndAfterDoesNot) {
  struct Case {
    Position position;
    const char* record;
    bool included;
  };
  for (const Case& c : std::vector<Case>{{Position::At("10"), "9", false},
                                         {Position::At("10"), "10", true},
                                         {Position::At("10"), "11", true},
                                         {Position::At("10"), "100", true},
                                         {Position::After("10"), "9", false},
                                         {Position::After("10"), "10", false},
                                         {Position::After("10"), "11", true},
                                         {Position::TrimHorizon(), "0", true},
                                         {Position::Latest(), "0", true},
                                         {Position::AtTimestamp(absl::UnixEpoch()), "0", true},
                                         {Position::ShardEnd(), "999", false}}) {
    EXPECT_EQ(c.position.Includes(c.record), c.included)
        << c.position.ToString() << " " << c.record;
  }
}

TEST(Position, MovesBackOnlyWhereRecordsMayBeReadAgain) {
  const Position trim = Position::TrimHorizon();
  const Position latest = Position::Latest();
  const Position noon = Position::AtTimestamp(absl::FromUnixSeconds(1000));
  const Position later = Position::AtTimestamp(absl::FromUnixSeconds(1001));
  const Position end = Position::ShardEnd();
  struct Case {
    Position from, to;
    bool back;
  };
  for (const Case& c : std::vector<Case>{
           {trim, trim, false},
           {trim, latest, false},
           {trim, noon, false},
           {trim, Position::At("1"), false},
           {trim, end, false},
           {latest, trim, true},
           {latest, noon, true},
           {latest, latest, false},
           {latest, Position::At("1"), false},
           {noon, later, false},
           {later, noon, true},
           {noon, trim, true},
           {noon, latest, false},
           {noon, Position::After("1"), false},
           {Position::At("5"), Position::At("5"), false},
           {Position::At("5"), Position::At("4"), true},
           {Position::At("5"), Position::At("10"), false},
           {Position::At("10"), Position::At("5"), true},
           {Position::At("5"), Position::After("5"), false},
           {Position::After("5"), Position::At("5"), true},
           {Position::After("5"), Position::At("6"), false},
           {Position::After("5"), Position::After("4"), true},
           {Position::At("5"), trim, true},
           {Position::At("5"), latest, false},
           {Position::At("5"), noon, true},
           {Position::At("5"), end, false},
           {end, end, false},
           {end, Position::At("5"), true},
           {end, trim, true},
           {end, latest, true},
       }) {
    EXPECT_EQ(MovesBack(c.from, c.to), c.back) << c.from.ToString() << " -> " << c.to.ToString();
  }
}

}  // namespace
}  // namespace lowmark
