#include "service/process/child_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "service/dev/process_handle.h"

namespace lowmark {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(30);

ProcessOptions Shell(const std::string& script) { return {.argv = {"sh", "-c", script}}; }

std::string RunShell(const std::string& script) {
  auto result = RunCommand(Shell(script), kLong);
  return result.ok() ? result->output : result.status().ToString();
}

TEST(RunCommand, ReturnsOutputAndExitCode) {
  auto result = RunCommand(Shell("echo out; echo err >&2; exit 3"), kLong);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "out\nerr\n");
  EXPECT_EQ(result->exit.code, 3);
  EXPECT_FALSE(result->exit.ok());
  EXPECT_EQ(result->exit.ToString(), "exited with code 3");
}

TEST(RunCommand, KillsWhatDoesNotEnd) {
  auto result = RunCommand(Shell("sleep 3600"), absl::Milliseconds(20));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(RunCommand, SaysHowAProgramWasKilled) {
  auto result = RunCommand(Shell("kill -9 $$"), kLong);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit.signal, SIGKILL);
  EXPECT_EQ(result->exit.ToString(), "was killed by signal 9 (Killed)");
}

TEST(RunCommand, ReadsMoreThanAPipeHolds) {
  EXPECT_EQ(RunShell("head -c 1000000 /dev/zero | tr '\\0' x").size(), 1000001u);
}

TEST(ChildProcess, SaysThatThereIsNoSuchProgram) {
  auto named = ChildProcess::Start({.argv = {"no-such-program-anywhere"}});
  EXPECT_EQ(named.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(named.status().message()), HasSubstr("no-such-program-anywhere"));
  auto path = ChildProcess::Start({.argv = {"/no/such/program"}});
  EXPECT_EQ(path.status().code(), absl::StatusCode::kNotFound);
  auto directory = ChildProcess::Start({.argv = {"/usr"}});
  EXPECT_EQ(directory.status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(ChildProcess::Start({}).ok());
}

TEST(ChildProcess, SaysWhyAProgramCouldNotStart) {
  ProcessOptions options = Shell("true");
  options.directory = "/no/such/directory";
  auto child = ChildProcess::Start(options);
  ASSERT_FALSE(child.ok());
  EXPECT_THAT(std::string(child.status().message()), HasSubstr("No such file or directory"));
}

TEST(ChildProcess, GetsItsEnvironmentAndDirectory) {
  ProcessOptions options = Shell("echo $LOWMARK_TEST_WORD; pwd; echo ${HOME:+home}");
  options.env = {{"LOWMARK_TEST_WORD", "hello world"}};
  options.directory = "/usr";
  auto result = RunCommand(options, kLong);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "hello world\n/usr\nhome\n");
}

TEST(ChildProcess, FindsARelativeProgramWhateverItsDirectory) {
  ProcessOptions options;
  options.argv = {std::filesystem::relative("/bin/echo").string(), "hi"};
  options.directory = "/";
  auto result = RunCommand(options, kLong);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "hi\n");
}

TEST(ChildProcess, AppendsToFiles) {
  const std::string path = testing::TempDir() + absl::StrCat("child_process_test.", getpid());
  for (int i = 0; i < 2; ++i) {
    ProcessOptions options = Shell("echo line; echo error >&2");
    options.out = Output::File(path);
    options.err = Output::Stdout();
    auto child = ChildProcess::Start(options);
    ASSERT_TRUE(child.ok()) << child.status();
    ASSERT_TRUE((*child)->Wait(kLong));
  }
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), "line\nerror\nline\nerror\n");
  std::filesystem::remove(path);
}

TEST(ChildProcess, HasNoOtherFilesOpen) {
  const int leaked = open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  ASSERT_GE(leaked, 0);
  EXPECT_EQ(RunShell(absl::StrCat("test -e /proc/self/fd/", leaked, " && echo leaked")), "");
  close(leaked);
}

TEST(ChildProcess, IsNotBoundByOurSignalMask) {
  sigset_t term, before;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term, &before);
  auto child = ChildProcess::Start({.argv = {"sleep", "3600"}});
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(child.ok()) << child.status();
  (*child)->Signal(SIGTERM);
  const auto exit = (*child)->Wait(kLong);
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->signal, SIGTERM);
}

