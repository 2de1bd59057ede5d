// Leases and sessions in a real PostgreSQL: lost answers of large fleets, and what is
// left of rounds that others interrupt.
#include <pqxx/pqxx>

#include "tests/store/postgres/store_fixture.h"

namespace lowmark {
namespace {

class LeasesTest : public PostgresStoreTest {};

// However many those are; and where it lacks few, they are the last that it got.
TEST_F(LeasesTest, AllLeasesThatAWorkerLacksAreRepeated) {
  constexpr int32_t kShards = 1500;
  std::vector<std::string> ids;
  for (int i = 0; i < kShards; ++i) ids.push_back(absl::StrCat(i));
  AddLeased(ids);
  auto all = Lease("w", 1, /*held=*/0);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->leases.size(), ids.size());

  // By its id it would be the last to be repeated.
  ASSERT_TRUE(store_->AddShards("s", {{"z", {}}}).ok());
  ASSERT_EQ(Lease("w", 1, kShards)->leases.size(), 1u);
  auto lost = Lease("w", 1, kShards);
  ASSERT_TRUE(lost.ok()) << lost.status();
  ASSERT_FALSE(lost->leases.empty());
  EXPECT_EQ(lost->leases.back().shard.shard, "z");
}

// A transaction holds no more locks than that, and a round takes as many as it needs.
TEST_F(LeasesTest, MoreShardsThanATransactionTakesAreLeasedAndFreedInOneRound) {
  constexpr int32_t kShards = 6000;
  std::vector<SourceShard> shards;
  for (int i = 0; i < kShards; ++i) shards.push_back({absl::StrCat(i), {}});
  ASSERT_TRUE(Lease("w", 0).ok());
  ASSERT_TRUE(store_->AddShards("s", shards).ok());
  // So long ago that nobody else is waited for.
  database_.Query("UPDATE lowmark.workers SET opened_at = opened_at - interval '1 minute'");
  auto grant = Lease("w", kShards);
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_EQ(grant->leases.size(), shards.size());

  database_.Query("UPDATE lowmark.workers SET expires_at = clock_timestamp()");
  ASSERT_TRUE(Lease("v", 0).ok());
  EXPECT_EQ(database_.Query("SELECT count(*) FROM lowmark.shards WHERE owner <> ''"), "0");
}

// What it was leased now would never be free again: its shards were freed before.
TEST_F(LeasesTest, AWorkerWhoseSessionEndsMeanwhileIsLeasedNothing) {
  ASSERT_TRUE(Lease("w", 1).ok());
  ASSERT_TRUE(store_->AddShards("s", {{"0", {}}}).ok());
  pqxx::connection other(database_.options().connection);
  pqxx::work end(other);
  end.exec("UPDATE lowmark.workers SET ended_at = clock_timestamp(), gone = true");
  absl::Status status = absl::UnknownError("not called");
  std::thread caller([&] {
    OneCall call;
    call.worker = "w";
    call.max_leases = 1;
    call.renew = false;
    status = LeaseOne(*store_, call).status();
  });
  EXPECT_TRUE(AwaitBlocked(1));
  end.commit();
  caller.join();
  EXPECT_EQ(Reason(status), kUnavailable) << status;
  EXPECT_EQ(Get("0").owner, "");
  EXPECT_EQ(Lease("v", 1)->leases.size(), 1u);
}

TEST_F(LeasesTest, TheShardsOfASessionThatAnotherHadEndedAreFreed) {
  AddLeased({"0"});
  // So far came a coordinator that was killed.
  database_.Query("UPDATE lowmark.workers SET ended_at = clock_timestamp()");
  auto grant = Lease("v", 1);
  ASSERT_TRUE(grant.ok()) << grant.status();
  ASSERT_EQ(grant->leases.size(), 1u);
  EXPECT_TRUE(grant->leases[0].lost);
  EXPECT_EQ(database_.Query("SELECT gone FROM lowmark.workers WHERE worker = 'w'"), "t");
}

// The rows of those that are gone for a day, and no others.
TEST_F(LeasesTest, SessionsThatAreLongGoneAreForgotten) {
  for (const char* worker : {"long-gone", "gone", "ended", "live"}) {
    ASSERT_TRUE(Lease(worker, 0).ok());
  }
  ASSERT_TRUE(store_->CreateStream("other", Policy()).ok());
  OneCall call;
  call.stream = "other";
  call.worker = "long-gone";
  ASSERT_TRUE(LeaseOne(*store_, call).ok());
  const auto age = [&](const char* worker, const char* by, bool gone) {
    database_.Query(absl::StrCat("UPDATE lowmark.workers SET ended_at = clock_timestamp() - ",
                                 "interval '", by, "', gone = ", gone ? "true" : "false",
                                 " WHERE worker = '", worker, "'"));
  };
  age("long-gone", "25 hours", true);
  age("gone", "23 hours", true);
  age("ended", "25 hours", false);
  const auto rows = [&] {
    return database_.Query(
        "SELECT string_agg(name || '/' || worker, ' ' ORDER BY name, worker) "
        "FROM lowmark.workers JOIN lowmark.streams USING (stream_id)");
  };
  ASSERT_TRUE(Lease("new", 0).ok());
  EXPECT_EQ(rows(), "other/long-gone s/ended s/gone s/live s/new");
}

}  // namespace
}  // namespace lowmark
