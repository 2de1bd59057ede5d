// Dead letters and the audit.
#include "absl/strings/str_cat.h"
#include "tests/store/store_contract.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_P(StoreContract, KeepsEveryFieldOfADeadLetter) {
  AddShards({"a"});
  const LeaseGrant grant = MustLease("w", 1);
  const int64_t epoch = grant.leases[0].shard.epoch;
  const Failed failed{{"3", "4"}, {}, AwkwardText(), AwkwardText()};
  ASSERT_TRUE(Update(Report("a", "w", epoch, 1, failed)).ok());
  EXPECT_THAT(*store().ListDeadLetters("s", "", 0, 10), IsEmpty());
  ASSERT_TRUE(Update(Report("a", "w", epoch, 2, failed)).ok());
  EXPECT_EQ(MustGet("a").state.position, Position::After("4"));

  auto listed = store().ListDeadLetters("s", "", 0, 10);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_THAT(*listed, SizeIs(1));
  EXPECT_THAT(listed->front().records, IsEmpty());
  auto letter = store().GetDeadLetter("s", listed->front().id);
  ASSERT_TRUE(letter.ok()) << letter.status();
  for (const DeadLetter& each : {listed->front(), *letter}) {
    EXPECT_EQ(each.stream, "s");
    EXPECT_EQ(each.shard, "a");
    EXPECT_EQ(each.range.first, "3");
    EXPECT_EQ(each.range.last, "4");
    EXPECT_EQ(each.range.count, 2);
    EXPECT_EQ(each.range.condition, Condition::kRetryAttemptsExhausted);
    EXPECT_EQ(each.range.attempts, 2);
    EXPECT_EQ(each.range.error_type, AwkwardText());
    EXPECT_EQ(each.range.error_message, AwkwardText());
    EXPECT_EQ(each.epoch, epoch);
    EXPECT_EQ(each.delivery, 2);
    EXPECT_EQ(each.worker, "w");
    EXPECT_GT(each.create_time, absl::UnixEpoch());
  }
  EXPECT_EQ(letter->create_time, listed->front().create_time);
  EXPECT_THAT(letter->records,
              ElementsAre(Record{"3", AwkwardBytes(), absl::FromUnixMicros(1234567), AwkwardBytes(),
                                 AwkwardHeaders()},
                          Record{"4", "", absl::UnixEpoch(), ""}));
}

TEST_P(StoreContract, ListsDeadLettersInPages) {
  AddShards({"a", "b"});
  const LeaseGrant grant = MustLease("w", 2);
  for (int i = 0; i < 3; ++i) {
    std::vector<ShardUpdate> updates;
    for (const LeaseGrant::Lease& lease : grant.leases) {
      const std::string sequence = absl::StrCat(i + 1);
      updates.push_back(Report(lease.shard.shard, "w", lease.shard.epoch, i + 1,
                               SetAside{{sequence}, 1, Condition::kRecordTooLarge, "big"}));
    }
    for (const absl::Status& status : store().UpdateShards("s", updates)) {
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  auto all = store().ListDeadLetters("s", "", 0, 100);
  ASSERT_TRUE(all.ok());
  ASSERT_THAT(*all, SizeIs(6));
  for (size_t i = 1; i < 6; ++i) EXPECT_GT((*all)[i].id, (*all)[i - 1].id);
  auto rest = store().ListDeadLetters("s", "", (*all)[1].id, 2);
  ASSERT_THAT(*rest, SizeIs(2));
  EXPECT_EQ(rest->front().id, (*all)[2].id);
  auto of_b = store().ListDeadLetters("s", "b", 0, 100);
  ASSERT_THAT(*of_b, SizeIs(3));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*of_b)[i].shard, "b");
    EXPECT_EQ((*of_b)[i].range.first, absl::StrCat(i + 1));
    EXPECT_EQ((*of_b)[i].range.condition, Condition::kRecordTooLarge);
  }
  EXPECT_THAT(*store().ListDeadLetters("s", "b", (*of_b)[2].id, 100), IsEmpty());
  for (const DeadLetter& letter : *of_b) {
    EXPECT_EQ(store().GetDeadLetter("s", letter.id)->records.size(), 2u);
  }
}

TEST_P(StoreContract, ADeadLetterIsOfOneStream) {
  AddShards({"a"});
  const LeaseGrant grant = MustLease("w", 1);
  ASSERT_TRUE(
      Update(Report(grant.leases[0], SetAside{{"1"}, 1, Condition::kRecordUnreadable, ""})).ok());
  const int64_t id = store().ListDeadLetters("s", "", 0, 1)->front().id;
  ASSERT_TRUE(store().CreateStream("t", Policy()).ok());
  for (const absl::Status& status :
       {store().GetDeadLetter("t", id).status(), store().GetDeadLetter("s", id + 1).status(),
        store().GetDeadLetter("s", -1).status()}) {
    EXPECT_EQ(Reason(status), kDeadLetterNotFound);
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  }
  EXPECT_THAT(*store().ListDeadLetters("t", "", 0, 1), IsEmpty());
}

// A dead letter and the checkpoint that passes it are one: where one cannot be
// kept, neither is.
TEST_P(StoreContract, ADeadLetterThatCannotBeStoredStopsItsCheckpoint) {
  using std::string_literals::operator""s;
  AddShards({"a"});
  const LeaseGrant grant = MustLease("w", 1);
  const Shard before = MustGet("a");
  const absl::Status status = Update(
      Report(grant.leases[0], SetAside{{"1"}, 1, Condition::kRecordUnreadable, "cut\0here"s}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_EQ(MustGet("a"), before);
  EXPECT_THAT(*store().ListDeadLetters("s", "", 0, 10), IsEmpty());
}

TEST_P(StoreContract, KeepsTheAudit) {
  AddShards({"a", "b"});
  const auto log = [&](const std::string& shard, const std::string& kind) {
    return Update({shard, [kind](const ShardView& view) {
                     ShardChange change;
                     change.changed = true;
                     change.shard = view.shard;
                     change.events.push_back({0, "", "", {}, kind, 4, 5, "op", AwkwardText()});
                     change.events.push_back({0, "", "", {}, kind + "2", 4, 6, "", ""});
                     return absl::StatusOr<ShardChange>(change);
                   }});
  };
  ASSERT_TRUE(log("a", "x").ok());
  ASSERT_TRUE(log("b", "y").ok());
  auto events = store().ListEvents("s", "", 0, 100);
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_THAT(*events, SizeIs(4));
  const ShardEvent& event = events->front();
  EXPECT_EQ(event.stream, "s");
  EXPECT_EQ(event.shard, "a");
  EXPECT_EQ(event.kind, "x");
  EXPECT_EQ(event.epoch, 4);
  EXPECT_EQ(event.delivery, 5);
  EXPECT_EQ(event.actor, "op");
  EXPECT_EQ(event.detail, AwkwardText());
  EXPECT_GT(event.time, absl::UnixEpoch());
  EXPECT_EQ((*events)[1].kind, "x2");
  EXPECT_EQ((*events)[2].kind, "y");
  EXPECT_GT((*events)[1].id, event.id);
  EXPECT_THAT(*store().ListEvents("s", "", event.id, 2), SizeIs(2));
  EXPECT_THAT(*store().ListEvents("s", "b", event.id, 100), SizeIs(2));
  EXPECT_THAT(*store().ListEvents("s", "c", 0, 100), IsEmpty());
}

}  // namespace
}  // namespace lowmark
