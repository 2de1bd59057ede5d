// What operators see of workers and do to them, over the wire, on every store: list,
// cordon, drain, freeze, and what the workers notice of it.
#include <set>
#include <thread>

#include "service/core/error.h"
#include "tests/integration/wire_fixture.h"
#include "tests/service/answers.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// A wait that is to end with nothing; the balance is looked at a hundred times in it.
constexpr absl::Duration kInVain = absl::Seconds(1);

using Held = std::vector<v1::Lease>;

class OperatorWorkers : public WireTest {
 protected:
  explicit OperatorWorkers(absl::Duration session_ttl = absl::Hours(1))
      : WireTest(MovingOptions(session_ttl)) {}

  // Shards move as soon as they are to.
  static CoordinatorOptions MovingOptions(absl::Duration session_ttl) {
    CoordinatorOptions options = Options();
    options.session_ttl = session_ttl;
    options.balance_interval = absl::Milliseconds(10);
    options.balance_settling = absl::ZeroDuration();
    return options;
  }

  // The stream with these shards, all of them leased to "w"; "v" has a session.
  Held LeaseAll(const std::vector<std::string>& shards, const v1::StreamConfig& config = {}) {
    MakeStream(shards, config);
    Held held = LeaseSome("w", static_cast<int>(shards.size()));
    OpenSession("v");
    return held;
  }

  // Waits until the worker, which holds none, has got `count` shards.
  Held LeaseSome(const std::string& worker, int count) {
    Held held;
    while (static_cast<int>(held.size()) < count) {
      const int so_far = static_cast<int>(held.size());
      auto leased = Lease(worker, count - so_far, so_far);
      EXPECT_TRUE(leased.ok()) << leased.status();
      if (!leased.ok() || leased->leases_size() == 0) break;
      held.insert(held.end(), leased->leases().begin(), leased->leases().end());
    }
    EXPECT_EQ(static_cast<int>(held.size()), count);
    return held;
  }

  // What the worker gets while it waits for one more shard.
  std::vector<std::string> Offered(const std::string& worker, int held) {
    auto leased = Lease(worker, 1, held, kInVain);
    EXPECT_TRUE(leased.ok()) << leased.status();
    return leased.ok() ? Names(*leased) : std::vector<std::string>();
  }

  static std::vector<std::string> Names(const v1::LeaseShardResponse& leased) {
    std::vector<std::string> names;
    for (const v1::Lease& lease : leased.leases()) names.push_back(lease.shard());
    return names;
  }

  // The shards that a heartbeat asks the worker to hand over.
  std::vector<std::string> Asked(const std::string& worker) {
    v1::HeartbeatRequest request;
    request.set_stream("s");
    request.set_worker(worker);
    v1::HeartbeatResponse response;
    EXPECT_EQ(Call(&Workers::Heartbeat, server_.workers(), request, &response), absl::OkStatus());
    return {response.hand_over_shards().begin(), response.hand_over_shards().end()};
  }

  v1::Worker Cordon(const std::string& worker) {
    auto changed = Tell(&Admin::CordonWorker, worker);
    EXPECT_TRUE(changed.ok()) << changed.status();
    return changed.ok() ? *changed : v1::Worker();
  }
  v1::Worker Uncordon(const std::string& worker) {
    auto changed = Tell(&Admin::UncordonWorker, worker);
    EXPECT_TRUE(changed.ok()) << changed.status();
    return changed.ok() ? *changed : v1::Worker();
  }
  v1::Worker Drain(const std::string& worker) {
    auto changed = Tell(&Admin::DrainWorker, worker);
    EXPECT_TRUE(changed.ok()) << changed.status();
    return changed.ok() ? *changed : v1::Worker();
  }

  v1::Worker Find(const std::string& worker) {
    for (v1::Worker& each : ListWorkers()) {
      if (each.worker() == worker) return each;
    }
    ADD_FAILURE() << "there is no worker " << worker;
    return {};
  }

  void SetFrozen(bool frozen) {
    v1::UpdateStreamRequest request;
    request.set_stream("s");
    request.mutable_config()->set_frozen(frozen);
    request.mutable_update_mask()->add_paths("frozen");
    v1::UpdateStreamResponse response;
    ASSERT_EQ(Call(&Admin::UpdateStream, server_.admin(), request, &response), absl::OkStatus());
  }
};
INSTANTIATE_TEST_SUITE_P(Stores, OperatorWorkers, EveryStore(), StoreName);

