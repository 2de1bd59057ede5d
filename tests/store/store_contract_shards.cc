// Shards and their updates.
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/store/store_contract.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Ids(const absl::StatusOr<std::vector<ShardRecord>>& records) {
  std::vector<std::string> ids;
  if (!records.ok()) return {records.status().ToString()};
  for (const ShardRecord& record : *records) ids.push_back(record.shard.shard);
  return ids;
}

// A change that no rule forbids: epoch + 1, and every field of the state set.
ShardUpdate SetState(const std::string& shard, const ShardState& state) {
  return {shard, [state](const ShardView& view) {
            ShardChange change;
            change.changed = true;
            change.shard = view.shard;
            ++change.shard.epoch;
            change.shard.state = state;
            return absl::StatusOr<ShardChange>(change);
          }};
}

TEST_P(StoreContract, AddsShardsOnce) {
  EXPECT_EQ(*store().AddShards("s", {{"b", {}}, {"a", {}}, {"b", {}}}), 2);
  EXPECT_EQ(*store().AddShards("s", {{"a", {}}, {"c", {}}, {"b", {}}}), 1);
  EXPECT_EQ(*store().AddShards("s", {{"a", {}}, {"c", {}}}), 0);
  EXPECT_EQ(*store().AddShards("s", {}), 0);
  EXPECT_THAT(Ids(store().ListShards("s", "", 10)), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Ids(store().ListShards("s", "", 2)), ElementsAre("a", "b"));
  EXPECT_THAT(Ids(store().ListShards("s", "b", 2)), ElementsAre("c"));
  EXPECT_THAT(Ids(store().ListShards("s", "c", 2)), IsEmpty());
}

TEST_P(StoreContract, NewShardsStartWhereThePolicySays) {
  Policy policy;
  policy.starting_position = Position::AtTimestamp(absl::FromUnixMicros(1700000000123456));
  ASSERT_TRUE(store().CreateStream("t", policy).ok());
  ASSERT_TRUE(store().AddShards("t", {{"0", {}}, {"1", {"0"}}}).ok());
  Shard expected = NewShard("t", "0", 0, false, policy);
  EXPECT_EQ(MustGet("0", "t"), expected);
  // They had split before the stream knew them.
  expected = NewShard("t", "1", 1, false, policy);
  EXPECT_EQ(MustGet("1", "t"), expected);

  policy.starting_position = Position::Latest();
  ASSERT_TRUE(store().CreateStream("u", policy).ok());
  AddShards({"0"}, "u");
  EXPECT_EQ(MustGet("0", "u").state.position, Position::Latest());
}

TEST_P(StoreContract, ShardsThatContinueKnownOnesStartAtTheirFirstRecord) {
  Policy policy;
  policy.starting_position = Position::Latest();
  ASSERT_TRUE(store().CreateStream("t", policy).ok());
  ASSERT_TRUE(store().AddShards("t", {{"0", {}}}).ok());
  // 0 split, and 1 again, between two looks at the source; 9 is not of that family.
  ASSERT_TRUE(store()
                  .AddShards("t", {{"0", {}}, {"3", {"1"}}, {"1", {"0"}}, {"2", {"0"}}, {"9", {}}})
                  .ok());
  for (const char* shard : {"1", "2", "3"}) {
    EXPECT_EQ(MustGet(shard, "t").state.position, Position::TrimHorizon()) << shard;
  }
  EXPECT_EQ(MustGet("9", "t").state.position, Position::Latest());
}

