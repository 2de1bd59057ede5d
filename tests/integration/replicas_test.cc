// Two coordinators on one database: what one does the other's workers see.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "service/core/error.h"
#include "store/postgres/postgres_store.h"
#include "tests/integration/running_server.h"
#include "tests/service/answers.h"
#include "tests/support/test_database.h"

namespace lowmark {
namespace {

using Workers = v1::CoordinatorService::Stub;
using Admin = v1::AdminService::Stub;

// A coordinator with its own connections to the database.
struct Replica {
  explicit Replica(const TestDatabase& database, const CoordinatorOptions& options)
      : store(database.options()), server(store, options) {}
  PostgresStore store;
  RunningServer server;
};

class ReplicasTest : public testing::Test {
 protected:
  // Long enough for workers that are not heard of while a test waits.
  explicit ReplicasTest(absl::Duration session_ttl = absl::Seconds(30))
      : a_(database_, Options(session_ttl)), b_(database_, Options(session_ttl)) {}

  static CoordinatorOptions Options(absl::Duration session_ttl) {
    CoordinatorOptions options;
    options.session_ttl = session_ttl;
    options.balance_interval = absl::Milliseconds(50);
    options.balance_settling = absl::ZeroDuration();
    // What comes sooner came from a hint through the database.
    options.lease_retry = absl::Minutes(1);
    return options;
  }

  void MakeStream(int shards) {
    v1::CreateStreamRequest create;
    create.set_stream("s");
    v1::CreateStreamResponse created;
    ASSERT_EQ(Call(&Admin::CreateStream, a_.server.admin(), create, &created), absl::OkStatus());
    ASSERT_EQ(Lease(a_, "a", 1, 0).status(), absl::OkStatus());
    v1::SyncShardsRequest sync;
    sync.set_stream("s");
    sync.set_worker("a");
    for (int i = 0; i < shards; ++i) sync.add_shards()->set_shard(std::to_string(i));
    v1::SyncShardsResponse synced;
    ASSERT_EQ(Call(&Workers::SyncShards, a_.server.workers(), sync, &synced), absl::OkStatus());
  }

  static absl::StatusOr<v1::LeaseShardResponse> Lease(Replica& replica, const std::string& worker,
                                                      int max_leases, int held) {
    v1::LeaseShardRequest request;
    request.set_stream("s");
    request.set_worker(worker);
    request.set_max_leases(max_leases);
    request.set_held_leases(held);
    v1::LeaseShardResponse response;
    if (auto s = Call(&Workers::LeaseShard, replica.server.workers(), request, &response);
        !s.ok()) {
      return s;
    }
    return response;
  }

  static absl::StatusOr<v1::HeartbeatResponse> Heartbeat(Replica& replica,
                                                         const std::string& worker) {
    v1::HeartbeatRequest request;
    request.set_stream("s");
    request.set_worker(worker);
    v1::HeartbeatResponse response;
    if (auto s = Call(&Workers::Heartbeat, replica.server.workers(), request, &response); !s.ok()) {
      return s;
    }
    return response;
  }

  static absl::Status Release(Replica& replica, const std::string& worker, const v1::Lease& lease) {
    v1::ReleaseShardRequest request;
    request.set_stream("s");
    request.set_shard(lease.shard());
    request.set_worker(worker);
    request.set_epoch(lease.epoch());
    v1::ReleaseShardResponse response;
    return Call(&Workers::ReleaseShard, replica.server.workers(), request, &response);
  }