TEST_P(OperatorWorkers, AWorkerShowsWhatItHoldsWantsAndMay) {
  MakeStream({"1", "2", "3"});
  EXPECT_EQ(ListWorkers()[0].wanted_shards(), 0) << "the call that opens a session is over";
  auto leased = Lease("w", 2);
  ASSERT_TRUE(leased.ok()) << leased.status();
  ASSERT_EQ(leased->leases_size(), 2);
  const std::vector<v1::Worker> workers = ListWorkers();
  ASSERT_EQ(workers.size(), 1u);
  const v1::Worker& worker = workers[0];
  EXPECT_EQ(worker.stream(), "s");
  EXPECT_EQ(worker.worker(), "w");
  EXPECT_EQ(worker.status(), v1::WORKER_STATUS_LIVE);
  EXPECT_EQ(worker.capacity(), 1);
  EXPECT_EQ(worker.held_shards(), 2);
  EXPECT_EQ(worker.wanted_shards(), 0);
  EXPECT_TRUE(worker.probation()) << "it has sent no heartbeat";
  EXPECT_GT(worker.open_time().seconds(), 1'600'000'000);
  EXPECT_NEAR(worker.expire_time().seconds() - worker.open_time().seconds(), 3600, 60);
  EXPECT_GT(worker.expires_in().seconds(), 3500);
  EXPECT_LE(worker.expires_in().seconds(), 3600);
  v1::HeartbeatRequest heartbeat;
  heartbeat.set_stream("s");
  heartbeat.set_worker("w");
  v1::HeartbeatResponse beaten;
  ASSERT_TRUE(Call(&Workers::Heartbeat, server_.workers(), heartbeat, &beaten).ok());
  EXPECT_FALSE(ListWorkers()[0].probation());
}

TEST_P(OperatorWorkers, CordonDrainAndUncordonChangeAWorkersStatus) {
  MakeStream({"1"});
  ASSERT_EQ(Lease("w", 1)->leases_size(), 1);
  OpenSession("v");
  const auto expect = [&](const absl::StatusOr<v1::Worker>& worker, v1::WorkerStatus status) {
    ASSERT_TRUE(worker.ok()) << worker.status();
    EXPECT_EQ(worker->status(), status);
    for (const v1::Worker& listed : ListWorkers()) {
      EXPECT_EQ(listed.status(),
                listed.worker() == worker->worker() ? status : v1::WORKER_STATUS_LIVE);
    }
  };
  expect(Tell(&Admin::CordonWorker, "w"), v1::WORKER_STATUS_CORDONED);
  expect(Tell(&Admin::CordonWorker, "w"), v1::WORKER_STATUS_CORDONED);
  expect(Tell(&Admin::DrainWorker, "w"), v1::WORKER_STATUS_DRAINING);
  expect(Tell(&Admin::CordonWorker, "w"), v1::WORKER_STATUS_DRAINING);
  expect(Tell(&Admin::UncordonWorker, "w"), v1::WORKER_STATUS_LIVE);
  expect(Tell(&Admin::UncordonWorker, "w"), v1::WORKER_STATUS_LIVE);
  expect(Tell(&Admin::DrainWorker, "v"), v1::WORKER_STATUS_DRAINED);
}

TEST_P(OperatorWorkers, UnknownWorkersAreNotFound) {
  MakeStream({"1"});
  const std::string before = open_->Dump();
  const auto expect = [](const absl::Status& status, const char* reason) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
    EXPECT_EQ(Reason(status), reason) << status;
  };
  expect(Tell(&Admin::CordonWorker, "x").status(), kWorkerNotFound);
  expect(Tell(&Admin::UncordonWorker, "x").status(), kWorkerNotFound);
  expect(Tell(&Admin::DrainWorker, "x").status(), kWorkerNotFound);
  expect(Tell(&Admin::CordonWorker, "w", "no").status(), kStreamNotFound);
  expect(Tell(&Admin::UncordonWorker, "w", "no").status(), kStreamNotFound);
  expect(Tell(&Admin::DrainWorker, "w", "no").status(), kStreamNotFound);
  EXPECT_EQ(open_->Dump(), before);
}

