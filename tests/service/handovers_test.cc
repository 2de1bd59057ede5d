// Which shards workers are asked to hand over, how they are told, and when a
// shard is taken away.
#include "service/handovers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/lease.h"
#include "store/memory/memory_store.h"
#include "tests/service/answers.h"
#include "tests/support/fault_store.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// Looks all the time, and leaves a worker that was not told alone.
constexpr HandoverOptions kPatient = {absl::Milliseconds(1), absl::Hours(1), absl::ZeroDuration()};

class HandoversTest : public testing::Test {
 protected:
  ~HandoversTest() override {
    store_.Release(StoreCall::kUpdateShards);
    store_.Release(StoreCall::kReadCensus);
  }

  void MakeStream(int shards, absl::Duration handoff_timeout = absl::Hours(1)) {
    Policy policy;
    policy.handoff_timeout = handoff_timeout;
    ASSERT_TRUE(memory_.CreateStream("s", policy).ok());
    for (int i = 0; i < shards; ++i) {
      ASSERT_TRUE(memory_.AddShards("s", {{absl::StrCat(i), {}}}).ok());
    }
  }

  // The worker asks for leases, takes what it gets, and waits for the rest.
  size_t Lease(const std::string& worker, int32_t wants) {
    OneCall call;
    call.stream = "s";
    call.worker = worker;
    call.max_leases = wants;
    call.held = 1000;
    call.session_ttl = absl::Hours(10);
    call.wait = absl::Hours(10);
    const auto grant = LeaseOne(memory_, call);
    if (!grant->leases.empty() || !grant->opened) return grant->leases.size();
    return LeaseOne(memory_, call)->leases.size();
  }

  // Whether the balance was looked at twice from now on: once it was, it was
  // looked at in full since.
  bool AwaitPass() {
    const int64_t before = store_.Calls(StoreCall::kReadCensus);
    return Eventually([&] { return store_.Calls(StoreCall::kReadCensus) >= before + 2; });
  }

  int64_t Epoch(const std::string& shard) { return memory_.GetShard("s", shard)->shard.epoch; }
  std::string Owner(const std::string& shard) { return memory_.GetShard("s", shard)->shard.owner; }

  absl::Status Release(const std::string& shard) {
    std::vector<ShardUpdate> updates = {
        {shard, [](const ShardView& view) {
           ShardChange change;
           change.changed = true;
           change.shard = lowmark::Release(view.shard, view.shard.owner, view.shard.epoch).value();
           return absl::StatusOr<ShardChange>(change);
         }}};
    return memory_.UpdateShards("s", updates)[0];
  }

  double Handoffs(const std::string& kind) {
    for (const auto& family : registry_.Collect()) {
      if (family.name != "lowmark_handoffs_total") continue;
      for (const auto& metric : family.metric) {
        for (const auto& label : metric.label) {
          if (label.name == "kind" && label.value == kind) return metric.counter.value;
        }
      }
    }
    return 0;
  }

  prometheus::Registry registry_;
  Metrics metrics_{registry_};
  MemoryStore memory_;
  FaultStore store_{memory_};
};

TEST_F(HandoversTest, AsksForTheExcessAndNoMore) {
  MakeStream(4);
  ASSERT_EQ(Lease("a", 4), 4u);
  ASSERT_EQ(Lease("b", 4), 0u);
  Handovers handovers(store_, metrics_, kPatient);
  handovers.NoteActivity("s");
  ASSERT_TRUE(Eventually([&] { return !handovers.AskAll("s", "a").empty(); }));
  const std::vector<std::string> asked = handovers.AskAll("s", "a");
  EXPECT_THAT(asked, SizeIs(2));
  EXPECT_THAT(handovers.AskAll("s", "b"), IsEmpty());
  EXPECT_TRUE(handovers.Ask("s", asked[0], Epoch(asked[0])));
  EXPECT_FALSE(handovers.Ask("s", asked[0], Epoch(asked[0]) + 1));
  EXPECT_FALSE(handovers.Ask("s", "no-such-shard", 1));
  EXPECT_FALSE(handovers.Ask("no-such-stream", asked[0], 1));
  // It stays with the same shards.
  ASSERT_TRUE(AwaitPass());
  EXPECT_EQ(handovers.AskAll("s", "a"), asked);
}

// Of all workers together: this share of the stream's shards, and ten at least.
TEST_F(HandoversTest, AsksForNoMoreAtATimeThanMayMove) {
  MakeStream(100);
  ASSERT_EQ(Lease("a", 50), 50u);
  ASSERT_EQ(Lease("b", 50), 50u);
  ASSERT_EQ(Lease("c", 100), 0u);
  for (auto [moves, most] : {std::pair{0.2, 20u}, std::pair{0.001, 10u}, std::pair{1.0, 33u}}) {
    HandoverOptions options = kPatient;
    options.moves = moves;
    Handovers handovers(store_, metrics_, options);
    handovers.NoteActivity("s");
    ASSERT_TRUE(AwaitPass());
    const size_t asked = handovers.AskAll("s", "a").size() + handovers.AskAll("s", "b").size();
    EXPECT_EQ(asked, most) << moves;
  }
}

