// What operators call, over the wire, on every store.
#include <google/protobuf/util/message_differencer.h>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "tests/integration/wire_fixture.h"

namespace lowmark {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;

class OperatorCalls : public WireTest {
 public:
  absl::StatusOr<v1::Stream> Create(const std::string& name, const v1::StreamConfig& config = {},
                                    v1::Preset preset = v1::PRESET_UNSPECIFIED) {
    v1::CreateStreamRequest request;
    request.set_stream(name);
    *request.mutable_config() = config;
    request.set_preset(preset);
    v1::CreateStreamResponse response;
    if (auto s = Call(&Admin::CreateStream, server_.admin(), request, &response); !s.ok()) {
      return s;
    }
    return response.stream();
  }

  absl::StatusOr<v1::Stream> Update(const v1::StreamConfig& config,
                                    const std::vector<std::string>& paths,
                                    const std::string& etag = "") {
    v1::UpdateStreamRequest request;
    request.set_stream("s");
    *request.mutable_config() = config;
    for (const std::string& path : paths) request.mutable_update_mask()->add_paths(path);
    request.set_etag(etag);
    v1::UpdateStreamResponse response;
    if (auto s = Call(&Admin::UpdateStream, server_.admin(), request, &response); !s.ok()) {
      return s;
    }
    return response.stream();
  }