TEST_P(OperatorWorkers, WorkersArePagedById) {
  MakeStream({});  // with worker "w"
  for (const char* worker : {"b", "a.b", "c:1", "a"}) OpenSession(worker);
  std::vector<std::string> listed;
  v1::ListWorkersRequest request;
  request.set_stream("s");
  request.set_page_size(5);  // exactly all
  v1::ListWorkersResponse response;
  ASSERT_EQ(Call(&Admin::ListWorkers, server_.admin(), request, &response), absl::OkStatus());
  EXPECT_EQ(response.next_page_token(), "");
  request.set_page_size(2);
  do {
    ASSERT_EQ(Call(&Admin::ListWorkers, server_.admin(), request, &response), absl::OkStatus());
    EXPECT_LE(response.workers_size(), 2);
    for (const v1::Worker& worker : response.workers()) listed.push_back(worker.worker());
    request.set_page_token(response.next_page_token());
  } while (!response.next_page_token().empty());
  EXPECT_THAT(listed, ElementsAre("a", "a.b", "b", "c:1", "w"));
}

TEST_P(OperatorWorkers, ADrainedWorkerIsAskedForAllItHoldsAndTheOtherGetsIt) {
  const Held held = LeaseAll({"1", "2", "3", "4"});
  // The call that opened the other's session has wanted a shard for a moment.
  ASSERT_TRUE(Eventually([&] { return Asked("w").empty(); }));
  EXPECT_EQ(Drain("w").held_shards(), 4);
  EXPECT_EQ(Find("w").status(), v1::WORKER_STATUS_DRAINING);
  ASSERT_TRUE(Eventually([&] { return Asked("w").size() == 4; }));
  EXPECT_THAT(Asked("v"), IsEmpty());
  for (const v1::Lease& lease : held) {
    // It has not finished its batch: that is reported, and the answer asks as well.
    auto answer = Send(Success(lease, 1, 1, 5));
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_TRUE(answer->hand_over()) << lease.shard();
    ASSERT_EQ(Release(lease.shard(), "w", lease.epoch()), absl::OkStatus());
  }
  EXPECT_EQ(Find("w").status(), v1::WORKER_STATUS_DRAINED);
  for (const v1::Lease& lease : LeaseSome("v", 4)) {
    EXPECT_EQ(Text(lease.delivery().start()), "AFTER 5") << lease.shard();
    EXPECT_EQ(lease.delivery().cause(), v1::REDELIVERY_CAUSE_UNSPECIFIED);
  }
  // It stays cordoned, however free a shard is.
  ASSERT_EQ(Sync({"1", "2", "3", "4", "5"}), absl::OkStatus());
  EXPECT_THAT(Offered("w", 0), IsEmpty());
  EXPECT_THAT(Offered("v", 4), ElementsAre("5"));
  EXPECT_EQ(Find("w").status(), v1::WORKER_STATUS_DRAINED);
}

TEST_P(OperatorWorkers, ADrainedWorkerThatKeepsItsShardsLosesThemToTheOther) {
  v1::StreamConfig config;
  config.mutable_handoff_timeout()->set_seconds(1);
  const Held held = LeaseAll({"1", "2"}, config);
  Drain("w");
  ASSERT_TRUE(Eventually([&] { return Asked("w").size() == 2; }));
  const Held taken = LeaseSome("v", 2);
  EXPECT_EQ(Find("w").status(), v1::WORKER_STATUS_DRAINED);
  for (const v1::Lease& lease : held) {
    EXPECT_EQ(Reason(Send(Success(lease, 1, 1, 5)).status()), kLeaseFenced);
    EXPECT_EQ(Reason(Release(lease.shard(), "w", lease.epoch())), kLeaseFenced);
  }
  for (const v1::Lease& lease : taken) EXPECT_TRUE(lease.delivery().declare()) << lease.shard();
}

TEST_P(OperatorWorkers, ACordonedWorkerKeepsItsShardsAndNewOnesGoToTheOther) {
  const Held held = LeaseAll({"1", "2"});
  EXPECT_EQ(Cordon("w").held_shards(), 2);
  ASSERT_EQ(Sync({"1", "2", "3"}), absl::OkStatus());
  EXPECT_THAT(Offered("w", 2), IsEmpty());
  EXPECT_THAT(Offered("v", 0), ElementsAre("3"));
  EXPECT_THAT(Asked("w"), IsEmpty());
  EXPECT_EQ(Find("w").held_shards(), 2);
  EXPECT_FALSE(Send(Success(held[0], 1, 1, 5))->hand_over());
}