TEST_F(HandoversTest, FollowsWhatIsGivenBack) {
  MakeStream(4);
  ASSERT_EQ(Lease("a", 4), 4u);
  ASSERT_EQ(Lease("b", 4), 0u);
  Handovers handovers(store_, metrics_, kPatient);
  handovers.NoteActivity("s");
  ASSERT_TRUE(Eventually([&] { return handovers.AskAll("s", "a").size() == 2; }));
  const std::vector<std::string> asked = handovers.AskAll("s", "a");
  const int64_t epoch = Epoch(asked[1]);
  EXPECT_FALSE(handovers.Withdraw("s", asked[1], epoch + 1));
  EXPECT_TRUE(handovers.Withdraw("s", asked[1], epoch));
  ASSERT_TRUE(Release(asked[1]).ok());
  ASSERT_EQ(Lease("b", 4), 1u);
  ASSERT_TRUE(AwaitPass());
  EXPECT_THAT(handovers.AskAll("s", "a"), ElementsAre(asked[0]));
  EXPECT_FALSE(handovers.Ask("s", asked[1], epoch + 1));
  EXPECT_FALSE(handovers.Withdraw("s", asked[1], epoch));
}

TEST_F(HandoversTest, NothingMovesWithoutAGain) {
  MakeStream(3);
  ASSERT_EQ(Lease("a", 2), 2u);
  ASSERT_EQ(Lease("b", 2), 1u);
  Handovers handovers(store_, metrics_, kPatient);
  handovers.NoteActivity("s");
  ASSERT_TRUE(AwaitPass());
  EXPECT_THAT(handovers.AskAll("s", "a"), IsEmpty());
  EXPECT_THAT(handovers.AskAll("s", "b"), IsEmpty());
}

TEST_F(HandoversTest, NothingMovesWhereNobodyWants) {
  MakeStream(4);
  ASSERT_EQ(Lease("a", 4), 4u);
  OneCall done;  // its wait is over
  done.stream = "s";
  done.worker = "b";
  done.held = 1000;
  done.session_ttl = absl::Hours(10);
  ASSERT_TRUE(LeaseOne(memory_, done).ok());
  Handovers handovers(store_, metrics_, kPatient);
  handovers.NoteActivity("s");
  ASSERT_TRUE(AwaitPass());
  EXPECT_THAT(handovers.AskAll("s", "a"), IsEmpty());
}

TEST_F(HandoversTest, APausedStreamIsHandedOverWhole) {
  MakeStream(3);
  ASSERT_EQ(Lease("a", 3), 3u);
  ASSERT_TRUE(memory_
                  .UpdateStream("s", "",
                                [](const Policy& policy) {
                                  Policy paused = policy;
                                  paused.paused = true;
                                  return absl::StatusOr<Policy>(paused);
                                })
                  .ok());
  Handovers handovers(store_, metrics_, kPatient);
  handovers.NoteActivity("s");
  ASSERT_TRUE(Eventually([&] { return handovers.AskAll("s", "a").size() == 3; }));
}

// Settling is for the balance: what an operator asks for does not wait.
TEST_F(HandoversTest, WhatOperatorsAskForNeedsNoSettling) {
  HandoverOptions settling = kPatient;
  settling.settling = absl::Hours(1);
  MakeStream(3);
  ASSERT_EQ(Lease("a", 3), 3u);
  ASSERT_EQ(Lease("b", 3), 0u);
  Handovers handovers(store_, metrics_, settling);
  handovers.NoteActivity("s");
  ASSERT_TRUE(AwaitPass());
  EXPECT_THAT(handovers.AskAll("s", "a"), IsEmpty()) << "they came just now";
  ASSERT_TRUE(memory_.ChangeWorker("s", "a", {.cordoned = true, .draining = true}).ok());
  ASSERT_TRUE(Eventually([&] { return handovers.AskAll("s", "a").size() == 3; }));
  ASSERT_TRUE(memory_.ChangeWorker("s", "a", {.cordoned = false, .draining = false}).ok());
  ASSERT_TRUE(Eventually([&] { return handovers.AskAll("s", "a").empty(); }));
  ASSERT_TRUE(memory_
                  .UpdateStream("s", "",
                                [](Policy policy) {
                                  policy.paused = true;
                                  return absl::StatusOr<Policy>(policy);
                                })
                  .ok());
  EXPECT_TRUE(Eventually([&] { return handovers.AskAll("s", "a").size() == 3; }));
}

