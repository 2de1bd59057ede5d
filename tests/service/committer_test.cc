// Group commit: what is grouped, in which order, and that each caller is
// answered once, whatever happens.
#include "service/committer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <atomic>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "store/memory/memory_store.h"
#include "tests/service/answers.h"
#include "tests/support/fault_store.h"

namespace lowmark {
namespace {

using testing::Each;
using testing::ElementsAre;

class CommitterTest : public testing::Test {
 protected:
  CommitterTest() {
    for (const char* stream : {"a", "b", "c"}) {
      EXPECT_TRUE(memory_.CreateStream(stream, Policy()).ok());
      EXPECT_TRUE(memory_.AddShards(stream, {{"1", {}}, {"2", {}}}).ok());
    }
  }

  ~CommitterTest() override { store_.Release(StoreCall::kUpdateShards); }

  // An update that does nothing.
  static ShardUpdate Nothing(const std::string& shard = "1") {
    return {shard, [](const ShardView&) { return absl::StatusOr<ShardChange>(ShardChange()); }};
  }

  // An update that notes `number` where its shard is decided.
  ShardUpdate Noting(int number) {
    return {"1", [this, number](const ShardView&) -> absl::StatusOr<ShardChange> {
              MutexLock lock(mutex_);
              decided_.push_back(number);
              return ShardChange();
            }};
  }

  // Keeps a first update in the store, so that others gather meanwhile.
  void Occupy(Committer& committer) {
    store_.Hold(StoreCall::kUpdateShards);
    committer.Submit("a", Nothing(), [](absl::Status) {});
    ASSERT_TRUE(store_.AwaitHeld(StoreCall::kUpdateShards, 1, kPatience));
  }

  int64_t Groups() const { return store_.Calls(StoreCall::kUpdateShards); }

