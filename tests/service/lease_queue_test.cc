// The long polls of LeaseShard. The queue tries again by itself only after an hour
// here, so that whatever comes sooner came from a hint.
#include "service/lease_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <atomic>

#include "service/core/error.h"
#include "store/memory/memory_store.h"
#include "tests/service/answers.h"
#include "tests/support/fault_store.h"

namespace lowmark {
namespace {

constexpr absl::Duration kLong = absl::Hours(1);

// Does something just after each try, when the try can no longer see it.
class LateStore : public FaultStore {
 public:
  using FaultStore::FaultStore;

  absl::StatusOr<LeaseGrant> LeaseShards(const LeaseCall& call) override {
    auto grant = FaultStore::LeaseShards(call);
    if (after) after(call);
    return grant;
  }

  std::function<void(const LeaseCall&)> after;
};

class LeaseQueueTest : public testing::Test {
 protected:
  using Grant = absl::StatusOr<LeaseGrant>;

  LeaseQueueTest() {
    EXPECT_TRUE(memory_.CreateStream("s", Policy()).ok());
    EXPECT_TRUE(memory_.CreateStream("other", Policy()).ok());
    // The calls that open a session are answered at once: not what is tested.
    for (const char* worker : {"w", "v"}) Open("s", worker);
    Open("other", "w");
  }

  ~LeaseQueueTest() override { store_.Release(StoreCall::kLeaseShards); }

  void Open(const std::string& stream, const std::string& worker) {
    EXPECT_TRUE(memory_.LeaseShards(Call(stream, worker, absl::ZeroDuration())).ok());
  }

  static LeaseCall Call(const std::string& stream, const std::string& worker, absl::Duration wait) {
    LeaseCall call;
    call.stream = stream;
    call.worker = worker;
    call.session_ttl = absl::Hours(10);
    call.wait = wait;
    return call;
  }

  static bool Never() { return false; }

  int64_t Tries() const { return store_.Calls(StoreCall::kLeaseShards); }
  bool AddShard(const std::string& shard, const std::string& stream = "s") {
    return memory_.AddShards(stream, {{shard, {}}}).ok();
  }

