#include "service/dev/postgres_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "service/dev/process_handle.h"

namespace lowmark {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A directory that goes with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = testing::TempDir() + "cluster-XXXXXX";
    path_ = mkdtemp(path.data());
    // PostgreSQL's user must be able to enter where it is not ours.
    chmod(path_.c_str(), 0755);
  }
  ~TemporaryDirectory() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::unique_ptr<PostgresCluster> Started(PostgresClusterOptions options) {
  auto cluster = PostgresCluster::Create(std::move(options));
  if (!cluster.ok()) {
    ADD_FAILURE() << cluster.status();
    return nullptr;
  }
  const absl::Status started = (*cluster)->Start();
  EXPECT_TRUE(started.ok()) << started;
  return *std::move(cluster);
}

std::string Query(const PostgresCluster& cluster, const std::string& sql) {
  auto result = cluster.Query("postgres", sql);
  return result.ok() ? *result : result.status().ToString();
}

TEST(PostgresCluster, ServesAndLeavesNothingBehind) {
  auto cluster = Started({});
  ASSERT_NE(cluster, nullptr);
  EXPECT_TRUE(cluster->running());
  EXPECT_EQ(Query(*cluster, "SELECT 1 + 1"), "2");
  EXPECT_EQ(Query(*cluster, "SHOW fsync"), "on");
  EXPECT_EQ(Query(*cluster, "SHOW server_encoding"), "UTF8");
  // Not to be reached over the network.
  EXPECT_EQ(Query(*cluster, "SHOW listen_addresses"), "");
  EXPECT_EQ(cluster->Start().code(), absl::StatusCode::kFailedPrecondition);

  const pid_t pid = cluster->pid();
  const fs::path directory = fs::path(cluster->log_path()).parent_path();
  cluster.reset();
  EXPECT_TRUE(ProcessHandle(pid).AwaitExit(absl::Seconds(60)));
  EXPECT_FALSE(fs::exists(directory));
}

