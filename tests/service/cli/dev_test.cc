// `lowmark dev` with the real programs: everything comes up, is put to work, comes
// back when it dies, and is gone when `lowmark dev` is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "service/dev/process_handle.h"
#include "service/process/child_process.h"

namespace lowmark {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(90);

class DevTest : public testing::Test {
 protected:
  DevTest() {
    std::string directory = testing::TempDir() + "dev-XXXXXX";
    directory_ = mkdtemp(directory.data());
    // PostgreSQL's user must be able to enter where that is not us.
    chmod(directory_.c_str(), 0755);
    std::filesystem::create_directory(directory_ + "/source");
  }
  ~DevTest() override {
    if (dev != nullptr) dev->Terminate(kLong);
    std::error_code error;
    std::filesystem::remove_all(directory_, error);
  }

  // Starts `lowmark dev` and waits until all of it runs; `said` is what it says.
  void Start(std::vector<std::string> arguments) {
    ProcessOptions options;
    options.argv = {LOWMARK,    "dev",         "--data",        directory_ + "/data",
                    "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    options.out = Output::Pipe();
    options.err = Output::Stdout();
    auto started = ChildProcess::Start(options);
    ASSERT_TRUE(started.ok()) << started.status();
    dev = *std::move(started);
    ASSERT_TRUE(Says("Ctrl-C stops it all.")) << said;
    for (const auto word : absl::StrSplit(said, absl::ByAnyChar(" \n"))) {
      if (absl::StartsWith(word, "LOWMARK_COORDINATOR=")) {
        address = std::string(word.substr(word.find('=') + 1));
      }
    }
    ASSERT_NE(address, "") << said;
  }

  // Whether it says a line with the words in time.
  bool Says(const std::string& words) {
    while (true) {
      auto line = dev->ReadLine(kLong);
      if (!line.ok()) return false;
      absl::StrAppend(&said, *line, "\n");
      if (absl::StrContains(*line, words)) return true;
    }
  }

  // What `lowmark` prints.
  std::string Lowmark(std::vector<std::string> arguments) {
    ProcessOptions options = {.argv = std::move(arguments)};
    options.argv.insert(options.argv.begin(), LOWMARK);
    options.env = {{"LOWMARK_COORDINATOR", address}};
    auto result = RunCommand(options, kLong);
    return result.ok() ? result->output : result.status().ToString();
  }

  // Whether `lowmark` prints that in time.
  bool LowmarkComesToPrint(const std::vector<std::string>& arguments, const std::string& words) {
    const SteadyTime deadline = SteadyDeadline(kLong);
    while (std::chrono::steady_clock::now() < deadline) {
      if (absl::StrContains(Lowmark(arguments), words)) return true;
    }
    return false;
  }

  std::string directory_;
  std::unique_ptr<ChildProcess> dev;
  std::string said;
  std::string address;
};

TEST_F(DevTest, RunsStopsAndGoesOnFromThere) {
  Start({});
  EXPECT_THAT(Lowmark({"streams", "create", "orders"}), HasSubstr("batch_size"));
  std::vector<ProcessHandle> parts = ProcessHandle::ChildrenOf(dev->pid());
  EXPECT_GE(parts.size(), 2u);
  dev->Signal(SIGINT);
  const auto exit = dev->Wait(kLong);
  ASSERT_TRUE(exit);
  EXPECT_TRUE(exit->ok()) << exit->ToString() << "\n" << said;
  for (ProcessHandle& part : parts) EXPECT_TRUE(part.AwaitExit(absl::ZeroDuration()));

  Start({});
  EXPECT_THAT(Lowmark({"streams", "list"}), HasSubstr("orders"));
}

TEST_F(DevTest, LeavesNothingRunningWhenItIsKilled) {
  // Not even a handler in the middle of a batch.
  const std::string pid_file = directory_ + "/handler.pid";
  std::ofstream(directory_ + "/source/shard-0.jsonl") << "{}\n";
  Start({"--stream", "orders", "--source-path", directory_ + "/source", "--handler-command",
         absl::StrCat("echo $$ > ", pid_file, "; exec sleep 3600")});
  std::vector<ProcessHandle> parts = ProcessHandle::ChildrenOf(dev->pid());
  EXPECT_EQ(parts.size(), 3u);
  pid_t handler = 0;
  const SteadyTime deadline = SteadyDeadline(kLong);
  while (!(std::ifstream(pid_file) >> handler)) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
  parts.emplace_back(handler);
  dev->Signal(SIGKILL);
  ASSERT_TRUE(dev->Wait(kLong));
  for (ProcessHandle& part : parts) EXPECT_TRUE(part.AwaitExit(kLong));
  Start({});
}

TEST_F(DevTest, StartsAgainWhatDies) {
  Start({});
  EXPECT_THAT(Lowmark({"streams", "create", "orders"}), HasSubstr("batch_size"));
  for (ProcessHandle& part : ProcessHandle::ChildrenOf(dev->pid())) part.Kill();
  EXPECT_TRUE(Says("runs again")) << said;
  EXPECT_TRUE(Says("runs again")) << said;
  EXPECT_TRUE(LowmarkComesToPrint({"streams", "list"}, "orders"));
}

TEST_F(DevTest, ProcessesRecords) {
  std::ofstream file(directory_ + "/source/shard-0.jsonl");
  for (int i = 0; i < 10; ++i) file << "{\"n\": " << i << "}\n";
  file.close();
  Start({"--stream", "orders", "--source-path", directory_ + "/source", "--handler-command",
         "cat > /dev/null; echo '{}'", "--workers", "2", "--set", "batch_size=3"});
  EXPECT_THAT(said, HasSubstr("worker 2"));
  // The last record starts at byte 81: each has 9.
  EXPECT_TRUE(LowmarkComesToPrint({"shards", "list", "orders"}, "AFTER 81"))
      << Lowmark({"shards", "list", "orders"});
  EXPECT_THAT(Lowmark({"streams", "get", "orders"}), testing::ContainsRegex("batch_size +3\n"));
  dev->Signal(SIGTERM);
  const auto exit = dev->Wait(kLong);
  ASSERT_TRUE(exit);
  EXPECT_TRUE(exit->ok()) << exit->ToString();
}

std::string Refused(std::vector<std::string> arguments) {
  ProcessOptions options = {.argv = std::move(arguments)};
  options.argv.insert(options.argv.begin(), {LOWMARK, "dev"});
  auto result = RunCommand(options, kLong);
  if (!result.ok()) return result.status().ToString();
  EXPECT_EQ(result->exit.code, 2) << result->output;
  return result->output;
}

TEST(DevCommand, SaysWhatIsWrongBeforeItStarts) {
  EXPECT_THAT(Refused({"--source-path", "/tmp"}), HasSubstr("--stream is missing"));
  EXPECT_THAT(Refused({"--workers", "3"}), HasSubstr("--stream is missing"));
  EXPECT_THAT(Refused({"--stream", "x"}), HasSubstr("--source-path is missing"));
  EXPECT_THAT(Refused({"--stream", "x", "--source-path", "/no", "--handler-command", "cat"}),
              HasSubstr("must be a directory"));
  EXPECT_THAT(Refused({"--stream", "x", "--source-path", "/tmp"}), HasSubstr("--handler-command"));
  EXPECT_THAT(Refused({"--stream", "x", "--source-path", "/tmp", "--handler-command", "cat",
                       "--handler-url", "http://x"}),
              HasSubstr("give one of"));
  EXPECT_THAT(Refused({"--stream", "x", "--workers", "0", "--set", "batchsize=1"}),
              HasSubstr("did you mean batch_size?"));
  EXPECT_THAT(Refused({"--listen", "7070"}), HasSubstr("must be host:port"));
}

}  // namespace
}  // namespace lowmark
