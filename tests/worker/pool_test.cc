// The worker's loop, threads, and the handler's runs on them.
#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <thread>

#include "absl/time/clock.h"
#include "worker/handler/function.h"
#include "worker/internal/event_loop.h"
#include "worker/internal/handler_runs.h"
#include "worker/internal/thread_pool.h"

namespace lowmark {
namespace {

using testing::ElementsAre;

TEST(EventLoop, RunsInOrderAndTimersByTime) {
  EventLoop loop;
  std::vector<int> order;
  loop.Post([&] {
    order.push_back(1);
    loop.After(absl::Milliseconds(2), [&] { order.push_back(5); });
    loop.After(absl::Milliseconds(1), [&] { order.push_back(4); });
    EventLoop::TimerId forgotten = loop.After(absl::Milliseconds(1), [&] { order.push_back(9); });
    loop.Cancel(forgotten);
    EXPECT_EQ(forgotten, 0u);
    loop.Post([&] { order.push_back(3); });
    loop.After(absl::Milliseconds(3), [&] { loop.Quit(); });
  });
  loop.Post([&] { order.push_back(2); });
  loop.Run();
  EXPECT_THAT(order, ElementsAre(1, 2, 3, 4, 5));
}

TEST(EventLoop, TakesFunctionsFromManyThreads) {
  EventLoop loop;
  int count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        loop.Post([&] {
          if (++count == 4000) loop.Quit();
        });
      }
    });
  }
  loop.Run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 4000);
}

TEST(EventLoop, ClosedLoopLetsGoOfEverything) {
  EventLoop loop;
  auto held = std::make_shared<int>(1);
  loop.Post([&] { loop.Quit(); });
  loop.Post([held] {});
  loop.Run();
  loop.After(absl::Hours(1), [held] {});
  loop.Close();
  loop.Post([held] {});
  EXPECT_EQ(held.use_count(), 1);
}

TEST(ThreadPool, GrowsAndShrinksByOne) {
  ThreadPool pool(1);
  std::promise<void> go, done;
  pool.Submit([&] { go.get_future().wait(); });
  pool.Submit([&] { done.set_value(); });
  pool.AddThread();
  done.get_future().wait();
  pool.RemoveThread();
  go.set_value();
  std::promise<void> after;
  pool.Submit([&] { after.set_value(); });
  after.get_future().wait();
  EXPECT_TRUE(pool.Shutdown(absl::Seconds(30)));
}

TEST(ThreadPool, ShutdownForgetsWhatHasNotBegun) {
  ThreadPool pool(1);
  std::promise<void> begun;
  auto go = std::make_shared<std::promise<void>>();
  std::atomic<bool> second{false};
  pool.Submit([&begun, gone = std::shared_future<void>(go->get_future())] {
    begun.set_value();
    gone.wait();
  });
  pool.Submit([&] { second = true; });
  begun.get_future().wait();
  EXPECT_FALSE(pool.Shutdown(absl::Milliseconds(1)));
  go->set_value();
  EXPECT_TRUE(pool.Shutdown(absl::Seconds(30)));
  EXPECT_FALSE(second);
}

// A loop on a thread of its own, with a handler behind it.
class HandlerRunsTest : public testing::Test {
 protected:
  using End = HandlerRuns::End;

