#include "tests/support/standby.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace lowmark {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);

std::string Ask(const PostgresCluster& cluster, const std::string& sql) {
  auto answer = cluster.Query("postgres", sql);
  EXPECT_TRUE(answer.ok()) << sql << ": " << answer.status();
  return answer.ok() ? *answer : "";
}

// Asks, a process each time, until the query's answer is this one.
void AwaitAnswer(const PostgresCluster& cluster, const std::string& sql,
                 const std::string& wanted) {
  const absl::Time deadline = absl::Now() + kPatience;
  std::string last;
  do {
    last = Ask(cluster, sql);
    if (last == wanted) return;
  } while (absl::Now() < deadline);
  ADD_FAILURE() << sql << " still gives " << last;
}

void Set(const PostgresCluster& cluster, const std::string& setting) {
  Ask(cluster, absl::StrCat("ALTER SYSTEM SET ", setting));
  EXPECT_EQ(Ask(cluster, "SELECT pg_reload_conf()"), "t");
}

}  // namespace

std::unique_ptr<PostgresCluster> MakeStandby(const PostgresCluster& primary,
                                             const std::string& directory) {
  // The files are to belong to whom the primary's do: not to root.
  struct stat owner = {};
  EXPECT_EQ(stat(primary.socket_directory().c_str(), &owner), 0);
  EXPECT_EQ(mkdir(directory.c_str(), 0700), 0) << directory;
  ProcessOptions copy;
  copy.argv = {primary.bin_directory() + "/pg_basebackup",
               "--dbname=" + primary.ConnectionString(),
               "--pgdata=" + directory + "/data",
               "--write-recovery-conf",
               "--checkpoint=fast",
               "--wal-method=stream",
               "--no-sync"};
  copy.directory = "/";
  if (geteuid() == 0) {
    EXPECT_EQ(chown(directory.c_str(), owner.st_uid, owner.st_gid), 0);
    copy.user = Account{"", owner.st_uid, owner.st_gid};
  }
  auto copied = RunCommand(copy, kPatience);
  EXPECT_TRUE(copied.ok() && copied->exit.ok())
      << (copied.ok() ? copied->output : copied.status().ToString());
  // It would begin with an fsync of every file, which takes longer than all the rest;
  // what is killed here is processes, not the machine.
  auto standby = PostgresCluster::Create({.directory = directory, .fsync = false});
  EXPECT_TRUE(standby.ok()) << standby.status();
  if (!standby.ok()) return nullptr;
  const absl::Status started = (*standby)->Start();
  EXPECT_TRUE(started.ok()) << started;
  AwaitAnswer(primary, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "1");
  return *std::move(standby);
}

void MakeSynchronous(const PostgresCluster& primary) {
  Set(primary, "synchronous_standby_names = '*'");
  AwaitAnswer(primary, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "1");
}

void MakeAsynchronous(const PostgresCluster& primary) {
  Set(primary, "synchronous_standby_names = ''");
}

void AwaitCaughtUp(const PostgresCluster& primary, const PostgresCluster& standby) {
  const std::string end = Ask(primary, "SELECT pg_current_wal_lsn()");
  AwaitAnswer(standby, absl::StrCat("SELECT pg_last_wal_replay_lsn() >= '", end, "'"), "t");
}

void CutOff(const PostgresCluster& standby) {
  Set(standby, "primary_conninfo = ''");
  AwaitAnswer(standby, "SELECT count(*) FROM pg_stat_wal_receiver", "0");
}

void Promote(const PostgresCluster& standby) {
  EXPECT_EQ(Ask(standby, "SELECT pg_promote(true, 60)"), "t");
}

std::string ConnectionStringOfBoth(const PostgresCluster& first, const PostgresCluster& second,
                                   const std::string& database) {
  return absl::StrCat("host='", first.socket_directory(), ",", second.socket_directory(),
                      "' port=5432 user=postgres dbname='", database, "'");
}

}  // namespace lowmark
