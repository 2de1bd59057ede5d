#include "service/heartbeats.h"

#include <gtest/gtest.h>

#include <atomic>

#include "service/core/error.h"
#include "store/memory/memory_store.h"
#include "tests/service/answers.h"
#include "tests/support/fault_store.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

class HeartbeatsTest : public testing::Test {
 protected:
  using View = absl::StatusOr<SessionView>;

  explicit HeartbeatsTest(size_t most_tasks = 100) : executor_(1, most_tasks) {
    for (const char* stream : {"s", "other"}) {
      EXPECT_TRUE(memory_.CreateStream(stream, Policy()).ok());
      for (const char* worker : {"v", "w"}) {
        OneCall call;
        call.stream = stream;
        call.worker = worker;
        EXPECT_TRUE(LeaseOne(memory_, call).ok());
      }
    }
  }
  ~HeartbeatsTest() override { store_.Release(StoreCall::kRenewSessions); }

  static bool Never() { return false; }

  int64_t Writes() const { return store_.Calls(StoreCall::kRenewSessions); }

  MemoryStore memory_;
  FaultStore store_{memory_};
  Answers<View> answers_;
  Heartbeats heartbeats_{store_, executor_, absl::Minutes(1)};
  Executor executor_;  // goes first, when it has run all
};

TEST_F(HeartbeatsTest, WhatArrivesTogetherIsWrittenTogether) {
  store_.Hold(StoreCall::kRenewSessions);
  heartbeats_.Beat("s", Renewal{"v"}, Never, answers_.Sink());
  ASSERT_TRUE(store_.AwaitHeld(StoreCall::kRenewSessions, 1, kPatience));
  for (const char* worker : {"v", "w", "w", "stranger"}) {
    heartbeats_.Beat("s", Renewal{worker}, Never, answers_.Sink());
  }
  store_.Release(StoreCall::kRenewSessions);
  ASSERT_TRUE(answers_.Await(5));
  EXPECT_EQ(Writes(), 2);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(answers_.All()[i].ok()) << i;
  EXPECT_EQ(Reason(answers_.All()[4].status()), kSessionExpired);
}

TEST_F(HeartbeatsTest, WhoIsGoneIsNotWritten) {
  heartbeats_.Beat(
      "s", Renewal{"v"}, [] { return true; }, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(answers_.All()[0].status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Writes(), 0);
}

TEST_F(HeartbeatsTest, AnErrorIsEveryonesAnswer) {
  store_.SetDown(true);
  heartbeats_.Beat("s", Renewal{"v"}, Never, answers_.Sink());
  ASSERT_TRUE(answers_.Await(1));
  EXPECT_EQ(Reason(answers_.All()[0].status()), kUnavailable);
}

// A fleet whose heartbeats never cease has a thread for one group at a time.
TEST_F(HeartbeatsTest, ABusyStreamKeepsNoOtherWaiting) {
  std::atomic<bool> stop = false;
  Answers<View> last;
  std::function<void(View)> again = [&](const View& view) {
    if (stop) return last.Sink()(view);
    heartbeats_.Beat("s", Renewal{"v"}, Never, again);
  };
  heartbeats_.Beat("s", Renewal{"v"}, Never, again);
  ASSERT_TRUE(Eventually([&] { return Writes() >= 10; }));
  heartbeats_.Beat("other", Renewal{"w"}, Never, answers_.Sink());
  EXPECT_TRUE(answers_.Await(1));
  stop = true;
  ASSERT_TRUE(last.Await(1));
}

// Where the executor has no room for more than one task.
class CrowdedHeartbeatsTest : public HeartbeatsTest {
 protected:
  CrowdedHeartbeatsTest() : HeartbeatsTest(1) {}
};

// Whether its first heartbeat found no room or one that came while another was written.
TEST_F(CrowdedHeartbeatsTest, AStreamThatWasRefusedIsServedOnceThereIsRoom) {
  store_.Hold(StoreCall::kRenewSessions);
  heartbeats_.Beat("s", Renewal{"v"}, Never, answers_.Sink());
  ASSERT_TRUE(store_.AwaitHeld(StoreCall::kRenewSessions, 1, kPatience));
  Answers<bool> room;
  ASSERT_TRUE(executor_.Run([&] { room.Sink()(true); }));

  Answers<View> first, later;
  heartbeats_.Beat("other", Renewal{"v"}, Never, first.Sink());
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(Reason(first.All()[0].status()), kUnavailable);
  heartbeats_.Beat("s", Renewal{"w"}, Never, later.Sink());
  store_.Release(StoreCall::kRenewSessions);
  ASSERT_TRUE(later.Await(1));
  EXPECT_EQ(Reason(later.All()[0].status()), kUnavailable);

  ASSERT_TRUE(room.Await(1));
  for (const char* stream : {"other", "s"}) {
    Answers<View> again;
    heartbeats_.Beat(stream, Renewal{"w"}, Never, again.Sink());
    ASSERT_TRUE(again.Await(1)) << stream;
    EXPECT_TRUE(again.All()[0].ok()) << stream;
  }
}

}  // namespace
}  // namespace lowmark
