// A PostgresStore on a database of its own, with a stream "s", for tests of what
// only PostgreSQL can do.
#ifndef LOWMARK_TESTS_STORE_POSTGRES_STORE_FIXTURE_H_
#define LOWMARK_TESTS_STORE_POSTGRES_STORE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/core/error.h"
#include "store/postgres/postgres_store.h"
#include "tests/support/one_call.h"
#include "tests/support/test_database.h"

namespace lowmark {

class PostgresStoreTest : public testing::Test {
 public:
  // Reports wait for locks as long as a test holds them.
  static PostgresOptions Patient(PostgresOptions options) {
    options.lock_timeout = absl::Minutes(1);
    options.statement_timeout = absl::Minutes(1);
    options.idle_in_transaction_timeout = absl::Minutes(1);
    return options;
  }

  void SetUp() override {
    store_ = std::make_unique<PostgresStore>(Patient(database_.app_options()));
    auto stream = store_->CreateStream("s", Policy());
    ASSERT_TRUE(stream.ok()) << stream.status();
  }

  // Adds shards and leases all of them to the worker "w".
  std::vector<LeaseGrant::Lease> AddLeased(const std::vector<std::string>& shards) {
    std::vector<SourceShard> listed;
    for (const std::string& shard : shards) listed.push_back({shard, {}});
    auto added = store_->AddShards("s", listed);
    EXPECT_TRUE(added.ok()) << added.status();
    auto grant = Lease("w", static_cast<int32_t>(shards.size()));
    EXPECT_TRUE(grant.ok()) << grant.status();
    EXPECT_EQ(grant->leases.size(), shards.size());
    return std::move(grant->leases);
  }

  // As a worker does that knows of `held` leases.
  absl::StatusOr<LeaseGrant> Lease(const std::string& worker, int32_t max_leases,
                                   int32_t held = 0) {
    OneCall call;
    call.stream = "s";
    call.worker = worker;
    call.max_leases = max_leases;
    call.held = held;
    call.session_ttl = absl::Minutes(10);
    return LeaseOne(*store_, call);
  }

  // A report that all records up to `last` of the shard's delivery succeeded.
  static ShardUpdate Success(const LeaseGrant::Lease& lease, int64_t delivery,
                             const std::string& last) {
    return {lease.shard.shard, [=](const ShardView& view) -> absl::StatusOr<ShardChange> {
              ShardChange change;
              auto kind = CheckReport(view.shard, lease.shard.owner, lease.shard.epoch, delivery);
              if (!kind.ok()) return kind.status();
              if (*kind == ReportKind::kRepeated) return change;
              auto step =
                  Step(view.shard.state, view.policy, Succeeded{last, last, 1, false}, view.now, 0);
              if (!step.ok()) return step.status();
              change.changed = true;
              change.shard = view.shard;
              change.shard.state = step->state;
              return change;
            }};
  }

  static std::vector<absl::Status> Update(Store& store, std::vector<ShardUpdate> updates) {
    return store.UpdateShards("s", updates);
  }

  Shard Get(const std::string& shard) {
    auto record = store_->GetShard("s", shard);
    EXPECT_TRUE(record.ok()) << record.status();
    return record.ok() ? record->shard : Shard();
  }

  // Asks, a process each time, until the query's answer is this one.
  testing::AssertionResult Await(const std::string& sql, const std::string& answer) {
    std::string last;
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    do {
      last = database_.Query(sql);
      if (last == answer) return testing::AssertionSuccess();
    } while (absl::Now() < deadline);
    return testing::AssertionFailure() << sql << " still gives " << last;
  }

  // Waits until so many sessions of this database wait for a lock.
  testing::AssertionResult AwaitBlocked(int sessions) {
    return Await(absl::StrCat("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = "
                              "'Lock' AND datname = '",
                              database_.name(), "'"),
                 absl::StrCat(sessions));
  }

 protected:
  TestDatabase database_;
  std::unique_ptr<PostgresStore> store_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_STORE_POSTGRES_STORE_FIXTURE_H_