TEST_P(OperatorWorkers, UncordoningGivesAWaitingWorkerShardsAtOnce) {
  LeaseAll({"1"});
  Drain("v");
  ASSERT_EQ(Sync({"1", "2"}), absl::OkStatus());
  absl::StatusOr<v1::LeaseShardResponse> leased;
  std::thread waiting([&] { leased = Lease("v", 1); });
  EXPECT_TRUE(Eventually([&] { return Find("v").wanted_shards() == 1; }));
  EXPECT_EQ(Find("v").held_shards(), 0);
  EXPECT_EQ(Uncordon("v").status(), v1::WORKER_STATUS_LIVE);
  waiting.join();
  ASSERT_TRUE(leased.ok()) << leased.status();
  EXPECT_THAT(Names(*leased), ElementsAre("2"));
}

TEST_P(OperatorWorkers, UncordoningEndsADrainHalfWay) {
  const Held held = LeaseAll({"1", "2", "3", "4"});
  Drain("w");
  ASSERT_TRUE(Eventually([&] { return Asked("w").size() == 4; }));
  ASSERT_EQ(Release("1", "w", held[0].epoch()), absl::OkStatus());
  Uncordon("w");
  EXPECT_TRUE(Eventually([&] { return Asked("w").empty(); })) << "it may keep the others";
  EXPECT_THAT(Offered("v", 0), ElementsAre("1"));
}

TEST_P(OperatorWorkers, NothingMovesInAFrozenStream) {
  v1::StreamConfig config;
  config.set_frozen(true);
  const Held held = LeaseAll({"1", "2", "3", "4"}, config);
  EXPECT_THAT(Offered("v", 0), IsEmpty());
  EXPECT_THAT(Asked("w"), IsEmpty());
  EXPECT_FALSE(Send(Success(held[0], 1, 1, 5))->hand_over());
  // Not even from a worker that is drained.
  EXPECT_EQ(Drain("w").held_shards(), 4);
  EXPECT_THAT(Offered("v", 0), IsEmpty());
  EXPECT_THAT(Asked("w"), IsEmpty());
  EXPECT_EQ(Find("w").status(), v1::WORKER_STATUS_DRAINING);
  // But what is free is leased: given back, or new.
  ASSERT_EQ(Release("1", "w", held[0].epoch()), absl::OkStatus());
  EXPECT_THAT(Offered("v", 0), ElementsAre("1"));
  ASSERT_EQ(Sync({"1", "2", "3", "4", "5"}), absl::OkStatus());
  EXPECT_THAT(Offered("v", 1), ElementsAre("5"));
  SetFrozen(false);
  ASSERT_TRUE(Eventually([&] { return Asked("w").size() == 3; }));
}

// A test in which sessions end.
class DeadWorkers : public OperatorWorkers {
 protected:
  DeadWorkers() : OperatorWorkers(absl::Seconds(1)) {}
};
INSTANTIATE_TEST_SUITE_P(Stores, DeadWorkers, EveryStore(), StoreName);

TEST_P(DeadWorkers, TheirShardsAreLeasedInAFrozenStreamToo) {
  v1::StreamConfig config;
  config.set_frozen(true);
  MakeStream({"1", "2"}, config);
  ASSERT_EQ(Lease("w", 2)->leases_size(), 2);
  OpenSession("v");
  std::set<std::string> got;
  // Each call is a sign of life of "v"; none comes from "w".
  ASSERT_TRUE(Eventually([&] {
    auto leased = Lease("v", 2, static_cast<int>(got.size()), absl::Milliseconds(300));
    if (leased.ok()) {
      for (const std::string& shard : Names(*leased)) got.insert(shard);
    }
    return got.size() == 2;
  }));
  EXPECT_THAT(got, UnorderedElementsAre("1", "2"));
  EXPECT_EQ(Find("w").status(), v1::WORKER_STATUS_ENDED);
  EXPECT_FALSE(Find("w").has_expires_in());
  EXPECT_EQ(Reason(Tell(&Admin::DrainWorker, "w").status()), kWorkerNotFound);
}

}  // namespace
}  // namespace lowmark
