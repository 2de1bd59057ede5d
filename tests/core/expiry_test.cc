#include "service/core/expiry.h"

#include <gtest/gtest.h>

#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr absl::Duration kTtl = absl::Seconds(30);
const ExpiryRules kRules = RulesFor(kTtl, absl::Seconds(5));
const absl::Time kEpoch = absl::FromUnixSeconds(1700000000);

absl::Duration S(double seconds) { return absl::Seconds(seconds); }

// Whether sessions may be ended, with the store's clock where it is expected.
bool May(const ExpiryWatch& watch, absl::Duration monotonic) {
  const ClockRange range = MayEndSessions(watch, kRules, monotonic);
  return range.from <= range.until;
}

// Answers each second from `from` to `to`; the store's clock is ahead by `ahead`.
ExpiryWatch Watch(ExpiryWatch watch, int from, int to, absl::Duration ahead = {}) {
  for (int s = from; s <= to; ++s) {
    watch = NoteAnswer(watch, kRules, S(s), kEpoch + S(s) + ahead);
  }
  return watch;
}

TEST(Expiry, NothingEndsBeforeTheStoreWasWatchedForTheGrace) {
  EXPECT_FALSE(May(ExpiryWatch(), S(1000)));
  const ExpiryWatch watch = Watch({}, 100, 114);
  EXPECT_FALSE(May(watch, S(114)));
  EXPECT_TRUE(May(Watch(watch, 115, 115), S(115)));
}

TEST(Expiry, TheGraceIsAHeartbeatAndItsRepetition) {
  EXPECT_EQ(kRules.grace, S(15));
  EXPECT_GE(kRules.grace, kTtl / 3 + kTtl / 6);
  EXPECT_LT(kRules.grace, kTtl);
}

TEST(Expiry, SaysWhereTheStoresClockShouldBe) {
  const ClockRange range = MayEndSessions(Watch({}, 0, 100), kRules, S(102));
  EXPECT_EQ(range.from, kEpoch + S(102) - kRules.tolerance);
  EXPECT_EQ(range.until, kEpoch + S(102) + kRules.tolerance);
}

TEST(Expiry, AnOutageStartsTheGraceAnew) {
  ExpiryWatch watch = NoteFailure(Watch({}, 0, 100));
  EXPECT_FALSE(May(watch, S(101)));
  watch = Watch(watch, 160, 174);
  EXPECT_FALSE(May(watch, S(174)));
  EXPECT_TRUE(May(Watch(watch, 175, 175), S(175)));
}

TEST(Expiry, SilenceIsAnOutageThatNobodySaw) {
  const ExpiryWatch watch = Watch({}, 0, 100);
  EXPECT_TRUE(May(watch, S(100) + kRules.longest_silence));
  EXPECT_FALSE(May(watch, S(101) + kRules.longest_silence));
  EXPECT_FALSE(May(Watch(watch, 200, 200), S(200)));
}

TEST(Expiry, AClockThatWasSetStartsTheGraceAnew) {
  for (const absl::Duration jump : {absl::Hours(1), -absl::Hours(1)}) {
    const ExpiryWatch before = Watch({}, 0, 100);
    ExpiryWatch watch = Watch(before, 101, 101, jump);
    EXPECT_FALSE(May(watch, S(101)));
    watch = Watch(watch, 102, 115, jump);
    EXPECT_FALSE(May(watch, S(115)));
    EXPECT_TRUE(May(Watch(watch, 116, 116, jump), S(116)));
    // And the statement that meets the new clock first ends nothing.
    const ClockRange expected = MayEndSessions(before, kRules, S(101));
    const absl::Time met = kEpoch + S(101) + jump;
    EXPECT_TRUE(met < expected.from || met > expected.until);
  }
}

TEST(Expiry, AClockThatDriftsIsNoClockThatWasSet) {
  ExpiryWatch watch;
  for (int s = 0; s <= 1000; ++s) {
    watch = NoteAnswer(watch, kRules, S(s), kEpoch + S(s) + absl::Milliseconds(50 * s));
  }
  EXPECT_TRUE(May(watch, S(1000)));
}

TEST(Expiry, AnswersWithoutAClockKeepTheWatch) {
  ExpiryWatch watch = Watch({}, 0, 100);
  for (int s = 101; s <= 200; ++s) watch = NoteAnswer(watch, kRules, S(s), std::nullopt);
  EXPECT_TRUE(May(watch, S(200)));
  watch = NoteAnswer({}, kRules, S(0), std::nullopt);
  for (int s = 1; s <= 100; ++s) watch = NoteAnswer(watch, kRules, S(s), std::nullopt);
  EXPECT_FALSE(May(watch, S(100))) << "nothing is known of the store's clock";
}

TEST(Expiry, ShortSessionsTolerateASecond) {
  const ExpiryRules rules = RulesFor(absl::Milliseconds(300), absl::Milliseconds(100));
  EXPECT_EQ(rules.tolerance, S(1));
  EXPECT_EQ(rules.grace, absl::Milliseconds(150));
  EXPECT_EQ(rules.longest_silence, absl::Milliseconds(300));
}

TEST(Expiry, WhatReachedTheStoreIsMarkedSo) {
  const absl::Status status = Unavailable("canceling statement due to lock timeout");
  EXPECT_FALSE(IsMarkedReached(status));
  const absl::Status marked = MarkReached(status);
  EXPECT_TRUE(IsMarkedReached(marked));
  EXPECT_TRUE(absl::IsUnavailable(marked));
  EXPECT_EQ(Reason(marked), Reason(status));
  EXPECT_EQ(marked.message(), status.message());
}

}  // namespace
}  // namespace lowmark