  prometheus::Registry registry_;
  Metrics metrics_{registry_};
  MemoryStore memory_;
  LateStore store_{memory_};
  Answers<Grant> answers_;
  const LeaseQueueOptions one_thread_{.threads = 1, .retry = kLong};
};

TEST_F(LeaseQueueTest, GrantsWhatIsFreeAtOnce) {
  ASSERT_TRUE(AddShard("1"));
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait(Call("s", "w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  const Grant grant = answers_.All()[0];
  ASSERT_TRUE(grant.ok()) << grant.status();
  ASSERT_EQ(grant->leases.size(), 1u);
  EXPECT_EQ(grant->leases[0].shard.shard, "1");
}

TEST_F(LeaseQueueTest, AHintWakesWhoWaits) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  memory_.WatchFreeShards([&](const std::string& stream) { queue.Wake(stream); });
  queue.Wait(Call("s", "w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(Eventually([&] { return Tries() == 1; }));
  ASSERT_TRUE(AddShard("1"));
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
  memory_.WatchFreeShards(nullptr);
}

TEST_F(LeaseQueueTest, AHintAboutAnyStreamWakesWhoWaits) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait(Call("s", "w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(Eventually([&] { return Tries() == 1; }));
  ASSERT_TRUE(AddShard("1"));
  queue.Wake("");
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
}

TEST_F(LeaseQueueTest, AHintDuringATryIsNotLost) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  std::atomic<bool> first = true;
  store_.after = [&](const LeaseCall&) {
    if (!first.exchange(false)) return;
    // The try found nothing; now there is something.
    EXPECT_TRUE(AddShard("1"));
    queue.Wake("s");
  };
  queue.Wait(Call("s", "w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
  EXPECT_EQ(Tries(), 2);
}

TEST_F(LeaseQueueTest, HintsAboutOtherStreamsCauseNoTry) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  store_.after = [&](const LeaseCall& call) {
    if (call.stream == "s") queue.Wake("other");
  };
  queue.Wait(Call("s", "w", kLong), Never, [](Grant) {});
  ASSERT_TRUE(Eventually([&] { return Tries() == 1; }));
  // The only thread is through with the first call when it answers the second.
  ASSERT_TRUE(AddShard("1", "other"));
  queue.Wait(Call("other", "w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(Tries(), 2);
}

TEST_F(LeaseQueueTest, TriesAgainWithoutAHint) {
  LeaseQueue queue(store_, metrics_, {.threads = 1, .retry = absl::Milliseconds(1)});
  queue.Wait(Call("s", "w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(Eventually([&] { return Tries() >= 3; }));
  ASSERT_TRUE(AddShard("1"));
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
}

TEST_F(LeaseQueueTest, AnswersEmptyHandedAtTheDeadline) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait(Call("s", "w", absl::Milliseconds(10)), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  const Grant grant = answers_.All()[0];
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_TRUE(grant->leases.empty());
}

TEST_F(LeaseQueueTest, ACallWithoutPatienceIsTriedOnce) {
  ASSERT_TRUE(AddShard("1"));
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait(Call("s", "w", -absl::Seconds(1)), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
}

TEST_F(LeaseQueueTest, TheCallThatOpensASessionDoesNotWait) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait(Call("s", "new-worker", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_TRUE(answers_.All()[0]->leases.empty());
}

TEST_F(LeaseQueueTest, WhoIsGoneGetsNoLease) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  std::atomic<bool> gone = false;
  queue.Wait(
      Call("s", "w", kLong), [&] { return gone.load(); }, answers_.Sink());
  ASSERT_TRUE(Eventually([&] { return Tries() == 1; }));
  gone = true;
  ASSERT_TRUE(AddShard("1"));
  queue.Wake("s");
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0].status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(memory_.GetShard("s", "1")->shard.owner, "");
}

// What a worker that is gone wanted must not be kept for it.
TEST_F(LeaseQueueTest, WhoIsGoneKeepsNoShardFromOthers) {
  Open("s", "x");
  LeaseQueue queue(store_, metrics_, one_thread_);
  std::atomic<bool> gone = false;
  Answers<Grant> left;
  queue.Wait(
      Call("s", "v", kLong), [&] { return gone.load(); }, left.Sink());
  ASSERT_TRUE(Eventually([&] { return Tries() == 1; }));
  ASSERT_TRUE(AddShard("1"));
  // By the stock that is taken the shard is to go to "v", the first in line.
  queue.Wait(Call("s", "x", kLong), Never, answers_.Sink());
  ASSERT_TRUE(Eventually([&] { return Tries() == 2; }));
  EXPECT_EQ(answers_.size(), 0u);
  gone = true;
  queue.Wake("s");
  ASSERT_TRUE(left.Await(1));
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
}

TEST_F(LeaseQueueTest, OnlyTheFirstTryIsASignOfLife) {
  std::vector<bool> renews;  // used by the queue's only thread
  store_.after = [&](const LeaseCall& call) { renews.push_back(call.renew); };
  {
    LeaseQueue queue(store_, metrics_, {.threads = 1, .retry = absl::Milliseconds(1)});
    queue.Wait(Call("s", "w", kLong), Never, answers_.Sink());
    ASSERT_TRUE(Eventually([&] { return Tries() >= 3; }));
  }
  EXPECT_TRUE(renews.at(0));
  EXPECT_FALSE(renews.at(1));
}

TEST_F(LeaseQueueTest, ErrorsAreAnswersToo) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait(Call("no-such-stream", "w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(Reason(answers_.All()[0].status()), kStreamNotFound);
  store_.Inject(StoreCall::kLeaseShards, Fault::kBefore);
  queue.Wait(Call("s", "w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(2));
  EXPECT_EQ(Reason(answers_.All()[1].status()), kUnavailable);
}

// Where the answer was lost the worker asks again with what it knows it holds.
TEST_F(LeaseQueueTest, LeasesWhoseAnswerWasLostAreRepeated) {
  ASSERT_TRUE(AddShard("1"));
  LeaseQueue queue(store_, metrics_, one_thread_);
  store_.Inject(StoreCall::kLeaseShards, Fault::kAfter);
  queue.Wait(Call("s", "w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_FALSE(answers_.All()[0].ok());
  queue.Wait(Call("s", "w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(2));
  const Grant again = answers_.All()[1];
  ASSERT_TRUE(again.ok());
  ASSERT_EQ(again->leases.size(), 1u);
  EXPECT_EQ(again->leases[0].shard.epoch, 1);
  EXPECT_EQ(again->leases[0].delivery.delivery, 1);
}

TEST_F(LeaseQueueTest, DrainAnswersAllAndLetsNobodyWait) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait(Call("s", "w", kLong), Never, answers_.Sink());
  queue.Wait(Call("s", "v", kLong), Never, answers_.Sink());
  ASSERT_TRUE(Eventually([&] { return Tries() == 2; }));
  queue.Drain();
  ASSERT_TRUE(answers_.Await(2));
  ASSERT_TRUE(AddShard("1"));
  queue.Wait(Call("s", "w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(3));
  for (const Grant& grant : answers_.All()) {
    ASSERT_TRUE(grant.ok()) << grant.status();
    EXPECT_TRUE(grant->leases.empty());
  }
  EXPECT_EQ(Tries(), 2);
}

TEST_F(LeaseQueueTest, ItsEndAnswersAll) {
  {
    LeaseQueue queue(store_, metrics_, {.threads = 3, .retry = kLong});
    for (int i = 0; i < 20; ++i) queue.Wait(Call("s", "w", kLong), Never, answers_.Sink());
  }
  EXPECT_EQ(answers_.size(), 20u);
}

// A database that hangs holds up the thread that asked it, and no call of others.
TEST_F(LeaseQueueTest, AnIdleThreadTakesOverWhileAnotherIsHeldUp) {
  LeaseQueue queue(store_, metrics_, {.threads = 2, .retry = kLong});
  for (size_t round = 1; round <= 10; ++round) {
    const int64_t before = Tries();
    queue.Wait(Call("s", "w", absl::Milliseconds(30)), Never, answers_.Sink());
    ASSERT_TRUE(Eventually([&] { return Tries() == before + 1; }));
    store_.Hold(StoreCall::kLeaseShards);
    Answers<Grant> held;
    queue.Wait(Call("s", "v", absl::Milliseconds(1)), Never, held.Sink());
    ASSERT_TRUE(store_.AwaitHeld(StoreCall::kLeaseShards, 1, kPatience));
    ASSERT_TRUE(answers_.Await(round)) << "round " << round;
    store_.Release(StoreCall::kLeaseShards);
    ASSERT_TRUE(held.Await(1));
  }
}

// Many workers, few shards, hints that race with tries: every shard finds an
// owner and every call gets an answer.
TEST_F(LeaseQueueTest, NobodyIsForgottenInARush) {
  constexpr int kWorkers = 40;
  LeaseQueue queue(store_, metrics_, {.threads = 4, .retry = kLong});
  memory_.WatchFreeShards([&](const std::string& stream) { queue.Wake(stream); });
  for (int i = 0; i < kWorkers; ++i) {
    const std::string worker = "worker-" + std::to_string(i);
    Open("s", worker);
    queue.Wait(Call("s", worker, kLong), Never, answers_.Sink());
  }
  for (int i = 0; i < kWorkers; ++i) ASSERT_TRUE(AddShard("shard-" + std::to_string(i)));
  ASSERT_TRUE(answers_.Await(kWorkers));
  for (const Grant& grant : answers_.All()) {
    ASSERT_TRUE(grant.ok()) << grant.status();
    EXPECT_EQ(grant->leases.size(), 1u);
  }
  memory_.WatchFreeShards(nullptr);
}

}  // namespace
}  // namespace lowmark
