#include "worker/internal/trouble_watch.h"

#include <gtest/gtest.h>

namespace lowmark {
namespace {

TEST(TroubleWatch, IsNewsOnceHoweverOftenItIsTried) {
  TroubleWatch watch(Trouble::Kind::kSource);
  const SteadyTime now = std::chrono::steady_clock::now();
  EXPECT_FALSE(watch.End());
  EXPECT_TRUE(watch.Note(false, "refused at 18:14:18.001", now));
  EXPECT_FALSE(watch.Note(false, "refused at 18:14:19.002", now));
  EXPECT_TRUE(watch.Note(false, "unknown at 18:14:20.003", now));
  EXPECT_TRUE(watch.Note(false, "refused at 18:14:21.004", now));
  EXPECT_TRUE(watch.End());
  EXPECT_FALSE(watch.End());
  EXPECT_TRUE(watch.Note(false, "refused at 18:14:22.005", now));
}

TEST(TroubleWatch, IsNewsTheFirstTimeWhateverItSays) {
  TroubleWatch watch(Trouble::Kind::kSource);
  const SteadyTime now = std::chrono::steady_clock::now();
  EXPECT_TRUE(watch.Note(false, "20261126", now));
  EXPECT_FALSE(watch.Note(false, "20261127", now));
  EXPECT_TRUE(watch.End());
  EXPECT_TRUE(watch.Note(false, "20261128", now));
}

TEST(TroubleWatch, IsToldWithTheLastWordsSinceTheFirstTime) {
  TroubleWatch watch(Trouble::Kind::kSource);
  const SteadyTime now = std::chrono::steady_clock::now();
  watch.Note(true, "one", now);
  EXPECT_FALSE(watch.Get(now + std::chrono::seconds(4))) << "it may pass";
  watch.Note(true, "two", now + std::chrono::seconds(4));
  const auto trouble = watch.Get(now + std::chrono::seconds(6));
  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->message, "two");
  EXPECT_EQ(trouble->lasted, absl::Seconds(6));
}

}  // namespace
}  // namespace lowmark
