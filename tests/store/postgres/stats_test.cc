// What it costs PostgreSQL that workers tell of their shards.
#include "tests/store/postgres/store_fixture.h"

namespace lowmark {
namespace {

constexpr absl::Duration kTtl = absl::Minutes(10);

class StatsTest : public PostgresStoreTest {
 protected:
  // Which versions of its rows a table has: another where one was written.
  std::string Versions(const std::string& table) {
    return database_.Query(
        absl::StrCat("SELECT array_agg(t.xmin::text || t.ctid::text ORDER BY t.ctid) FROM lowmark.",
                     table, " t"));
  }
  // The same with who has locked them.
  std::string VersionsAndLocks(const std::string& table) {
    return database_.Query(absl::StrCat(
        "SELECT array_agg(t.xmin::text || t.ctid::text || t.xmax::text ORDER BY t.ctid) "
        "FROM lowmark.",
        table, " t"));
  }

  absl::StatusOr<SessionView> Tell(const std::vector<ToldStat>& stats,
                                   std::optional<ListingStat> listing = std::nullopt) {
    Renewal renewal{"w"};
    renewal.stats = stats;
    renewal.listing = std::move(listing);
    auto views = store_->RenewSessions("s", {renewal}, kTtl);
    if (!views.ok()) return views.status();
    return views->at(0);
  }

  static ToldStat Lagging(const LeaseGrant::Lease& lease, absl::Duration age) {
    ToldStat told{lease.shard.shard, lease.shard.epoch, {}};
    told.stat.lag_age = age;
    told.stat.trouble = Trouble{Trouble::Kind::kSource, "down", absl::Seconds(7)};
    return told;
  }
};

TEST_F(StatsTest, WhatIsToldAgainIsNotWritten) {
  const auto leases = AddLeased({"0", "1"});
  const ListingStat listing{Trouble{Trouble::Kind::kSource, "down", absl::Seconds(7)}};
  const std::vector<ToldStat> told = {Lagging(leases[0], absl::Seconds(9)),
                                      Lagging(leases[1], absl::Seconds(9))};
  ASSERT_TRUE(Tell(told, listing).ok());
  const std::string before = Versions("shard_stats");
  ASSERT_TRUE(Tell(told, listing).ok());
  ASSERT_TRUE(Tell({}).ok());
  EXPECT_EQ(Versions("shard_stats"), before);
  ASSERT_TRUE(Tell({Lagging(leases[1], absl::Seconds(30))}).ok());
  EXPECT_NE(Versions("shard_stats"), before);
}

// Its rows are what reports write: nothing of this may stand in their way, or make
// versions of them.
TEST_F(StatsTest, TheShardsThemselvesAreNotWritten) {
  const auto leases = AddLeased({"0", "1"});
  const std::string before = VersionsAndLocks("shards");
  ASSERT_TRUE(Tell({Lagging(leases[0], absl::Seconds(9))}, ListingStat{}).ok());
  ASSERT_TRUE(Tell({Lagging(leases[0], absl::Seconds(90))}, ListingStat{}).ok());
  EXPECT_EQ(VersionsAndLocks("shards"), before);
}

TEST_F(StatsTest, ManyAreWrittenInPieces) {
  std::vector<std::string> shards;
  for (int i = 0; i < 4500; ++i) shards.push_back(absl::StrCat("shard-", i));
  const auto leases = AddLeased(shards);
  std::vector<ToldStat> told;
  for (const auto& lease : leases) told.push_back(Lagging(lease, absl::Seconds(9)));
  auto view = Tell(told);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_GT(view->stats_token, 0);
  EXPECT_EQ(database_.Query("SELECT count(*) FROM lowmark.shard_stats WHERE trouble = 1"), "4500");
}

// A heartbeat is one all the same.
TEST_F(StatsTest, WhatCannotBeKeptEndsNoSession) {
  const auto leases = AddLeased({"0"});
  ASSERT_TRUE(Tell({Lagging(leases[0], absl::Seconds(9))}).ok());
  database_.Query("ALTER TABLE lowmark.shard_stats ADD CHECK (lag_age < interval '10 s')");
  auto view = Tell({Lagging(leases[0], absl::Seconds(90))});
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->stats_token, 0);
  EXPECT_EQ(store_->GetShard("s", "0")->stat->lag_age, absl::Seconds(9));
}

TEST_F(StatsTest, AStreamsDeletionTakesItAlong) {
  const auto leases = AddLeased({"0"});
  ASSERT_TRUE(Tell({Lagging(leases[0], absl::Seconds(9))}).ok());
  ASSERT_TRUE(store_->DeleteStream("s", "").ok());
  EXPECT_EQ(database_.Query("SELECT count(*) FROM lowmark.shard_stats"), "0");
}

}  // namespace
}  // namespace lowmark