// As where the source has trimmed a parent since: its children come after it all the same.
TEST_P(StoreContract, FormerParentsCountWhereTheyAreKnown) {
  Policy policy;
  policy.starting_position = Position::Latest();
  ASSERT_TRUE(store().CreateStream("t", policy).ok());
  ASSERT_TRUE(store().AddShards("t", {{"0", {}}}).ok());
  ASSERT_EQ(*store().AddShards("t", {{"1", {}, {"gone", "0", "0"}}, {"2", {}, {"gone"}}}), 2);

  auto after = store().GetShard("t", "1");
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_THAT(after->parents, ElementsAre("0"));
  EXPECT_EQ(after->shard.parents_left, 1);
  EXPECT_EQ(after->shard.state.position, Position::TrimHorizon());

  auto other = store().GetShard("t", "2");
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_THAT(other->parents, IsEmpty());
  EXPECT_EQ(other->shard.parents_left, 0);
  EXPECT_EQ(other->shard.state.position, Position::Latest());
}

TEST_P(StoreContract, RefusesShardsWithoutAnOrder) {
  const std::vector<std::vector<SourceShard>> refused = {
      {{"a", {"unknown"}}},
      {{"a", {"a"}}},
      {{"a", {"b"}}, {"b", {"a"}}},
      {{"r", {}}, {"a", {"r", "c"}}, {"b", {"a"}}, {"c", {"b"}}},
      {{"", {}}},
      {{"a", {""}}},
      {{"a", {}, {""}}},
  };
  for (const auto& shards : refused) {
    auto added = store().AddShards("s", shards);
    EXPECT_EQ(added.status().code(), absl::StatusCode::kInvalidArgument) << added.status();
  }
  EXPECT_THAT(Ids(store().ListShards("s", "", 10)), IsEmpty());
}

TEST_P(StoreContract, AChildWaitsForAllItsParents) {
  ASSERT_EQ(*store().AddShards("s", {{"c", {"a", "b", "a"}}, {"a", {}}, {"b", {}}}), 3);
  auto record = store().GetShard("s", "c");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_THAT(record->parents, ElementsAre("a", "b"));
  EXPECT_EQ(record->shard.parents_left, 2);
  LeaseGrant grant = MustLease("w", 3);
  ASSERT_EQ(grant.leases.size(), 2u);

  ASSERT_TRUE(Update(Report(grant.leases[0], Succeeded{"", "", 0, true})).ok());
  EXPECT_EQ(MustGet("c").parents_left, 1);
  EXPECT_TRUE(MustGet("a").state.done());
  EXPECT_EQ(LeaseOne(store(), Call("w", 3, 1))->leases.size(), 0u);
  // Repeating the report that ended the parent counts it no second time.
  ASSERT_TRUE(Update(Report(grant.leases[0], Succeeded{"", "", 0, true})).ok());
  EXPECT_EQ(MustGet("c").parents_left, 1);

  // A child that is learnt of now waits only for what is not done.
  ASSERT_EQ(*store().AddShards("s", {{"d", {"a", "b"}}, {"e", {"a"}}}), 2);
  EXPECT_EQ(MustGet("d").parents_left, 1);
  EXPECT_EQ(MustGet("e").parents_left, 0);

  ASSERT_TRUE(Update(Report(grant.leases[1], Succeeded{"1", "5", 5, true})).ok());
  EXPECT_EQ(MustGet("c").parents_left, 0);
  EXPECT_EQ(MustGet("d").parents_left, 0);
  grant = MustLease("w", 3);
  ASSERT_EQ(grant.leases.size(), 3u);
  EXPECT_EQ(grant.leases[0].shard.shard, "c");
  EXPECT_EQ(grant.leases[0].delivery.start, Position::TrimHorizon());
}

TEST_P(StoreContract, ParentsAndChildrenOfOneGroupAgree) {
  ASSERT_TRUE(store().AddShards("s", {{"a", {}}, {"b", {}}, {"c", {"a", "b"}}}).ok());
  const LeaseGrant grant = MustLease("w", 2);
  ASSERT_EQ(grant.leases.size(), 2u);
  // Both parents end in one group that also looks at the child.
  std::vector<ShardUpdate> updates = {
      Report(grant.leases[0], Succeeded{"", "", 0, true}),
      {"c",
       [](const ShardView& view) {
         ShardChange change;
         change.changed = true;
         change.shard = view.shard;
         change.shard.epoch += 5;
         return absl::StatusOr<ShardChange>(change);
       }},
      Report(grant.leases[1], Succeeded{"", "", 0, true}),
  };
  for (const absl::Status& status : store().UpdateShards("s", updates)) EXPECT_TRUE(status.ok());
  EXPECT_EQ(MustGet("c").parents_left, 0);
  EXPECT_EQ(MustGet("c").epoch, 5);
}

