#include "service/process/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/str_split.h"

namespace lowmark {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

// All the things that could break out of a line, or of a terminal.
const std::string kNasty =
    std::string("a\nb\r\t\"quoted\" \\ \x1b[31mred\x1b[0m \x7f \xc2\x9b nul:") + '\0' +
    "bad:\xff\xfe utf8:\xc3\xa9 }{";

nlohmann::json LogJson(absl::string_view message, Logger::Fields fields) {
  std::ostringstream stream;
  Logger log({.format = LogFormat::kJson, .stream = &stream});
  log.Info(message, fields);
  const std::string line = stream.str();
  EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
  return nlohmann::json::parse(line);
}

std::string LogConsole(absl::string_view message, Logger::Fields fields) {
  std::ostringstream stream;
  Logger log({.stream = &stream});
  log.Info(message, fields);
  return stream.str();
}

TEST(Logger, WritesJsonLines) {
  const auto line = LogJson("shard leased", {{"stream", "orders"},
                                             {"shard", std::string("s-1")},
                                             {"epoch", int64_t{7}},
                                             {"delivery", 3},
                                             {"load", 0.5},
                                             {"final", true},
                                             {"error", absl::AbortedError("fenced")}});
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["message"], "shard leased");
  EXPECT_EQ(line["stream"], "orders");
  EXPECT_EQ(line["shard"], "s-1");
  EXPECT_EQ(line["epoch"], 7);
  EXPECT_EQ(line["delivery"], 3);
  EXPECT_EQ(line["load"], 0.5);
  EXPECT_EQ(line["final"], true);
  EXPECT_EQ(line["error"], "ABORTED: fenced");
  EXPECT_THAT(line["time"].get<std::string>(),
              MatchesRegex("[0-9-]+T[0-9]+:[0-9]+:[0-9]+\\.[0-9]+Z"));
}

TEST(Logger, WritesConsoleLines) {
  const std::string line = LogConsole(
      "shard leased", {{"stream", "orders"}, {"epoch", 7}, {"why", "two words"}, {"owner", ""}});
  EXPECT_THAT(line, MatchesRegex("[0-9-]+T[0-9:.]+Z info    shard leased  .*\n"));
  EXPECT_THAT(line, EndsWith("  stream=orders epoch=7 why=\"two words\" owner=\"\"\n"));
}

TEST(Logger, AJsonLineStaysALineWhateverIsInIt) {
  const auto line = LogJson(kNasty, {{"shard", kNasty}});
  EXPECT_THAT(line["shard"].get<std::string>(), HasSubstr("\"quoted\""));
  EXPECT_THAT(line["shard"].get<std::string>(), HasSubstr("\xc3\xa9"));
  EXPECT_EQ(line.size(), 4u);
}

TEST(Logger, AConsoleLineStaysALineWhateverIsInIt) {
  const std::string line = LogConsole(kNasty, {{"shard", kNasty}, {"forged", "x epoch=9"}});
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  for (const unsigned char c : line.substr(0, line.size() - 1)) {
    EXPECT_TRUE(c >= 32 && c != 127) << static_cast<int>(c);
  }
  EXPECT_THAT(line, Not(HasSubstr("\xc2\x9b")));
  EXPECT_THAT(line, HasSubstr("\\u001b[31mred"));
  EXPECT_THAT(line, HasSubstr("\xc3\xa9"));
  EXPECT_THAT(line, HasSubstr("forged=\"x epoch=9\""));
}

TEST(Logger, FormatDirectivesAreText) {
  EXPECT_THAT(LogConsole("100% {} %v", {{"x", "%n{0}"}}), HasSubstr("100% {} %v  x=%n{0}"));
}

TEST(Logger, LeavesOutLinesBelowItsLevel) {
  std::ostringstream stream;
  Logger log({.level = LogLevel::kWarning, .stream = &stream});
  log.Debug("debug");
  log.Info("info");
  log.Warning("warning");
  log.Error("error");
  EXPECT_THAT(stream.str(), Not(HasSubstr("info")));
  EXPECT_THAT(stream.str(), HasSubstr("warning"));
  EXPECT_THAT(stream.str(), HasSubstr("error"));
}

TEST(Logger, ThreadsDoNotMixLines) {
  std::ostringstream stream;
  Logger log({.format = LogFormat::kJson, .stream = &stream});
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 100; ++j) log.Info("line", {{"thread", i}, {"line", j}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  int lines = 0;
  for (const auto line : absl::StrSplit(stream.str(), '\n', absl::SkipEmpty())) {
    EXPECT_TRUE(nlohmann::json::accept(line.begin(), line.end())) << line;
    ++lines;
  }
  EXPECT_EQ(lines, 400);
}

TEST(Logging, ParsesItsOptions) {
  EXPECT_EQ(*ParseLogFormat("json"), LogFormat::kJson);
  EXPECT_EQ(*ParseLogFormat("console"), LogFormat::kConsole);
  EXPECT_FALSE(ParseLogFormat("xml").ok());
  EXPECT_EQ(*ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(*ParseLogLevel("error"), LogLevel::kError);
  EXPECT_FALSE(ParseLogLevel("loud").ok());
}

}  // namespace
}  // namespace lowmark
