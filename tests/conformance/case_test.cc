// The format is read strictly: what is wrong is an error that names file, case
// and key, and leaves the other cases alone.
#include "tests/conformance/case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace lowmark::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class CaseTest : public ::testing::Test {
 protected:
  CaseFile Read(const std::string& text) {
    std::ofstream(path_) << text;
    return ReadCases(path_);
  }
  // What is wrong with a case that has these lines beside id, records and expect.
  std::string Error(const std::string& lines) {
    const CaseFile file = Read("- id: some/case\n  records: 3\n  expect: {}\n" + lines);
    EXPECT_THAT(file.cases, IsEmpty()) << lines;
    return file.errors.empty() ? "" : file.errors[0];
  }

  ~CaseTest() override { std::filesystem::remove(path_); }

  const std::string path_ = ::testing::TempDir() + "/" +
                            ::testing::UnitTest::GetInstance()->current_test_info()->name() +
                            ".yaml";
};

TEST_F(CaseTest, ReadsEveryKey) {
  const CaseFile file = Read(R"(
- id: group/name
  about: one line
  policy: {batch_size: 7, maximum_batching_window: 1, maximum_batch_bytes: 2048,
           starting_position: LATEST, report_batch_item_failures: true,
           bisect_batch_on_failure: true, maximum_retry_attempts: 2, maximum_record_age: 60,
           discard_scope: RECORD, maximum_lost_deliveries: 5, handler_timeout: 30s,
           handoff_timeout: 2m, sequence_order: POSITIONAL, paused: true, frozen: true,
           balance_by: HANDLER_TIME,
           retry_backoff: {initial: 100ms, multiplier: 3, maximum: 1.5, jitter: 0}}
  sequences: [b, a]
  ages: {1: 3600}
  ops:
    - {op: repeat_report, after_delivery: 1}
    - {op: stale_epoch_report}
    - {op: report_outside, failed: [2]}
    - {op: seek, at: 1}
    - {op: restart_coordinator, after_delivery: 3}
  handler:
    - {when_has: [2], times: 1, report: [2, 1]}
    - {index: 2, report_index: true}
    - {delivery: 1, answer: 'x'}
    - {when_has: [1], die: true}
    - {raise: true}
  expect:
    deliveries: [[1,2],[2]]
    batches: [1,2]
    backoff: [false,true]
    checkpoint: {at: 2}
    dead_letters: [{first: 1, last: 2, count: 2, condition: X, attempts: 3}]
    error: LEASE_FENCED
)");
  ASSERT_THAT(file.errors, IsEmpty());
  const Case& c = file.cases.at(0);
  EXPECT_EQ(c.id, "group/name");
  Policy policy = Policy::Lambda();
  policy.batch_size = 7;
  policy.maximum_batching_window = absl::Seconds(1);
  policy.maximum_batch_bytes = 2048;
  policy.starting_position = Position::Latest();
  policy.report_batch_item_failures = true;
  policy.bisect_batch_on_failure = true;
  policy.maximum_retry_attempts = 2;
  policy.maximum_record_age = absl::Seconds(60);
  policy.discard_scope = DiscardScope::kRecord;
  policy.maximum_lost_deliveries = 5;
  policy.handler_timeout = absl::Seconds(30);
  policy.handoff_timeout = absl::Minutes(2);
  policy.sequence_order = SequenceOrder::kPositional;
  policy.paused = true;
  policy.frozen = true;
  policy.balance_by = BalanceBy::kHandlerTime;
  policy.retry_backoff = {absl::Milliseconds(100), 3, absl::Milliseconds(1500), 0};
  EXPECT_EQ(c.policy, policy);
  EXPECT_THAT(c.sequences, ElementsAre("b", "a"));
  EXPECT_EQ(c.Age(1), absl::Hours(1));
  EXPECT_EQ(c.Age(2), absl::ZeroDuration());
  EXPECT_EQ(c.ops.size(), 5u);
  EXPECT_TRUE(c.Restarts());
  EXPECT_EQ(c.ops[3].at, 1);
  EXPECT_FALSE(c.ops[1].after_delivery.has_value());
  EXPECT_EQ(c.handler.size(), 5u);
  EXPECT_EQ(c.handler[0].act, Rule::Act::kReport);
  EXPECT_EQ(c.handler[1].act, Rule::Act::kReportIndex);
  EXPECT_EQ(c.handler[2].answer, "x");
  EXPECT_EQ(c.handler[3].act, Rule::Act::kDie);
  EXPECT_EQ(c.expect.checkpoint, "{at: 2}");
  EXPECT_EQ(c.expect.dead_letters->at(0).attempts, 3);
  EXPECT_EQ(c.expect.error, "LEASE_FENCED");
}

