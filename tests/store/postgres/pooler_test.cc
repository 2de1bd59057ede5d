// PostgresStore by way of PgBouncer in transaction mode, where each transaction may
// get another session of the server: against the contract, and what is its own.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <pqxx/pqxx>

#include "tests/store/postgres/postgres_under_test.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

// PgBouncer before this process' server, reached through a unix socket. It ends
// with the process.
class Pooler {
 public:
  Pooler() {
    std::string path = "/tmp/lowmark-pooler-XXXXXX";
    directory_ = mkdtemp(path.data());
    std::ofstream(directory_ + "/users") << '"' << TestDatabase::kAppUser << "\" \"\"\n"
                                         << "\"postgres\" \"\"\n";
    std::ofstream(directory_ + "/pgbouncer.ini")
        << "[databases]\n* = host=" << TestCluster().socket_directory() << " port=5432\n"
        << "[pgbouncer]\nlisten_addr =\nlisten_port = 5432\nunix_socket_dir = " << directory_
        << "\nauth_type = trust\nauth_file = " << directory_ << "/users\n"
        << "pool_mode = transaction\ndefault_pool_size = 10\n";
    ProcessOptions pgbouncer;
    pgbouncer.argv = {"/usr/sbin/pgbouncer", directory_ + "/pgbouncer.ini"};
    pgbouncer.out = Output::File(directory_ + "/log");
    pgbouncer.err = Output::Stdout();
    if (geteuid() == 0) {  // it does not run as root
      const Account account = *FindAccount("postgres");
      pgbouncer.user = account;
      for (const char* file : {"", "/users", "/pgbouncer.ini"}) {
        (void)chown((directory_ + file).c_str(), account.uid, account.gid);
      }
    }
    auto started = ChildProcess::Start(pgbouncer);
    EXPECT_TRUE(started.ok()) << started.status() << ": is the package pgbouncer installed?";
    if (started.ok()) process_ = *std::move(started);
  }
  ~Pooler() {
    process_.reset();
    std::filesystem::remove_all(directory_);
  }

  const std::string& directory() const { return directory_; }

  // Waits until it passes connections on; the last error where it does not.
  absl::Status AwaitReady(const PostgresOptions& options) const {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    absl::Status status;
    do {
      status = CheckDatabase(options);
    } while (!status.ok() && process_ != nullptr && absl::Now() < deadline);
    return status;
  }

 private:
  std::string directory_;
  std::unique_ptr<ChildProcess> process_;
};

const std::string& ReadyPooler() {
  static const std::unique_ptr<Pooler> pooler = [] {
    auto made = std::make_unique<Pooler>();
    const TestDatabase database;
    const absl::Status ready =
        made->AwaitReady(PostgresUnderTest::Through(made->directory(), database.app_options()));
    EXPECT_TRUE(ready.ok()) << ready;
    return made;
  }();
  return pooler->directory();
}

std::unique_ptr<StoreUnderTest> MakePooled() {
  return std::make_unique<PostgresUnderTest>(ReadyPooler());
}

INSTANTIATE_TEST_SUITE_P(Pooled, StoreContract, testing::Values(MakePooled),
                         [](const auto&) { return "Pooled"; });

TEST(Pooler, TheSchemaCanBeMadeThroughIt) {
  const TestDatabase database(TestDatabase::Schema::kNone);
  const PostgresOptions options = PostgresUnderTest::Through(ReadyPooler(), database.options());
  const absl::Status status = Migrate(options);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(CheckDatabase(options).ok());
}

// PgBouncer refuses settings with a connection; without them a lock that somebody
// holds would be waited for without end.
TEST(Pooler, TimeoutsHoldThroughIt) {
  const TestDatabase database;
  PostgresOptions options = PostgresUnderTest::Through(ReadyPooler(), database.app_options());
  options.lock_timeout = absl::Milliseconds(20);
  PostgresStore store(options);
  ASSERT_TRUE(store.CreateStream("s", Policy()).ok());
  ASSERT_TRUE(store.AddShards("s", {{"0", {}}}).ok());
  ASSERT_TRUE(LeaseOne(store, StoreContract::Call("w", 1)).ok());
  pqxx::connection blocker(database.options().connection);
  pqxx::work block(blocker);
  block.exec("LOCK TABLE lowmark.shards, lowmark.workers IN EXCLUSIVE MODE");
  std::vector<ShardUpdate> updates = {StoreContract::Report("0", "w", 1, 1, NotRun())};
  EXPECT_EQ(store.UpdateShards("s", updates)[0].code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(RenewOne(store, "s", "w", absl::Minutes(1)).status().code(),
            absl::StatusCode::kUnavailable);
  block.abort();
  EXPECT_TRUE(RenewOne(store, "s", "w", absl::Minutes(1)).ok());
}

}  // namespace
}  // namespace lowmark