  prometheus::Registry registry_;
  Metrics metrics_{registry_};
  MemoryStore memory_;
  FaultStore store_{memory_};
  Mutex mutex_;
  std::vector<int> decided_ LOWMARK_GUARDED_BY(mutex_);
  Answers<absl::Status> answers_;
};

TEST_F(CommitterTest, LoneUpdateIsCommittedAtOnce) {
  Committer committer(store_, metrics_, {});
  committer.Submit("a", Nothing(), answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_THAT(answers_.All(), ElementsAre(absl::OkStatus()));
  EXPECT_EQ(Groups(), 1);
}

TEST_F(CommitterTest, WhatArrivesDuringACommitIsCommittedTogether) {
  Committer committer(store_, metrics_, {.committers = 1});
  Occupy(committer);
  for (int i = 0; i < 100; ++i) committer.Submit("a", Nothing(), answers_.Sink());
  store_.Release(StoreCall::kUpdateShards);
  ASSERT_TRUE(answers_.Await(100));
  EXPECT_EQ(Groups(), 2);
}

TEST_F(CommitterTest, UpdatesOfAShardKeepTheirOrder) {
  Committer committer(store_, metrics_, {.committers = 1, .group_limit = 7});
  Occupy(committer);
  std::vector<int> expected;
  for (int i = 0; i < 50; ++i) {
    committer.Submit("a", Noting(i), answers_.Sink());
    expected.push_back(i);
  }
  store_.Release(StoreCall::kUpdateShards);
  ASSERT_TRUE(answers_.Await(50));
  MutexLock lock(mutex_);
  EXPECT_EQ(decided_, expected);
}

TEST_F(CommitterTest, GroupsHaveALimit) {
  Committer committer(store_, metrics_, {.committers = 1, .group_limit = 10});
  Occupy(committer);
  for (int i = 0; i < 25; ++i) committer.Submit("a", Nothing(), answers_.Sink());
  store_.Release(StoreCall::kUpdateShards);
  ASSERT_TRUE(answers_.Await(25));
  EXPECT_EQ(Groups(), 1 + 3);
}

TEST_F(CommitterTest, GroupsDoNotSpanStreams) {
  Committer committer(store_, metrics_, {.committers = 1});
  Occupy(committer);
  for (int i = 0; i < 20; ++i) {
    committer.Submit(i % 2 == 0 ? "b" : "c", Nothing(), answers_.Sink());
  }
  store_.Release(StoreCall::kUpdateShards);
  ASSERT_TRUE(answers_.Await(20));
  EXPECT_EQ(Groups(), 1 + 2);
}

TEST_F(CommitterTest, ABusyStreamDoesNotHoldUpAnother) {
  Committer committer(store_, metrics_, {.committers = 1, .group_limit = 10});
  Occupy(committer);
  Answers<std::string> order;
  const auto note = [&](const char* name) {
    return [sink = order.Sink(), name](absl::Status) { sink(name); };
  };
  for (int i = 0; i < 30; ++i) committer.Submit("b", Nothing(), note("busy"));
  committer.Submit("c", Nothing(), note("quiet"));
  store_.Release(StoreCall::kUpdateShards);
  ASSERT_TRUE(order.Await(31));
  EXPECT_EQ(order.All()[10], "quiet");
}

// With a second committer free, and nothing but patience to make it wait.
constexpr CommitterOptions kPatient = {
    .committers = 2, .group_limit = 10, .patience = absl::Hours(1)};

TEST_F(CommitterTest, NextGroupGathersWhileItsStreamCommits) {
  Committer committer(store_, metrics_, kPatient);
  Occupy(committer);
  for (int i = 0; i < 9; ++i) committer.Submit("a", Nothing(), answers_.Sink());
  store_.Release(StoreCall::kUpdateShards);
  ASSERT_TRUE(answers_.Await(9));
  EXPECT_EQ(Groups(), 1 + 1);
}

TEST_F(CommitterTest, FullGroupDoesNotWait) {
  Committer committer(store_, metrics_, kPatient);
  Occupy(committer);
  for (int i = 0; i < 10; ++i) committer.Submit("a", Nothing(), answers_.Sink());
  EXPECT_TRUE(store_.AwaitHeld(StoreCall::kUpdateShards, 2, kPatience));
  store_.Release(StoreCall::kUpdateShards);
}

TEST_F(CommitterTest, GroupDoesNotWaitBeyondPatience) {
  CommitterOptions options = kPatient;
  options.patience = absl::Milliseconds(1);
  Committer committer(store_, metrics_, options);
  Occupy(committer);
  committer.Submit("a", Nothing(), answers_.Sink());
  EXPECT_TRUE(store_.AwaitHeld(StoreCall::kUpdateShards, 2, kPatience));
  store_.Release(StoreCall::kUpdateShards);
}

TEST_F(CommitterTest, StreamsDoNotWaitForEachOther) {
  Committer committer(store_, metrics_, kPatient);
  Occupy(committer);
  committer.Submit("a", Nothing(), answers_.Sink());
  committer.Submit("b", Nothing(), answers_.Sink());
  EXPECT_TRUE(store_.AwaitHeld(StoreCall::kUpdateShards, 2, kPatience));
  store_.Release(StoreCall::kUpdateShards);
}

TEST_F(CommitterTest, NextGroupDoesNotWaitForTheAnswersOfTheLast) {
  Committer committer(store_, metrics_, kPatient);
  store_.Hold(StoreCall::kUpdateShards);
  Answers<bool> slow;
  committer.Submit("a", Nothing(),
                   [&, sink = slow.Sink()](absl::Status) { sink(answers_.Await(1)); });
  ASSERT_TRUE(store_.AwaitHeld(StoreCall::kUpdateShards, 1, kPatience));
  committer.Submit("a", Nothing(), answers_.Sink());
  store_.Release(StoreCall::kUpdateShards);
  ASSERT_TRUE(slow.Await(1));
  EXPECT_TRUE(slow.All()[0]);
}

TEST_F(CommitterTest, RefusesMoreThanItsQueueHolds) {
  Committer committer(store_, metrics_, {.committers = 1, .queue_limit = 3});
  Occupy(committer);
  for (int i = 0; i < 3; ++i) committer.Submit("a", Nothing(), answers_.Sink());
  EXPECT_EQ(answers_.size(), 0u);
  committer.Submit("a", Nothing(), answers_.Sink());
  // Refused by the caller's own thread, so that nothing piles up.
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(Reason(answers_.All()[0]), kUnavailable);
  store_.Release(StoreCall::kUpdateShards);
  ASSERT_TRUE(answers_.Await(4));
  committer.Submit("a", Nothing(), answers_.Sink());
  ASSERT_TRUE(answers_.Await(5));
  EXPECT_TRUE(answers_.All()[4].ok());
}

TEST_F(CommitterTest, StopCommitsWhatWaits) {
  auto committer = std::make_unique<Committer>(store_, metrics_, CommitterOptions{.committers = 1});
  Occupy(*committer);
  for (int i = 0; i < 20; ++i) committer->Submit("b", Nothing(), answers_.Sink());
  std::thread stopping([&] { committer.reset(); });
  store_.Release(StoreCall::kUpdateShards);
  stopping.join();
  EXPECT_EQ(answers_.size(), 20u);
  EXPECT_THAT(answers_.All(), Each(absl::OkStatus()));
}

TEST_F(CommitterTest, OneUpdatesFailureIsItsOwn) {
  Committer committer(store_, metrics_, {.committers = 1});
  Occupy(committer);
  Answers<absl::Status> unknown;
  Answers<absl::Status> refused;
  committer.Submit("b", Nothing(), answers_.Sink());
  committer.Submit("b", Nothing("no-such-shard"), unknown.Sink());
  committer.Submit(
      "b", {"2", [](const ShardView&) { return absl::StatusOr<ShardChange>(Aborted("X", "")); }},
      refused.Sink());
  committer.Submit("b", Nothing("2"), answers_.Sink());
  store_.Release(StoreCall::kUpdateShards);
  ASSERT_TRUE(answers_.Await(2) && unknown.Await(1) && refused.Await(1));
  EXPECT_EQ(Groups(), 1 + 1);
  EXPECT_THAT(answers_.All(), Each(absl::OkStatus()));
  EXPECT_EQ(Reason(unknown.All()[0]), kShardNotFound);
  EXPECT_EQ(Reason(refused.All()[0]), "X");
}

TEST_F(CommitterTest, UnknownStreamFailsItsOwnGroup) {
  Committer committer(store_, metrics_, {});
  committer.Submit("no-such-stream", Nothing(), answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(Reason(answers_.All()[0]), kStreamNotFound);
}

TEST_F(CommitterTest, EveryoneOfAFailedGroupIsTold) {
  Committer committer(store_, metrics_, {.committers = 1});
  Occupy(committer);
  for (int i = 0; i < 5; ++i) committer.Submit("b", Nothing(), answers_.Sink());
  store_.SetDown(true);
  store_.Release(StoreCall::kUpdateShards);
  ASSERT_TRUE(answers_.Await(5));
  for (const absl::Status& status : answers_.All()) EXPECT_EQ(Reason(status), kUnavailable);
  store_.SetDown(false);
  committer.Submit("b", Nothing(), answers_.Sink());
  ASSERT_TRUE(answers_.Await(6));
  EXPECT_TRUE(answers_.All()[5].ok());
}

// Many callers, several committers, a store that fails now and then: nobody is
// forgotten, nobody is answered twice.
TEST_F(CommitterTest, EachCallerIsAnsweredExactlyOnce) {
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  std::vector<std::atomic<int>> answered(kThreads * kEach);
  {
    Committer committer(store_, metrics_, {.committers = 3, .group_limit = 16, .queue_limit = 200});
    std::vector<std::thread> callers;
    for (int t = 0; t < kThreads; ++t) {
      callers.emplace_back([&, t] {
        const char* streams[] = {"a", "b", "c"};
        for (int i = 0; i < kEach; ++i) {
          if (i % 50 == 0) store_.Inject(StoreCall::kUpdateShards, Fault::kBefore);
          std::atomic<int>& mine = answered[t * kEach + i];
          committer.Submit(streams[(t + i) % 3], Nothing(), [&mine](absl::Status) { ++mine; });
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
  }
  for (const std::atomic<int>& times : answered) ASSERT_EQ(times, 1);
}

}  // namespace
}  // namespace lowmark