TEST_F(CaseTest, WhatIsNotThereHasLambdasDefaults) {
  const CaseFile file = Read("- {id: a, records: 2, expect: {}}");
  ASSERT_THAT(file.errors, IsEmpty());
  EXPECT_EQ(file.cases[0].policy, Policy::Lambda());
  EXPECT_THAT(file.cases[0].sequences, ElementsAre("1", "2"));
  EXPECT_THAT(file.cases[0].handler, IsEmpty());
}

TEST_F(CaseTest, NamesFileCaseAndKey) {
  EXPECT_THAT(
      Error("  policy: {batch_sice: 3}\n"),
      StartsWith(path_ + ": some/case: policy.batch_sice: is unknown; known are balance_by"));
}

TEST_F(CaseTest, TakesAnchorsAndMergeKeys) {
  const CaseFile file = Read(R"(
- {id: a, records: 1, policy: &base {batch_size: 7, maximum_retry_attempts: 2}, expect: {}}
- {id: b, records: 1, policy: {<<: *base, batch_size: 8}, expect: {}}
)");
  ASSERT_THAT(file.errors, IsEmpty());
  EXPECT_EQ(file.cases[1].policy.batch_size, 8);
  EXPECT_EQ(file.cases[1].policy.maximum_retry_attempts, 2);
}

TEST_F(CaseTest, RefusesWhatIsMalformed) {
  const std::vector<std::pair<const char*, const char*>> malformed = {
      {"  colour: red\n", "colour: is unknown"},
      {"  id: twice\n", "id: is there twice"},
      {"  sequences: ['1']\n", "one of records, sequences"},
      {"  policy: 3\n", "policy: must be a mapping"},
      {"  policy: {batch_size: many}\n", "policy.batch_size: is \"many\": must be an integer"},
      {"  policy: {batch_size: 99999999999}\n", "policy.batch_size: is \"99999999999\""},
      {"  policy: {paused: 'yes'}\n", "policy.paused: must be true or false"},
      {"  policy: {frozen: solid}\n", "policy.frozen: must be true or false"},
      {"  policy: {balance_by: WEIGHT}\n",
       "policy.balance_by: must be one of SHARDS, RECORDS, HANDLER_TIME"},
      {"  policy: {discard_scope: SHARD}\n", "policy.discard_scope: must be one of RECORD, BATCH"},
      {"  policy: {starting_position: {at: 3}}\n", "policy.starting_position.at: is unknown"},
      {"  policy: {retry_backoff: {initial: soon}}\n", "policy.retry_backoff.initial: must be"},
      {"  policy: {maximum_record_age: [1]}\n", "policy.maximum_record_age: must be a number"},
      {"  ages: [1]\n", "ages: must map"},
      {"  ages: {4: 1}\n", "ages.4: is no record"},
      {"  ages: {1: -1}\n", "ages.1: must not be negative"},
      {"  handler: {raise: true}\n", "handler: must be a list"},
      {"  handler: [{}]\n", "handler[0]: must have one of raise"},
      {"  handler: [{raise: true, die: true}]\n", "handler[0]: must have one of raise"},
      {"  handler: [{raise: false}]\n", "handler[0].raise: must be true"},
      {"  handler: [{report_index: true}]\n", "handler[0]: has report_index but no index"},
      {"  handler: [{when_has: 2, raise: true}]\n", "handler[0].when_has: must be a list"},
      {"  handler: [{when_has: [0], raise: true}]\n", "handler[0].when_has[0]: must be a record"},
      {"  handler: [{times: 0, raise: true}]\n", "handler[0].times: must be at least 1"},
      {"  handler: [{answer: {a: 1}}]\n", "handler[0].answer: must be a string"},
      {"  handler: [{sleep: 3, raise: true}]\n", "handler[0].sleep: is unknown"},
      {"  ops: [{op: explode}]\n", "ops[0].op: must be repeat_report"},
      {"  ops: [{op: seek}]\n", "ops[0].at: must be a record"},
      {"  ops: [{op: seek, at: 4}]\n", "ops[0].at: is no record"},
      {"  ops: [{op: repeat_report, at: 1}]\n", "ops[0].at: is unknown"},
      {"  ops: [{op: report_outside}]\n", "ops[0].failed: must name a record"},
      {"  ops: [{op: repeat_report, after_delivery: 0}]\n", "ops[0].after_delivery: must be"},
  };
  for (const auto& [lines, message] : malformed) EXPECT_THAT(Error(lines), HasSubstr(message));
}