  TestDatabase database_;
  Replica a_;
  Replica b_;
};

// Where sessions end soon.
class DeadWorkerTest : public ReplicasTest {
 protected:
  DeadWorkerTest() : ReplicasTest(absl::Seconds(2)) {}
};

TEST_F(ReplicasTest, AShardReleasedThroughOneWakesALongPollAtTheOther) {
  MakeStream(1);
  auto held = Lease(a_, "a", 1, 0);
  ASSERT_TRUE(held.ok()) << held.status();
  ASSERT_EQ(held->leases_size(), 1);
  ASSERT_TRUE(Lease(b_, "b", 1, 0).ok());  // opens the session
  absl::StatusOr<v1::LeaseShardResponse> taken;
  std::thread waiting([&] { taken = Lease(b_, "b", 1, 0); });
  // Only when it waits is a hint what it needs.
  ASSERT_TRUE(Eventually([&] {
    return database_.Query("SELECT wanted FROM lowmark.workers WHERE worker = 'b'") == "1";
  }));
  ASSERT_EQ(Release(a_, "a", held->leases(0)), absl::OkStatus());
  waiting.join();
  ASSERT_TRUE(taken.ok()) << taken.status();
  ASSERT_EQ(taken->leases_size(), 1);
  EXPECT_GT(taken->leases(0).epoch(), held->leases(0).epoch());
}

TEST_F(ReplicasTest, AWorkerAtOneIsAskedToHandOverToAWorkerAtTheOther) {
  MakeStream(4);
  auto held = Lease(a_, "a", 4, 0);
  ASSERT_TRUE(held.ok()) << held.status();
  ASSERT_EQ(held->leases_size(), 4);
  ASSERT_TRUE(Lease(b_, "b", 4, 0).ok());
  std::atomic<int> taken = 0;
  std::thread waiting([&] {
    while (taken < 2) {
      auto more = Lease(b_, "b", 4, taken);
      ASSERT_TRUE(more.ok()) << more.status();
      taken += more->leases_size();
    }
  });
  // First one shard, and its half once a heartbeat came while it held that one.
  std::set<std::string> released;
  EXPECT_TRUE(Eventually([&] {
    (void)Heartbeat(b_, "b");
    auto heartbeat = Heartbeat(a_, "a");
    if (!heartbeat.ok()) return false;
    for (const v1::Lease& lease : held->leases()) {
      const auto& asked = heartbeat->hand_over_shards();
      if (std::count(asked.begin(), asked.end(), lease.shard()) == 0) continue;
      if (!released.insert(lease.shard()).second) continue;
      EXPECT_EQ(Release(a_, "a", lease), absl::OkStatus());
    }
    return taken == 2;
  }));
  waiting.join();
  EXPECT_EQ(released.size(), 2u);
}

// The one that took the shard over does not need the one that gave it away.
TEST_F(DeadWorkerTest, WhatADeadWorkerHeldIsLeasedThroughTheOther) {
  MakeStream(1);
  auto held = Lease(a_, "a", 1, 0);
  ASSERT_TRUE(held.ok()) << held.status();
  ASSERT_EQ(held->leases_size(), 1);
  ASSERT_TRUE(Lease(b_, "b", 1, 0).ok());
  absl::StatusOr<v1::LeaseShardResponse> taken;
  // Worker "a" is not heard of again. The session ends when somebody asks.
  ASSERT_TRUE(Eventually([&] {
    (void)Heartbeat(b_, "b");
    return database_.Query(
               "SELECT expires_at < clock_timestamp() FROM lowmark.workers "
               "WHERE worker = 'a'") == "t";
  }));
  taken = Lease(b_, "b", 1, 0);
  ASSERT_TRUE(taken.ok()) << taken.status();
  ASSERT_EQ(taken->leases_size(), 1);
  EXPECT_EQ(taken->leases(0).delivery().cause(), v1::REDELIVERY_CAUSE_LOST);
  EXPECT_TRUE(taken->leases(0).delivery().declare());
  EXPECT_EQ(Reason(Heartbeat(a_, "a").status()), kSessionExpired);
  EXPECT_EQ(Reason(Release(a_, "a", held->leases(0))), kLeaseFenced);
}

TEST_F(ReplicasTest, OneReportToBothIsAppliedOnce) {
  MakeStream(1);
  auto held = Lease(a_, "a", 1, 0);
  ASSERT_TRUE(held.ok()) << held.status();
  ASSERT_EQ(held->leases_size(), 1);
  for (int64_t delivery = 1; delivery <= 50; ++delivery) {
    v1::ReportBatchRequest report;
    report.set_stream("s");
    report.set_shard("0");
    report.set_worker("a");
    report.set_epoch(held->leases(0).epoch());
    report.set_delivery(delivery);
    report.set_first_sequence(std::to_string(delivery));
    report.set_last_sequence(std::to_string(delivery));
    report.set_record_count(1);
    report.mutable_success();
    v1::ReportBatchResponse first;
    v1::ReportBatchResponse second;
    absl::Status other;
    std::thread twin(
        [&] { other = Call(&Workers::ReportBatch, b_.server.workers(), report, &second); });
    const absl::Status one = Call(&Workers::ReportBatch, a_.server.workers(), report, &first);
    twin.join();
    ASSERT_EQ(one, absl::OkStatus());
    ASSERT_EQ(other, absl::OkStatus());
    EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
    EXPECT_EQ(first.next().delivery(), delivery + 1);
  }
}

}  // namespace
}  // namespace lowmark