TEST_P(StoreContract, SaysThatAShardDoesNotExist) {
  EXPECT_EQ(Reason(store().GetShard("s", "0").status()), kShardNotFound);
  AddShards({"0"});
  std::vector<ShardUpdate> updates = {Report("x", "w", 1, 1, NotRun()), SetState("0", ShardState()),
                                      Report("", "w", 1, 1, NotRun())};
  const std::vector<absl::Status> statuses = store().UpdateShards("s", updates);
  EXPECT_EQ(Reason(statuses[0]), kShardNotFound);
  EXPECT_TRUE(statuses[1].ok());
  EXPECT_EQ(Reason(statuses[2]), kShardNotFound);
  EXPECT_EQ(MustGet("0").epoch, 1);
}

TEST_P(StoreContract, KeepsEveryFieldOfAState) {
  Policy policy;
  policy.sequence_order = SequenceOrder::kPositional;
  ASSERT_TRUE(store().CreateStream("p", policy).ok());
  AddShards({"0"}, "p");
  const std::string odd = AwkwardText();
  ShardState state;
  state.batch_id = int64_t{1} << 60;
  state.delivery = (int64_t{1} << 60) + 1;
  state.attempts = 10001;
  state.lost_deliveries = 3;
  state.not_before = absl::FromUnixMicros(1700000000123457);
  state.outstanding = true;
  for (const Position& position :
       {Position::TrimHorizon(), Position::Latest(),
        Position::AtTimestamp(absl::FromUnixMicros(-62135596800000000)),
        Position::AtTimestamp(absl::FromUnixMicros(253402300799999999)),
        Position::At(std::string(128, '9')), Position::After(odd), Position::ShardEnd()}) {
    for (const std::vector<std::string>& bounds :
         std::vector<std::vector<std::string>>{{}, {"1"}, {odd, "", "NULL", "{}", "10 9", odd}}) {
      for (Redelivery cause : {Redelivery::kNone, Redelivery::kRetry, Redelivery::kSplit,
                               Redelivery::kPartial, Redelivery::kLost, Redelivery::kOperator}) {
        state.position = position;
        state.bounds = bounds;
        state.cause = cause;
        state.outstanding = !state.outstanding;
        state.declared.reset();
        if (state.outstanding) state.declared = DeclaredBatch{odd, "", "x,y", 10000};
        ASSERT_TRUE(Update(SetState("0", state), "p").ok());
        EXPECT_EQ(MustGet("0", "p").state, state) << position.ToString();
      }
    }
  }
}

TEST_P(StoreContract, KeepsTimesToTheMicrosecond) {
  AddShards({"0"});
  ShardState state;
  state.not_before = absl::FromUnixNanos(1700000000123456789);
  ASSERT_TRUE(Update(SetState("0", state)).ok());
  EXPECT_EQ(MustGet("0").state.not_before, absl::FromUnixMicros(1700000000123456));
  state.not_before = absl::InfiniteFuture();
  ASSERT_TRUE(Update(SetState("0", state)).ok());
  EXPECT_GT(MustGet("0").state.not_before,
            absl::FromCivil(absl::CivilYear(9999), absl::UTCTimeZone()));
}

