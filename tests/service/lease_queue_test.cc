// The long polls of LeaseShard. The queue tries again by itself only after an hour
// here, so that whatever comes sooner came from a hint.
#include "service/lease_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <atomic>
#include <optional>

#include "service/core/error.h"
#include "store/memory/memory_store.h"
#include "tests/service/answers.h"
#include "tests/support/fault_store.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

constexpr absl::Duration kLong = absl::Hours(1);

// Does something just after each try, when the try can no longer see it.
class LateStore : public FaultStore {
 public:
  using FaultStore::FaultStore;

  absl::StatusOr<LeaseAnswers> LeaseShards(const LeaseRound& round) override {
    auto answers = FaultStore::LeaseShards(round);
    for (const LeaseCall& call : round.calls) served += call.renew ? 1 : 0;
    if (after) after(round);
    return answers;
  }

  std::function<void(const LeaseRound&)> after;
  std::atomic<int64_t> served = 0;  // calls in their first round
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
    OneCall call;
    call.stream = stream;
    call.worker = worker;
    EXPECT_TRUE(LeaseOne(memory_, call).ok());
  }

  static LeaseCall Call(const std::string& worker, absl::Duration wait) {
    LeaseCall call;
    call.worker = worker;
    call.wait = wait;
    return call;
  }

  static bool Never() { return false; }

  // Whether so many calls have been served once, and wait.
  bool AwaitAllServed(int64_t calls) {
    return Eventually([&] { return store_.served >= calls; });
  }

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
  queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  const Grant grant = answers_.All()[0];
  ASSERT_TRUE(grant.ok()) << grant.status();
  ASSERT_EQ(grant->leases.size(), 1u);
  EXPECT_EQ(grant->leases[0].shard.shard, "1");
}

TEST_F(LeaseQueueTest, AHintWakesWhoWaits) {
  std::optional<LeaseQueue> queue;
  queue.emplace(store_, metrics_, one_thread_);
  memory_.WatchFreeShards([&](const std::string& stream) { queue->Wake(stream); });
  queue->Wait("s", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(Eventually([&] { return Tries() == 1; }));
  ASSERT_TRUE(AddShard("1"));
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
  queue.reset();
}

TEST_F(LeaseQueueTest, AHintAboutAnyStreamWakesWhoWaits) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(Eventually([&] { return Tries() == 1; }));
  ASSERT_TRUE(AddShard("1"));
  queue.Wake("");
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
}

TEST_F(LeaseQueueTest, AHintDuringATryIsNotLost) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  std::atomic<bool> first = true;
  store_.after = [&](const LeaseRound&) {
    if (!first.exchange(false)) return;
    // The try found nothing; now there is something.
    EXPECT_TRUE(AddShard("1"));
    queue.Wake("s");
  };
  queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
  EXPECT_EQ(Tries(), 2);
}

TEST_F(LeaseQueueTest, HintsAboutOtherStreamsCauseNoTry) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  store_.after = [&](const LeaseRound& round) {
    if (round.stream == "s") queue.Wake("other");
  };
  queue.Wait("s", Call("w", kLong), Never, [](Grant) {});
  ASSERT_TRUE(Eventually([&] { return Tries() == 1; }));
  // The only thread is through with the first call when it answers the second.
  ASSERT_TRUE(AddShard("1", "other"));
  queue.Wait("other", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(Tries(), 2);
}

TEST_F(LeaseQueueTest, TriesAgainWithoutAHint) {
  LeaseQueue queue(store_, metrics_, {.threads = 1, .retry = absl::Milliseconds(1)});
  queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(Eventually([&] { return Tries() >= 3; }));
  ASSERT_TRUE(AddShard("1"));
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
}

// An empty answer says no less than the others about who lists the shards.
TEST_F(LeaseQueueTest, AnEmptyAnswerTellsWhoIsElected) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait("s", Call("w", absl::Milliseconds(10)), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_TRUE(answers_.All()[0]->elected) << "the oldest session";
}

TEST_F(LeaseQueueTest, AnswersEmptyHandedAtTheDeadline) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait("s", Call("w", absl::Milliseconds(10)), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  const Grant grant = answers_.All()[0];
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_TRUE(grant->leases.empty());
}

