// Databases that go away, and commits whose outcome nobody hears of.
#include <pqxx/pqxx>

#include "service/core/expiry.h"
#include "tests/store/postgres/store_fixture.h"
#include "tests/support/one_call.h"
#include "tests/support/postgres_proxy.h"

namespace lowmark {
namespace {

using Cut = PostgresProxy::Cut;

class OutageTest : public PostgresStoreTest {
 public:
  OutageTest() : proxy_(TestCluster().socket_directory()) {}

  // A store whose connections lead through the proxy.
  std::unique_ptr<PostgresStore> Proxied() {
    PostgresOptions options = Patient(database_.app_options());
    options.connection += absl::StrCat(" host=", proxy_.socket_directory());
    return std::make_unique<PostgresStore>(options);
  }

 protected:
  PostgresProxy proxy_;
};

// A dead letter beside the checkpoint shows whether the update was applied once.
ShardUpdate SetAside(const LeaseGrant::Lease& lease, int64_t delivery) {
  return {lease.shard.shard, [=](const ShardView& view) -> absl::StatusOr<ShardChange> {
            ShardChange change;
            auto kind = CheckReport(view.shard, lease.shard.owner, lease.shard.epoch, delivery);
            if (!kind.ok()) return kind.status();
            if (*kind == ReportKind::kRepeated) return change;
            const std::string sequence = absl::StrCat(delivery);
            auto step = Step(view.shard.state, view.policy,
                             lowmark::SetAside{{sequence}, 1, Condition::kRecordUnreadable, ""},
                             view.now, 0);
            if (!step.ok()) return step.status();
            change.changed = true;
            change.shard = view.shard;
            change.shard.state = step->state;
            change.dead_letters.emplace_back();
            change.dead_letters[0].range = step->dead_letters[0];
            return change;
          }};
}

TEST_F(OutageTest, ACommitOfUnknownOutcomeIsAppliedExactlyOnce) {
  const auto leases = AddLeased({"0", "1"});
  auto store = Proxied();
  int64_t delivery = 1;
  for (Cut cut : {Cut::kBefore, Cut::kAfter}) {
    proxy_.CutCommits(cut, 1);
    for (const absl::Status& status :
         Update(*store, {SetAside(leases[0], delivery), SetAside(leases[1], delivery)})) {
      EXPECT_TRUE(status.ok()) << status;
    }
    EXPECT_EQ(Get("0").state.delivery, ++delivery);
    EXPECT_EQ(database_.Query("SELECT count(*) FROM lowmark.dead_letters"),
              absl::StrCat((delivery - 1) * 2));
  }
  EXPECT_EQ(proxy_.cuts(), 2);
}

TEST_F(OutageTest, AnOutcomeThatStaysUnknownIsUnavailable) {
  const auto leases = AddLeased({"0"});
  auto store = Proxied();
  for (Cut cut : {Cut::kBefore, Cut::kAfter}) {
    const int64_t delivery = Get("0").state.delivery;
    proxy_.CutCommits(cut, 2);
    EXPECT_EQ(Update(*store, {SetAside(leases[0], delivery)})[0].code(),
              absl::StatusCode::kUnavailable);
    // Told to repeat, the worker repeats: once in all, whatever had happened.
    EXPECT_TRUE(Update(*store, {SetAside(leases[0], delivery)})[0].ok());
    EXPECT_EQ(Get("0").state.delivery, delivery + 1);
  }
  EXPECT_EQ(database_.Query("SELECT count(*) FROM lowmark.dead_letters"), "2");
}

TEST_F(OutageTest, OtherCallsAreRepeatedAsWell) {
  auto store = Proxied();
  const auto bigger = [](Policy policy) {
    ++policy.batch_size;
    return absl::StatusOr<Policy>(policy);
  };
  for (Cut cut : {Cut::kBefore, Cut::kAfter}) {
    proxy_.CutCommits(cut, 1);
    auto created = store->CreateStream("t", Policy());
    ASSERT_TRUE(created.ok()) << created.status();

    proxy_.CutCommits(cut, 1);
    auto updated = store->UpdateStream("t", created->etag, bigger);
    ASSERT_TRUE(updated.ok()) << updated.status();
    EXPECT_EQ(updated->policy.batch_size, 101) << "once";
    EXPECT_EQ(store->GetStream("t")->etag, updated->etag);

    proxy_.CutCommits(cut, 1);
    ASSERT_TRUE(store->AddShards("t", {{"0", {}}}).ok());
    EXPECT_EQ(store->ListShards("t", "", 10)->size(), 1u);

    OneCall call;
    call.stream = "t";
    call.worker = "w";
    call.session_ttl = absl::Minutes(1);
    proxy_.CutCommits(cut, 1);
    auto grant = LeaseOne(*store, call);
    ASSERT_TRUE(grant.ok()) << grant.status();
    ASSERT_EQ(grant->leases.size(), 1u);
    EXPECT_EQ(grant->leases[0].shard, store->GetShard("t", "0")->shard);
    EXPECT_EQ(grant->leases[0].delivery.delivery, 1);

    proxy_.CutCommits(cut, 1);
    EXPECT_TRUE(store->DeleteStream("t", updated->etag).ok());
    EXPECT_EQ(Reason(store->GetStream("t").status()), kStreamNotFound);
  }
  EXPECT_EQ(proxy_.cuts(), 10);
}

// A call that waits finds that its worker holds what it was never told of; the
// transaction that found out is cut off, and made again.
TEST_F(OutageTest, LostAnswersAreRepeatedThroughACutAsWell) {
  auto store = Proxied();
  ASSERT_TRUE(store->CreateStream("t", Policy()).ok());
  for (Cut cut : {Cut::kBefore, Cut::kAfter}) {
    const std::string worker = cut == Cut::kBefore ? "v" : "w";
    ASSERT_TRUE(store->AddShards("t", {{worker + "-1", {}}}).ok());
    OneCall call;
    call.stream = "t";
    call.worker = worker;
    ASSERT_EQ(LeaseOne(*store, call)->leases.size(), 1u);
    ASSERT_TRUE(store->AddShards("t", {{worker + "-2", {}}}).ok());
    call.renew = false;
    proxy_.CutCommits(cut, 1);
    auto grant = LeaseOne(*store, call);
    ASSERT_TRUE(grant.ok()) << grant.status();
    ASSERT_EQ(grant->leases.size(), 1u);
    EXPECT_EQ(grant->leases[0].shard.shard, worker + "-1");
    call.renew = true;
    call.held = 1;
    ASSERT_EQ(LeaseOne(*store, call)->leases.size(), 1u) << "no shard is left over";
  }
  EXPECT_EQ(proxy_.cuts(), 2);
}

// All of them, however many there were.
TEST_F(OutageTest, ConnectionsThatWereCutWhileIdleAreReplacedUnnoticed) {
  const auto leases = AddLeased({"0", "1"});
  for (int delivery : {1, 2, 3}) {
    // Two calls at a time, so that there are two connections.
    pqxx::connection blocker(database_.options().connection);
    pqxx::work block(blocker);
    block.exec("SELECT FROM lowmark.shards FOR UPDATE");
    std::vector<std::thread> threads;
    for (const LeaseGrant::Lease& lease : leases) {
      threads.emplace_back([&] {
        EXPECT_TRUE(Update(*store_, {Success(lease, delivery, absl::StrCat(delivery))})[0].ok());
      });
    }
    EXPECT_TRUE(AwaitBlocked(2));
    block.abort();
    for (std::thread& thread : threads) thread.join();
    const std::string ours =
        " FROM pg_stat_activity WHERE application_name = 'lowmark' AND datname = "
        "current_database()";
    database_.Query("SELECT count(pg_terminate_backend(pid))" + ours);
    ASSERT_TRUE(Await("SELECT count(*)" + ours, "0"));
    EXPECT_TRUE(store_->GetStream("s").ok());
    EXPECT_TRUE(store_->GetStream("s").ok());
  }
}

TEST_F(OutageTest, AStoreNeedsNoDatabaseToBeMade) {
  PostgresOptions options;
  options.connection = "host=/nowhere";
  PostgresStore store(options);
  store.WatchFreeShards([](const std::string&) {});
  EXPECT_EQ(store.Check().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store.GetStream("s").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Update(store, {{"0", nullptr}})[0].code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Reason(store.Check()), kUnavailable);
}

TEST_F(OutageTest, RecoversWhenTheDatabaseComesBack) {
  const auto leases = AddLeased({"0"});
  ASSERT_TRUE(Update(*store_, {Success(leases[0], 1, "10")})[0].ok());
  ASSERT_TRUE(TestCluster().Kill().ok());
  EXPECT_EQ(store_->Check().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Update(*store_, {Success(leases[0], 2, "20")})[0].code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(Lease("w", 1).status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(TestCluster().Start().ok());
  EXPECT_TRUE(store_->Check().ok());
  // What was acknowledged before the crash is there; what was not, can be repeated.
  EXPECT_EQ(Get("0").state.position, Position::After("10"));
  EXPECT_TRUE(Update(*store_, {Success(leases[0], 2, "20")})[0].ok());
  EXPECT_EQ(Get("0").state.position, Position::After("20"));
}

TEST_F(OutageTest, AReadOnlyDatabaseIsConnectedToByNobody) {
  AddLeased({"0"});
  database_.Query(
      absl::StrCat("ALTER DATABASE ", database_.name(), " SET default_transaction_read_only = on"));
  auto store = std::make_unique<PostgresStore>(database_.app_options());
  EXPECT_EQ(store->Check().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store->CreateStream("t", Policy()).status().code(), absl::StatusCode::kUnavailable);
}

// A primary that is demoted keeps the connections that it has.
TEST_F(OutageTest, ADatabaseThatBecomesReadOnlyIsUnavailable) {
  ASSERT_TRUE(store_->Check().ok());
  database_.Query("ALTER SYSTEM SET default_transaction_read_only = on");
  database_.Query("SELECT pg_reload_conf()");
  const SteadyTime deadline = SteadyDeadline(absl::Seconds(60));
  absl::Status status;
  do {
    status = store_->Check();
  } while (status.ok() && SteadyDeadline(absl::ZeroDuration()) < deadline);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  status = store_->CreateStream("t", Policy()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  database_.Query("ALTER SYSTEM RESET default_transaction_read_only");
  database_.Query("SELECT pg_reload_conf()");
  EXPECT_TRUE(Await("SHOW default_transaction_read_only", "off"));
  EXPECT_TRUE(store_->CreateStream("t", Policy()).ok());
}

// A lock that is held on and on, by an operator's psql for example, costs the
// caller a definite time and nothing else.
TEST_F(OutageTest, ALockThatIsNotGivenUpIsUnavailable) {
  const auto leases = AddLeased({"0"});
  PostgresOptions options = database_.app_options();
  options.lock_timeout = absl::Milliseconds(20);
  PostgresStore impatient(options);
  pqxx::connection blocker(database_.options().connection);
  pqxx::work block(blocker);
  block.exec("LOCK TABLE lowmark.shards, lowmark.workers IN EXCLUSIVE MODE");
  EXPECT_EQ(Update(impatient, {Success(leases[0], 1, "1")})[0].code(),
            absl::StatusCode::kUnavailable);
  const absl::Status held_up = RenewOne(impatient, "s", "w", absl::Minutes(1)).status();
  EXPECT_EQ(Reason(held_up), kUnavailable);
  EXPECT_TRUE(IsMarkedReached(held_up)) << "no sign of an outage";
  block.abort();
  EXPECT_TRUE(Update(impatient, {Success(leases[0], 1, "1")})[0].ok());
}

TEST_F(OutageTest, CallsBeyondThePoolWaitTheirTurn) {
  AddLeased({"0"});
  PostgresOptions options = Patient(database_.app_options());
  options.pool_size = 1;
  PostgresStore narrow(options);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 10; ++n) EXPECT_TRUE(narrow.GetShard("s", "0").ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(database_.Query("SELECT count(*) <= 2 FROM pg_stat_activity WHERE application_name = "
                            "'lowmark' AND datname = current_database()"),
            "t");
}

TEST_F(OutageTest, ACallThatGetsNoTurnInThePoolIsUnavailable) {
  const auto leases = AddLeased({"0"});
  PostgresOptions options = Patient(database_.app_options());
  options.pool_size = 1;
  options.connect_timeout = absl::Seconds(1);
  PostgresStore narrow(options);
  pqxx::connection blocker(database_.options().connection);
  pqxx::work block(blocker);
  block.exec("SELECT FROM lowmark.shards FOR UPDATE");
  absl::Status first = absl::UnknownError("not called");
  std::thread waiting([&] { first = Update(narrow, {Success(leases[0], 1, "1")})[0]; });
  EXPECT_TRUE(AwaitBlocked(1));
  EXPECT_EQ(narrow.GetShard("s", "0").status().code(), absl::StatusCode::kUnavailable);
  block.abort();
  waiting.join();
  EXPECT_TRUE(first.ok()) << first;
  EXPECT_TRUE(narrow.GetShard("s", "0").ok());
}

TEST_F(OutageTest, HintsGoOnAfterTheConnectionBroke) {
  Mutex mutex;
  CondVar changed;
  int any = 0;
  auto watcher = std::make_unique<PostgresStore>(database_.app_options());
  watcher->WatchFreeShards([&](const std::string& stream) {
    MutexLock lock(mutex);
    if (stream.empty()) ++any;
    changed.NotifyAll();
  });
  const auto await = [&](int count) {
    const SteadyTime deadline = SteadyDeadline(absl::Seconds(60));
    MutexLock lock(mutex);
    while (any < count) {
      if (!changed.WaitUntil(mutex, deadline)) return false;
    }
    return true;
  };
  ASSERT_TRUE(await(1));
  database_.Query(
      "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = "
      "'lowmark' AND datname = current_database()");
  // Hints may have been missed meanwhile: any stream may have a free shard.
  EXPECT_TRUE(await(2));
  watcher.reset();
}

}  // namespace
}  // namespace lowmark
