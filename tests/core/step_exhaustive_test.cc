// Every small shard: each batch size, each set of records that fail, each way of
// failing and each switch of the policy, against the oracle.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/core/oracle.h"
#include "tests/core/simulated_shard.h"

namespace lowmark {
namespace {

// More than any play here takes that ends.
constexpr int kLimit = 400;

enum class Manner {
  kRaise,         // raises where a record of the batch fails
  kReportAll,     // reports every record of the batch that fails
  kReportLowest,  // stops at the first that fails and reports it
  kReportWrong,   // reports the failed ones and one that does not exist
  kDie,           // takes the worker along
};

// A handler that cannot process some records: never, or not the first times.
struct Trouble {
  Manner manner;
  unsigned records;  // a bit each; bit 0 is record 1
  int times;         // how often each of them fails; 0 for ever
};

class Handler {
 public:
  explicit Handler(const Trouble& trouble) : trouble_(trouble) {}

  Answer operator()(const std::vector<int>& batch) {
    std::vector<int> failed;
    for (int record : batch) {
      if ((trouble_.records >> (record - 1) & 1) == 0) continue;
      if (trouble_.times != 0 && failures_[record] == trouble_.times) continue;
      ++failures_[record];
      failed.push_back(record);
      if (trouble_.manner != Manner::kReportAll && trouble_.manner != Manner::kReportWrong) break;
    }
    if (failed.empty()) return {};
    switch (trouble_.manner) {
      case Manner::kRaise:
        return {Answer::Kind::kRaise, {}};
      case Manner::kReportAll:
        return {Answer::Kind::kReport, {failed.rbegin(), failed.rend()}};
      case Manner::kReportLowest:
        return {Answer::Kind::kReport, failed};
      case Manner::kReportWrong:
        failed.push_back(0);
        return {Answer::Kind::kReport, failed};
      case Manner::kDie:
        return {Answer::Kind::kDie, {}};
    }
    return {};
  }

 private:
  const Trouble trouble_;
  std::array<int, 16> failures_{};
};

std::string Describe(const Policy& policy, const Trouble& trouble) {
  return absl::StrCat(
      "batch_size ", policy.batch_size, ", reporting ", policy.report_batch_item_failures,
      ", bisect ", policy.bisect_batch_on_failure, ", retries ", policy.maximum_retry_attempts,
      ", scope ", policy.discard_scope == DiscardScope::kRecord ? "RECORD" : "BATCH", ", lost ",
      policy.maximum_lost_deliveries, ", manner ", static_cast<int>(trouble.manner), ", records ",
      trouble.records, ", times ", trouble.times);
}

// Whether the core and the oracle agree; stops the test where they do not.
bool Agrees(const Policy& policy, const Trouble& trouble, int records,
            const std::vector<std::string>& sequences) {
  const Play expected = Oracle(policy, records, Handler(trouble), kLimit);
  const Play seen = SimulatedShard(policy, sequences).Drain(Handler(trouble), kLimit);
  EXPECT_EQ(seen, expected) << Describe(policy, trouble);
  EXPECT_TRUE(seen.drained || policy.maximum_retry_attempts == Policy::kForever ||
              policy.maximum_lost_deliveries == Policy::kForever)
      << Describe(policy, trouble);
  return !::testing::Test::HasFailure();
}

// Every combination of the switches that decide about failures.
std::vector<Policy> Policies(const std::vector<int>& lost_limits) {
  std::vector<Policy> policies;
  for (int lost : lost_limits) {
    for (int retries : {-1, 0, 1, 2}) {
      for (int switches = 0; switches < 8; ++switches) {
        Policy policy;
        policy.report_batch_item_failures = (switches & 1) != 0;
        policy.bisect_batch_on_failure = (switches & 2) != 0;
        policy.discard_scope = (switches & 4) != 0 ? DiscardScope::kRecord : DiscardScope::kBatch;
        policy.maximum_retry_attempts = retries;
        policy.maximum_lost_deliveries = lost;
        policies.push_back(policy);
      }
    }
  }
  return policies;
}

// All sets of failing records of shards with `records` records, in batches of
// 1..records.
int64_t PlayAll(int records, const std::vector<Policy>& policies,
                const std::vector<Manner>& manners) {
  const std::vector<std::string> sequences = PlainSequences(records);
  int64_t plays = 0;
  for (Policy policy : policies) {
    for (policy.batch_size = 1; policy.batch_size <= records; ++policy.batch_size) {
      for (Manner manner : manners) {
        for (int times : {0, 1, 2}) {
          const bool endless = manner == Manner::kDie ? policy.maximum_lost_deliveries == -1
                                                      : policy.maximum_retry_attempts == -1;
          if (times == 0 && endless) continue;
          for (unsigned failing = 0; failing < (1U << records); ++failing) {
            ++plays;
            if (!Agrees(policy, {manner, failing, times}, records, sequences)) return plays;
          }
        }
      }
    }
  }
  return plays;
}

TEST(StepExhaustive, FailuresAreHandledAsTheOracleSays) {
  const int64_t plays = PlayAll(8, Policies({3}), {Manner::kRaise, Manner::kReportAll});
  EXPECT_GT(plays, 300000);
}

TEST(StepExhaustive, OtherReportsAreHandledAsTheOracleSays) {
  PlayAll(6, Policies({3}), {Manner::kReportLowest, Manner::kReportWrong});
}

TEST(StepExhaustive, LostDeliveriesAreHandledAsTheOracleSays) {
  PlayAll(5, Policies({-1, 1, 2}), {Manner::kDie});
}

// What fails for ever under a policy that retries for ever must go on for ever,
// not stop, skip or set aside.
TEST(StepExhaustive, RetriesForEverNeverGiveUp) {
  for (Policy policy : Policies({3})) {
    if (policy.maximum_retry_attempts != Policy::kForever) continue;
    policy.batch_size = 4;
    const Play play =
        SimulatedShard(policy, PlainSequences(4)).Drain(Handler({Manner::kRaise, 2, 0}), kLimit);
    EXPECT_FALSE(play.drained);
    EXPECT_TRUE(play.dead_letters.empty());
    EXPECT_EQ(play, Oracle(policy, 4, Handler({Manner::kRaise, 2, 0}), kLimit));
  }
}

}  // namespace
}  // namespace lowmark
