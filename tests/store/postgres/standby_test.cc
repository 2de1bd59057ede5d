// PostgresStore on a primary that has a synchronous standby.
#include "tests/support/standby.h"

#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <set>

#include "store/postgres/migrate.h"
#include "tests/store/postgres/store_fixture.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

class StandbyTest : public PostgresStoreTest {
 protected:
  StandbyTest() {
    std::string name = "/tmp/lowmark-standby-XXXXXX";
    directory_ = mkdtemp(name.data());
    chmod(directory_.c_str(), 0755);
    standby_ = MakeStandby(TestCluster(), directory_ + "/standby");
  }

  ~StandbyTest() override {
    MakeAsynchronous(TestCluster());
    standby_.reset();
    std::filesystem::remove_all(directory_);
  }

  // Cancels, as an operator would, the commit that waits for the standby and is none of
  // those cancelled before; false where `done` came true first.
  bool CancelWaiting(const std::atomic<bool>& done) {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (!done && absl::Now() < deadline) {
      const std::string pid = database_.Query(
          "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' "
          "AND datname = current_database()");
      if (pid.empty() || !cancelled_.insert(pid).second) continue;
      EXPECT_EQ(database_.Query(absl::StrCat("SELECT pg_cancel_backend(", pid, ")")), "t");
      return true;
    }
    return false;
  }

  std::string directory_;
  std::unique_ptr<PostgresCluster> standby_;
  std::set<std::string> cancelled_;
};

// PostgreSQL then answers COMMIT with success, and a warning that a failover would lose
// what was committed.
TEST_F(StandbyTest, WhatTheStandbyDoesNotHaveIsNotAcknowledged) {
  const auto leases = AddLeased({"0"});
  MakeSynchronous(TestCluster());
  ASSERT_TRUE(standby_->Stop().ok());
  const std::function<absl::Status()> calls[] = {
      [&] { return Update(*store_, {Success(leases[0], 1, "10")})[0]; },
      [&] { return RenewOne(*store_, "s", "w", absl::Minutes(10)).status(); }};
  for (const auto& call : calls) {
    absl::Status answer;
    std::atomic<bool> done = false;
    std::thread caller([&] {
      answer = call();
      done = true;
    });
    cancelled_.clear();
    EXPECT_TRUE(CancelWaiting(done));
    // Tried again, and waiting again.
    EXPECT_TRUE(CancelWaiting(done));
    caller.join();
    EXPECT_EQ(answer.code(), absl::StatusCode::kUnavailable) << answer;
  }
  ASSERT_TRUE(standby_->Start().ok());
  for (const auto& call : calls) EXPECT_EQ(call(), absl::OkStatus());
  EXPECT_EQ(Get("0").state.position, Position::After("10"));
}

TEST_F(StandbyTest, MigrationsDoNotWaitForIt) {
  database_.Query("DROP SCHEMA lowmark CASCADE");
  MakeSynchronous(TestCluster());
  ASSERT_TRUE(standby_->Stop().ok());
  EXPECT_EQ(Migrate(database_.options()), absl::OkStatus());
  EXPECT_EQ(CheckDatabase(database_.options()), absl::OkStatus());
  ASSERT_TRUE(standby_->Start().ok());
}

TEST_F(StandbyTest, CommitsThatDoNotWaitForItAreRefused) {
  database_.Query(
      absl::StrCat("ALTER DATABASE ", database_.name(), " SET synchronous_commit = local"));
  EXPECT_TRUE(CheckDatabase(database_.options()).ok()) << "there is no synchronous standby";
  MakeSynchronous(TestCluster());
  PostgresOptions options = database_.options();
  const absl::Status status = CheckDatabase(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), testing::HasSubstr("synchronous_standby_names"));
  options.unsafe = true;
  EXPECT_TRUE(CheckDatabase(options).ok());
}

}  // namespace
}  // namespace lowmark
