#include "tests/e2e/kinesis_server.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace lowmark {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);
// npm may have to fetch them first.
constexpr absl::Duration kInstall = absl::Minutes(4);

std::string Folder() {
  static const std::string folder = [] {
    ProcessOptions install;
    install.argv = {NODE_TESTS "/install"};
    auto installed = RunCommand(install, kInstall);
    EXPECT_TRUE(installed.ok()) << installed.status();
    if (!installed.ok()) return std::string();
    EXPECT_TRUE(installed->exit.ok()) << installed->output;
    return std::string(absl::StripAsciiWhitespace(installed->output));
  }();
  return folder;
}

}  // namespace

ProcessOptions NodeScript(const std::string& script, const std::vector<std::string>& arguments) {
  ProcessOptions options;
  options.env = {{"NODE_PATH", Folder() + "/node_modules"}};
  options.argv = {"node", NODE_TESTS "/" + script};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  return options;
}

KinesisServer::KinesisServer(Kind kind) {
  ProcessOptions options = NodeScript("kinesis.js", {"serve"});
  if (kind == Kind::kKinesisLocal) {
    options.directory = Folder() + "/node_modules/kinesis-local";
    options.argv = {"node", "--require", NODE_TESTS "/loopback.js", "main.js"};
    options.env.emplace_back("KINESIS_MOCK_PLAIN_PORT", "4568");
    options.env.emplace_back("KINESIS_MOCK_TLS_PORT", "4567");
    options.env.emplace_back("LOG_LEVEL", "ERROR");
  }
  options.out = Output::Pipe();
  auto process = ChildProcess::Start(options);
  EXPECT_TRUE(process.ok()) << process.status();
  if (!process.ok()) return;
  process_ = *std::move(process);
  while (!absl::StartsWith(url_, "http://")) {
    auto line = process_->ReadLine(kPatience);
    EXPECT_TRUE(line.ok()) << line.status();
    if (!line.ok()) return;
    // One that is kept on this machine says first which port it asked for.
    url_ = std::string(absl::StripPrefix(*line, "4568 "));
  }
}

ProcessOptions KinesisServer::Command(const std::string& command,
                                      const std::vector<std::string>& arguments) const {
  std::vector<std::string> all = {command, url_, "orders"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return NodeScript("kinesis.js", all);
}

void KinesisServer::Run(const std::string& command,
                        const std::vector<std::string>& arguments) const {
  auto done = RunCommand(Command(command, arguments), kPatience);
  ASSERT_TRUE(done.ok()) << done.status();
  ASSERT_TRUE(done->exit.ok()) << done->output;
}

std::unique_ptr<ChildProcess> KinesisServer::Start(
    const std::string& command, const std::vector<std::string>& arguments) const {
  auto process = ChildProcess::Start(Command(command, arguments));
  EXPECT_TRUE(process.ok()) << process.status();
  return process.ok() ? *std::move(process) : nullptr;
}

std::vector<std::string> KinesisServer::WorkerFlags() const {
  return {"--source",
          "kinesis",
          "--kinesis-stream",
          "orders",
          "--kinesis-region",
          "us-east-1",
          "--kinesis-endpoint",
          url_,
          "--kinesis-access-key-id",
          "test",
          "--kinesis-secret-access-key",
          "test"};
}

}  // namespace lowmark
