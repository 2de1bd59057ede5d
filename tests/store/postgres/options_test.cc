#include "store/postgres/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/postgres/policy_json.h"

namespace lowmark {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

PostgresOptions With(const std::string& connection) {
  PostgresOptions options;
  options.connection = connection;
  return options;
}

std::string Full(const PostgresOptions& options, ConnectionKind kind = ConnectionKind::kPooled,
                 bool with_settings = true) {
  auto text = ConnectionString(options, kind, with_settings);
  return text.ok() ? *text : text.status().ToString();
}

TEST(PostgresOptions, DefaultsAreValid) { EXPECT_TRUE(PostgresOptions().Validate().ok()); }

TEST(PostgresOptions, SaysWhatIsWrong) {
  PostgresOptions options;
  options.pool_size = 0;
  EXPECT_THAT(options.Validate().ToString(), AllOf(HasSubstr("pool_size"), HasSubstr("1..100")));
  options = PostgresOptions();
  options.statement_timeout = absl::ZeroDuration();
  EXPECT_THAT(options.Validate().ToString(), HasSubstr("statement_timeout"));
  for (const char* bad : {"host", "nonsense=1", "postgresql://[", "host='open"}) {
    EXPECT_EQ(With(bad).Validate().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(PostgresOptions, DoesNotRepeatAPassword) {
  EXPECT_THAT(With("host=db password=secret nonsense").Validate().ToString(),
              Not(HasSubstr("secret")));
}

TEST(PostgresOptions, FillsInWhatIsLeftOpen) {
  const std::string text = Full(With("host=db dbname=x"));
  for (const char* part :
       {"host='db'", "dbname='x'", "connect_timeout='2'", "tcp_user_timeout='3000'",
        "target_session_attrs='read-write'", "application_name='lowmark'", "statement_timeout=3000",
        "lock_timeout=1000", "idle_in_transaction_session_timeout=2000"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(Full(With("host=db"), ConnectionKind::kMigrating), HasSubstr("statement_timeout=0 "));
  EXPECT_THAT(Full(With("host=db"), ConnectionKind::kPooled, false), Not(HasSubstr("options=")));
}

TEST(PostgresOptions, TheUsersOwnSettingsWin) {
  const std::string text = Full(
      With("postgresql://u:p%27w@db:1/x?connect_timeout=9&options=-c%20statement_timeout%3D7s"));
  EXPECT_THAT(text, HasSubstr("connect_timeout='9'"));
  EXPECT_THAT(text, HasSubstr("password='p\\'w'"));
  EXPECT_LT(text.find("statement_timeout=3000"), text.find("statement_timeout=7s"));
}

TEST(PostgresOptions, ListensWhereToldTo) {
  PostgresOptions options = With("host=pooler");
  EXPECT_THAT(Full(options, ConnectionKind::kListening), HasSubstr("pooler"));
  options.listen_connection = "host=direct";
  EXPECT_THAT(Full(options, ConnectionKind::kListening), HasSubstr("direct"));
  EXPECT_THAT(Full(options, ConnectionKind::kPooled), HasSubstr("pooler"));
}

TEST(PostgresOptions, SetsTimeoutsForOneTransaction) {
  EXPECT_THAT(SettingsOfTransaction(PostgresOptions()),
              AllOf(HasSubstr("SET LOCAL statement_timeout = 3000;"),
                    HasSubstr("SET LOCAL lock_timeout = 1000;")));
}

// How all fields come back is in the store's contract.
TEST(PolicyJson, AFieldThatIsMissingHasItsDefault) {
  auto policy = PolicyFromJson(R"({"batch_size": 7, "of_the_future": [1]})");
  ASSERT_TRUE(policy.ok()) << policy.status();
  Policy expected;
  expected.batch_size = 7;
  EXPECT_EQ(*policy, expected);
}

TEST(PolicyJson, SaysWhatItCannotRead) {
  for (const char* bad : {"", "[", "[]", R"({"batch_size": "x"})", R"({"handler_timeout": "x"})",
                          R"({"discard_scope": "ALL"})", R"({"retry_backoff": 3})",
                          R"({"starting_position": {"position": "AT"}})"}) {
    EXPECT_EQ(PolicyFromJson(bad).status().code(), absl::StatusCode::kInternal) << bad;
  }
}

}  // namespace
}  // namespace lowmark
