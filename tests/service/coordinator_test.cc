// The coordinator's use cases on a store in memory, with faults.
#include "service/coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <atomic>
#include <memory>

#include "service/core/error.h"
#include "store/memory/memory_store.h"
#include "tests/service/answers.h"
#include "tests/support/fault_store.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class CoordinatorTest : public testing::Test {
 protected:
  CoordinatorTest() {
    options_.session_ttl = absl::Hours(1);
    options_.balance_interval = absl::Milliseconds(10);
    policy_.batch_size = 10;
    policy_.bisect_batch_on_failure = false;
    EXPECT_TRUE(memory_.CreateStream("s", policy_).ok());
    Start();
  }

  ~CoordinatorTest() override {
    store_.Release(StoreCall::kUpdateShards);
    store_.Release(StoreCall::kLeaseShards);
  }

  void Start() { coordinator_ = std::make_unique<Coordinator>(store_, metrics_, options_); }

  static LeaseCall Call(const std::string& worker, int32_t held = 0) {
    LeaseCall call;
    call.worker = worker;
    call.held = held;
    call.wait = absl::Hours(1);
    return call;
  }

  absl::StatusOr<LeaseGrant> Lease(const LeaseCall& call) {
    Answers<absl::StatusOr<LeaseGrant>> answers;
    coordinator_->LeaseShard(
        "s", call, [] { return false; }, answers.Sink());
    EXPECT_TRUE(answers.Await(1));
    return answers.All()[0];
  }

  absl::StatusOr<ReportAnswer> Send(const Report& report) {
    Answers<absl::StatusOr<ReportAnswer>> answers;
    coordinator_->ReportBatch(std::make_shared<Report>(report), answers.Sink());
    EXPECT_TRUE(answers.Await(1));
    return answers.All()[0];
  }

  absl::StatusOr<HeartbeatAnswer> Heartbeat(const std::string& worker) {
    Answers<absl::StatusOr<HeartbeatAnswer>> answers;
    coordinator_->Heartbeat(
        "s", Renewal{worker}, [] { return false; }, answers.Sink());
    EXPECT_TRUE(answers.Await(1));
    return answers.All()[0];
  }

  absl::Status ReleaseShard(const std::string& shard, const std::string& worker, int64_t epoch) {
    Answers<absl::Status> answers;
    coordinator_->ReleaseShard("s", shard, worker, epoch, answers.Sink());
    EXPECT_TRUE(answers.Await(1));
    return answers.All()[0];
  }

  absl::StatusOr<int32_t> Sync(const std::string& worker, std::vector<SourceShard> shards) {
    Answers<absl::StatusOr<int32_t>> answers;
    coordinator_->SyncShards("s", worker, std::move(shards), answers.Sink());
    EXPECT_TRUE(answers.Await(1));
    return answers.All()[0];
  }

  // The worker "w" opens its session, lists a shard and leases it.
  LeaseGrant::Lease LeaseOne(const std::string& shard = "1") {
    EXPECT_TRUE(Lease(Call("w")).ok());
    EXPECT_TRUE(Sync("w", {{shard, {}}}).ok());
    auto grant = Lease(Call("w"));
    EXPECT_TRUE(grant.ok()) << grant.status();
    EXPECT_EQ(grant->leases.size(), 1u);
    return grant->leases.at(0);
  }

  static Report Make(const LeaseGrant::Lease& lease, int64_t delivery, Event event) {
    Report report;
    report.stream = "s";
    report.shard = lease.shard.shard;
    report.worker = lease.shard.owner;
    report.epoch = lease.shard.epoch;
    report.delivery = delivery;
    report.event = std::move(event);
    return report;
  }

  Shard Stored(const std::string& shard = "1") { return memory_.GetShard("s", shard)->shard; }

  double Counter(const std::string& name, const std::string& label = "",
                 const std::string& value = "") {
    for (const auto& family : registry_.Collect()) {
      if (family.name != name) continue;
      for (const auto& metric : family.metric) {
        bool matches = label.empty();
        for (const auto& each : metric.label) {
          matches = matches || (each.name == label && each.value == value);
        }
        if (matches) return metric.counter.value;
      }
    }
    return 0;
  }

  CoordinatorOptions options_;
  Policy policy_;
  prometheus::Registry registry_;
  Metrics metrics_{registry_};
  MemoryStore memory_;
  FaultStore store_{memory_};
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(CoordinatorTest, AnswerToAReportIsTheNextDelivery) {
  const LeaseGrant::Lease lease = LeaseOne();
  auto answer = Send(Make(lease, 1, Succeeded{"1", "10", 10, false}));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->shard.state.position, Position::After("10"));
  ASSERT_TRUE(answer->next.has_value());
  EXPECT_EQ(answer->next->delivery, 2);
  EXPECT_FALSE(answer->hand_over);
  ASSERT_TRUE(answer->policy.has_value());  // the report named no etag
  EXPECT_EQ(*answer->policy, policy_);
  EXPECT_EQ(Stored(), answer->shard);
  EXPECT_EQ(Counter("lowmark_records_processed_total"), 10);
}

