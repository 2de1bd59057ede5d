#include "service/process/shutdown.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "service/process/child_process.h"

namespace lowmark {
namespace {

constexpr absl::Duration kLong = absl::Seconds(30);

std::unique_ptr<ChildProcess> Program(std::vector<std::string> arguments) {
  ProcessOptions options = {.argv = std::move(arguments)};
  options.argv.insert(options.argv.begin(), SHUTDOWN_PROGRAM);
  options.out = Output::Pipe();
  auto program = ChildProcess::Start(options);
  EXPECT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(*(*program)->ReadLine(kLong), "ready");
  return *std::move(program);
}

TEST(Shutdown, ASignalAsksForTheEnd) {
  for (const int signal : {SIGTERM, SIGINT}) {
    auto program = Program({});
    program->Signal(signal);
    EXPECT_EQ(*program->ReadLine(kLong), "draining");
    const auto exit = program->Wait(kLong);
    ASSERT_TRUE(exit);
    EXPECT_TRUE(exit->ok()) << exit->ToString();
  }
}

TEST(Shutdown, ASecondSignalEndsAtOnce) {
  auto program = Program({"stuck"});
  program->Signal(SIGTERM);
  EXPECT_EQ(*program->ReadLine(kLong), "draining");
  std::optional<ExitStatus> exit;
  for (int i = 0; i < 300 && !exit; ++i) {
    program->Signal(SIGINT);
    exit = program->Wait(absl::Milliseconds(100));
  }
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 128 + SIGINT);
}

TEST(Shutdown, ASignalThatComesTwiceIsOne) {
  auto program = Program({});
  program->Signal(SIGINT);
  program->Signal(SIGTERM);
  EXPECT_EQ(*program->ReadLine(kLong), "draining");
  const auto exit = program->Wait(kLong);
  ASSERT_TRUE(exit);
  EXPECT_TRUE(exit->ok()) << exit->ToString();
}

TEST(Shutdown, CanBeRequestedFromInside) {
  Shutdown shutdown;
  EXPECT_FALSE(shutdown.requested());
  EXPECT_FALSE(shutdown.Wait(absl::Milliseconds(1)));
  std::thread([&] { shutdown.Request(); }).join();
  EXPECT_TRUE(shutdown.Wait());
  EXPECT_TRUE(shutdown.requested());
}

TEST(Shutdown, ABrokenPipeIsAnError) {
  Shutdown shutdown;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  EXPECT_EQ(write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  close(ends[1]);
}

}  // namespace
}  // namespace lowmark
