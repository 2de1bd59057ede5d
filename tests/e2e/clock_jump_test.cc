// Clocks that are set by an hour under load, on any machine: nothing is delivered
// twice, no lease ends, nothing stands still. A process whose clock is set runs with
// libfaketime, which reads from a file by how much the clock is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "tests/e2e/world.h"

namespace lowmark {
namespace {

using ::testing::IsEmpty;

constexpr int kShards = 4;
constexpr int kWorkers = 2;
constexpr int kRecordsBetween = 200;  // some of them are retried after a pause
constexpr absl::Duration kTtl = absl::Seconds(6);

class WrongClock {
 public:
  explicit WrongClock(const std::string& directory) : file_(directory + "/clock") {
    SetBy(absl::ZeroDuration());
  }

  // Sets it to so much after the right time.
  void SetBy(absl::Duration wrong) {
    const char* sign = wrong < absl::ZeroDuration() ? "" : "+";
    std::ofstream(file_ + ".new") << absl::StrCat(sign, absl::ToInt64Seconds(wrong), "\n");
    std::filesystem::rename(file_ + ".new", file_);
  }

  // Processes that are started in there have it. Only what can be set on a real
  // machine is wrong: not the monotonic clock.
  void During(const std::function<void()>& start) const {
    const std::vector<std::pair<std::string, std::string>> environment = {
        {"LD_PRELOAD", FAKETIME},
        {"FAKETIME_TIMESTAMP_FILE", file_},
        {"FAKETIME_NO_CACHE", "1"},
        {"FAKETIME_DONT_FAKE_MONOTONIC", "1"},
        // Where the programs are built with AddressSanitizer, which asks to be first.
        {"ASAN_OPTIONS", "verify_asan_link_order=0"}};
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    start();
    for (const auto& [name, value] : environment) unsetenv(name.c_str());
  }

 private:
  const std::string file_;
};

class ClockJumpTest : public ::testing::TestWithParam<std::string> {
 protected:
  ClockJumpTest() : world_({.session_ttl = kTtl}), clock_(world_.directory()) {}

  void StartAll() {
    world_.OpenShards(kShards);
    Start("postgres", [&] { world_.StartPostgres(); });
    Start("coordinator", [&] { world_.StartCoordinator(); });
    ASSERT_TRUE(world_.AwaitReady()) << world_.Log("coordinator-0");
    world_.CreateStream();
    Start("worker", [&] { world_.StartWorker(0); });
    world_.StartWorker(1);
    world_.FeedWhileWaiting(true);
    ASSERT_TRUE(AwaitSessions());
    ASSERT_TRUE(world_.AwaitProgress(kRecordsBetween)) << world_.Log("worker-0");
  }

  void Jump(absl::Duration wrong) {
    clock_.SetBy(wrong);
    ASSERT_EQ(Clock(), GetParam() == "postgres" ? absl::ToInt64Hours(wrong) : 0);
    ASSERT_TRUE(AwaitSessions()) << world_.Log("coordinator-0") << world_.Log("worker-0");
    ASSERT_TRUE(world_.AwaitProgress(kRecordsBetween))
        << world_.Log("coordinator-0") << world_.Log("worker-0");
  }

  World world_;

 private:
  // The part that the test is about gets the clock that will be set.
  void Start(const std::string& part, const std::function<void()>& start) {
    if (part == GetParam()) {
      clock_.During(start);
    } else {
      start();
    }
  }

  std::string Query(const std::string& sql) {
    auto answer = world_.postgres().Query("lowmark", sql);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? std::string(absl::StripAsciiWhitespace(*answer)) : "";
  }

  // How wrong the database's clock is, in hours.
  int64_t Clock() {
    const double seconds = std::stod(Query("SELECT extract(epoch FROM clock_timestamp())"));
    return std::lround((seconds - static_cast<double>(time(nullptr))) / 3600);
  }

  // Until every worker has renewed its session by the database's present clock.
  bool AwaitSessions() {
    const std::string renewed = absl::StrCat(
        "SELECT count(*) FROM lowmark.workers WHERE expires_at BETWEEN clock_timestamp() AND "
        "clock_timestamp() + interval '",
        absl::ToInt64Seconds(kTtl), " s'");
    return world_.Await([&] { return Query(renewed) == absl::StrCat(kWorkers); });
  }

  WrongClock clock_;
};

TEST_P(ClockJumpTest, AnHourAheadAndBackCostsNothing) {
  StartAll();
  for (absl::Duration wrong : {absl::Hours(1), absl::ZeroDuration(), -absl::Hours(1)}) {
    ASSERT_NO_FATAL_FAILURE(Jump(wrong));
  }
  world_.CloseShards();
  ASSERT_TRUE(world_.AwaitDone()) << world_.Log("worker-0") << world_.Log("coordinator-0");
  EXPECT_THAT(world_.CheckLedger(), IsEmpty()) << "records were delivered twice";
  auto ends = world_.postgres().Query(
      "lowmark",
      "SELECT * FROM lowmark.shard_events WHERE kind IN ('lost', 'expired', 'taken') LIMIT 5");
  ASSERT_TRUE(ends.ok()) << ends.status();
  EXPECT_THAT(*ends, IsEmpty()) << "leases ended that were not given back";
}

INSTANTIATE_TEST_SUITE_P(Of, ClockJumpTest, ::testing::Values("postgres", "coordinator", "worker"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace lowmark
