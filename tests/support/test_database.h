// A real PostgreSQL for tests: each test process has a server of its own, each
// test a database of its own.
//
//   TestDatabase database;
//   PostgresStore store(database.options());
//   EXPECT_EQ(database.Query("SELECT count(*) FROM lowmark.streams"), "0");
//
// A server that cannot be started ends the test process with a failure.
#ifndef LOWMARK_TESTS_SUPPORT_TEST_DATABASE_H_
#define LOWMARK_TESTS_SUPPORT_TEST_DATABASE_H_

#include <string>

#include "service/dev/postgres_cluster.h"
#include "store/postgres/options.h"

namespace lowmark {

// The server of this process, started when it is first asked for; it ends with the
// process. Tests that stop it start it again.
PostgresCluster& TestCluster();

class TestDatabase {
 public:
  enum class Schema { kMigrated, kNone };

  explicit TestDatabase(Schema schema = Schema::kMigrated);
  // Drops the database, ending the sessions that use it.
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  const std::string& name() const { return name_; }
  // As superuser.
  PostgresOptions options() const;
  // As a user, kAppUser, whose only rights are the role lowmark_app's.
  static constexpr char kAppUser[] = "test_app";
  PostgresOptions app_options() const;
  // Rows one a line, columns separated by "|"; an error is a failure of the test,
  // and its text the answer.
  std::string Query(const std::string& sql) const;
  // The error's text where the statement fails, "" where it does not.
  std::string ErrorOf(const std::string& sql) const;

 private:
  const std::string name_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SUPPORT_TEST_DATABASE_H_
