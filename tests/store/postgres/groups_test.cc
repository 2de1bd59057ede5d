// Groups of updates in a real PostgreSQL: fencing under concurrency, clocks, locks,
// poisoned members, HOT updates.
#include <iostream>
#include <pqxx/pqxx>
#include <random>

#include "tests/core/seed.h"
#include "tests/store/postgres/store_fixture.h"

namespace lowmark {
namespace {

using testing::HasSubstr;

class GroupsTest : public PostgresStoreTest {
 public:
  std::string Connection() { return database_.options().connection; }
};

// A report that waits for the row while its lease moves must be fenced when it
// gets the row: it would overwrite the new owner's checkpoint otherwise.
TEST_F(GroupsTest, AZombieThatWaitedForTheRowIsFenced) {
  const auto leases = AddLeased({"0"});
  pqxx::connection mover(Connection());
  pqxx::work move(mover);
  move.exec(
      "UPDATE lowmark.shards SET epoch = epoch + 1, owner = 'b', position = 'AFTER', "
      "sequence = '500'");
  absl::Status status = absl::UnknownError("not called");
  std::thread zombie([&] { status = Update(*store_, {Success(leases[0], 1, "200")})[0]; });
  EXPECT_TRUE(AwaitBlocked(1));
  move.commit();
  zombie.join();
  EXPECT_EQ(Reason(status), kLeaseFenced) << status;
  EXPECT_EQ(Get("0").state.position, Position::After("500"));
  EXPECT_EQ(Get("0").owner, "b");
}

// The same where the mover gives up: the report is good.
TEST_F(GroupsTest, AReportThatWaitedForAnAbortedMoveIsAccepted) {
  const auto leases = AddLeased({"0"});
  pqxx::connection mover(Connection());
  pqxx::work move(mover);
  move.exec("UPDATE lowmark.shards SET epoch = epoch + 1, owner = 'b'");
  absl::Status status = absl::UnknownError("not called");
  std::thread reporter([&] { status = Update(*store_, {Success(leases[0], 1, "200")})[0]; });
  EXPECT_TRUE(AwaitBlocked(1));
  move.abort();
  reporter.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(Get("0").state.position, Position::After("200"));
}

// Its row refers to the stream, and waits for the deletion: a foreign key's error,
// with the statement's text, was the answer once.
TEST_F(GroupsTest, ACallThatWaitedForTheStreamsDeletionIsNotFound) {
  pqxx::connection deleter(Connection());
  pqxx::work deletion(deleter);
  deletion.exec("SELECT lowmark.delete_stream(stream_id) FROM lowmark.streams");
  absl::Status status = absl::UnknownError("not called");
  std::thread caller([&] { status = Lease("v", 1).status(); });
  EXPECT_TRUE(AwaitBlocked(1));
  deletion.commit();
  caller.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  EXPECT_EQ(Reason(status), kStreamNotFound) << status;
}

// A clock that was read before the wait would take an expired lease for a good one.
TEST_F(GroupsTest, TheClockIsReadAfterTheLock) {
  AddLeased({"0", "1"});
  pqxx::connection blocker(Connection());
  pqxx::work block(blocker);
  block.exec("SELECT FROM lowmark.shards WHERE shard = '1' FOR UPDATE");
  absl::Time now = absl::InfinitePast();
  std::thread reader([&] {
    const auto look = [&](const ShardView& view) {
      now = view.now;
      return absl::StatusOr<ShardChange>(ShardChange());
    };
    EXPECT_TRUE(Update(*store_, {{"1", look}, {"0", look}})[0].ok());
  });
  EXPECT_TRUE(AwaitBlocked(1));
  const double at_the_end =
      block.exec1("SELECT extract(epoch FROM clock_timestamp())::float8")[0].as<double>();
  block.commit();
  reader.join();
  EXPECT_GE(absl::ToDoubleSeconds(now - absl::UnixEpoch()), at_the_end);
}

// A shard that is being updated is skipped by those who look for a free one, not
// waited for.
TEST_F(GroupsTest, LeasingDoesNotWaitForALockedShard) {
  ASSERT_TRUE(store_->AddShards("s", {{"0", {}}, {"1", {}}}).ok());
  pqxx::connection blocker(Connection());
  pqxx::work block(blocker);
  block.exec("SELECT FROM lowmark.shards WHERE shard = '0' FOR UPDATE");
  auto grant = Lease("w", 2);
  ASSERT_TRUE(grant.ok()) << grant.status();
  ASSERT_EQ(grant->leases.size(), 1u);
  EXPECT_EQ(grant->leases[0].shard.shard, "1");
}

// The rounds of a cold start go on for seconds.
TEST_F(GroupsTest, LeasingEndsAsSoonAsTheStreamIsPaused) {
  ASSERT_TRUE(store_->AddShards("s", {{"0", {}}}).ok());
  pqxx::connection operator_(Connection());
  pqxx::work pause(operator_);
  pause.exec(
      "UPDATE lowmark.streams SET policy = jsonb_set(policy, '{paused}', 'true'), etag = 'x'");
  absl::StatusOr<LeaseGrant> grant = absl::UnknownError("not called");
  std::thread caller([&] { grant = Lease("w", 1); });
  EXPECT_TRUE(AwaitBlocked(1));
  pause.commit();
  caller.join();
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_TRUE(grant->leases.empty());
  EXPECT_EQ(Get("0").owner, "");
}

TEST_F(GroupsTest, OverlappingGroupsInAnyOrderDoNotDeadlock) {
  constexpr int kThreads = 4;
  constexpr int kShards = 40;
  const uint64_t seed = TestSeed();
  std::cout << "LOWMARK_TEST_SEED=" << seed << '\n';
  std::vector<std::string> ids;
  for (int i = 0; i < kShards; ++i) ids.push_back(absl::StrCat(i));
  AddLeased(ids);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(seed + t);
      for (int round = 0; round < 40; ++round) {
        std::vector<std::string> some = ids;
        std::shuffle(some.begin(), some.end(), random);
        std::vector<ShardUpdate> updates;
        for (int i = 0; i < kShards / 2; ++i) {
          updates.push_back({some[i], [](const ShardView& view) {
                               ShardChange change;
                               change.changed = true;
                               change.shard = view.shard;
                               ++change.shard.state.delivery;
                               return absl::StatusOr<ShardChange>(change);
                             }});
        }
        for (const absl::Status& status : Update(*store_, std::move(updates))) {
          EXPECT_TRUE(status.ok()) << status;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  store_.reset();  // its sessions tell their counts when they end
  EXPECT_TRUE(
      Await("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lowmark' AND "
            "datname = current_database()",
            "0"));
  EXPECT_EQ(database_.Query("SELECT deadlocks FROM pg_stat_database WHERE datname = "
                            "current_database()"),
            "0");
  EXPECT_EQ(database_.Query("SELECT sum(delivery - 1) FROM lowmark.shards"),
            absl::StrCat(kThreads * 40 * kShards / 2));
}

// What the checks in C++ do not know of, only the database does.
TEST_F(GroupsTest, APoisonedMemberFailsAlone) {
  const auto leases = AddLeased({"0", "1", "2", "3", "4"});
  database_.Query(
      "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "IF NEW.sequence = '666' THEN RAISE EXCEPTION 'poison' USING ERRCODE = '23514'; END IF; "
      "RETURN NEW; END $$; "
      "CREATE TRIGGER poison BEFORE UPDATE ON lowmark.shards FOR EACH ROW EXECUTE FUNCTION "
      "poison()");
  const std::vector<absl::Status> statuses =
      Update(*store_,
             {Success(leases[0], 1, "5"), Success(leases[1], 1, "5"), Success(leases[2], 1, "5"),
              Success(leases[3], 1, "666"), Success(leases[2], 2, "6"), Success(leases[3], 9, "7"),
              Success(leases[4], 1, "5"), Success(leases[2], 3, "7")});
  for (size_t i : {0, 1, 2, 4, 6, 7}) EXPECT_TRUE(statuses[i].ok()) << i << statuses[i];
  EXPECT_EQ(statuses[3].code(), absl::StatusCode::kInternal);
  EXPECT_THAT(statuses[3].message(), HasSubstr("poison"));
  EXPECT_EQ(Reason(statuses[5]), kStaleDelivery) << "decided on what is there";
  EXPECT_EQ(Get("2").state.position, Position::After("7")) << "three, in their order";
  EXPECT_EQ(Get("3").state.position, Position::TrimHorizon());
  EXPECT_EQ(Get("4").state.position, Position::After("5"));
}

// A dead letter that is refused takes its checkpoint with it, and nobody else's.
TEST_F(GroupsTest, APoisonedDeadLetterTakesItsCheckpointAlone) {
  AddLeased({"0", "1"});
  database_.Query("ALTER TABLE lowmark.dead_letters ADD CHECK (first_sequence <> '666')");
  const auto set_aside = [](const std::string& shard, const std::string& sequence) -> ShardUpdate {
    return {shard, [sequence](const ShardView& view) {
              ShardChange change;
              change.changed = true;
              change.shard = view.shard;
              change.shard.state.position = Position::After(sequence);
              DeadLetter letter;
              letter.range = {sequence, sequence, 1, Condition::kRecordUnreadable, 1, "", ""};
              change.dead_letters.push_back(letter);
              return absl::StatusOr<ShardChange>(change);
            }};
  };
  const auto statuses = Update(*store_, {set_aside("0", "666"), set_aside("1", "7")});
  EXPECT_EQ(statuses[0].code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(statuses[1].ok()) << statuses[1];
  EXPECT_EQ(database_.Query("SELECT shard, first_sequence FROM lowmark.dead_letters"), "1|7");
  EXPECT_EQ(database_.Query("SELECT shard, sequence FROM lowmark.shards ORDER BY 1"), "0|\n1|7");
}

// Reports change no indexed column, so that no index is written to.
TEST_F(GroupsTest, ReportsAreHotUpdates) {
  constexpr int kShards = 20;
  constexpr int kRounds = 50;
  std::vector<std::string> ids;
  for (int i = 0; i < kShards; ++i) ids.push_back(absl::StrCat(i));
  const auto leases = AddLeased(ids);
  const auto count = [&](const char* column) {
    return std::stol(database_.Query(
        absl::StrCat("SELECT ", column, " FROM pg_stat_user_tables WHERE relname = 'shards'")));
  };
  store_.reset();  // so that what it has done until here is counted
  EXPECT_TRUE(Await("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'shards'",
                    absl::StrCat(kShards)));
  const int64_t hot_before = count("n_tup_hot_upd");
  store_ = std::make_unique<PostgresStore>(Patient(database_.app_options()));
  for (int round = 1; round <= kRounds; ++round) {
    std::vector<ShardUpdate> updates;
    for (const LeaseGrant::Lease& lease : leases) {
      // All fields of the state, in every other round.
      updates.push_back({lease.shard.shard, [round](const ShardView& view) {
                           ShardChange change;
                           change.changed = true;
                           change.shard = view.shard;
                           ShardState& state = change.shard.state;
                           state.position = Position::After(absl::StrCat(round));
                           ++state.delivery;
                           if (round % 2 == 0) {
                             state.attempts = round;
                             state.bounds = {absl::StrCat(round + 100)};
                             state.not_before = view.now;
                             state.cause = Redelivery::kRetry;
                             state.declared = DeclaredBatch{"1", "2", "3", 3};
                           }
                           return absl::StatusOr<ShardChange>(change);
                         }});
    }
    for (const auto& status : Update(*store_, std::move(updates))) ASSERT_TRUE(status.ok());
  }
  store_.reset();
  EXPECT_TRUE(Await("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'shards'",
                    absl::StrCat(kShards * (1 + kRounds))));
  // A page that is full for a moment costs one that is not.
  EXPECT_GE(count("n_tup_hot_upd") - hot_before, kShards * kRounds * 95 / 100);
}

// Looking each one's load up in the object of all took longer than a statement may.
TEST_F(GroupsTest, AWorkerWithManyMeasuredShardsCanLoseThem) {
  constexpr int kShards = 4000;
  ASSERT_TRUE(store_
                  ->UpdateStream("s", "",
                                 [](Policy policy) -> absl::StatusOr<Policy> {
                                   policy.balance_by = BalanceBy::kHandlerTime;
                                   return policy;
                                 })
                  .ok());
  std::vector<std::string> ids;
  for (int i = 0; i < kShards; ++i) ids.push_back(absl::StrCat(i));
  ASSERT_EQ(AddLeased(ids).size(), ids.size());
  // It holds others as well.
  database_.Query(
      "UPDATE lowmark.workers SET load = 1, ended_at = clock_timestamp(), shard_loads = (SELECT "
      "jsonb_object_agg(n::text, n + 0.5) FROM generate_series(0, 40000) n)");
  store_ = std::make_unique<PostgresStore>(database_.app_options());
  auto held = store_->ListHeld("s", "w");
  ASSERT_TRUE(held.ok()) << held.status();
  ASSERT_EQ(held->shards.size(), ids.size());
  EXPECT_EQ(held->shards[7].load, std::stod(held->shards[7].shard) + 0.5);
  auto grant = Lease("v", kShards);
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_EQ(grant->leases.size(), ids.size());
  EXPECT_EQ(database_.Query("SELECT shard_loads ->> '7' FROM lowmark.workers WHERE worker = 'v'"),
            "7.5");
}

// However many a stream has, and whether or not PostgreSQL has counted them.
TEST_F(GroupsTest, AGroupReadsItsOwnShardsAlone) {
  constexpr int kShards = 4000;
  constexpr int kGroup = 50;
  database_.Query("ALTER TABLE lowmark.shards SET (autovacuum_enabled = false)");
  std::vector<std::string> ids;
  for (int i = 0; i < kShards; ++i) ids.push_back(absl::StrCat(i));
  ASSERT_EQ(AddLeased(ids).size(), ids.size());
  const auto count = [&](const char* what) {
    return std::stol(database_.Query(absl::StrCat("SELECT ", what, R"sql(
        FROM pg_stat_user_tables WHERE relname = 'shards')sql")));
  };
  int64_t written = kShards;
  for (const char* statistics : {"SELECT 1", "ANALYZE lowmark.shards"}) {
    store_.reset();  // so that what it has done until here is counted
    ASSERT_TRUE(Await("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'shards'",
                      absl::StrCat(written)));
    database_.Query(statistics);
    const int64_t before = count("seq_tup_read + idx_tup_fetch");
    store_ = std::make_unique<PostgresStore>(Patient(database_.app_options()));
    for (bool retried : {false, true}) {
      std::vector<ShardUpdate> updates;
      for (int i = 0; i < kGroup; ++i) {
        updates.push_back({absl::StrCat(i * 7), [retried](const ShardView& view) {
                             ShardChange change;
                             change.changed = true;
                             change.shard = view.shard;
                             ++change.shard.state.delivery;
                             change.shard.state.attempts += retried ? 1 : 0;
                             return absl::StatusOr<ShardChange>(change);
                           }});
      }
      for (const auto& status : Update(*store_, std::move(updates))) ASSERT_TRUE(status.ok());
    }
    store_.reset();
    written += 2 * kGroup;
    ASSERT_TRUE(Await("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'shards'",
                      absl::StrCat(written)));
    // Each to lock it, and to write it.
    EXPECT_EQ(count("seq_tup_read + idx_tup_fetch") - before, 2 * 2 * kGroup) << statistics;
  }
}

}  // namespace
}  // namespace lowmark