TEST(ChildProcess, TerminateKillsWhatIgnoresSigterm) {
  ProcessOptions options = Shell("trap '' TERM; echo ready; while :; do sleep 1; done");
  options.out = Output::Pipe();
  auto child = ChildProcess::Start(options);
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_EQ(*(*child)->ReadLine(kLong), "ready");
  EXPECT_EQ((*child)->Terminate(absl::Milliseconds(20)).signal, SIGKILL);
  // Nothing is sent to a pid that may be another's by now.
  (*child)->Signal(SIGKILL);
  EXPECT_EQ((*child)->Kill().signal, SIGKILL);
}

TEST(ChildProcess, TakesItsGroupAlong) {
  ProcessOptions options = Shell("sleep 3600 & echo $!; wait");
  options.out = Output::Pipe();
  auto child = ChildProcess::Start(options);
  ASSERT_TRUE(child.ok()) << child.status();
  pid_t grandchild = 0;
  ASSERT_TRUE(absl::SimpleAtoi(*(*child)->ReadLine(kLong), &grandchild));
  (*child)->Signal(SIGTERM);
  ASSERT_TRUE((*child)->Wait(kLong));
  EXPECT_TRUE(ProcessHandle(grandchild).AwaitExit(absl::Seconds(60)));
}

// Also where a shell is between them.
TEST(ChildProcess, DiesWithItsParent) {
  for (const char* how : {"sleep", "guarded", "handler"}) {
    SCOPED_TRACE(how);
    ProcessOptions options = {.argv = {DOOMED_PARENT, how}};
    options.out = Output::Pipe();
    auto parent = ChildProcess::Start(options);
    ASSERT_TRUE(parent.ok()) << parent.status();
    pid_t grandchild = 0;
    ASSERT_TRUE(absl::SimpleAtoi(*(*parent)->ReadLine(kLong), &grandchild));
    ProcessHandle handle(grandchild);
    (*parent)->Signal(SIGKILL);
    EXPECT_TRUE(handle.AwaitExit(absl::Seconds(60)));
  }
}

TEST(ChildProcess, ALineHasAnEnd) {
  ProcessOptions options = Shell("head -c 1000000 /dev/zero; sleep 3600");
  options.out = Output::Pipe();
  options.longest_line = 1000;
  auto child = ChildProcess::Start(options);
  ASSERT_TRUE(child.ok()) << child.status();
  auto line = (*child)->ReadLine(kLong);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_GE(line->size(), 1000u);
  EXPECT_LT(line->size(), 10000u);
}

TEST(ChildProcess, OutlivesTheThreadThatStartedIt) {
  std::unique_ptr<ChildProcess> child;
  std::thread([&] { child = *ChildProcess::Start({.argv = {"sleep", "3600"}}); }).join();
  EXPECT_FALSE(child->Wait(absl::Milliseconds(50)));
  EXPECT_EQ(child->Terminate(kLong).signal, SIGTERM);
}

TEST(ChildProcess, DropsRoot) {
  if (geteuid() != 0) {
    ProcessOptions options = Shell("true");
    options.user = Account{"root", 0, 0};
    EXPECT_FALSE(ChildProcess::Start(options).ok());
    return;
  }
  ProcessOptions options = Shell("id -u; id -G");
  auto account = FindAccount("nobody");
  ASSERT_TRUE(account.ok()) << account.status();
  options.user = *account;
  auto result = RunCommand(options, kLong);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, absl::StrCat(account->uid, "\n", account->gid, "\n"));
  EXPECT_EQ(FindAccount("no-such-user").status().code(), absl::StatusCode::kNotFound);
}

TEST(ReadLine, GivesTheLastLineWithoutItsEnd) {
  ProcessOptions options = Shell("printf 'one\\n\\ntwo'");
  options.out = Output::Pipe();
  auto child = ChildProcess::Start(options);
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(*(*child)->ReadLine(kLong), "one");
  EXPECT_EQ(*(*child)->ReadLine(kLong), "");
  EXPECT_EQ(*(*child)->ReadLine(kLong), "two");
  EXPECT_EQ((*child)->ReadLine(kLong).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(ReadLine, ReturnsWhenTheTimeIsUp) {
  ProcessOptions options = Shell("sleep 3600");
  options.out = Output::Pipe();
  auto child = ChildProcess::Start(options);
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ((*child)->ReadLine(absl::Milliseconds(5)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace lowmark