TEST_F(LeaseQueueTest, ACallWithoutPatienceIsTriedOnce) {
  ASSERT_TRUE(AddShard("1"));
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait("s", Call("w", -absl::Seconds(1)), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
}

TEST_F(LeaseQueueTest, TheCallThatOpensASessionDoesNotWait) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait("s", Call("new-worker", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_TRUE(answers_.All()[0]->leases.empty());
}

TEST_F(LeaseQueueTest, WhoIsGoneGetsNoLease) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  std::atomic<bool> gone = false;
  queue.Wait(
      "s", Call("w", kLong), [&] { return gone.load(); }, answers_.Sink());
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
      "s", Call("v", kLong), [&] { return gone.load(); }, left.Sink());
  ASSERT_TRUE(Eventually([&] { return Tries() == 1; }));
  gone = true;
  // By the stock that the store takes the shard is to go to "v", the first in line.
  ASSERT_TRUE(AddShard("1"));
  queue.Wait("s", Call("x", kLong), Never, answers_.Sink());
  ASSERT_TRUE(left.Await(1));
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
}

// However many wait, a shard that becomes free costs one look and wakes one of them.
TEST_F(LeaseQueueTest, AFreeShardWakesOneWaiter) {
  constexpr int kWorkers = 100;
  LeaseQueue queue(store_, metrics_, one_thread_);
  for (int i = 0; i < kWorkers; ++i) {
    const std::string worker = "worker-" + std::to_string(i);
    Open("s", worker);
    queue.Wait("s", Call(worker, kLong), Never, answers_.Sink());
  }
  ASSERT_TRUE(AwaitAllServed(kWorkers));
  const int64_t before = Tries();
  ASSERT_TRUE(AddShard("1"));
  queue.Wake("s");
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
  EXPECT_EQ(Tries(), before + 1);
  EXPECT_EQ(answers_.size(), 1u);
}

// Those that wait need not come back because the store was away for a while; who
// comes meanwhile is told.
TEST_F(LeaseQueueTest, WhoWaitsWaitsThroughAnOutage) {
  LeaseQueue queue(store_, metrics_, {.threads = 1, .retry = absl::Milliseconds(1)});
  queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(AwaitAllServed(1));
  store_.SetDown(true);
  Answers<Grant> fresh;
  queue.Wait("s", Call("v", kLong), Never, fresh.Sink());
  ASSERT_TRUE(fresh.Await(1));
  EXPECT_EQ(Reason(fresh.All()[0].status()), kUnavailable);
  ASSERT_TRUE(AddShard("1"));
  EXPECT_EQ(answers_.size(), 0u);
  store_.SetDown(false);
  ASSERT_TRUE(answers_.Await(1));
  ASSERT_TRUE(answers_.All()[0].ok()) << answers_.All()[0].status();
  EXPECT_EQ(answers_.All()[0]->leases.size(), 1u);
}

// After an outage all sessions have expired, and none is ended before its worker
// had time to renew it.
TEST_F(LeaseQueueTest, AfterAnOutageSessionsAreGivenTime) {
  ASSERT_TRUE(AddShard("1"));
  OneCall owner;
  owner.worker = "owner";
  owner.session_ttl = absl::Milliseconds(1);
  ASSERT_EQ(LeaseOne(memory_, owner)->leases.size(), 1u);
  LeaseQueue queue(store_, metrics_,
                   {.threads = 1, .retry = absl::Milliseconds(1), .session_ttl = kLong});
  queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(Eventually([&] { return Tries() >= 20; }));
  EXPECT_EQ(memory_.GetShard("s", "1")->shard.owner, "owner");
  EXPECT_EQ(answers_.size(), 0u);
}

TEST_F(LeaseQueueTest, ExpiredSessionsAreEndedOnceTheStoreIsSettled) {
  ASSERT_TRUE(AddShard("1"));
  OneCall owner;
  owner.worker = "owner";
  owner.session_ttl = absl::Milliseconds(1);
  ASSERT_EQ(LeaseOne(memory_, owner)->leases.size(), 1u);
  LeaseQueue queue(
      store_, metrics_,
      {.threads = 1, .retry = absl::Milliseconds(1), .session_ttl = absl::Milliseconds(100)});
  queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0]->leases.at(0).shard.owner, "w");
}

