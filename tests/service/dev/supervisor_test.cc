#include "service/dev/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "service/dev/address.h"
#include "service/dev/process_handle.h"

namespace lowmark {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(30);

bool Never() { return false; }

// A part that only notes what is done with it.
class NotingPart : public Part {
 public:
  NotingPart(std::string name, std::vector<std::string>& notes)
      : name_(std::move(name)), notes_(notes) {}

  std::string name() const override { return name_; }
  absl::Status Start() override {
    notes_.push_back("start " + name_);
    alive = can_start;
    return can_start ? absl::OkStatus() : absl::InternalError("no luck");
  }
  bool running() override { return alive; }
  bool ready() override { return is_ready; }
  std::string Ending() override { return "died"; }
  void AskToStop() override { notes_.push_back("ask " + name_); }
  void AwaitStop() override { notes_.push_back("await " + name_); }

  bool alive = false;
  bool can_start = true;
  bool is_ready = true;

 private:
  std::string name_;
  std::vector<std::string>& notes_;
};

class SupervisorTest : public testing::Test {
 protected:
  SupervisorTest() {
    std::string directory = testing::TempDir() + "supervisor-XXXXXX";
    directory_ = mkdtemp(directory.data());
  }
  ~SupervisorTest() override { std::filesystem::remove_all(directory_); }

  NotingPart& Add(const std::string& name, int stage) {
    auto part = std::make_unique<NotingPart>(name, notes);
    NotingPart& added = *part;
    const absl::Status status = supervisor.Add(std::move(part), stage, kLong, Never);
    EXPECT_TRUE(status.ok()) << status;
    return added;
  }

  std::unique_ptr<ProgramPart> Script(const std::string& script) {
    ProgramPart::Options options;
    options.name = "script";
    options.process.argv = {"sh", "-c", script};
    options.log = directory_ + "/script.log";
    options.ready = [this] { return std::filesystem::exists(directory_ + "/ready"); };
    options.process.env = {{"READY", directory_ + "/ready"}};
    return std::make_unique<ProgramPart>(std::move(options));
  }

