#include "service/process/ticker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/service/answers.h"

namespace lowmark {
namespace {

TEST(Ticker, TicksAgainAndAgainOnOneThreadOfItsOwn) {
  Answers<std::thread::id> ticks;
  Ticker ticker(absl::Milliseconds(1), [sink = ticks.Sink()] { sink(std::this_thread::get_id()); });
  ASSERT_TRUE(ticks.Await(3));
  EXPECT_NE(ticks.All()[0], std::this_thread::get_id());
  EXPECT_EQ(ticks.All()[0], ticks.All()[2]);
}

TEST(Ticker, EndsAtOnceHoweverLongTheIntervalIs) {
  const auto begin = std::chrono::steady_clock::now();
  {
    Ticker ticker(absl::InfiniteDuration(), [] { ADD_FAILURE() << "before the interval"; });
  }
  EXPECT_LT(absl::FromChrono(std::chrono::steady_clock::now() - begin), kPatience);
}

TEST(Ticker, DoesNotTickOnceItIsGone) {
  std::atomic<bool> gone = false;
  Answers<bool> ticks;
  {
    Ticker ticker(absl::Milliseconds(1), [&, sink = ticks.Sink()] { sink(gone); });
    ASSERT_TRUE(ticks.Await(1));
  }
  gone = true;
  for (const bool late : ticks.All()) EXPECT_FALSE(late);
}

}  // namespace
}  // namespace lowmark
