#include "worker/source/postgres/outbox_place.h"

#include <gtest/gtest.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "service/core/position.h"
#include "tests/core/seed.h"

namespace lowmark {
namespace {

TEST(OutboxPlaceTest, TheLastDigitsAreTheId) {
  EXPECT_EQ((OutboxPlace{741, 42}.Sequence()), "7410000000000000000042");
  EXPECT_EQ((OutboxPlace{0, 42}.Sequence()), "42");
  EXPECT_EQ((OutboxPlace{0, 0}.Sequence()), "0");
  EXPECT_EQ((OutboxPlace{1, 0}.Sequence()), "10000000000000000000");
  EXPECT_EQ((OutboxPlace{INT64_MAX, INT64_MAX}.Sequence()),
            "92233720368547758079223372036854775807");
}

TEST(OutboxPlaceTest, RefusesWhatIsNoPlace) {
  for (const char* sequence :
       {"", "x", "-1", "01", "9999999999999999999", "92233720368547758080000000000000000000",
        "49590338271490256608559692538361571095921575989136588898"}) {
    EXPECT_FALSE(OutboxPlace::Parse(sequence).has_value()) << sequence;
  }
}

TEST(OutboxPlaceTest, SequenceNumbersCompareAsPlacesDo) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937_64 random(seed);
  // Of any size, so that the small ones meet too.
  const auto number = [&random] {
    return static_cast<int64_t>((random() >> 1) >> (random() % 63));
  };
  for (int i = 0; i < 20000; ++i) {
    const OutboxPlace a{number(), number()};
    const OutboxPlace b{random() % 4 == 0 ? a.mark : number(), number()};
    ASSERT_EQ(OutboxPlace::Parse(a.Sequence()), a) << a.Sequence();
    const int order = CompareNumeric(a.Sequence(), b.Sequence());
    ASSERT_EQ(order < 0, a < b) << a.Sequence() << " " << b.Sequence();
    ASSERT_EQ(order == 0, a == b) << a.Sequence() << " " << b.Sequence();
  }
}

}  // namespace
}  // namespace lowmark
