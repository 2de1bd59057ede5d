// Runs the fleet driver for moments, with few workers: that it works and finds
// nothing wrong, not how fast.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "service/process/child_process.h"

namespace lowmark {
namespace {

TEST(Fleet, RunsEveryPhaseAndFindsNothingWrong) {
  const std::string file = testing::TempDir() + "/lowmark_fleet_test.json";
  std::filesystem::remove(file);
  ProcessOptions options;
  options.argv = {LOWMARK_FLEET,   "--brief",      "--no-limits",
                  "--shards=2000", "--workers=50", "--json=" + file};
  auto result = RunCommand(options, absl::Minutes(14));
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(result->exit.ok()) << result->exit.ToString() << ":\n" << result->output;
  const auto json = nlohmann::json::parse(std::ifstream(file));
  EXPECT_TRUE(json["violations"].empty()) << json["violations"];
  std::set<std::string> phases;
  for (const auto& figure : json["figures"]) phases.insert(figure["phase"]);
  EXPECT_EQ(phases, (std::set<std::string>{"cold start", "idle", "reports", "wake-up", "no herd",
                                           "handoff", "outage", "hostile"}));
}

TEST(Fleet, SaysWhatIsWrongWithItsOptions) {
  ProcessOptions options;
  options.argv = {LOWMARK_FLEET, "--directory=/dev/shm"};
  auto result = RunCommand(options, absl::Seconds(60));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit.code, 1);
  EXPECT_NE(result->output.find("--directory"), std::string::npos) << result->output;
}

}  // namespace
}  // namespace lowmark
