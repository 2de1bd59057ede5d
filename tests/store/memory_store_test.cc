// MemoryStore against the contract, and what is its own.
#include "store/memory/memory_store.h"

#include <thread>

#include "tests/store/outbox_contract.h"
#include "tests/support/fault_store.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

class MemoryUnderTest : public StoreUnderTest {
 public:
  Store& store() override { return store_; }
  void Advance(absl::Duration duration) override { now_ += duration; }
  void FailOver() override { store_.SetTimeline(1); }
  void LoseStats() override { store_.LoseStats(); }

 private:
  absl::Time now_ = absl::FromUnixSeconds(1700000000);
  MemoryStore store_{[this] { return now_; }};
};

std::unique_ptr<StoreUnderTest> MakeMemory() { return std::make_unique<MemoryUnderTest>(); }

INSTANTIATE_TEST_SUITE_P(Memory, StoreContract, testing::Values(MakeMemory),
                         [](const auto&) { return "Memory"; });
INSTANTIATE_TEST_SUITE_P(Memory, OutboxContract, testing::Values(MakeMemory),
                         [](const auto&) { return "Memory"; });

TEST(MemoryStore, ATimelineRaisesTheEpoch) {
  MemoryStore store;
  ASSERT_TRUE(store.CreateStream("s", Policy()).ok());
  ASSERT_TRUE(store.AddShards("s", {{"a", {}}}).ok());
  store.SetTimeline(3);
  auto grant = LeaseOne(store, StoreContract::Call("w", 1));
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_EQ(grant->leases[0].shard.epoch, int64_t{3} << 40);
}

TEST(FaultStore, FailsBeforeAndAfter) {
  MemoryStore memory;
  FaultStore store(memory);
  store.Inject(StoreCall::kCreateStream, Fault::kBefore);
  EXPECT_EQ(store.CreateStream("s", Policy()).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(memory.GetStream("s").ok());
  store.Inject(StoreCall::kCreateStream, Fault::kAfter, 1, absl::DataLossError("gone"));
  EXPECT_EQ(store.CreateStream("s", Policy()).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(memory.GetStream("s").ok());
  EXPECT_TRUE(store.GetStream("s").ok());
  EXPECT_EQ(store.Calls(StoreCall::kCreateStream), 2);

  store.SetDown(true);
  EXPECT_EQ(store.Check().code(), absl::StatusCode::kUnavailable);
  store.SetDown(false);
  EXPECT_TRUE(store.Check().ok());
}

TEST(FaultStore, FailsEachUpdateOfAGroup) {
  MemoryStore memory;
  FaultStore store(memory);
  ASSERT_TRUE(store.CreateStream("s", Policy()).ok());
  ASSERT_TRUE(store.AddShards("s", {{"a", {}}, {"b", {}}}).ok());
  const auto raise = [](const ShardView& view) {
    ShardChange change;
    change.changed = true;
    change.shard = view.shard;
    ++change.shard.epoch;
    return absl::StatusOr<ShardChange>(change);
  };
  std::vector<ShardUpdate> updates = {{"a", raise}, {"b", raise}};
  for (Fault fault : {Fault::kBefore, Fault::kAfter}) {
    store.Inject(StoreCall::kUpdateShards, fault);
    for (const absl::Status& status : store.UpdateShards("s", updates)) {
      EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    }
    EXPECT_EQ(memory.GetShard("s", "b")->shard.epoch, fault == Fault::kAfter ? 1 : 0);
  }
}

TEST(FaultStore, HoldsCalls) {
  MemoryStore memory;
  FaultStore store(memory);
  store.Hold(StoreCall::kCreateStream);
  absl::Status status = absl::UnknownError("not called");
  std::thread caller([&] { status = store.CreateStream("s", Policy()).status(); });
  ASSERT_TRUE(store.AwaitHeld(StoreCall::kCreateStream, 1, absl::Seconds(20)));
  EXPECT_FALSE(store.GetStream("s").ok());
  store.Release(StoreCall::kCreateStream);
  caller.join();
  EXPECT_TRUE(status.ok());
  EXPECT_TRUE(store.GetStream("s").ok());
}

}  // namespace
}  // namespace lowmark