TEST_F(CaseTest, RefusesMalformedExpectations) {
  for (const auto& [expect, message] : std::vector<std::pair<std::string, std::string>>{
           {"{checkpoint: 3}", "expect.checkpoint: must be {at: n}"},
           {"{checkpoint: {at: 1, after: 1}}", "expect.checkpoint: must have one of"},
           {"{deliveries: [1]}", "expect.deliveries[0]: must be a list"},
           {"{batches: [a]}", "expect.batches[0]: is \"a\""},
           {"{dead_letters: [{why: x}]}", "expect.dead_letters[0].why: is unknown"},
           {"{speed: 3}", "expect.speed: is unknown"},
       }) {
    const CaseFile file = Read("- {id: c, records: 1, expect: " + expect + "}");
    ASSERT_EQ(file.errors.size(), 1u) << expect;
    EXPECT_THAT(file.errors[0], HasSubstr(message));
  }
}

TEST_F(CaseTest, RefusesSequencesThatAreNone) {
  for (const auto& [sequences, message] : std::vector<std::pair<std::string, std::string>>{
           {"['1', '01']", "sequences[1]: must be a decimal integer"},
           {"['2', '1']", "sequences[1]: must come after"},
           {"['2', '2']", "sequences[1]: is there twice"},
       }) {
    const CaseFile file = Read("- {id: c, sequences: " + sequences + ", expect: {}}");
    ASSERT_EQ(file.errors.size(), 1u) << sequences;
    EXPECT_THAT(file.errors[0], HasSubstr(message));
  }
}

TEST_F(CaseTest, AMalformedCaseLeavesTheOthersAlone) {
  const CaseFile file = Read(
      "- {id: a, records: 1, expect: {}}\n- {id: b}\n- 3\n- {id: c, records: 1, expect: {}}\n"
      "- {id: a, records: 1, expect: {}}\n");
  ASSERT_EQ(file.cases.size(), 2u);
  EXPECT_EQ(file.cases[1].id, "c");
  EXPECT_THAT(file.errors, ElementsAre(HasSubstr(": b: "), HasSubstr(": case 3: "),
                                       HasSubstr(": a: id: is used twice")));
}

TEST_F(CaseTest, RefusesFilesThatAreNone) {
  EXPECT_THAT(ReadCases("/no/such/file").errors, ElementsAre("/no/such/file: cannot be read"));
  EXPECT_THAT(Read("").errors, ElementsAre(HasSubstr("has no cases")));
  EXPECT_THAT(Read("cases: []").errors, ElementsAre(HasSubstr("must be a list of cases")));
  EXPECT_THAT(Read("- {id: [").errors, ElementsAre(HasSubstr("yaml-cpp: error")));
  EXPECT_THAT(Read("\x01\x02 \xff").errors, ::testing::SizeIs(1));
}

TEST(CheckpointText, IsWrittenInOrdinals) {
  const std::vector<std::string> sequences = {"97", "118"};
  EXPECT_EQ(CheckpointText(Position::At("118"), sequences), "{at: 2}");
  EXPECT_EQ(CheckpointText(Position::After("97"), sequences), "{after: 1}");
  EXPECT_EQ(CheckpointText(Position::After("5"), sequences), "{after: \"5\"}");
  EXPECT_EQ(CheckpointText(Position::TrimHorizon(), sequences), "TRIM_HORIZON");
}

}  // namespace
}  // namespace lowmark::conformance
