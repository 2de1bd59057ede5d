// PostgresStore by way of PgBouncer in transaction mode, where each transaction may
// get another session of the server: against the contract, and what is its own.
#include "tests/support/pooler.h"

#include <pqxx/pqxx>

#include "tests/store/postgres/postgres_under_test.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

// Waits until it passes connections on; the last error where it does not.
absl::Status AwaitReady(const Pooler& pooler, const PostgresOptions& options) {
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  absl::Status status;
  do {
    status = CheckDatabase(options);
  } while (!status.ok() && pooler.started() && absl::Now() < deadline);
  return status;
}

// It ends with the process.
const std::string& ReadyPooler() {
  static const std::unique_ptr<Pooler> pooler = [] {
    auto made = std::make_unique<Pooler>(TestCluster());
    const TestDatabase database;
    const absl::Status ready =
        AwaitReady(*made, PostgresUnderTest::Through(made->directory(), database.app_options()));
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
INSTANTIATE_TEST_SUITE_P(Pooled, OutboxContract, testing::Values(MakePooled),
                         [](const auto&) { return "Pooled"; });

TEST(Pooler, TheSchemaCanBeMadeThroughIt) {
  const TestDatabase database(TestDatabase::Schema::kNone);
  const PostgresOptions options = PostgresUnderTest::Through(ReadyPooler(), database.options());
  const absl::Status status = Migrate(options);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(CheckDatabase(options).ok());
}

// It says OK to LISTEN, and passes nothing on.
TEST(Pooler, HintsAreNotReliedOnThroughIt) {
  const TestDatabase database;
  PostgresOptions options = PostgresUnderTest::Through(ReadyPooler(), database.app_options());
  for (const bool direct : {true, false}) {
    if (!direct) options.listen_connection.clear();
    FreeHints hints;
    PostgresStore store(options);
    store.WatchFreeShards(hints.Callback());
    ASSERT_TRUE(hints.Await("any")) << "from then on it listens";
    EXPECT_EQ(store.WatchesFreeShards(), direct);
  }
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
