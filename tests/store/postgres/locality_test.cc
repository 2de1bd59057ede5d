// Streams can be spread over databases, or over the nodes of a distributed one, as
// long as no hot statement looks beyond its stream: every table that one of them
// reads is found by the stream's key.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "store/postgres/queries.h"
#include "tests/support/test_database.h"

namespace lowmark {
namespace {

struct Statement {
  const char* name;
  const char* sql;
};

// What reports, leases, heartbeats, autoscalers and the forwarding of dead letters send.
const Statement kHot[] = {
    {"kLockStream", sql::kLockStream},
    {"kLockShards", sql::kLockShards},
    {"kUpdateProgress", sql::kUpdateProgress},
    {"kUpdateShards", sql::kUpdateShards},
    {"kLockChildren", sql::kLockChildren},
    {"kUpdateChildren", sql::kUpdateChildren},
    {"kOpenSessions", sql::kOpenSessions},
    {"kPruneSessions", sql::kPruneSessions},
    {"kProbe", sql::kProbe},
    {"kEndSessions", sql::kEndSessions},
    {"kLockEnded", sql::kLockEnded},
    {"kMarkGone", sql::kMarkGone},
    {"kLockFree", sql::kLockFree},
    {"kChangeHeld", sql::kChangeHeld},
    {"kTakeLoads", sql::kTakeLoads},
    {"kGiveLoads", sql::kGiveLoads},
    {"kSetWanted", sql::kSetWanted},
    {"kReadCensus", sql::kReadCensus},
    {"kSelectLeases", sql::kSelectLeases},
    {"kSelectHeld", sql::kSelectHeld},
    {"kRenewSessions", sql::kRenewSessions},
    {"kMarkStats", sql::kMarkStats},
    {"kTellStats", sql::kTellStats},
    {"kTellListing", sql::kTellListing},
    {"kReadWorkload", sql::kReadWorkload},
    {"kSelectSession", sql::kSelectSession},
    {"kInsertDeadLetters", sql::kInsertDeadLetters},
    {"kInsertRecords", sql::kInsertRecords},
    {"kInsertEvents", sql::kInsertEvents},
    {"kInsertForwards", sql::kInsertForwards},
    {"kClaimLetters", sql::kClaimLetters},
    {"kSelectClaimed", sql::kSelectClaimed},
    {"kSelectFirstRecords", sql::kSelectFirstRecords},
    {"kSettleLetters", sql::kSettleLetters},
};

int Parameters(const std::string& sql) {
  static const std::regex kParameter("\\$([0-9]+)");
  int most = 0;
  for (std::sregex_iterator it(sql.begin(), sql.end(), kParameter), end; it != end; ++it) {
    most = std::max(most, std::stoi((*it)[1]));
  }
  return most;
}

// How a table that a plan's node reads is found.
std::string Conditions(const nlohmann::json& node) {
  std::string conditions;
  for (const char* key : {"Index Cond", "Recheck Cond", "Filter"}) {
    if (node.contains(key)) absl::StrAppend(&conditions, node[key].get<std::string>(), " ");
  }
  return conditions;
}

// The tables that a plan reads beyond one stream, and how.
void CollectStrays(const nlohmann::json& node, std::vector<std::string>& strays, int& tables) {
  const bool scans = node["Node Type"].get<std::string>().find("Scan") != std::string::npos;
  if (scans && node.contains("Relation Name")) {
    const std::string table = node["Relation Name"];
    const std::string conditions = Conditions(node);
    ++tables;
    const bool keyed = conditions.find("stream_id = ") != std::string::npos ||
                       (table == "streams" && conditions.find("name = $") != std::string::npos);
    if (!keyed) {
      strays.push_back(absl::StrCat(table, " by ", conditions.empty() ? "nothing" : conditions));
    }
  }
  if (!node.contains("Plans")) return;
  for (const nlohmann::json& child : node["Plans"]) CollectStrays(child, strays, tables);
}

class LocalityTest : public testing::Test {
 protected:
  // As a plan for any parameters, by indexes wherever the statement allows it: what
  // is asked is what it permits, not what is cheapest for empty tables.
  nlohmann::json Plan(const Statement& statement) {
    std::string nulls;
    for (int i = 0; i < Parameters(statement.sql); ++i) {
      absl::StrAppend(&nulls, i == 0 ? "" : ", ", "NULL");
    }
    const std::string output = database_.Query(
        absl::StrCat("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; "
                     "SET enable_hashjoin = off; SET enable_mergejoin = off; PREPARE statement AS ",
                     statement.sql, "; EXPLAIN (FORMAT JSON) EXECUTE statement(", nulls, ")"));
    const size_t start = output.find('[');
    EXPECT_NE(start, std::string::npos) << statement.name << ": " << output;
    if (start == std::string::npos) return {};
    return nlohmann::json::parse(output.substr(start))[0]["Plan"];
  }

  TestDatabase database_;
};

TEST_F(LocalityTest, HotStatementsStayWithinOneStream) {
  int tables = 0;
  for (const Statement& statement : kHot) {
    std::vector<std::string> strays;
    CollectStrays(Plan(statement), strays, tables);
    EXPECT_THAT(strays, testing::IsEmpty()) << statement.name;
  }
  EXPECT_GT(tables, 30) << "plans are read at all";
}

TEST_F(LocalityTest, AStatementThatStraysIsFound) {
  std::vector<std::string> strays;
  int tables = 0;
  CollectStrays(Plan({"stray", "SELECT count(*) FROM lowmark.shards WHERE owner = $1"}), strays,
                tables);
  EXPECT_EQ(strays.size(), 1u);
  EXPECT_EQ(tables, 1);
}

}  // namespace
}  // namespace lowmark
