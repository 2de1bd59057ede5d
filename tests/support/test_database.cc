#include "tests/support/test_database.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "store/postgres/migrate.h"

namespace lowmark {
namespace {

constexpr char kTemplate[] = "lowmark_template";

PostgresOptions OptionsFor(const std::string& database) {
  PostgresOptions options;
  options.connection = TestCluster().ConnectionString(database);
  options.connect_timeout = absl::Seconds(10);  // the machine may be busy
  return options;
}

// Nothing can be tested without a server, and nothing must be skipped.
void MustSucceed(const char* what, const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, status.ToString().c_str());
  // Without destructors: other threads may be running.
  _exit(EXIT_FAILURE);
}

std::unique_ptr<PostgresCluster> StartCluster() {
  auto cluster = PostgresCluster::Create({});
  MustSucceed("making a PostgreSQL cluster", cluster.status());
  MustSucceed("starting PostgreSQL", (*cluster)->Start());
  return *std::move(cluster);
}

// Databases are copied from one that was migrated: faster than migrating each.
void MakeTemplate() {
  static const bool made = [] {
    MustSucceed("making a database", TestCluster().CreateDatabase(kTemplate));
    MustSucceed("migrating a database", Migrate(OptionsFor(kTemplate)));
    const std::string sql =
        absl::StrCat("CREATE ROLE ", TestDatabase::kAppUser, " LOGIN IN ROLE lowmark_app");
    MustSucceed("making a user", TestCluster().Query("postgres", sql).status());
    return true;
  }();
  (void)made;
}

std::string NextName() {
  static int last = 0;
  return absl::StrCat("test_", ++last);
}

}  // namespace

PostgresCluster& TestCluster() {
  static const std::unique_ptr<PostgresCluster> cluster = StartCluster();
  return *cluster;
}

TestDatabase::TestDatabase(Schema schema) : name_(NextName()) {
  if (schema == Schema::kNone) {
    MustSucceed("making a database", TestCluster().CreateDatabase(name_));
    return;
  }
  MakeTemplate();
  MustSucceed("copying a database", TestCluster()
                                        .Query("postgres", absl::StrCat("CREATE DATABASE ", name_,
                                                                        " TEMPLATE ", kTemplate))
                                        .status());
}

TestDatabase::~TestDatabase() {
  auto dropped =
      TestCluster().Query("postgres", absl::StrCat("DROP DATABASE ", name_, " WITH (FORCE)"));
  EXPECT_TRUE(dropped.ok()) << dropped.status();
}

PostgresOptions TestDatabase::options() const { return OptionsFor(name_); }

PostgresOptions TestDatabase::app_options() const {
  PostgresOptions options = OptionsFor(name_);
  options.connection += absl::StrCat(" user=", kAppUser);  // the last one counts
  return options;
}

std::string TestDatabase::Query(const std::string& sql) const {
  auto answer = TestCluster().Query(name_, sql);
  EXPECT_TRUE(answer.ok()) << sql << ": " << answer.status();
  return answer.ok() ? *answer : answer.status().ToString();
}

std::string TestDatabase::ErrorOf(const std::string& sql) const {
  auto answer = TestCluster().Query(name_, sql);
  return answer.ok() ? "" : std::string(answer.status().message());
}

}  // namespace lowmark
