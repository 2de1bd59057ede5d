#include "worker/internal/load_meter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

namespace lowmark {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const SteadyTime kStart = SteadyTime() + std::chrono::hours(1);

// Adds `amount` every 100 ms from `from` to `to` seconds after the start.
void Feed(LoadMeter& meter, double amount, int from, int to) {
  for (int ms = from * 1000; ms < to * 1000; ms += 100) {
    meter.Add(amount, kStart + milliseconds(ms));
  }
}

TEST(LoadMeter, KnowsNothingAtFirst) {
  LoadMeter meter(kStart);
  Feed(meter, 10, 0, 4);
  EXPECT_EQ(meter.Rate(kStart + milliseconds(4999)), std::nullopt);
  EXPECT_NE(meter.Rate(kStart + seconds(5)), std::nullopt);
}

TEST(LoadMeter, ASteadyRateIsRightFromTheStart) {
  LoadMeter meter(kStart);
  Feed(meter, 10, 0, 6);
  EXPECT_NEAR(*meter.Rate(kStart + seconds(6)), 100, 2);
  Feed(meter, 10, 6, 300);
  EXPECT_NEAR(*meter.Rate(kStart + seconds(300)), 100, 1);
}

TEST(LoadMeter, ForgetsWhatIsOver) {
  LoadMeter meter(kStart);
  Feed(meter, 10, 0, 100);
  EXPECT_NEAR(*meter.Rate(kStart + seconds(130)), 100 / 2.718, 2);
  EXPECT_LT(*meter.Rate(kStart + seconds(400)), 0.1);
}

TEST(LoadMeter, AClockThatStandsStillChangesNothing) {
  LoadMeter meter(kStart);
  meter.Add(300, kStart + seconds(10));
  const double rate = *meter.Rate(kStart + seconds(10));
  EXPECT_EQ(*meter.Rate(kStart + seconds(10)), rate);
  EXPECT_EQ(*meter.Rate(kStart + seconds(9)), 300 / (30 * (1 - std::exp(-9.0 / 30))))
      << "an earlier time is taken as it is, and nothing decays";
}

TEST(ShardMeter, MeasuresWhatThePolicyAsksFor) {
  ShardMeter meter(kStart);
  for (int i = 0; i < 100; ++i) {
    meter.Count(5, absl::Milliseconds(50), kStart + milliseconds(100 * i));
  }
  const SteadyTime now = kStart + seconds(10);
  EXPECT_FALSE(meter.Weight(BalanceBy::kShards, now).has_value());
  EXPECT_NEAR(*meter.Weight(BalanceBy::kRecords, now)->load, 50, 1);
  EXPECT_NEAR(*meter.Weight(BalanceBy::kHandlerTime, now)->load, 0.5, 0.01);
}

}  // namespace
}  // namespace lowmark