TEST(PostgresCluster, KeepsItsDataThroughACrash) {
  auto cluster = Started({});
  ASSERT_NE(cluster, nullptr);
  EXPECT_EQ(Query(*cluster, "CREATE TABLE t (x int); INSERT INTO t VALUES (7)"), "");
  pid_t writer = 0;
  ASSERT_TRUE(absl::SimpleAtoi(
      Query(*cluster, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"),
      &writer));

  ASSERT_TRUE(cluster->Kill().ok());
  EXPECT_FALSE(cluster->running());
  EXPECT_TRUE(ProcessHandle(writer).AwaitExit(absl::Seconds(60)));
  EXPECT_FALSE(cluster->Query("postgres", "SELECT 1").ok());
  EXPECT_TRUE(cluster->Kill().ok());

  absl::Status started = cluster->Start();
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_EQ(Query(*cluster, "SELECT x FROM t"), "7");
  ASSERT_TRUE(cluster->Stop().ok());
  started = cluster->Start();
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_EQ(Query(*cluster, "SELECT x FROM t"), "7");
}

TEST(PostgresCluster, UsesTheDataThatIsThere) {
  TemporaryDirectory directory;
  const PostgresClusterOptions options = {.directory = directory.path() + "/a/b"};
  auto cluster = Started(options);
  ASSERT_NE(cluster, nullptr);
  EXPECT_EQ(Query(*cluster, "CREATE TABLE kept ()"), "");
  cluster.reset();
  EXPECT_TRUE(fs::exists(options.directory));
  cluster = Started(options);
  ASSERT_NE(cluster, nullptr);
  EXPECT_EQ(Query(*cluster, "SELECT count(*) FROM kept"), "0");
}

TEST(PostgresCluster, TwoCannotShareADirectory) {
  TemporaryDirectory directory;
  auto first = Started({.directory = directory.path()});
  auto second = PostgresCluster::Create({.directory = directory.path()});
  ASSERT_TRUE(second.ok()) << second.status();
  const absl::Status started = (*second)->Start();
  EXPECT_EQ(started.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(started.message()), HasSubstr(absl::StrCat(first->pid())));
  second->reset();
  EXPECT_TRUE(first->running());
  EXPECT_EQ(Query(*first, "SELECT 1"), "1");
}

TEST(PostgresCluster, StartsThoughItsOldPidIsAnothers) {
  TemporaryDirectory directory;
  auto cluster = Started({.directory = directory.path()});
  ASSERT_NE(cluster, nullptr);
  ASSERT_TRUE(cluster->Kill().ok());
  // A process of the server's own user: PostgreSQL would take it for a server.
  ProcessOptions other = {.argv = {"sleep", "3600"}};
  if (auto account = FindAccount("postgres"); geteuid() == 0 && account.ok()) other.user = *account;
  auto sleeper = ChildProcess::Start(other);
  ASSERT_TRUE(sleeper.ok()) << sleeper.status();
  const std::string lock = directory.path() + "/data/postmaster.pid";
  ASSERT_TRUE(fs::exists(lock));
  std::ofstream(lock) << (*sleeper)->pid() << "\n" << directory.path() << "/data\n0\n5432\n";
  const absl::Status started = cluster->Start();
  EXPECT_TRUE(started.ok()) << started;
}

TEST(PostgresCluster, DirectoriesMayHaveAnyName) {
  TemporaryDirectory directory;
  auto cluster = Started({.directory = directory.path() + "/it's, a \"q\" \\ dir"});
  ASSERT_NE(cluster, nullptr);
  EXPECT_EQ(Query(*cluster, "SELECT 1"), "1");
}

TEST(PostgresCluster, LongDirectoriesHaveTheirSocketElsewhere) {
  TemporaryDirectory directory;
  auto cluster = Started({.directory = directory.path() + "/" + std::string(150, 'd')});
  ASSERT_NE(cluster, nullptr);
  EXPECT_EQ(Query(*cluster, "SELECT 1"), "1");
  const std::string socket = cluster->socket_directory();
  EXPECT_LT(socket.size(), 100u);
  cluster.reset();
  EXPECT_FALSE(fs::exists(socket));
}

TEST(PostgresCluster, CreatesDatabases) {
  auto cluster = Started({.fsync = false});
  ASSERT_NE(cluster, nullptr);
  EXPECT_EQ(Query(*cluster, "SHOW fsync"), "off");
  EXPECT_TRUE(cluster->CreateDatabase("o'ne \"1\"").ok());
  EXPECT_EQ(cluster->CreateDatabase("o'ne \"1\"").code(), absl::StatusCode::kAlreadyExists);
  auto name = cluster->Query("o'ne \"1\"", "SELECT current_database()");
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_EQ(*name, "o'ne \"1\"");
}

TEST(PostgresCluster, SaysWhyTheServerDoesNotStart) {
  auto cluster = PostgresCluster::Create({.settings = {"max_connections=nonsense"}});
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const absl::Status started = (*cluster)->Start();
  EXPECT_THAT(std::string(started.message()), HasSubstr("max_connections"));
  EXPECT_FALSE((*cluster)->running());
}

TEST(PostgresCluster, LeavesAForeignDirectoryAlone) {
  TemporaryDirectory directory;
  fs::create_directories(directory.path() + "/data");
  std::ofstream(directory.path() + "/data/precious") << "mine";
  auto cluster = PostgresCluster::Create({.directory = directory.path()});
  EXPECT_EQ(cluster.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(fs::exists(directory.path() + "/data/precious"));
}

TEST(PostgresCluster, SaysThatItsUserCannotEnter) {
  if (geteuid() != 0) return;  // the server runs as us: what we can make, it can enter
  TemporaryDirectory directory;
  chmod(directory.path().c_str(), 0700);
  auto cluster = PostgresCluster::Create({.directory = directory.path() + "/inside"});
  EXPECT_EQ(cluster.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(cluster.status().message()), HasSubstr("cannot enter"));
}

TEST(PostgresCluster, EndsWithItsParentAndStartsAgain) {
  TemporaryDirectory directory;
  ProcessOptions options = {.argv = {DOOMED_PARENT, "postgres", directory.path()}};
  options.out = Output::Pipe();
  auto parent = ChildProcess::Start(options);
  ASSERT_TRUE(parent.ok()) << parent.status();
  auto line = (*parent)->ReadLine(absl::Seconds(60));
  ASSERT_TRUE(line.ok()) << line.status();
  pid_t server = 0;
  ASSERT_TRUE(absl::SimpleAtoi(*line, &server));
  (*parent)->Signal(SIGKILL);
  EXPECT_TRUE(ProcessHandle(server).AwaitExit(absl::Seconds(60)));
  auto cluster = Started({.directory = directory.path()});
  ASSERT_NE(cluster, nullptr);
  EXPECT_EQ(Query(*cluster, "SELECT 1"), "1");
}

}  // namespace
}  // namespace lowmark
