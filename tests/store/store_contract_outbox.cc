// Dead letters on their way to a destination.
#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/store/outbox_contract.h"

namespace lowmark {

using testing::SizeIs;

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = ForwardResult::Kind;

void OutboxContract::SetUp() {
  StoreContract::SetUp();
  SetDestination(OnFailure::Http{"http://localhost/", {}});
}

void OutboxContract::SetDestination(const decltype(OnFailure::destination)& destination,
                                    int64_t maximum_data_bytes, const std::string& stream) {
  auto updated = store().UpdateStream(stream, "", [&](Policy policy) {
    policy.on_failure.destination = destination;
    policy.on_failure.maximum_data_bytes = maximum_data_bytes;
    return absl::StatusOr<Policy>(policy);
  });
  ASSERT_TRUE(updated.ok()) << updated.status();
}

void OutboxContract::SetAsideRecords(const std::string& shard, int count,
                                     const std::string& stream) {
  AddShards({shard}, stream);
  auto grant = LeaseOne(store(), Call("w", 1, 0, stream));
  ASSERT_TRUE(grant.ok()) << grant.status();
  ASSERT_THAT(grant->leases, SizeIs(1));
  const LeaseGrant::Lease& lease = grant->leases[0];
  for (int i = 1; i <= count; ++i) {
    const SetAside event{{absl::StrCat(i)}, 1, Condition::kRecordTooLarge, AwkwardText()};
    const absl::Status status = Update(Report(shard, "w", lease.shard.epoch, i, event), stream);
    ASSERT_TRUE(status.ok()) << status;
  }
}

std::vector<Outbox> OutboxContract::MustList() {
  auto outboxes = store().ListOutboxes("", 1000);
  EXPECT_TRUE(outboxes.ok()) << outboxes.status();
  return outboxes.ok() ? *std::move(outboxes) : std::vector<Outbox>();
}

std::vector<ClaimedLetter> OutboxContract::MustClaim(int32_t limit, absl::Duration lease,
                                                     const std::string& stream) {
  auto claimed = store().ClaimLetters(stream, limit, lease);
  EXPECT_TRUE(claimed.ok()) << claimed.status();
  return claimed.ok() ? std::move(claimed->letters) : std::vector<ClaimedLetter>();
}

void OutboxContract::Settle(const ClaimedLetter& letter, Kind kind, const std::string& error,
                            absl::Duration pause) {
  const absl::Status status =
      store().SettleLetters("s", {{letter.letter.id, letter.claim, kind, error, pause}});
  ASSERT_TRUE(status.ok()) << status;
}

Forwarding OutboxContract::MustGetForwarding(int64_t id) {
  auto letter = store().GetDeadLetter("s", id);
  EXPECT_TRUE(letter.ok()) << letter.status();
  EXPECT_TRUE(letter->forwarding.has_value());
  return letter->forwarding.value_or(Forwarding());
}

TEST_P(OutboxContract, WithoutADestinationNothingWaits) {
  SetDestination(std::monostate());
  SetAsideRecords("a", 1);
  EXPECT_THAT(MustList(), IsEmpty());
  EXPECT_THAT(MustClaim(10), IsEmpty());
  const int64_t id = store().ListDeadLetters("s", "", 0, 1)->front().id;
  EXPECT_FALSE(store().GetDeadLetter("s", id)->forwarding.has_value());
  // What was stored before there was a destination is not sent there.
  SetDestination(OnFailure::Http{"http://localhost/", {}});
  EXPECT_THAT(MustList(), IsEmpty());
}

TEST_P(OutboxContract, ALetterWaitsFromItsTransactionOnUntilItIsForwarded) {
  SetAsideRecords("a", 1);
  const std::vector<Outbox> outboxes = MustList();
  ASSERT_THAT(outboxes, SizeIs(1));
  EXPECT_EQ(outboxes[0].stream, "s");
  EXPECT_EQ(outboxes[0].waiting, 1);
  EXPECT_TRUE(outboxes[0].due);
  EXPECT_GE(outboxes[0].now, outboxes[0].oldest);
  EXPECT_LT(outboxes[0].now - outboxes[0].oldest, absl::Minutes(5));

  auto claimed = store().ClaimLetters("s", 10, absl::Minutes(2));
  ASSERT_TRUE(claimed.ok()) << claimed.status();
  EXPECT_EQ(claimed->on_failure.destination,
            decltype(OnFailure::destination)(OnFailure::Http{"http://localhost/", {}}));
  ASSERT_THAT(claimed->letters, SizeIs(1));
  const ClaimedLetter& letter = claimed->letters[0];
  const DeadLetter stored = *store().GetDeadLetter("s", letter.letter.id);
  EXPECT_EQ(letter.letter.stream, "s");
  EXPECT_EQ(letter.letter.shard, "a");
  EXPECT_EQ(letter.letter.range.first, "1");
  EXPECT_EQ(letter.letter.range.error_message, AwkwardText());
  EXPECT_EQ(letter.letter.create_time, stored.create_time);
  EXPECT_EQ(letter.letter.batch_id, stored.batch_id);
  EXPECT_THAT(letter.letter.records, IsEmpty());
  // The first record that was kept is range.first, the last one range.last.
  EXPECT_EQ(letter.first_arrival, absl::FromUnixMicros(1234567));
  EXPECT_EQ(letter.last_arrival, absl::UnixEpoch());
  EXPECT_EQ(letter.letter.forwarding->tries, 0);

  EXPECT_FALSE(MustList().front().due) << "it is claimed";
  EXPECT_THAT(MustClaim(10), IsEmpty());
  Settle(letter, Kind::kForwarded);
  EXPECT_THAT(MustList(), IsEmpty());
  Advance(absl::Hours(1));
  EXPECT_THAT(MustClaim(10), IsEmpty());
  const Forwarding forwarding = MustGetForwarding(letter.letter.id);
  EXPECT_EQ(forwarding.tries, 1);
  EXPECT_EQ(forwarding.error, "");
  ASSERT_TRUE(forwarding.forwarded.has_value());
  EXPECT_GE(*forwarding.forwarded, stored.create_time);
  EXPECT_EQ(store().ListDeadLetters("s", "", 0, 1)->front().forwarding, forwarding);
}

TEST_P(OutboxContract, AClaimThatIsNotSettledExpires) {
  SetAsideRecords("a", 1);
  const ClaimedLetter first = MustClaim(10).at(0);
  Advance(absl::Minutes(1));
  EXPECT_THAT(MustClaim(10), IsEmpty());
  Advance(absl::Seconds(61));
  EXPECT_TRUE(MustList().front().due);
  const ClaimedLetter second = MustClaim(10).at(0);
  EXPECT_EQ(second.letter.id, first.letter.id);
  EXPECT_NE(second.claim, first.claim);
  // What the first one says of its failure comes too late ...
  Settle(first, Kind::kFailed, "late", absl::Hours(1));
  Settle(first, Kind::kNotTried);
  EXPECT_THAT(MustClaim(10), IsEmpty());
  EXPECT_EQ(MustGetForwarding(first.letter.id).tries, 0);
  // ... but what it forwarded it forwarded, whatever others say then.
  Settle(first, Kind::kForwarded);
  EXPECT_THAT(MustList(), IsEmpty());
  Settle(second, Kind::kFailed, "refused");
  EXPECT_THAT(MustList(), IsEmpty());
  EXPECT_EQ(MustGetForwarding(first.letter.id).tries, 1);
}

TEST_P(OutboxContract, AFailedOneWaitsForItsPauseAndOthersPassIt) {
  SetAsideRecords("a", 2);
  const ClaimedLetter first = MustClaim(1).at(0);
  EXPECT_EQ(first.letter.range.first, "1");
  Settle(first, Kind::kFailed, AwkwardText(), absl::Minutes(10));
  const ClaimedLetter other = MustClaim(10).at(0);
  EXPECT_EQ(other.letter.range.first, "2");
  Settle(other, Kind::kForwarded);
  EXPECT_FALSE(MustList().front().due);
  Advance(absl::Minutes(11));
  EXPECT_TRUE(MustList().front().due);
  const ClaimedLetter again = MustClaim(10).at(0);
  EXPECT_EQ(again.letter.id, first.letter.id);
  EXPECT_EQ(again.letter.forwarding->tries, 1);
  EXPECT_EQ(again.letter.forwarding->error, AwkwardText());
}

TEST_P(OutboxContract, WhatWasNotTriedIsDueAtOnce) {
  SetAsideRecords("a", 1);
  Settle(MustClaim(10).at(0), Kind::kFailed, "first");
  Settle(MustClaim(10).at(0), Kind::kNotTried, "not an error");
  const ClaimedLetter again = MustClaim(10).at(0);
  EXPECT_EQ(again.letter.forwarding->tries, 1);
  EXPECT_EQ(again.letter.forwarding->error, "first");
}

TEST_P(OutboxContract, HoldsAsManyRecordsAsThePolicyAllows) {
  const auto bytes = static_cast<int64_t>(2 * AwkwardBytes().size());
  SetDestination(OnFailure::Http{"http://localhost/", {}}, bytes - 1);
  SetAsideRecords("a", 1);
  EXPECT_THAT(MustClaim(1, absl::ZeroDuration()).at(0).letter.records, IsEmpty());
  SetDestination(OnFailure::Http{"http://localhost/", {}}, bytes);
  const ClaimedLetter whole = MustClaim(1, absl::ZeroDuration()).at(0);
  EXPECT_THAT(whole.letter.records,
              ElementsAre(Record{"1", AwkwardBytes(), absl::FromUnixMicros(1234567), AwkwardBytes(),
                                 AwkwardHeaders()},
                          Record{"1", "", absl::UnixEpoch(), ""}));
}

TEST_P(OutboxContract, WhereTheDestinationIsTakenAwayLettersWait) {
  SetAsideRecords("a", 1);
  SetDestination(std::monostate());
  ASSERT_THAT(MustList(), SizeIs(1));
  EXPECT_FALSE(MustList().front().due);
  EXPECT_EQ(MustList().front().waiting, 1);
  EXPECT_THAT(MustClaim(10), IsEmpty());
  SetDestination(OnFailure::Directory{"letters"});
  EXPECT_TRUE(MustList().front().due);
  EXPECT_THAT(MustClaim(10), SizeIs(1));
}

TEST_P(OutboxContract, ListsTheStreamsInPages) {
  std::set<std::string> expected = {"s"};
  SetAsideRecords("a", 3);
  for (int i = 0; i < 5; ++i) {
    const std::string stream = absl::StrCat("t", i);
    ASSERT_TRUE(store().CreateStream(stream, TestPolicy()).ok());
    SetDestination(OnFailure::Http{"http://localhost/", {}}, 0, stream);
    if (i % 2 == 1) continue;
    SetAsideRecords("a", i + 1, stream);
    expected.insert(stream);
  }
  std::map<std::string, int64_t> waiting;
  std::string cursor;
  for (size_t page = 0; page < expected.size(); ++page) {
    auto outboxes = store().ListOutboxes(cursor, 1);
    ASSERT_TRUE(outboxes.ok()) << outboxes.status();
    ASSERT_THAT(*outboxes, SizeIs(1));
    waiting[outboxes->front().stream] = outboxes->front().waiting;
    cursor = outboxes->front().cursor;
  }
  EXPECT_THAT(*store().ListOutboxes(cursor, 1), IsEmpty());
  EXPECT_THAT(waiting, ElementsAre(testing::Pair("s", 3), testing::Pair("t0", 1),
                                   testing::Pair("t2", 3), testing::Pair("t4", 5)));
}

TEST_P(OutboxContract, WhatALostDeliverySetsAsideWaitsToo) {
  Policy policy = TestPolicy();
  policy.maximum_lost_deliveries = 1;
  policy.maximum_retry_attempts = 0;
  policy.on_failure.destination = OnFailure::Directory{"letters"};
  ASSERT_TRUE(store().CreateStream("t", policy).ok());
  AddShards({"a"}, "t");
  int64_t batch_id = 0;
  for (int i = 1; i <= 3; ++i) {
    auto grant = LeaseOne(store(), Call(absl::StrCat("w", i), 1, 0, "t"));
    ASSERT_TRUE(grant.ok()) << grant.status();
    ASSERT_THAT(grant->leases, SizeIs(1));
    if (i == 2) {
      batch_id = grant->leases[0].delivery.batch_id;
      ASSERT_TRUE(Update(Report(grant->leases[0], Started{{"7"}}), "t").ok());
    }
    Advance(absl::Minutes(11));
  }
  const std::vector<ClaimedLetter> letters = MustClaim(10, absl::Minutes(1), "t");
  ASSERT_THAT(letters, SizeIs(1));
  EXPECT_EQ(letters[0].letter.range.error_type, "LostDelivery");
  EXPECT_EQ(letters[0].letter.batch_id, batch_id);
  EXPECT_FALSE(letters[0].first_arrival.has_value()) << "nobody was left to send the records";
  EXPECT_FALSE(letters[0].last_arrival.has_value());
}

TEST_P(OutboxContract, GoesWithItsStream) {
  SetAsideRecords("a", 1);
  const ClaimedLetter letter = MustClaim(1).at(0);
  ASSERT_TRUE(store().DeleteStream("s", "").ok());
  EXPECT_THAT(MustList(), IsEmpty());
  const std::vector<ForwardResult> result = {{letter.letter.id, letter.claim, Kind::kForwarded}};
  EXPECT_EQ(Reason(store().SettleLetters("s", result)), kStreamNotFound);
  EXPECT_EQ(Reason(store().ClaimLetters("s", 1, absl::Minutes(1)).status()), kStreamNotFound);
  // Another of that name has nothing to do with it.
  ASSERT_TRUE(store().CreateStream("s", TestPolicy()).ok());
  EXPECT_TRUE(store().SettleLetters("s", result).ok());
  EXPECT_THAT(MustList(), IsEmpty());
}

TEST_P(OutboxContract, NoTwoClaimTheSameLetter) {
  constexpr int kLetters = 40;
  SetAsideRecords("a", kLetters);
  std::atomic<int> claimed{0};
  std::atomic<int> empty{0};
  Mutex mutex;
  std::multiset<int64_t> ids;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (claimed < kLetters && empty < 1000) {
        const std::vector<ClaimedLetter> letters = MustClaim(3);
        if (letters.empty()) ++empty;
        MutexLock lock(mutex);
        for (const ClaimedLetter& letter : letters) ids.insert(letter.letter.id);
        claimed += static_cast<int>(letters.size());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ids.size(), size_t{kLetters});
  EXPECT_EQ((std::set<int64_t>(ids.begin(), ids.end()).size()), size_t{kLetters});
}

}  // namespace lowmark
