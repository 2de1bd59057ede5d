// Whose turn it is in the queue of LeaseShard calls, and what is asked for whom again.
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <atomic>

#include "service/core/error.h"
#include "service/core/expiry.h"
#include "service/lease_queue.h"
#include "store/memory/memory_store.h"
#include "tests/service/answers.h"
#include "tests/support/fault_store.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

using Grant = absl::StatusOr<LeaseGrant>;

// Counts the calls that are asked for with a sign of life, and fails for one stream.
class CountingStore : public FaultStore {
 public:
  using FaultStore::FaultStore;

  absl::StatusOr<LeaseAnswers> LeaseShards(const LeaseRound& round) override {
    if (round.stream == sick) {
      ++failures;
      return MarkReached(Unavailable("a lock"));
    }
    auto answers = FaultStore::LeaseShards(round);
    for (const LeaseCall& call : round.calls) renewals += call.renew ? 1 : 0;
    return answers;
  }

  std::string sick;
  std::atomic<int64_t> failures = 0;
  std::atomic<int64_t> renewals = 0;
};

class LeaseQueueTurnsTest : public testing::Test {
 protected:
  LeaseQueueTurnsTest() {
    for (const char* stream : {"a", "b", "c"}) {
      EXPECT_TRUE(memory_.CreateStream(stream, Policy()).ok());
    }
  }

  static LeaseCall Call(int max_leases, absl::Duration wait) {
    LeaseCall call;
    call.worker = "w";
    call.max_leases = max_leases;
    call.wait = wait;
    return call;
  }
  static bool Never() { return false; }

  prometheus::Registry registry_;
  Metrics metrics_{registry_};
  MemoryStore memory_;
  CountingStore store_{memory_};
};

// Two fleets that ask again as soon as they are answered have a round each at all times.
TEST_F(LeaseQueueTurnsTest, StreamsThatAreAlwaysDueKeepNoOtherWaiting) {
  std::atomic<bool> stop = false;
  Answers<Grant> ended, answered;
  LeaseQueue queue(store_, metrics_, {.threads = 2, .retry = absl::Hours(1)});
  std::function<void(const std::string&)> ask = [&](const std::string& stream) {
    queue.Wait(stream, Call(0, absl::ZeroDuration()), Never,
               [&, stream](const Grant& grant) { stop ? ended.Sink()(grant) : ask(stream); });
  };
  ask("a");
  ask("b");
  ASSERT_TRUE(Eventually([&] { return store_.Calls(StoreCall::kLeaseShards) >= 100; }));
  queue.Wait("c", Call(1, absl::ZeroDuration()), Never, answered.Sink());
  EXPECT_TRUE(answered.Await(1));
  stop = true;
  EXPECT_TRUE(ended.Await(2));
}

// A round that failed may have leased something: only who says what it holds finds out.
TEST_F(LeaseQueueTurnsTest, WhoWaitsThroughAFailureIsAskedForAnew) {
  Answers<Grant> opened, answered;
  LeaseQueue queue(store_, metrics_, {.threads = 1, .retry = absl::Milliseconds(1)});
  queue.Wait("a", Call(1, absl::ZeroDuration()), Never, opened.Sink());
  ASSERT_TRUE(opened.Await(1));
  queue.Wait("a", Call(1, absl::Hours(1)), Never, answered.Sink());
  ASSERT_TRUE(Eventually([&] { return store_.renewals >= 2; }));
  const int64_t calls = store_.Calls(StoreCall::kLeaseShards);
  ASSERT_TRUE(Eventually([&] { return store_.Calls(StoreCall::kLeaseShards) > calls + 3; }));
  EXPECT_EQ(store_.renewals, 2) << "waiting is no sign of life";
  store_.Inject(StoreCall::kLeaseShards, Fault::kAfter, 1);
  EXPECT_TRUE(Eventually([&] { return store_.renewals >= 3; }));
  EXPECT_EQ(answered.size(), 0u);
}

// As where a large stream is deleted: its calls wait for locks for minutes.
TEST_F(LeaseQueueTurnsTest, OneStreamsTroubleKeepsNoOthersSessionsFromEnding) {
  store_.sick = "a";
  ASSERT_TRUE(memory_.AddShards("b", {{"1", {}}}).ok());
  OneCall owner;
  owner.stream = "b";
  owner.worker = "owner";
  owner.session_ttl = absl::Milliseconds(1);
  ASSERT_EQ(LeaseOne(memory_, owner)->leases.size(), 1u);
  Answers<Grant> opened, answered;
  std::atomic<bool> stop = false;
  LeaseQueue queue(
      store_, metrics_,
      {.threads = 2, .retry = absl::Milliseconds(1), .session_ttl = absl::Milliseconds(100)});
  std::function<void()> ask = [&] {
    queue.Wait("a", Call(1, absl::ZeroDuration()), Never, [&](const Grant&) {
      if (!stop) ask();
    });
  };
  ask();
  queue.Wait("b", Call(1, absl::ZeroDuration()), Never, opened.Sink());
  ASSERT_TRUE(opened.Await(1));
  queue.Wait("b", Call(1, absl::Hours(1)), Never, answered.Sink());
  ASSERT_TRUE(answered.Await(1));
  EXPECT_EQ(answered.All()[0]->leases.size(), 1u);
  EXPECT_GT(store_.failures, 0);
  stop = true;
}

}  // namespace
}  // namespace lowmark