TEST_F(CoordinatorTest, LowestFailedRecordIsTheCheckpoint) {
  const LeaseGrant::Lease lease = LeaseOne();
  std::vector<std::string> batch = {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"};
  auto answer = Send(Make(lease, 1, Failed{batch, {"9", "4"}, "E", "m"}));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->shard.state.position, Position::At("4"));
  EXPECT_EQ(answer->next->end_sequence, "10");
  EXPECT_EQ(answer->next->cause, Redelivery::kPartial);
}

// The answer was lost after the commit: the same report again is answered with
// the present, and changes and counts nothing.
TEST_F(CoordinatorTest, ReportWhoseAnswerWasLostMayBeRepeated) {
  const LeaseGrant::Lease lease = LeaseOne();
  const Report report = Make(lease, 1, Succeeded{"1", "10", 10, false});
  store_.Inject(StoreCall::kUpdateShards, Fault::kAfter);
  auto lost = Send(report);
  EXPECT_EQ(Reason(lost.status()), kUnavailable);
  const Shard committed = Stored();
  EXPECT_EQ(committed.state.position, Position::After("10"));
  auto again = Send(report);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->shard, committed);
  EXPECT_EQ(again->next->delivery, 2);
  EXPECT_EQ(Stored(), committed);
  EXPECT_EQ(Counter("lowmark_reports_repeated_total"), 1);
}

TEST_F(CoordinatorTest, ReportThatNeverArrivedMayBeRepeated) {
  const LeaseGrant::Lease lease = LeaseOne();
  const Report report = Make(lease, 1, Succeeded{"1", "10", 10, false});
  store_.Inject(StoreCall::kUpdateShards, Fault::kBefore);
  EXPECT_EQ(Reason(Send(report).status()), kUnavailable);
  EXPECT_EQ(Stored().state.position, Position::TrimHorizon());
  EXPECT_TRUE(Send(report).ok());
  EXPECT_EQ(Counter("lowmark_records_processed_total"), 10);
}

TEST_F(CoordinatorTest, StaleReportsAreRefusedAndCounted) {
  const LeaseGrant::Lease lease = LeaseOne();
  Report report = Make(lease, 7, Succeeded{"1", "10", 10, false});
  EXPECT_EQ(Reason(Send(report).status()), kStaleDelivery);
  report.epoch = 99;
  EXPECT_EQ(Reason(Send(report).status()), kLeaseFenced);
  report.shard = "none";
  EXPECT_EQ(Reason(Send(report).status()), kShardNotFound);
  report.stream = "none";
  EXPECT_EQ(Reason(Send(report).status()), kStreamNotFound);
  EXPECT_EQ(Counter("lowmark_reports_refused_total", "reason", kStaleDelivery), 1);
  EXPECT_EQ(Counter("lowmark_reports_refused_total", "reason", kLeaseFenced), 1);
}

TEST_F(CoordinatorTest, OneWorkerIsElectedToListTheShards) {
  auto first = Lease(Call("w"));
  auto second = Lease(Call("v"));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_TRUE(first->elected);
  EXPECT_FALSE(second->elected);
  EXPECT_TRUE(Heartbeat("w")->elected);
  EXPECT_FALSE(Heartbeat("v")->elected);
  EXPECT_EQ(Reason(Heartbeat("unknown").status()), kSessionExpired);
}