TEST_F(LeaseQueueTest, OnlyTheFirstTryIsASignOfLife) {
  std::vector<bool> renews;  // used by the queue's only thread
  store_.after = [&](const LeaseRound& round) { renews.push_back(round.calls.at(0).renew); };
  {
    LeaseQueue queue(store_, metrics_, {.threads = 1, .retry = absl::Milliseconds(1)});
    queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
    ASSERT_TRUE(Eventually([&] { return Tries() >= 3; }));
  }
  EXPECT_TRUE(renews.at(0));
  EXPECT_FALSE(renews.at(1));
}

TEST_F(LeaseQueueTest, ErrorsAreAnswersToo) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait("no-such-stream", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(Reason(answers_.All()[0].status()), kStreamNotFound);
  store_.Inject(StoreCall::kLeaseShards, Fault::kBefore);
  queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(2));
  EXPECT_EQ(Reason(answers_.All()[1].status()), kUnavailable);
}

// Where the answer was lost the worker asks again with what it knows it holds.
TEST_F(LeaseQueueTest, LeasesWhoseAnswerWasLostAreRepeated) {
  ASSERT_TRUE(AddShard("1"));
  LeaseQueue queue(store_, metrics_, one_thread_);
  store_.Inject(StoreCall::kLeaseShards, Fault::kAfter);
  queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_FALSE(answers_.All()[0].ok());
  queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(2));
  const Grant again = answers_.All()[1];
  ASSERT_TRUE(again.ok());
  ASSERT_EQ(again->leases.size(), 1u);
  EXPECT_EQ(again->leases[0].shard.epoch, 1);
  EXPECT_EQ(again->leases[0].delivery.delivery, 1);
}

TEST_F(LeaseQueueTest, DrainAnswersAllAndLetsNobodyWait) {
  LeaseQueue queue(store_, metrics_, one_thread_);
  queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  queue.Wait("s", Call("v", kLong), Never, answers_.Sink());
  ASSERT_TRUE(AwaitAllServed(2));
  const int64_t before = Tries();
  queue.Drain();
  ASSERT_TRUE(answers_.Await(2));
  ASSERT_TRUE(AddShard("1"));
  for (const Grant& grant : answers_.All()) {
    ASSERT_TRUE(grant.ok()) << grant.status();
    EXPECT_TRUE(grant->leases.empty());
  }
  // An answer without a look at the store would be taken for a renewal.
  queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(3));
  EXPECT_EQ(Reason(answers_.All()[2].status()), kUnavailable);
  EXPECT_EQ(Tries(), before);
}

TEST_F(LeaseQueueTest, ItsEndAnswersAll) {
  {
    LeaseQueue queue(store_, metrics_, {.threads = 3, .retry = kLong});
    for (int i = 0; i < 20; ++i) queue.Wait("s", Call("w", kLong), Never, answers_.Sink());
  }
  EXPECT_EQ(answers_.size(), 20u);
}

// A database that hangs holds up the thread that asked it, and no other stream's calls.
TEST_F(LeaseQueueTest, AnIdleThreadTakesOverWhileAnotherIsHeldUp) {
  LeaseQueue queue(store_, metrics_, {.threads = 2, .retry = kLong});
  for (size_t round = 1; round <= 10; ++round) {
    const int64_t before = Tries();
    queue.Wait("s", Call("w", absl::Milliseconds(30)), Never, answers_.Sink());
    ASSERT_TRUE(Eventually([&] { return Tries() == before + 1; }));
    store_.Hold(StoreCall::kLeaseShards);
    Answers<Grant> held;
    queue.Wait("other", Call("w", absl::Milliseconds(1)), Never, held.Sink());
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
  std::optional<LeaseQueue> queue;
  queue.emplace(store_, metrics_, LeaseQueueOptions{.threads = 4, .retry = kLong});
  memory_.WatchFreeShards([&](const std::string& stream) { queue->Wake(stream); });
  for (int i = 0; i < kWorkers; ++i) {
    const std::string worker = "worker-" + std::to_string(i);
    Open("s", worker);
    queue->Wait("s", Call(worker, kLong), Never, answers_.Sink());
  }
  for (int i = 0; i < kWorkers; ++i) ASSERT_TRUE(AddShard("shard-" + std::to_string(i)));
  ASSERT_TRUE(answers_.Await(kWorkers));
  for (const Grant& grant : answers_.All()) {
    ASSERT_TRUE(grant.ok()) << grant.status();
    EXPECT_EQ(grant->leases.size(), 1u);
  }
  queue.reset();
}

}  // namespace
}  // namespace lowmark
