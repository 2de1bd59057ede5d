// Coordinators that stop while calls pour in: clients see nothing but UNAVAILABLE.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <thread>

#include "service/core/error.h"
#include "store/memory/memory_store.h"
#include "tests/integration/running_server.h"
#include "tests/support/one_call.h"
#include "worker/internal/coordinator_client.h"

namespace lowmark {
namespace {

constexpr int kAtOnce = 64;
constexpr int kCallsBetween = 1000;

// Two coordinators on one store, and a worker's client of both.
class DrainTest : public testing::Test {
 protected:
  DrainTest() {
    EXPECT_TRUE(store_.CreateStream("s", Policy()).ok());
    OneCall session;
    session.worker = "w";
    EXPECT_TRUE(LeaseOne(store_, session).ok());
    request_.set_stream("s");
    request_.set_worker("w");
    for (auto& server : servers_) Start(server, "127.0.0.1:0");
    client_.emplace("ipv4:" + servers_[0]->address() + "," + servers_[1]->address(), loop_);
    thread_ = std::thread([this] { loop_.Run(); });
    loop_.Post([this] {
      for (int i = 0; i < kAtOnce; ++i) Beat();
    });
  }

  ~DrainTest() override {
    loop_.Post([this] { stopping_ = true; });
    EXPECT_TRUE(AwaitIdle());
    loop_.Post([this] { loop_.Quit(); });
    thread_.join();
    client_.reset();
    loop_.Close();
  }

  void Start(std::optional<RunningServer>& server, const std::string& address) {
    server.emplace(store_, RunningServer::DefaultOptions(), address);
  }

  // On the loop: one call after another.
  void Beat() {
    client_->Heartbeat(request_, absl::Seconds(30),
                       [this](const absl::StatusOr<v1::HeartbeatResponse>& answer) {
                         {
                           MutexLock lock(mutex_);
                           if (answer.ok()) ++answered_;
                           if (!answer.ok()) ++failed_[answer.status().code()];
                           if (stopping_) ++ended_;
                         }
                         changed_.NotifyAll();
                         if (!stopping_) Beat();
                       });
  }

  bool AwaitCalls() {
    const SteadyTime deadline = SteadyDeadline(absl::Seconds(60));
    MutexLock lock(mutex_);
    const int wanted = answered_ + kCallsBetween;
    while (answered_ < wanted) {
      if (!changed_.WaitUntil(mutex_, deadline)) return false;
    }
    return true;
  }

  bool AwaitIdle() {
    const SteadyTime deadline = SteadyDeadline(absl::Seconds(60));
    MutexLock lock(mutex_);
    while (ended_ < kAtOnce) {
      if (!changed_.WaitUntil(mutex_, deadline)) return false;
    }
    return true;
  }

  std::map<absl::StatusCode, int> failed() {
    MutexLock lock(mutex_);
    return failed_;
  }

  MemoryStore store_;
  std::optional<RunningServer> servers_[2];
  v1::HeartbeatRequest request_;
  EventLoop loop_;
  bool stopping_ = false;  // on the loop
  std::optional<CoordinatorClient> client_;
  std::thread thread_;
  Mutex mutex_;
  CondVar changed_;
  int answered_ LOWMARK_GUARDED_BY(mutex_) = 0;
  int ended_ LOWMARK_GUARDED_BY(mutex_) = 0;
  std::map<absl::StatusCode, int> failed_ LOWMARK_GUARDED_BY(mutex_);
};

// gRPC cancels the calls that reach a server between its decision to stop and its
// client's hearing of that.
TEST_F(DrainTest, CallsThatComeAsACoordinatorStopsAreMadeAgain) {
  ASSERT_TRUE(AwaitCalls());
  for (int i = 0; i < 6; ++i) {
    std::optional<RunningServer>& server = servers_[i % 2];
    const std::string address = server->address();
    server.reset();
    ASSERT_TRUE(AwaitCalls());
    Start(server, address);
    ASSERT_TRUE(AwaitCalls());
  }
  for (const auto& [code, times] : failed()) {
    // While it knows of no coordinator that is there.
    EXPECT_EQ(code, absl::StatusCode::kUnavailable) << times << " times";
  }
}

}  // namespace
}  // namespace lowmark
