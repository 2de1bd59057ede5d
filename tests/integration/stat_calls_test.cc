// What workers tell of their shards, and what operators see of it, over the wire, on every
// store.
#include "service/core/error.h"
#include "tests/integration/wire_fixture.h"

namespace lowmark {
namespace {

class StatCalls : public WireTest {
 protected:
  absl::StatusOr<v1::HeartbeatResponse> Beat(const v1::HeartbeatRequest& heartbeat) {
    v1::HeartbeatRequest request = heartbeat;
    request.set_stream("s");
    request.set_worker("w");
    v1::HeartbeatResponse response;
    if (auto s = Call(&Workers::Heartbeat, server_.workers(), request, &response); !s.ok()) {
      return s;
    }
    return response;
  }
  v1::ListShardsResponse ListShards() {
    v1::ListShardsRequest request;
    request.set_stream("s");
    v1::ListShardsResponse response;
    EXPECT_EQ(Call(&Admin::ListShards, server_.admin(), request, &response), absl::OkStatus());
    return response;
  }
};
INSTANTIATE_TEST_SUITE_P(Stores, StatCalls, EveryStore(), StoreName);

TEST_P(StatCalls, OperatorsSeeWhatTheHolderTold) {
  MakeStream({"1", "2"});
  auto leased = Lease("w", 2);
  ASSERT_TRUE(leased.ok()) << leased.status();
  EXPECT_FALSE(GetShard("1").has_stat());
  v1::HeartbeatRequest heartbeat;
  v1::ShardStat* stat = heartbeat.add_stats();
  stat->set_shard("1");
  stat->set_epoch(leased->leases(0).epoch());
  stat->mutable_lag_age()->set_seconds(90);
  stat->set_backlog(12);
  stat->mutable_trouble()->set_kind(v1::TROUBLE_KIND_HANDLER);
  stat->mutable_trouble()->set_message("cannot connect");
  stat->mutable_trouble()->mutable_lasted()->set_seconds(7);
  auto answer = Beat(heartbeat);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_NE(answer->stats_token(), 0);
  const v1::ShardStat shown = GetShard("1").stat();
  EXPECT_EQ(shown.shard(), "1");
  EXPECT_EQ(shown.epoch(), leased->leases(0).epoch());
  EXPECT_EQ(shown.lag_age().seconds(), 90);
  EXPECT_EQ(shown.backlog(), 12);
  EXPECT_EQ(shown.trouble().kind(), v1::TROUBLE_KIND_HANDLER);
  EXPECT_EQ(shown.trouble().message(), "cannot connect");
  EXPECT_GE(shown.trouble().lasted().seconds(), 7);
  const v1::ListShardsResponse list = ListShards();
  ASSERT_EQ(list.shards_size(), 2);
  EXPECT_EQ(list.shards(0).stat().backlog(), 12);
  EXPECT_FALSE(list.shards(1).has_stat());
  EXPECT_FALSE(list.has_trouble());
  ASSERT_EQ(Release("1", "w", leased->leases(0).epoch()), absl::OkStatus());
  EXPECT_FALSE(GetShard("1").has_stat());
}

TEST_P(StatCalls, TroubleWithTheListIsTheStreams) {
  MakeStream({});
  v1::HeartbeatRequest heartbeat;
  v1::Trouble* trouble = heartbeat.mutable_listing()->mutable_trouble();
  trouble->set_kind(v1::TROUBLE_KIND_SOURCE);
  trouble->set_message("no such stream");
  ASSERT_TRUE(Beat(heartbeat).ok());
  EXPECT_EQ(GetStream()->trouble().message(), "no such stream");
  EXPECT_EQ(ListShards().trouble().message(), "no such stream");
  heartbeat.mutable_listing()->clear_trouble();
  ASSERT_TRUE(Beat(heartbeat).ok());
  EXPECT_FALSE(GetStream()->has_trouble());
  EXPECT_FALSE(ListShards().has_trouble());
}

TEST_P(StatCalls, AShardIsToldOfOnce) {
  MakeStream({"1"});
  v1::HeartbeatRequest heartbeat;
  for (int i = 0; i < 2; ++i) {
    heartbeat.add_stats()->set_shard("1");
    heartbeat.mutable_stats(i)->set_epoch(1);
  }
  const absl::Status refused = Beat(heartbeat).status();
  EXPECT_EQ(Reason(refused), kInvalidArgument);
  EXPECT_EQ(refused.message(), "stats[1].shard is \"1\": must be listed once");
}

}  // namespace
}  // namespace lowmark