  absl::Status Delete(const std::string& name, const std::string& etag = "") {
    v1::DeleteStreamRequest request;
    request.set_stream(name);
    request.set_etag(etag);
    v1::DeleteStreamResponse response;
    return Call(&Admin::DeleteStream, server_.admin(), request, &response);
  }
};
INSTANTIATE_TEST_SUITE_P(Stores, OperatorCalls, EveryStore(), StoreName);

TEST_P(OperatorCalls, AStreamExistsOnce) {
  v1::StreamConfig config;
  config.set_batch_size(7);
  auto created = Create("s", config);
  ASSERT_TRUE(created.ok()) << created.status();
  auto again = Create("s");
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Reason(again.status()), kStreamExists);
  auto read = GetStream();
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(MessageDifferencer::Equals(*read, *created));
  EXPECT_EQ(read->config().batch_size(), 7);
  EXPECT_GT(read->create_time().seconds(), 1'600'000'000);
}

TEST_P(OperatorCalls, PresetsAreDefaultsForWhatIsUnset) {
  v1::StreamConfig config;
  config.set_bisect_batch_on_failure(true);
  auto lambda = Create("lambda", config, v1::PRESET_LAMBDA);
  ASSERT_TRUE(lambda.ok()) << lambda.status();
  EXPECT_FALSE(lambda->config().report_batch_item_failures());
  EXPECT_TRUE(lambda->config().bisect_batch_on_failure());
  EXPECT_EQ(lambda->config().maximum_retry_attempts(), -1);
  EXPECT_EQ(lambda->config().discard_scope(), v1::DISCARD_SCOPE_BATCH);
}

TEST_P(OperatorCalls, UpdateChangesWhatTheMaskNames) {
  auto created = Create("s");
  ASSERT_TRUE(created.ok());
  v1::StreamConfig config;
  config.set_batch_size(7);
  config.set_paused(true);  // not named
  config.mutable_retry_backoff()->set_jitter(0.5);
  config.mutable_retry_backoff()->set_multiplier(9);  // not named
  auto updated = Update(config, {"batch_size", "retry_backoff.jitter"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  v1::StreamConfig expected = created->config();
  expected.set_batch_size(7);
  expected.mutable_retry_backoff()->set_jitter(0.5);
  EXPECT_TRUE(MessageDifferencer::Equals(updated->config(), expected))
      << updated->config().ShortDebugString();
  EXPECT_NE(updated->etag(), created->etag());
  EXPECT_TRUE(MessageDifferencer::Equals(*GetStream(), *updated));
}

TEST_P(OperatorCalls, WhatTheMaskNamesAndIsUnsetGoesToItsDefault) {
  v1::StreamConfig config;
  config.set_batch_size(7);
  config.mutable_handler_timeout()->set_seconds(5);
  ASSERT_TRUE(Create("s", config).ok());
  auto updated = Update({}, {"batch_size"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->config().batch_size(), 100);
  EXPECT_EQ(updated->config().handler_timeout().seconds(), 5);
  updated = Update({}, {"*"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->config().handler_timeout().seconds(), 60);
}

TEST_P(OperatorCalls, WrongUpdatesChangeNothing) {
  ASSERT_TRUE(Create("s").ok());
  const std::string before = open_->Dump();
  v1::StreamConfig config;
  config.set_batch_size(-1);
  config.set_sequence_order(v1::SEQUENCE_ORDER_POSITIONAL);
  for (const std::vector<std::string>& paths :
       std::vector<std::vector<std::string>>{{},
                                             {"batch_size"},
                                             {"no_such_field"},
                                             {"*", "paused"},
                                             {"sequence_order"},
                                             {"config.batch_size"},
                                             {"batchSize"}}) {
    auto updated = Update(config, paths);
    EXPECT_EQ(Reason(updated.status()), kInvalidArgument) << updated.status();
  }
  EXPECT_EQ(open_->Dump(), before);
}

TEST_P(OperatorCalls, AnEtagHoldsOffWhoReadAnOlderStream) {
  auto created = Create("s");
  ASSERT_TRUE(created.ok());
  v1::StreamConfig config;
  config.set_batch_size(7);
  auto updated = Update(config, {"batch_size"}, created->etag());
  ASSERT_TRUE(updated.ok()) << updated.status();
  auto late = Update(config, {"batch_size"}, created->etag());
  EXPECT_EQ(late.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Reason(late.status()), kEtagMismatch);
  EXPECT_EQ(Reason(Delete("s", created->etag())), kEtagMismatch);
  EXPECT_EQ(GetStream()->etag(), updated->etag());
  EXPECT_EQ(Delete("s", updated->etag()), absl::OkStatus());
  EXPECT_EQ(Reason(GetStream().status()), kStreamNotFound);
}

TEST_P(OperatorCalls, ADeletedStreamIsGoneWithAllThatWasItsOwn) {
  MakeStream({"1"});
  auto leased = Lease("w", 1);
  ASSERT_TRUE(leased.ok());
  ASSERT_EQ(leased->leases_size(), 1);
  ASSERT_EQ(Delete("s"), absl::OkStatus());
  EXPECT_EQ(Reason(Send(Success(leased->leases(0), 1, 1, 5)).status()), kStreamNotFound);
  EXPECT_EQ(Reason(Lease("w", 1).status()), kStreamNotFound);
  EXPECT_EQ(Reason(Delete("s")), kStreamNotFound);
  // One of that name again knows nothing of it.
  ASSERT_TRUE(Create("s").ok());
  v1::ListShardsRequest list;
  list.set_stream("s");
  v1::ListShardsResponse shards;
  ASSERT_TRUE(Call(&Admin::ListShards, server_.admin(), list, &shards).ok());
  EXPECT_EQ(shards.shards_size(), 0);
}

TEST_P(OperatorCalls, PausingAStreamStopsLeasesAndUnpausingGivesThem) {
  MakeStream({"1"});
  v1::StreamConfig config;
  config.set_paused(true);
  ASSERT_TRUE(Update(config, {"paused"}).ok());
  auto none = Lease("w", 1, 0, absl::Seconds(1));
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->leases_size(), 0);
  config.set_paused(false);
  ASSERT_TRUE(Update(config, {"paused"}).ok());
  auto some = Lease("w", 1);
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_EQ(some->leases_size(), 1);
}

TEST_P(OperatorCalls, StreamsArePagedByName) {
  const std::vector<std::string> names = {"a", "a-b", "a.b", "b", "c:1"};
  for (const char* name : {"b", "a.b", "c:1", "a", "a-b"}) {
    ASSERT_TRUE(Create(name).ok());
  }
  std::vector<std::string> listed;
  v1::ListStreamsRequest request;
  request.set_page_size(2);
  v1::ListStreamsResponse response;
  do {
    ASSERT_EQ(Call(&Admin::ListStreams, server_.admin(), request, &response), absl::OkStatus());
    EXPECT_LE(response.streams_size(), 2);
    for (const v1::Stream& stream : response.streams()) listed.push_back(stream.name());
    request.set_page_token(response.next_page_token());
  } while (!response.next_page_token().empty());
  EXPECT_EQ(listed, names);
}

TEST_P(OperatorCalls, ShardsArePagedByIdAndFilterNothing) {
  MakeStream({"10", "9", "1", "2", "3"});
  std::vector<std::string> listed;
  v1::ListShardsRequest request;
  request.set_stream("s");
  request.set_page_size(5);  // exactly all
  v1::ListShardsResponse response;
  ASSERT_EQ(Call(&Admin::ListShards, server_.admin(), request, &response), absl::OkStatus());
  EXPECT_EQ(response.next_page_token(), "");
  request.set_page_size(3);
  do {
    ASSERT_EQ(Call(&Admin::ListShards, server_.admin(), request, &response), absl::OkStatus());
    for (const v1::Shard& shard : response.shards()) listed.push_back(shard.shard());
    request.set_page_token(response.next_page_token());
  } while (!response.next_page_token().empty());
  EXPECT_THAT(listed, ElementsAre("1", "10", "2", "3", "9"));
}

TEST_P(OperatorCalls, DeadLettersArePagedOldestFirst) {
  v1::StreamConfig config;
  config.set_maximum_retry_attempts(0);
  config.set_batch_size(1);
  MakeStream({"1"}, config);
  auto leased = Lease("w", 1);
  ASSERT_TRUE(leased.ok());
  for (int i = 1; i <= 5; ++i) {
    auto answer = Send(Failure(leased->leases(0), i, i, i));
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->discarded_records(), 1);
  }
  std::vector<std::string> listed;
  v1::ListDeadLettersRequest request;
  request.set_stream("s");
  request.set_page_size(2);
  v1::ListDeadLettersResponse response;
  do {
    ASSERT_EQ(Call(&Admin::ListDeadLetters, server_.admin(), request, &response), absl::OkStatus());
    for (const v1::DeadLetter& each : response.dead_letters()) {
      listed.push_back(each.first_sequence());
    }
    request.set_page_token(response.next_page_token());
  } while (!response.next_page_token().empty());
  EXPECT_THAT(listed, ElementsAre("1", "2", "3", "4", "5"));
  request.set_shard("2");
  request.clear_page_token();
  ASSERT_EQ(Call(&Admin::ListDeadLetters, server_.admin(), request, &response), absl::OkStatus());
  EXPECT_EQ(response.dead_letters_size(), 0);
  v1::GetDeadLetterRequest get;
  get.set_stream("s");
  get.set_id("999999999");
  v1::GetDeadLetterResponse got;
  EXPECT_EQ(Reason(Call(&Admin::GetDeadLetter, server_.admin(), get, &got)), kDeadLetterNotFound);
}

TEST_P(OperatorCalls, AShardShowsWhatItIsDoing) {
  MakeStream({"1"});
  EXPECT_EQ(GetShard("1").status(), v1::SHARD_STATUS_FREE);
  auto leased = Lease("w", 1);
  ASSERT_TRUE(leased.ok());
  ASSERT_TRUE(Send(Failure(leased->leases(0), 1, 1, 10, {4})).ok());
  const v1::Shard shard = GetShard("1");
  EXPECT_EQ(shard.status(), v1::SHARD_STATUS_LEASED);
  EXPECT_EQ(shard.owner(), "w");
  EXPECT_EQ(Text(shard.checkpoint()), "AT 4");
  EXPECT_EQ(shard.end_sequence(), "10");
  EXPECT_EQ(shard.delivery(), 2);
  EXPECT_EQ(shard.cause(), v1::REDELIVERY_CAUSE_PARTIAL);
  v1::ReportBatchRequest end = Success(leased->leases(0), 2, 4, 10);
  end.mutable_success()->set_shard_end(true);
  ASSERT_TRUE(Send(end).ok());
  EXPECT_EQ(GetShard("1").status(), v1::SHARD_STATUS_DONE);
  EXPECT_EQ(GetShard("1").owner(), "");
}

TEST_P(OperatorCalls, AFrozenStreamAndItsBalanceAreKept) {
  v1::StreamConfig config;
  config.set_frozen(true);
  config.set_balance_by(v1::BALANCE_BY_HANDLER_TIME);
  ASSERT_TRUE(Create("s", config).ok());
  EXPECT_TRUE(GetStream()->config().frozen());
  EXPECT_EQ(GetStream()->config().balance_by(), v1::BALANCE_BY_HANDLER_TIME);
  auto updated = Update({}, {"frozen", "balance_by"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_FALSE(updated->config().frozen());
  EXPECT_EQ(updated->config().balance_by(), v1::BALANCE_BY_SHARDS);
  config.set_balance_by(static_cast<v1::BalanceBy>(4));
  const absl::Status refused = Update(config, {"balance_by"}).status();
  EXPECT_EQ(Reason(refused), kInvalidArgument);
  EXPECT_EQ(refused.message(),
            "config.balance_by is 4: must be SHARDS (1), RECORDS (2) or HANDLER_TIME (3)");
}

TEST_P(OperatorCalls, SeekMovesACheckpointOrSaysWhatItWouldDo) {
  MakeStream({"1"});
  auto leased = Lease("w", 1);
  ASSERT_TRUE(leased.ok());
  ASSERT_TRUE(Send(Success(leased->leases(0), 1, 1, 10)).ok());
  v1::SeekShardRequest seek;
  seek.set_stream("s");
  seek.set_shard("1");
  seek.mutable_position()->set_at_sequence("3");
  seek.set_reason("a \"bad\" deploy; '--");
  seek.set_dry_run(true);
  const std::string before = open_->Dump();
  v1::SeekShardResponse response;
  ASSERT_EQ(Call(&Admin::SeekShard, server_.admin(), seek, &response), absl::OkStatus());
  EXPECT_EQ(Text(response.before().checkpoint()), "AFTER 10");
  EXPECT_EQ(Text(response.after().checkpoint()), "AT 3");
  EXPECT_EQ(open_->Dump(), before);
  seek.set_dry_run(false);
  ASSERT_EQ(Call(&Admin::SeekShard, server_.admin(), seek, &response), absl::OkStatus());
  EXPECT_TRUE(MessageDifferencer::Equals(GetShard("1"), response.after()));
  EXPECT_GT(response.after().epoch(), response.before().epoch());
  EXPECT_EQ(Reason(Send(Success(leased->leases(0), 2, 11, 12)).status()), kLeaseFenced);
  // To the end of a shard nobody moves: its children would start.
  seek.mutable_position()->mutable_shard_end();
  EXPECT_EQ(Reason(Call(&Admin::SeekShard, server_.admin(), seek, &response)), kInvalidArgument);
}

}  // namespace
}  // namespace lowmark
