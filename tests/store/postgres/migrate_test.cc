#include "store/postgres/migrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "store/postgres/postgres_store.h"
#include "tests/support/test_database.h"

namespace lowmark {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Migrate, MakesTheSchemaOnce) {
  TestDatabase database(TestDatabase::Schema::kNone);
  EXPECT_EQ(CheckDatabase(database.options()).code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(CheckDatabase(database.options()).message(),
              HasSubstr("lowmark-coordinator migrate"));
  ASSERT_TRUE(Migrate(database.options()).ok());
  const std::string applied = database.Query("SELECT * FROM lowmark.schema_migrations");
  EXPECT_THAT(applied, HasSubstr("0001_initial"));
  EXPECT_TRUE(CheckDatabase(database.options()).ok());
  ASSERT_TRUE(Migrate(database.options()).ok());
  EXPECT_EQ(database.Query("SELECT * FROM lowmark.schema_migrations"), applied);
}

TEST(Migrate, ManyAtOnceDoNoHarm) {
  TestDatabase database(TestDatabase::Schema::kNone);
  std::vector<absl::Status> statuses(6);
  std::vector<std::thread> threads;
  for (absl::Status& status : statuses) {
    threads.emplace_back([&] { status = Migrate(database.options()); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(CheckDatabase(database.options()).ok());
  EXPECT_EQ(database.Query("SELECT count(*) FROM lowmark.schema_migrations WHERE version = 1"),
            "1");
}

TEST(Migrate, RefusesANewerSchemaNamingBothVersions) {
  TestDatabase database;
  const std::string known = database.Query("SELECT max(version) FROM lowmark.schema_migrations");
  database.Query("INSERT INTO lowmark.schema_migrations VALUES (999, 'x', 'x')");
  PostgresStore store(database.options());
  for (const absl::Status& status :
       {Migrate(database.options()), CheckDatabase(database.options())}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(status.message(), AllOf(HasSubstr("version 999"), HasSubstr("up to " + known)));
  }
  EXPECT_EQ(store.Check(), absl::OkStatus()) << "who serves already goes on, during an upgrade";
  database.Query("DELETE FROM lowmark.schema_migrations WHERE version >= 2");
  EXPECT_EQ(store.Check().code(), absl::StatusCode::kUnavailable);
}

TEST(Migrate, RefusesAMigrationThatHasChanged) {
  TestDatabase database;
  database.Query("UPDATE lowmark.schema_migrations SET checksum = 'x'");
  const absl::Status status = Migrate(database.options());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("0001_initial"));
}

// Coordinators may migrate at start with no more rights than they serve with, as
// long as there is nothing to do.
TEST(Migrate, NeedsNoRightsWhereNothingIsToBeDone) {
  TestDatabase database;
  EXPECT_TRUE(Migrate(database.app_options()).ok());
  EXPECT_TRUE(CheckDatabase(database.app_options()).ok());
}

// The owner of a database who may not make roles: the tables are his own.
TEST(Migrate, GoesOnWithoutRoles) {
  TestDatabase database(TestDatabase::Schema::kNone);
  // Roles belong to the whole server: those of other tests must be out of the way.
  PostgresOptions options = database.options();
  std::unique_ptr<PostgresCluster> cluster = *PostgresCluster::Create({});
  ASSERT_TRUE(cluster->Start().ok());
  ASSERT_TRUE(cluster->Query("postgres", "CREATE ROLE plain LOGIN").ok());
  ASSERT_TRUE(cluster->Query("postgres", "CREATE DATABASE plain OWNER plain").ok());
  options.connection = cluster->ConnectionString("plain") + " user=plain";
  std::vector<std::string> notices;
  const absl::Status status =
      Migrate(options, [&](const std::string& notice) { notices.push_back(notice); });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(notices, testing::Contains(HasSubstr("may not create the role lowmark_app")));
  EXPECT_TRUE(CheckDatabase(options).ok());
  PostgresStore store(options);
  EXPECT_TRUE(store.CreateStream("s", Policy()).ok());
  EXPECT_EQ(*store.AddShards("s", {{"0", {}}}), 1);
  EXPECT_TRUE(store.DeleteStream("s", "").ok());
}

// A database administrator without superuser rights, who may make roles.
TEST(Migrate, WorksForAnAdministratorWhoIsNoSuperuser) {
  std::unique_ptr<PostgresCluster> cluster = *PostgresCluster::Create({});
  ASSERT_TRUE(cluster->Start().ok());
  ASSERT_TRUE(cluster->Query("postgres", "CREATE ROLE admin LOGIN CREATEROLE").ok());
  ASSERT_TRUE(cluster->Query("postgres", "CREATE DATABASE d OWNER admin").ok());
  PostgresOptions options;
  options.connection = cluster->ConnectionString("d") + " user=admin";
  const absl::Status status = Migrate(options);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_TRUE(cluster->Query("d", "CREATE ROLE app LOGIN IN ROLE lowmark_app").ok());
  options.connection = cluster->ConnectionString("d") + " user=app";
  EXPECT_TRUE(CheckDatabase(options).ok());
  PostgresStore store(options);
  EXPECT_TRUE(store.CreateStream("s", Policy()).ok());
  EXPECT_TRUE(store.DeleteStream("s", "").ok());
}

// Whom the first migration lets do all that follow: he owns no database.
TEST(Migrate, LetsItsRoleDoTheNextOne) {
  std::unique_ptr<PostgresCluster> cluster = *PostgresCluster::Create({});
  ASSERT_TRUE(cluster->Start().ok());
  PostgresOptions options;
  options.connection = cluster->ConnectionString("postgres");
  ASSERT_TRUE(Migrate(options).ok());
  ASSERT_TRUE(cluster
                  ->Query("postgres",
                          "CREATE ROLE migrator LOGIN IN ROLE lowmark_migrate; "
                          "DROP TABLE lowmark.shard_stats; "
                          "DELETE FROM lowmark.schema_migrations WHERE version >= 2")
                  .ok());
  options.connection += " user=migrator";
  EXPECT_EQ(Migrate(options), absl::OkStatus());
  EXPECT_EQ(CheckDatabase(options), absl::OkStatus());
}

TEST(CheckDatabase, RefusesAServerThatMayLoseWhatItAcknowledged) {
  TestDatabase database;
  database.Query(absl::StrCat("ALTER DATABASE ", database.name(), " SET synchronous_commit = off"));
  PostgresOptions options = database.options();
  const absl::Status status = CheckDatabase(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("synchronous_commit"), HasSubstr("--unsafe")));
  options.unsafe = true;
  EXPECT_TRUE(CheckDatabase(options).ok());
}

TEST(CheckDatabase, RefusesFsyncAndFullPageWritesOff) {
  for (const char* setting : {"fsync", "full_page_writes"}) {
    std::unique_ptr<PostgresCluster> cluster =
        *PostgresCluster::Create({.settings = {absl::StrCat(setting, "=off")}});
    ASSERT_TRUE(cluster->Start().ok());
    PostgresOptions options;
    options.connection = cluster->ConnectionString("postgres");
    ASSERT_TRUE(Migrate(options).ok());
    const absl::Status status = CheckDatabase(options);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(status.message(), HasSubstr(setting));
  }
}

TEST(CheckDatabase, RefusesAnotherEncoding) {
  TestDatabase other;
  const std::string name = other.name() + "_latin1";
  other.Query(absl::StrCat("CREATE DATABASE ", name,
                           " TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"));
  PostgresOptions options;
  options.connection = TestCluster().ConnectionString(name);
  ASSERT_TRUE(Migrate(options).ok());
  const absl::Status status = CheckDatabase(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("LATIN1"), HasSubstr("UTF8")));
}

TEST(CheckDatabase, SaysThatTheServerIsOutOfReach) {
  PostgresOptions options;
  options.connection = "host=/nowhere";
  EXPECT_EQ(CheckDatabase(options).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Migrate(options).code(), absl::StatusCode::kUnavailable);
  options.connection = "nonsense";
  EXPECT_EQ(CheckDatabase(options).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace lowmark
