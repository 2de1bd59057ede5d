#include "store/postgres/text_array.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "tests/core/seed.h"
#include "tests/support/awkward.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(TextArray, WritesEveryKindOfElement) {
  TextArray array;
  array.AddNumber(-7);
  array.AddBool(true);
  array.AddBool(false);
  array.AddNull();
  array.AddWord("AFTER");
  array.Add("NULL");
  array.Add("");
  array.Add("a\"b\\c{d},e'f g");
  array.AddBytes(std::string("\0\xFF", 2));
  EXPECT_EQ(array.size(), 9);
  EXPECT_EQ(array.Finish(), R"({-7,t,f,NULL,AFTER,"NULL","","a\"b\\c{d},e'f g","\\x00ff"})");
  EXPECT_EQ(array.Finish(), array.Finish());
}

TEST(TextArray, IsEmptyWithoutElements) {
  EXPECT_EQ(TextArray().Finish(), "{}");
  EXPECT_THAT(ParseTextArray("{}"), IsEmpty());
}

TEST(TextArray, ReadsWhatPostgresWrites) {
  EXPECT_THAT(ParseTextArray(R"({10,"a b",NULL,"NULL","x\"\\,{}"})"),
              ElementsAre("10", "a b", "NULL", "x\"\\,{}"));
}

TEST(TextArray, ReadsWhatItWrites) {
  const uint64_t seed = TestSeed();
  std::cout << "LOWMARK_TEST_SEED=" << seed << '\n';
  std::mt19937 random(seed);
  const std::string alphabet = AwkwardText();
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> texts(random() % 5);
    for (std::string& text : texts) {
      for (size_t n = random() % 8; n > 0; --n)
        text.push_back(alphabet[random() % alphabet.size()]);
    }
    EXPECT_EQ(ParseTextArray(TextArray(texts).Finish().c_str()), texts);
  }
}

TEST(TextArray, ReadsBytes) {
  EXPECT_EQ(ParseBytes("\\x00ff41"), std::string("\0\xFF"
                                                 "A",
                                                 3));
  EXPECT_EQ(ParseBytes("\\x"), "");
}

}  // namespace
}  // namespace lowmark
