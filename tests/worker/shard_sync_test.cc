#include "worker/internal/shard_sync.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "tests/core/seed.h"
#include "worker/internal/worker_id.h"

namespace lowmark {
namespace {

using testing::ElementsAre;

std::vector<std::string> Order(const std::vector<ListedShard>& shards, size_t most = 100) {
  std::vector<std::string> order;
  for (const auto& call : SyncOrder(shards, most)) {
    for (const ListedShard& shard : call) order.push_back(shard.shard);
  }
  return order;
}

TEST(SyncOrder, PutsParentsFirst) {
  EXPECT_THAT(Order({{"c", {"b"}}, {"b", {"a"}}, {"a", {}}}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Order({{"m", {"x", "y"}}, {"x", {}}, {"y", {"x"}}}), ElementsAre("x", "y", "m"));
}

TEST(SyncOrder, LeavesOutRepeatsAlone) {
  const auto calls = SyncOrder({{"b", {"gone", "a"}}, {"a", {}}, {"a", {}}}, 100);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_THAT(calls[0], ElementsAre(ListedShard{"a", {}}, ListedShard{"b", {"gone", "a"}}));
}

TEST(SyncOrder, CirclesDoNotHang) {
  EXPECT_THAT(Order({{"a", {"b"}}, {"b", {"a"}}, {"c", {"c"}}}), testing::SizeIs(3));
}

TEST(SyncOrder, SplitsIntoCalls) {
  std::vector<ListedShard> shards;
  for (int i = 0; i < 25; ++i) shards.push_back({std::to_string(i), {}});
  const auto calls = SyncOrder(shards, 10);
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[2].size(), 5u);
  EXPECT_TRUE(SyncOrder({}, 10).empty());
}

// A child that comes in a later call than its parent would start at its first record,
// though the stream starts at LATEST.
TEST(SyncOrder, KeepsFamiliesInOneCall) {
  std::vector<ListedShard> shards;
  for (int i = 0; i < 30; ++i) {
    shards.push_back({absl::StrCat("child-", i), {absl::StrCat("parent-", i)}});
  }
  for (int i = 0; i < 30; ++i) shards.push_back({absl::StrCat("parent-", i), {}});
  shards.push_back({"merged", {"child-0", "child-29"}});
  const auto calls = SyncOrder(shards, 7);
  std::map<std::string, size_t> call_of;
  for (size_t call = 0; call < calls.size(); ++call) {
    EXPECT_LE(calls[call].size(), 7u);
    for (const ListedShard& shard : calls[call]) call_of[shard.shard] = call;
  }
  EXPECT_EQ(call_of.size(), shards.size());
  for (const ListedShard& shard : shards) {
    for (const std::string& parent : shard.parents)
      EXPECT_EQ(call_of[parent], call_of[shard.shard]);
  }
  // One that is larger than a call comes in as many as it takes.
  std::vector<ListedShard> line = {{"0", {}}};
  for (int i = 1; i < 20; ++i) line.push_back({absl::StrCat(i), {absl::StrCat(i - 1)}});
  EXPECT_EQ(SyncOrder(line, 7).size(), 3u);
}

TEST(SyncOrder, RandomFamilies) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(testing::Message() << "LOWMARK_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<ListedShard> shards;
    for (int i = 0; i < 30; ++i) {
      ListedShard shard{std::to_string(i), {}};
      while (i > 0 && random() % 3 > 0) shard.parents.push_back(std::to_string(random() % i));
      shards.push_back(shard);
    }
    std::shuffle(shards.begin(), shards.end(), random);
    std::map<std::string, size_t> place;
    const auto order = Order(shards, 7);
    for (size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
    ASSERT_EQ(place.size(), shards.size());
    for (const ListedShard& shard : shards) {
      for (const std::string& parent : shard.parents) {
        ASSERT_LT(place[parent], place[shard.shard]);
      }
    }
  }
}

TEST(WorkerId, IsTheHostAndRandom) {
  EXPECT_THAT(MakeWorkerId("host-1.example"), testing::MatchesRegex("host-1.example-[0-9a-f]+"));
  EXPECT_EQ(MakeWorkerId("h").size(), 34u);
  EXPECT_NE(MakeWorkerId("h"), MakeWorkerId("h"));
  EXPECT_TRUE(IsToken(MakeWorkerId("a b\xff/\"")));
  EXPECT_TRUE(IsToken(MakeWorkerId(std::string(300, 'x'))));
  EXPECT_THAT(MakeWorkerId(""), testing::StartsWith("worker-"));
  EXPECT_TRUE(IsToken(MakeWorkerId()));
}

TEST(GrpcTarget, UsesEveryAddressOfAName) {
  EXPECT_EQ(GrpcTarget("localhost:7411"), "dns:///localhost:7411");
  EXPECT_EQ(GrpcTarget("unix:/run/x"), "unix:/run/x");
  EXPECT_EQ(GrpcTarget("dns:///host:1"), "dns:///host:1");
}

}  // namespace
}  // namespace lowmark
