#include "tests/bench/results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace lowmark {
namespace {

using ::testing::HasSubstr;

LoadFigures Figures(double per_second) {
  LoadFigures figures;
  figures.per_second = per_second;
  figures.p50_ms = 1;
  return figures;
}

Results Example() {
  Results results;
  results.shards = 1000;
  results.levels = {{1, {Figures(100)}, {Figures(1000)}},
                    {1000,
                     {Figures(30000), Figures(20000), Figures(10000)},
                     {Figures(40000), Figures(39000), Figures(41000)}}};
  results.pgbench = {{8, {15000, 16000, 17000}}, {32, {24000, 25000, 90000}}};
  return results;
}

TEST(Median, IsTheMiddleOrTheMeanOfTwo) {
  EXPECT_EQ(Median(std::vector<double>{}), 0);
  EXPECT_EQ(Median(std::vector<double>{3, 1, 2}), 2);
  EXPECT_EQ(Median(std::vector<double>{4, 1, 2, 3}), 2.5);
}

TEST(Median, OfRoundsIsTakenFieldByField) {
  LoadFigures a = Figures(1);
  LoadFigures b = Figures(2);
  LoadFigures c = Figures(3);
  a.p99_ms = 9;
  b.p99_ms = 1;
  c.p99_ms = 5;
  const LoadFigures median = Median(std::vector<LoadFigures>{a, b, c});
  EXPECT_EQ(median.per_second, 2);
  EXPECT_EQ(median.p99_ms, 5);
}

TEST(Quantile, IsTheNearestRank) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(Quantile(values, 0), 1);
  EXPECT_EQ(Quantile(values, 0.5), 5);
  EXPECT_EQ(Quantile(values, 0.99), 10);
  EXPECT_EQ(Quantile({7}, 0.99), 7);
}

TEST(Best, IsTheHighestMedianNotTheHighestRound) {
  const BestPgbench best = Best(Example().pgbench);
  EXPECT_EQ(best.clients, 32);
  EXPECT_EQ(best.per_second, 25000);
}

TEST(Results, TableComparesTheMediansWithBothBaselines) {
  std::ostringstream out;
  PrintTable(Example(), out);
  EXPECT_THAT(out.str(), HasSubstr("20,000"));
  EXPECT_THAT(out.str(), HasSubstr("25,000 updates/s  (best)"));
  EXPECT_THAT(out.str(), HasSubstr("0.4 of the empty RPC: 0.50, reached"));
  EXPECT_THAT(out.str(), HasSubstr("1.0 of pgbench's best: 0.80, MISSED"));
}

TEST(Results, JsonHoldsEveryRound) {
  const auto json = ToJson(Example());
  const auto& level = json["levels"][1];
  EXPECT_EQ(level["in_flight"], 1000);
  EXPECT_EQ(level["reports"]["median"]["per_second"], 20000);
  EXPECT_EQ(level["reports"]["rounds"].size(), 3u);
  EXPECT_EQ(level["reports"]["rounds"][2]["per_second"], 10000);
  EXPECT_EQ(level["ratio_to_empty"], 0.5);
  EXPECT_EQ(level["ratio_to_pgbench"], 0.8);
  EXPECT_EQ(json["pgbench"][0]["rounds"][2], 17000);
  EXPECT_EQ(json["pgbench_best"], 25000);
}

}  // namespace
}  // namespace lowmark