TEST_F(CoordinatorTest, OnlyAWorkerWithASessionListsShards) {
  EXPECT_EQ(Reason(Sync("w", {{"1", {}}}).status()), kSessionExpired);
  EXPECT_EQ(Reason(memory_.GetShard("s", "1").status()), kShardNotFound);
  ASSERT_TRUE(Lease(Call("w")).ok());
  EXPECT_EQ(*Sync("w", {{"1", {}}, {"2", {}}}), 2);
  EXPECT_EQ(*Sync("w", {{"1", {}}, {"2", {}}, {"3", {"1"}}}), 1);
  EXPECT_EQ(Sync("w", {{"4", {"none"}}}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CoordinatorTest, ReleasedShardWakesWhoWaits) {
  const LeaseGrant::Lease lease = LeaseOne();
  ASSERT_TRUE(Lease(Call("v")).ok());
  Answers<absl::StatusOr<LeaseGrant>> waiting;
  coordinator_->LeaseShard(
      "s", Call("v"), [] { return false; }, waiting.Sink());
  ASSERT_TRUE(ReleaseShard("1", "w", lease.shard.epoch).ok());
  ASSERT_TRUE(waiting.Await(1));
  auto grant = waiting.All()[0];
  ASSERT_TRUE(grant.ok()) << grant.status();
  ASSERT_EQ(grant->leases.size(), 1u);
  EXPECT_EQ(grant->leases[0].shard.epoch, lease.shard.epoch + 1);
  EXPECT_FALSE(grant->leases[0].lost);
  // Too late for the worker before.
  EXPECT_EQ(Reason(Send(Make(lease, 1, Succeeded{"1", "10", 10, false})).status()), kLeaseFenced);
  EXPECT_EQ(Reason(ReleaseShard("1", "w", lease.shard.epoch)), kLeaseFenced);
}

TEST_F(CoordinatorTest, ReleasingAgainChangesNothing) {
  const LeaseGrant::Lease lease = LeaseOne();
  ASSERT_TRUE(ReleaseShard("1", "w", lease.shard.epoch).ok());
  const auto events = memory_.ListEvents("s", "1", 0, 100)->size();
  ASSERT_TRUE(ReleaseShard("1", "w", lease.shard.epoch).ok());
  EXPECT_EQ(memory_.ListEvents("s", "1", 0, 100)->size(), events);
}

TEST_F(CoordinatorTest, EndOfAShardLetsItsChildrenBeLeased) {
  ASSERT_TRUE(Lease(Call("w")).ok());
  ASSERT_TRUE(Sync("w", {{"parent", {}}, {"child", {"parent"}}}).ok());
  auto parent = Lease(Call("w"));
  ASSERT_TRUE(parent.ok());
  ASSERT_EQ(parent->leases.size(), 1u);
  EXPECT_EQ(parent->leases[0].shard.shard, "parent");
  Answers<absl::StatusOr<LeaseGrant>> waiting;
  coordinator_->LeaseShard(
      "s", Call("w", /*held=*/1), [] { return false; }, waiting.Sink());
  auto answer = Send(Make(parent->leases[0], 1, Succeeded{"1", "10", 10, true}));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_FALSE(answer->next.has_value());
  ASSERT_TRUE(waiting.Await(1));
  ASSERT_TRUE(waiting.All()[0].ok());
  ASSERT_EQ(waiting.All()[0]->leases.size(), 1u);
  EXPECT_EQ(waiting.All()[0]->leases[0].shard.shard, "child");
}

TEST_F(CoordinatorTest, AWorkerAboveItsShareIsAskedInReportsAndHeartbeats) {
  ASSERT_TRUE(Lease(Call("w")).ok());
  ASSERT_TRUE(Sync("w", {{"1", {}}, {"2", {}}}).ok());
  LeaseCall two = Call("w");
  two.max_leases = 2;
  auto grant = Lease(two);
  ASSERT_TRUE(grant.ok());
  ASSERT_EQ(grant->leases.size(), 2u);
  ASSERT_TRUE(Lease(Call("v")).ok());
  Answers<absl::StatusOr<LeaseGrant>> waiting;
  coordinator_->LeaseShard(
      "s", Call("v"), [] { return false; }, waiting.Sink());
  ASSERT_TRUE(Eventually([&] { return !Heartbeat("w")->hand_over.empty(); }));
  EXPECT_THAT(Heartbeat("w")->hand_over, ElementsAre("1"));
  EXPECT_THAT(Heartbeat("v")->hand_over, IsEmpty());
  EXPECT_FALSE(Send(Make(grant->leases[1], 1, Succeeded{"1", "2", 2, false}))->hand_over);
  EXPECT_TRUE(Send(Make(grant->leases[0], 1, Succeeded{"1", "2", 2, false}))->hand_over);
  ASSERT_TRUE(ReleaseShard("1", "w", grant->leases[0].shard.epoch).ok());
  EXPECT_EQ(Counter("lowmark_handoffs_total", "kind", "graceful"), 1);
  ASSERT_TRUE(waiting.Await(1));
  EXPECT_EQ(waiting.All()[0]->leases.at(0).shard.shard, "1");
}

TEST_F(CoordinatorTest, SeekMovesTheCheckpointAndEndsTheLease) {
  const LeaseGrant::Lease lease = LeaseOne();
  ASSERT_TRUE(Send(Make(lease, 1, Succeeded{"1", "10", 10, false})).ok());
  const Shard before = Stored();
  auto dry = coordinator_->Seek("s", "1", Position::At("5"), "again", /*dry_run=*/true);
  ASSERT_TRUE(dry.ok()) << dry.status();
  EXPECT_EQ(dry->before.shard, before);
  EXPECT_EQ(dry->after.shard.state.position, Position::At("5"));
  EXPECT_EQ(Stored(), before);

  auto moved = coordinator_->Seek("s", "1", Position::At("5"), "again", /*dry_run=*/false);
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->after.shard, Stored());
  EXPECT_GT(Stored().epoch, before.epoch);
  EXPECT_EQ(Stored().owner, "");
  EXPECT_EQ(Reason(Send(Make(lease, 2, Succeeded{"11", "12", 2, false})).status()), kLeaseFenced);
  const auto events = memory_.ListEvents("s", "1", 0, 100);
  EXPECT_EQ(events->back().kind, "seek");
  EXPECT_THAT(events->back().detail, testing::HasSubstr("again"));
}

TEST_F(CoordinatorTest, SeekRefusesWhatCannotBe) {
  const LeaseGrant::Lease lease = LeaseOne();
  EXPECT_EQ(Reason(coordinator_->Seek("s", "none", Position::Latest(), "r", false).status()),
            kShardNotFound);
  EXPECT_EQ(coordinator_->Seek("s", "1", Position::ShardEnd(), "r", false).status().code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(Send(Make(lease, 1, Succeeded{"1", "10", 10, true})).ok());
  EXPECT_EQ(Reason(coordinator_->Seek("s", "1", Position::Latest(), "r", false).status()),
            kShardDone);
}

TEST_F(CoordinatorTest, DrainAnswersLongPolls) {
  ASSERT_TRUE(Lease(Call("w")).ok());
  Answers<absl::StatusOr<LeaseGrant>> waiting;
  coordinator_->LeaseShard(
      "s", Call("w"), [] { return false; }, waiting.Sink());
  // It waits once the store has looked for it.
  ASSERT_TRUE(Eventually([&] { return store_.Calls(StoreCall::kLeaseShards) == 2; }));
  coordinator_->Drain();
  ASSERT_TRUE(waiting.Await(1));
  EXPECT_TRUE(waiting.All()[0].ok());
  EXPECT_THAT(waiting.All()[0]->leases, IsEmpty());
}

TEST_F(CoordinatorTest, ItsEndAnswersAllThatWasSubmitted) {
  const LeaseGrant::Lease lease = LeaseOne();
  Answers<absl::StatusOr<ReportAnswer>> reports;
  Answers<absl::StatusOr<LeaseGrant>> leases;
  Answers<absl::StatusOr<HeartbeatAnswer>> heartbeats;
  coordinator_->ReportBatch(
      std::make_shared<Report>(Make(lease, 1, Succeeded{"1", "10", 10, false})), reports.Sink());
  coordinator_->LeaseShard(
      "s", Call("w", /*held=*/1), [] { return false; }, leases.Sink());
  coordinator_->Heartbeat(
      "s", Renewal{"w"}, [] { return false; }, heartbeats.Sink());
  coordinator_.reset();
  EXPECT_EQ(reports.size(), 1u);
  EXPECT_TRUE(reports.All()[0].ok());
  EXPECT_EQ(leases.size(), 1u);
  EXPECT_EQ(heartbeats.size(), 1u);
}

// The store calls from a thread of its own, whenever it likes.
TEST_F(CoordinatorTest, HintsAfterItsEndAreHarmless) {
  LeaseOne();
  coordinator_.reset();
  EXPECT_TRUE(memory_.AddShards("s", {{"2", {}}}).ok());  // gives the hint
}

TEST_F(CoordinatorTest, HeartbeatsBeyondTheQueueAreRefused) {
  ASSERT_TRUE(Lease(Call("w")).ok());
  store_.Hold(StoreCall::kRenewSessions);
  Answers<absl::StatusOr<HeartbeatAnswer>> answers;
  int sent = 0;
  while (answers.size() == 0 && sent < 100000) {
    coordinator_->Heartbeat(
        "s", Renewal{"w"}, [] { return false; }, answers.Sink());
    ++sent;
  }
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(Reason(answers.All()[0].status()), kUnavailable);
  store_.Release(StoreCall::kRenewSessions);
  ASSERT_TRUE(answers.Await(sent));
}

// Its next call comes at once: a proxy between may cut off what waits longer.
TEST_F(CoordinatorTest, NoCallWaitsLongerThanTheOptionsSay) {
  options_.longest_wait = absl::Milliseconds(20);
  Start();
  ASSERT_TRUE(Lease(Call("w")).ok());
  const auto none = Lease(Call("w"));  // which would wait for an hour
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_THAT(none->leases, IsEmpty());
}

}  // namespace
}  // namespace lowmark
