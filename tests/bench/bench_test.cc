// Runs the whole benchmark for moments: that it works, not how fast.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "service/process/child_process.h"

namespace lowmark {
namespace {

TEST(Bench, MeasuresEveryLevelAndChecksTheDatabase) {
  const std::string file = testing::TempDir() + "/lowmark_bench_test.json";
  std::filesystem::remove(file);
  ProcessOptions options;
  options.argv = {LOWMARK_BENCH,           "--seconds=0.3",       "--rounds=1",
                  "--in-flight=1,64,1000", "--pgbench-clients=2", "--json=" + file};
  auto result = RunCommand(options, absl::Seconds(120));
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(result->exit.ok()) << result->exit.ToString() << ":\n" << result->output;
  const auto json = nlohmann::json::parse(std::ifstream(file));
  ASSERT_EQ(json["levels"].size(), 3u);
  for (const auto& level : json["levels"]) {
    EXPECT_GT(level["reports"]["median"]["per_second"], 0) << level;
    EXPECT_GE(level["reports"]["median"]["group_size"], 1) << level;
    EXPECT_GT(level["empty"]["median"]["per_second"], 0) << level;
    EXPECT_GT(level["ratio_to_empty"], 0) << level;
  }
  EXPECT_GT(json["pgbench_best"], 0);
}

TEST(Bench, SaysWhatIsWrongWithItsOptions) {
  ProcessOptions options;
  options.argv = {LOWMARK_BENCH, "--directory=/dev/shm"};
  auto result = RunCommand(options, absl::Seconds(60));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit.code, 1);
  EXPECT_NE(result->output.find("--directory"), std::string::npos) << result->output;
}

}  // namespace
}  // namespace lowmark