TEST_P(StoreContract, FoldsUpdatesOfOneShardInOrder) {
  AddShards({"0", "1"});
  const LeaseGrant grant = MustLease("w", 2);
  const int64_t epoch = grant.leases[0].shard.epoch;
  std::vector<ShardUpdate> updates = {
      Report("0", "w", epoch, 1, Succeeded{"1", "3", 3, false}),
      Report("1", "w", grant.leases[1].shard.epoch, 1, Succeeded{"7", "7", 1, false}),
      Report("0", "w", epoch, 1, Succeeded{"1", "3", 3, false}),  // repeated
      Report("0", "w", epoch, 2, Succeeded{"4", "9", 6, false}),
      Report("0", "w", epoch, 1, NotRun()),  // stale by now
      Report("0", "x", epoch, 3, NotRun()),  // another worker's
  };
  const std::vector<absl::Status> statuses = store().UpdateShards("s", updates);
  EXPECT_TRUE(statuses[0].ok());
  EXPECT_TRUE(statuses[1].ok());
  EXPECT_TRUE(statuses[2].ok());
  EXPECT_TRUE(statuses[3].ok());
  EXPECT_EQ(Reason(statuses[4]), kStaleDelivery);
  EXPECT_EQ(Reason(statuses[5]), kLeaseFenced);
  EXPECT_EQ(MustGet("0").state.position, Position::After("9"));
  EXPECT_EQ(MustGet("0").state.delivery, 3);
  EXPECT_EQ(MustGet("1").state.position, Position::After("7"));
}