  void Make(std::function<HandlerResult(const Batch&)> function, int threads = 1) {
    runs_ = std::make_unique<HandlerRuns>(
        loop_, std::make_shared<FunctionHandler>(function), threads, trust_,
        [this](const std::string& shard) { idle_.push_back(shard); });
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~HandlerRunsTest() override {
    OnLoop([this] { loop_->Quit(); });
    thread_.join();
    runs_->Shutdown(absl::Seconds(30));
    loop_->Close();
  }

  // Runs a function on the loop and waits for it.
  void OnLoop(const std::function<void()>& function) {
    std::promise<void> done;
    loop_->Post([&] {
      function();
      done.set_value();
    });
    done.get_future().wait();
  }
  void Trust() { trust_->Renew(std::chrono::steady_clock::now(), absl::Hours(1)); }
  std::future<End> Run(const std::string& shard, absl::Duration timeout = absl::Hours(1)) {
    auto promise = std::make_shared<std::promise<End>>();
    OnLoop([&] {
      Batch batch;
      batch.shard = shard;
      runs_->Run(batch, timeout, [promise](const End& end) { promise->set_value(end); });
    });
    return promise->get_future();
  }

  std::shared_ptr<EventLoop> loop_ = std::make_shared<EventLoop>();
  std::shared_ptr<LeaseTrust> trust_ = std::make_shared<LeaseTrust>();
  std::unique_ptr<HandlerRuns> runs_;
  std::vector<std::string> idle_;
  std::thread thread_;
};

TEST_F(HandlerRunsTest, ReturnsWhatTheHandlerDid) {
  Make([](const Batch& batch) { return HandlerResult::Raised("T", batch.shard); });
  Trust();
  const End end = Run("a").get();
  EXPECT_EQ(end.kind, End::Kind::kResult);
  EXPECT_EQ(end.result, HandlerResult::Raised("T", "a"));
  OnLoop([&] { EXPECT_FALSE(runs_->busy("a")); });
}

TEST_F(HandlerRunsTest, BeginsNothingWithoutTrust) {
  std::atomic<int> calls{0};
  Make([&](const Batch&) {
    ++calls;
    return HandlerResult::Success();
  });
  EXPECT_EQ(Run("a").get().kind, End::Kind::kUntrusted);
  trust_->Renew(std::chrono::steady_clock::now() - std::chrono::seconds(10), absl::Seconds(11));
  EXPECT_EQ(Run("a").get().kind, End::Kind::kUntrusted);  // the margin
  trust_->Renew(std::chrono::steady_clock::now(), absl::Hours(1));
  EXPECT_EQ(Run("a").get().kind, End::Kind::kResult);
  trust_->Revoke();
  EXPECT_EQ(Run("a").get().kind, End::Kind::kUntrusted);
  EXPECT_EQ(calls, 1);
}

TEST_F(HandlerRunsTest, WhatWaitsCanBeWithdrawn) {
  std::promise<void> begun, go;
  Make([&](const Batch& batch) {
    EXPECT_EQ(batch.shard, "first");
    begun.set_value();
    go.get_future().wait();
    return HandlerResult::Success();
  });
  Trust();
  auto first = Run("first");
  begun.get_future().wait();
  auto second = Run("second");
  OnLoop([&] {
    EXPECT_TRUE(runs_->Withdraw("second"));
    EXPECT_FALSE(runs_->Withdraw("first"));
    EXPECT_FALSE(runs_->busy("second"));
    EXPECT_TRUE(runs_->busy("first"));
  });
  go.set_value();
  EXPECT_EQ(first.get().kind, End::Kind::kResult);
}

TEST_F(HandlerRunsTest, AbandonedRunTellsOnlyThatItIsOver) {
  std::promise<void> begun, go;
  Make([&](const Batch&) {
    begun.set_value();
    go.get_future().wait();
    return HandlerResult::Success();
  });
  Trust();
  bool told = false;
  OnLoop([&] {
    Batch batch;
    batch.shard = "a";
    runs_->Run(batch, absl::Hours(1), [&told](const End&) { told = true; });
  });
  begun.get_future().wait();
  OnLoop([&] {
    runs_->Abandon("a");
    EXPECT_TRUE(runs_->busy("a"));
  });
  go.set_value();
  bool idle = false;
  while (!idle) OnLoop([&] { idle = runs_->idle(); });
  OnLoop([&] {
    EXPECT_THAT(idle_, ElementsAre("a"));
    EXPECT_FALSE(told);
  });
}

TEST_F(HandlerRunsTest, OverrunIsToldInTimeAndReturnsLater) {
  std::promise<void> go;
  Make([&](const Batch&) {
    go.get_future().wait();
    return HandlerResult::Success();
  });
  Trust();
  const End end = Run("a", absl::Milliseconds(1)).get();
  EXPECT_EQ(end.kind, End::Kind::kOverrun);
  EXPECT_EQ(end.result.error_type, "Timeout");
  OnLoop([&] {
    EXPECT_EQ(runs_->overruns(), 1);
    EXPECT_TRUE(runs_->busy("a"));
    EXPECT_GE(runs_->longest_overrun(std::chrono::steady_clock::now()), absl::ZeroDuration());
  });
  go.set_value();
  bool idle = false;
  while (!idle) OnLoop([&] { idle = runs_->idle(); });
  OnLoop([&] {
    EXPECT_EQ(runs_->overruns(), 0);
    EXPECT_THAT(idle_, ElementsAre("a"));
  });
}

TEST_F(HandlerRunsTest, LateReturnIsATimeoutEvenWhenItSucceeded) {
  Make([](const Batch& batch) {
    while (absl::Now() <= batch.deadline) std::this_thread::yield();
    return HandlerResult::Success();
  });
  Trust();
  EXPECT_EQ(Run("a", absl::Milliseconds(5)).get().result.error_type, "Timeout");
}

}  // namespace
}  // namespace lowmark