  std::string directory_;
  std::vector<std::string> notes;
  std::ostringstream out;
  Supervisor supervisor{out};
  const absl::Time start = absl::Now();
};

TEST_F(SupervisorTest, StopsStagesInReverseOrderAndTheirPartsTogether) {
  Add("database", 0);
  Add("worker 1", 2);
  Add("coordinator", 1);
  Add("worker 2", 2);
  notes.clear();
  supervisor.Stop();
  EXPECT_THAT(
      notes, ElementsAre("ask worker 1", "ask worker 2", "await worker 1", "await worker 2",
                         "ask coordinator", "await coordinator", "ask database", "await database"));
}

TEST_F(SupervisorTest, StartsAgainWhatHasEndedAfterAPause) {
  NotingPart& part = Add("worker", 0);
  notes.clear();
  supervisor.Tend(start);
  EXPECT_THAT(notes, testing::IsEmpty());

  part.alive = false;
  supervisor.Tend(start);
  EXPECT_EQ(out.str(), "worker died\n  starting it again in 500ms\n");
  supervisor.Tend(start + absl::Milliseconds(499));
  EXPECT_THAT(notes, testing::IsEmpty());
  supervisor.Tend(start + absl::Milliseconds(500));
  EXPECT_THAT(notes, ElementsAre("start worker"));
  EXPECT_THAT(out.str(), HasSubstr("worker runs again\n"));
}

TEST_F(SupervisorTest, PausesLongerWhileAPartKeepsFailing) {
  NotingPart& part = Add("worker", 0);
  part.alive = false;
  part.can_start = false;
  absl::Time now = start;
  for (int i = 0; i < 3; ++i) {
    supervisor.Tend(now);
    now += absl::Seconds(11);
    supervisor.Tend(now);
  }
  EXPECT_THAT(out.str(), HasSubstr("again in 500ms"));
  EXPECT_THAT(out.str(), HasSubstr("worker cannot be started: no luck"));
  EXPECT_THAT(out.str(), HasSubstr("again in 1s"));
  EXPECT_THAT(out.str(), HasSubstr("again in 2s"));
}

TEST_F(SupervisorTest, ForgetsFailuresOfAPartThatRanWell) {
  NotingPart& part = Add("worker", 0);
  absl::Time now = start;
  for (int i = 0; i < 3; ++i) {
    part.alive = false;
    now += absl::Minutes(5);
    supervisor.Tend(now);
    now += absl::Seconds(1);
    supervisor.Tend(now);
  }
  EXPECT_THAT(out.str(), testing::Not(HasSubstr("again in 1s")));
}

TEST(RestartPause, IsBounded) {
  EXPECT_EQ(RestartPause(1), absl::Milliseconds(500));
  EXPECT_EQ(RestartPause(2), absl::Seconds(1));
  EXPECT_EQ(RestartPause(1000), absl::Seconds(10));
}

TEST_F(SupervisorTest, WaitsUntilAProgramIsReady) {
  const absl::Status status =
      supervisor.Add(Script("touch $READY; exec sleep 3600"), 0, kLong, Never);
  EXPECT_TRUE(status.ok()) << status;
  supervisor.Stop();
}

TEST_F(SupervisorTest, SaysWhatAProgramThatEndedSaidLast) {
  const absl::Status status =
      supervisor.Add(Script("echo first; echo 'port is taken' >&2; echo; exit 3"), 0, kLong, Never);
  EXPECT_EQ(status.message(), "script exited with code 3: port is taken");
}

TEST_F(SupervisorTest, GivesUpOnAProgramThatIsNeverReady) {
  const absl::Status status =
      supervisor.Add(Script("exec sleep 3600"), 0, absl::Milliseconds(30), Never);
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(SupervisorTest, StopsWaitingWhenCancelled) {
  const absl::Status status =
      supervisor.Add(Script("exec sleep 3600"), 0, kLong, [] { return true; });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

TEST_F(SupervisorTest, AProgramIsStartedAgain) {
  ASSERT_TRUE(supervisor.Add(Script("echo $$ >> $READY; exec sleep 3600"), 0, kLong, Never).ok());
  const auto pids = [&] {
    std::ifstream file(directory_ + "/ready");
    return std::vector<pid_t>(std::istream_iterator<pid_t>(file), {});
  };
  const absl::Time deadline = absl::Now() + kLong;
  while (pids().empty() && absl::Now() < deadline) std::this_thread::yield();
  ASSERT_EQ(pids().size(), 1u);
  ProcessHandle(pids()[0]).Kill();
  absl::Time now = start;
  while (pids().size() < 2 && absl::Now() < deadline) supervisor.Tend(now += absl::Seconds(1));
  ASSERT_EQ(pids().size(), 2u);
  EXPECT_THAT(out.str(), HasSubstr("was killed by signal 9"));
  ProcessHandle second(pids()[1]);
  supervisor.Stop();
  EXPECT_TRUE(second.AwaitExit(kLong));
}

TEST(ClaimAddress, FindsAFreePortAndKeepsAGivenOne) {
  auto claimed = ClaimAddress("127.0.0.1:0");
  ASSERT_TRUE(claimed.ok()) << claimed.status();
  EXPECT_THAT(*claimed, testing::MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]+"));
  EXPECT_FALSE(AcceptsConnections(*claimed));
  EXPECT_EQ(*ClaimAddress(*claimed), *claimed);
}

TEST(ClaimAddress, RefusesWhatIsNoAddress) {
  for (const char* address : {"", "7070", ":7070", "127.0.0.1:", "127.0.0.1:70700", "host:x"}) {
    EXPECT_EQ(ClaimAddress(address).status().code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_FALSE(AcceptsConnections(address)) << address;
  }
}

}  // namespace
}  // namespace lowmark