TEST_P(StoreContract, ADecisionThatChangesNothingWritesNothing) {
  AddShards({"0"});
  const Shard before = MustGet("0");
  EXPECT_TRUE(Update({"0",
                      [](const ShardView& view) {
                        ShardChange change;
                        change.shard = view.shard;
                        change.shard.epoch = 77;  // ignored
                        change.dead_letters.emplace_back();
                        change.events.emplace_back();
                        return absl::StatusOr<ShardChange>(change);
                      }})
                  .ok());
  EXPECT_EQ(MustGet("0"), before);
  EXPECT_EQ(Update({"0",
                    [](const ShardView&) {
                      return absl::StatusOr<ShardChange>(absl::DataLossError("no"));
                    }})
                .code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(MustGet("0"), before);
  EXPECT_THAT(*store().ListDeadLetters("s", "", 0, 10), IsEmpty());
  EXPECT_THAT(*store().ListEvents("s", "", 0, 10), IsEmpty());
}

TEST_P(StoreContract, RefusesChangesThatNoDecisionMayMake) {
  ASSERT_TRUE(store().AddShards("s", {{"0", {}}, {"1", {"0"}}}).ok());
  const LeaseGrant grant = MustLease("w", 1);
  ASSERT_TRUE(Update(Report(grant.leases[0], Succeeded{"1", "10", 10, false})).ok());
  const Shard before = MustGet("0");
  const std::vector<std::function<void(Shard&)>> wrongs = {
      [](Shard& shard) { --shard.epoch; },
      [](Shard& shard) { --shard.state.delivery; },
      [](Shard& shard) { shard.owner = "other"; },
      [](Shard& shard) { shard.state.position = Position::After("9"); },
      [](Shard& shard) { shard.state.position = Position::At("10"); },
      [](Shard& shard) { shard.state.position = Position::TrimHorizon(); },
      [](Shard& shard) { shard.shard = "1"; },
      [](Shard& shard) { shard.stream = "t"; },
      [](Shard& shard) { ++shard.parents_left; },
  };
  for (size_t i = 0; i < wrongs.size(); ++i) {
    const absl::Status status = Update({"0", [&](const ShardView& view) {
                                          ShardChange change;
                                          change.changed = true;
                                          change.shard = view.shard;
                                          wrongs[i](change.shard);
                                          return absl::StatusOr<ShardChange>(change);
                                        }});
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << i << ": " << status;
    EXPECT_EQ(MustGet("0"), before) << i;
  }
  ASSERT_TRUE(store().AddShards("s", {{"over", {}}}).ok());
  const LeaseGrant over = MustLease("w", 1, /*held=*/1);
  ASSERT_TRUE(Update(Report(over.leases[0], Succeeded{"", "", 0, true})).ok());
  const absl::Status revived = Update({"over", [](const ShardView& view) {
                                         ShardChange change;
                                         change.changed = true;
                                         change.shard = view.shard;
                                         change.shard.state.position = Position::After("11");
                                         return absl::StatusOr<ShardChange>(change);
                                       }});
  EXPECT_EQ(revived.code(), absl::StatusCode::kInternal) << revived;
  EXPECT_TRUE(MustGet("over").state.done());
  const absl::Status early = Update({"1", [](const ShardView& view) {
                                       ShardChange change;
                                       change.changed = true;
                                       change.shard = view.shard;
                                       ++change.shard.epoch;
                                       change.shard.owner = "w";
                                       return absl::StatusOr<ShardChange>(change);
                                     }});
  EXPECT_EQ(early.code(), absl::StatusCode::kInternal) << early;
}

TEST_P(StoreContract, OneUpdateThatCannotBeStoredLeavesTheOthersAlone) {
  using std::string_literals::operator""s;
  AddShards({"0", "1", "2"});
  const LeaseGrant grant = MustLease("w", 3);
  const auto with_event = [&](int i, const std::string& detail) -> ShardUpdate {
    return {absl::StrCat(i), [detail](const ShardView& view) {
              ShardChange change;
              change.changed = true;
              change.shard = view.shard;
              change.shard.state.position = Position::After("5");
              change.events.push_back({0, "", "", {}, "failed", 1, 1, "w", detail});
              return absl::StatusOr<ShardChange>(change);
            }};
  };
  std::vector<ShardUpdate> updates = {with_event(0, "fine"), with_event(1, "cut\0here"s),
                                      with_event(2, AwkwardText())};
  const std::vector<absl::Status> statuses = store().UpdateShards("s", updates);
  EXPECT_TRUE(statuses[0].ok()) << statuses[0];
  EXPECT_EQ(statuses[1].code(), absl::StatusCode::kInvalidArgument) << statuses[1];
  EXPECT_TRUE(statuses[2].ok()) << statuses[2];
  EXPECT_EQ(MustGet("0").state.position, Position::After("5"));
  EXPECT_EQ(MustGet("1").state.position, Position::TrimHorizon());
  EXPECT_EQ(MustGet("2").state.position, Position::After("5"));
}

TEST_P(StoreContract, UpdatesOfNothingAreFine) {
  std::vector<ShardUpdate> none;
  EXPECT_THAT(store().UpdateShards("s", none), IsEmpty());
}

// Many writers, few shards: every accepted report counts exactly once.
TEST_P(StoreContract, ConcurrentGroupsLoseAndRepeatNothing) {
  constexpr int kShards = 5;
  constexpr int kThreads = 4;
  constexpr int kRounds = 25;
  std::vector<std::string> ids;
  for (int i = 0; i < kShards; ++i) ids.push_back(absl::StrCat(i));
  AddShards(ids);
  std::vector<std::vector<int64_t>> accepted(kThreads, std::vector<int64_t>(kShards, 0));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < kRounds; ++round) {
        std::vector<ShardUpdate> updates;
        for (int i = 0; i < kShards; ++i) {
          // Each thread names the shards in another order.
          const int shard = (t % 2 == 0 ? i : kShards - 1 - i);
          updates.push_back({absl::StrCat(shard), [](const ShardView& view) {
                               ShardChange change;
                               change.changed = true;
                               change.shard = view.shard;
                               ++change.shard.state.delivery;
                               return absl::StatusOr<ShardChange>(change);
                             }});
        }
        const auto statuses = store().UpdateShards("s", updates);
        for (int i = 0; i < kShards; ++i) {
          if (statuses[i].ok()) ++accepted[t][t % 2 == 0 ? i : kShards - 1 - i];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < kShards; ++i) {
    int64_t sum = 0;
    for (int t = 0; t < kThreads; ++t) sum += accepted[t][i];
    EXPECT_EQ(sum, kThreads * kRounds);
    EXPECT_EQ(MustGet(absl::StrCat(i)).state.delivery, sum);
  }
}

}  // namespace
}  // namespace lowmark