TEST_F(HandoversTest, TheTimeoutRunsFromWhenTheWorkerWasTold) {
  MakeStream(2, /*handoff_timeout=*/absl::Milliseconds(1));
  ASSERT_EQ(Lease("a", 2), 2u);
  ASSERT_EQ(Lease("b", 2), 0u);
  Handovers handovers(store_, metrics_, kPatient);
  handovers.NoteActivity("s");
  // Asked long ago, told never: it is not late.
  ASSERT_TRUE(Eventually([&] { return store_.Calls(StoreCall::kReadCensus) >= 20; }));
  EXPECT_EQ(store_.Calls(StoreCall::kUpdateShards), 0);
  ASSERT_THAT(handovers.AskAll("s", "a"), ElementsAre("0"));
  ASSERT_TRUE(Eventually([&] { return Owner("0").empty(); }));
  EXPECT_EQ(Owner("1"), "a");
  ASSERT_TRUE(Eventually([&] { return Handoffs("forced") == 1; }));
  EXPECT_EQ(Handoffs("graceful"), 0);
  const auto events = memory_.ListEvents("s", "0", 0, 100);
  ASSERT_TRUE(events.ok());
  ASSERT_FALSE(events->empty());
  EXPECT_EQ(events->back().kind, "taken");
  EXPECT_EQ(events->back().actor, "a");
}

TEST_F(HandoversTest, AReportTellsTheWorkerToo) {
  MakeStream(2, /*handoff_timeout=*/absl::Milliseconds(1));
  ASSERT_EQ(Lease("a", 2), 2u);
  ASSERT_EQ(Lease("b", 2), 0u);
  Handovers handovers(store_, metrics_, kPatient);
  handovers.NoteActivity("s");
  ASSERT_TRUE(Eventually([&] { return handovers.Ask("s", "0", 1); }));
  ASSERT_TRUE(Eventually([&] { return Owner("0").empty(); }));
}

// No hand-over waits for ever for a worker that takes no notice.
TEST_F(HandoversTest, WhoCannotBeToldLosesTheShardAfterASessionsLife) {
  MakeStream(2, /*handoff_timeout=*/absl::Milliseconds(1));
  ASSERT_EQ(Lease("a", 2), 2u);
  ASSERT_EQ(Lease("b", 2), 0u);
  Handovers handovers(store_, metrics_, {absl::Milliseconds(1), absl::Milliseconds(1)});
  handovers.NoteActivity("s");
  ASSERT_TRUE(Eventually([&] { return Owner("0").empty(); }));
}

TEST_F(HandoversTest, WhatIsGivenBackInTimeIsNotCountedAsForced) {
  MakeStream(2, /*handoff_timeout=*/absl::Milliseconds(1));
  ASSERT_EQ(Lease("a", 2), 2u);
  ASSERT_EQ(Lease("b", 2), 0u);
  store_.Hold(StoreCall::kUpdateShards);
  Handovers handovers(store_, metrics_, kPatient);
  handovers.NoteActivity("s");
  ASSERT_TRUE(Eventually([&] { return !handovers.AskAll("s", "a").empty(); }));
  ASSERT_TRUE(store_.AwaitHeld(StoreCall::kUpdateShards, 1, kPatience));
  ASSERT_TRUE(Release("0").ok());
  ASSERT_EQ(Lease("b", 2), 1u);
  store_.Release(StoreCall::kUpdateShards);
  ASSERT_TRUE(AwaitPass());
  EXPECT_EQ(Owner("0"), "b");
  EXPECT_EQ(Handoffs("forced"), 0);
}

TEST_F(HandoversTest, GoesOnAfterTheStoreFailed) {
  MakeStream(4);
  ASSERT_EQ(Lease("a", 4), 4u);
  ASSERT_EQ(Lease("b", 4), 0u);
  store_.SetDown(true);
  Handovers handovers(store_, metrics_, kPatient);
  handovers.NoteActivity("s");
  ASSERT_TRUE(AwaitPass());
  EXPECT_THAT(handovers.AskAll("s", "a"), IsEmpty());
  store_.SetDown(false);
  ASSERT_TRUE(Eventually([&] { return handovers.AskAll("s", "a").size() == 2; }));
  // What is asked stays asked while the store cannot be reached.
  store_.SetDown(true);
  ASSERT_TRUE(AwaitPass());
  EXPECT_THAT(handovers.AskAll("s", "a"), SizeIs(2));
  store_.SetDown(false);
}

TEST_F(HandoversTest, ForgetsAStreamThatIsDeleted) {
  MakeStream(2);
  ASSERT_EQ(Lease("a", 2), 2u);
  ASSERT_EQ(Lease("b", 2), 0u);
  Handovers handovers(store_, metrics_, kPatient);
  handovers.NoteActivity("s");
  ASSERT_TRUE(Eventually([&] { return !handovers.AskAll("s", "a").empty(); }));
  ASSERT_TRUE(memory_.DeleteStream("s", "").ok());
  ASSERT_TRUE(Eventually([&] { return handovers.AskAll("s", "a").empty(); }));
}

}  // namespace
}  // namespace lowmark
