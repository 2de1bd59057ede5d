#include "worker/handler/exec.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/time/clock.h"
#include "service/dev/process_handle.h"
#include "tests/service/answers.h"

namespace lowmark {
namespace {

using testing::HasSubstr;
using Kind = HandlerResult::Kind;

class ExecTest : public testing::Test {
 protected:
  ExecTest() {
    batch_.stream = "s";
    batch_.shard = "0";
    batch_.records = {{"1", "", absl::UnixEpoch(), "one"}, {"2", "", absl::UnixEpoch(), "two"}};
    batch_.deadline = absl::Now() + absl::Seconds(60);
    std::string name = testing::TempDir() + "/exec_XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~ExecTest() override { std::filesystem::remove_all(directory_); }

  HandlerResult Run(const std::string& command) {
    auto handler = ExecHandler::Create(command);
    EXPECT_TRUE(handler.ok());
    return (*handler)->Process(batch_);
  }
  // Waits until a process is gone; false when it stays.
  static bool Gone(pid_t pid) { return ProcessHandle(pid).AwaitExit(kPatience); }
  // Waits until a command has written its pid to the file "pid"; -1 when it does not.
  pid_t ReadPid() {
    pid_t pid = -1;
    Eventually([&] {
      std::ifstream file(directory_ + "/pid");
      std::string line;
      if (!std::getline(file, line) || file.eof()) return false;
      pid = std::stoi(line);
      return true;
    });
    return pid;
  }

  Batch batch_;
  std::string directory_;
};

TEST_F(ExecTest, EventInAnswerOut) {
  const HandlerResult result =
      Run("grep -q '\"data\":\"b25l\"' && "
          "echo '{\"batchItemFailures\":[{\"itemIdentifier\":\"2\"}]}'");
  EXPECT_EQ(result.kind, Kind::kFailed);
  EXPECT_THAT(result.failed, testing::ElementsAre("2"));
}

TEST_F(ExecTest, NoOutputIsSuccess) { EXPECT_EQ(Run("cat >/dev/null"), HandlerResult::Success()); }

TEST_F(ExecTest, ProgramNeedNotReadItsInput) {
  batch_.records[0].data = std::string(1 << 20, 'x');
  EXPECT_EQ(Run("exec 0<&-; true"), HandlerResult::Success());
  EXPECT_EQ(Run("true"), HandlerResult::Success());
}

TEST_F(ExecTest, LargeEventAndAnswerDoNotBlockEachOther) {
  batch_.records[0].data = std::string(4 << 20, 'x');
  EXPECT_EQ(Run("cat").error_type, "WrongAnswerKey");  // the event is no answer
}

TEST_F(ExecTest, ExitCodeRaisesWithTheLastLinesOfStderr) {
  const HandlerResult result = Run("echo first >&2; echo last >&2; exit 3");
  EXPECT_EQ(result.kind, Kind::kRaised);
  EXPECT_EQ(result.error_type, "ExitCode");
  EXPECT_EQ(result.error_message, "exit code 3: first\nlast");
  const HandlerResult much =
      Run("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1");
  EXPECT_LT(much.error_message.size(), 5000u);
  EXPECT_THAT(much.error_message, testing::EndsWith("xend"));
}

TEST_F(ExecTest, SignalRaises) {
  const HandlerResult result = Run("kill -9 $$");
  EXPECT_EQ(result.kind, Kind::kRaised);
  EXPECT_EQ(result.error_type, "Signal");
  EXPECT_THAT(result.error_message, HasSubstr("signal 9"));
}

TEST_F(ExecTest, NonsenseRaises) {
  EXPECT_EQ(Run("echo done").error_type, "InvalidAnswer");
  batch_.report_batch_item_failures = false;
  EXPECT_EQ(Run("echo done"), HandlerResult::Success());
  EXPECT_EQ(Run("echo done; exit 1").kind, Kind::kRaised);
}

TEST_F(ExecTest, ProgramThatCannotBeStartedDidNotRun) {
  EXPECT_EQ(Run("/no/such/program").kind, Kind::kNotRun);
  EXPECT_EQ(Run(directory_).kind, Kind::kNotRun);
  EXPECT_EQ(Run("/no/such/program").error_type, "CannotStart");
  EXPECT_EQ(Run("no-such-program --now").kind, Kind::kNotRun);
}

// A script in which a command is missing held its shard up for ever.
TEST_F(ExecTest, ExitCodesOfAProgramThatRanAreFailures) {
  for (const char* command : {"true; no-such-program", "exit 127", "exit 126", "sh -c 'exit 127'",
                              "/bin/sh -c no-such-program"}) {
    const HandlerResult result = Run(command);
    EXPECT_EQ(result.kind, Kind::kRaised) << command;
    EXPECT_EQ(result.error_type, "ExitCode") << command;
  }
}

TEST_F(ExecTest, EmptyCommandIsRefused) { EXPECT_FALSE(ExecHandler::Create(" ").ok()); }

TEST_F(ExecTest, KilledAtItsDeadlineWithAllItStarted) {
  batch_.deadline = absl::Now() + absl::Seconds(3);
  const HandlerResult result = Run("sleep 1000 & echo $! > " + directory_ + "/pid; wait");
  const pid_t pid = ReadPid();
  ASSERT_GT(pid, 0);
  EXPECT_EQ(result.kind, Kind::kRaised);
  EXPECT_EQ(result.error_type, "Timeout");
  EXPECT_TRUE(Gone(pid));
}

TEST_F(ExecTest, NothingStaysWhenItHasExited) {
  // What stays would hold the output open.
  const HandlerResult result = Run("sleep 1000 & echo $! > " + directory_ + "/pid; echo '{}'");
  EXPECT_EQ(result, HandlerResult::Success());
  const pid_t pid = ReadPid();
  ASSERT_GT(pid, 0);
  EXPECT_TRUE(Gone(pid));
}

TEST_F(ExecTest, AWrongKeyIsAsThePolicySays) {
  const std::string command = "echo '{\"failedItems\": []}'";
  EXPECT_EQ(Run(command).error_type, "WrongAnswerKey");
  auto lenient = ExecHandler::Create(command, ResponsePolicy::kLambda);
  EXPECT_EQ((*lenient)->Process(batch_), HandlerResult::Success());
}

TEST_F(ExecTest, TooMuchOutputIsCut) { EXPECT_EQ(Run("yes").error_type, "AnswerTooLarge"); }

TEST_F(ExecTest, AbortEndsWhatRuns) {
  auto handler = ExecHandler::Create("echo $$ > " + directory_ + "/pid; sleep 1000");
  HandlerResult result;
  std::thread thread([&] { result = (*handler)->Process(batch_); });
  const pid_t pid = ReadPid();
  (*handler)->Abort();
  thread.join();
  ASSERT_GT(pid, 0);
  EXPECT_EQ(result.error_type, "Aborted");
  EXPECT_TRUE(Gone(pid));
}

TEST_F(ExecTest, ManyAtOnce) {
  auto handler = ExecHandler::Create("cat >/dev/null; echo '{}'");
  std::vector<std::thread> threads;
  std::atomic<int> successes{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5; ++n) {
        if ((*handler)->Process(batch_) == HandlerResult::Success()) ++successes;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(successes, 40);
}

}  // namespace
}  // namespace lowmark
