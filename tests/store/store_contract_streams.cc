// Streams, and what holds for every text.
#include "tests/store/store_contract.h"
#include "tests/support/one_call.h"

namespace lowmark {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Names(const absl::StatusOr<std::vector<Stream>>& streams) {
  std::vector<std::string> names;
  if (!streams.ok()) return {streams.status().ToString()};
  for (const Stream& stream : *streams) names.push_back(stream.name);
  return names;
}

TEST_P(StoreContract, KeepsEveryFieldOfAPolicy) {
  Policy policy;
  policy.batch_size = 7;
  policy.maximum_batching_window = absl::Milliseconds(1500);
  policy.maximum_batch_bytes = (int64_t{1} << 40) + 1;
  policy.starting_position = Position::AtTimestamp(absl::FromUnixNanos(1700000000123456789));
  policy.report_batch_item_failures = false;
  policy.bisect_batch_on_failure = false;
  policy.maximum_retry_attempts = Policy::kForever;
  policy.maximum_record_age = absl::Seconds(604800);
  policy.discard_scope = DiscardScope::kBatch;
  policy.retry_backoff = {absl::Nanoseconds(1), 1.0 / 3, absl::Hours(1), 0.1};
  policy.maximum_lost_deliveries = 1000;
  policy.handler_timeout = absl::Microseconds(900000001);
  policy.handoff_timeout = absl::Seconds(17);
  policy.sequence_order = SequenceOrder::kPositional;
  policy.paused = true;
  policy.frozen = true;
  policy.balance_by = BalanceBy::kHandlerTime;
  policy.on_failure.destination = OnFailure::Kafka{"a:1,b:2", "letters", {{"k", AwkwardText()}}};
  policy.on_failure.timeout = absl::Milliseconds(1500);
  policy.on_failure.maximum_data_bytes = 1 << 20;
  policy.on_failure.function_arn = AwkwardText();
  policy.on_failure.stream_arn = "arn:aws:dynamodb:local:0:table/t/stream/s";
  auto created = store().CreateStream("full", policy);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->policy, policy);
  auto read = store().GetStream("full");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->policy, policy);
  EXPECT_EQ(read->name, "full");
  EXPECT_EQ(read->etag, created->etag);
  EXPECT_EQ(read->create_time, created->create_time);
  EXPECT_EQ(read->update_time, created->create_time);
  EXPECT_GT(read->create_time, absl::UnixEpoch());

  policy.on_failure.destination = OnFailure::Http{AwkwardText(), {{AwkwardText(), "v"}, {"b", ""}}};
  ASSERT_TRUE(store().CreateStream("http", policy).ok());
  EXPECT_EQ(store().GetStream("http")->policy, policy);
  policy.on_failure.destination = OnFailure::Directory{"a/b"};
  ASSERT_TRUE(store().CreateStream("directory", policy).ok());
  EXPECT_EQ(store().GetStream("directory")->policy, policy);

  ASSERT_TRUE(store().CreateStream("lambda", Policy::Lambda()).ok());
  EXPECT_EQ(store().GetStream("lambda")->policy, Policy::Lambda());
}

TEST_P(StoreContract, RefusesAStreamThatExists) {
  auto again = store().CreateStream("s", Policy());
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Reason(again.status()), kStreamExists);
  EXPECT_EQ(store().GetStream("s")->policy, TestPolicy());
}

TEST_P(StoreContract, ListsStreamsByNameInPages) {
  // By byte: upper case comes first, whatever the database's locale.
  for (const char* name : {"b", "a", "C"}) ASSERT_TRUE(store().CreateStream(name, Policy()).ok());
  EXPECT_THAT(Names(store().ListStreams("", 10)), ElementsAre("C", "a", "b", "s"));
  EXPECT_THAT(Names(store().ListStreams("", 2)), ElementsAre("C", "a"));
  EXPECT_THAT(Names(store().ListStreams("a", 2)), ElementsAre("b", "s"));
  EXPECT_THAT(Names(store().ListStreams("s", 2)), IsEmpty());
}

TEST_P(StoreContract, UpdatesAPolicyUnderItsEtag) {
  const std::string first = store().GetStream("s")->etag;
  auto bigger = [](const Policy& policy) -> absl::StatusOr<Policy> {
    Policy changed = policy;
    ++changed.batch_size;
    return changed;
  };
  auto second = store().UpdateStream("s", first, bigger);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->policy.batch_size, 101);
  EXPECT_NE(second->etag, first);
  EXPECT_GE(second->update_time, second->create_time);

  auto stale = store().UpdateStream("s", first, bigger);
  EXPECT_EQ(stale.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Reason(stale.status()), kEtagMismatch);
  auto refused = store().UpdateStream(
      "s", "", [](const Policy&) { return absl::StatusOr<Policy>(absl::DataLossError("no")); });
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kDataLoss);
  auto unchanged = store().GetStream("s");
  EXPECT_EQ(unchanged->etag, second->etag);
  EXPECT_EQ(unchanged->policy, second->policy);

  auto third = store().UpdateStream("s", "", bigger);
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_EQ(third->policy.batch_size, 102);
}

TEST_P(StoreContract, DecidesUnderThePolicyOfTheMoment) {
  AddShards({"0"});
  Policy seen;
  std::string etag;
  auto look = [&] {
    return Update({"0", [&](const ShardView& view) {
                     seen = view.policy;
                     etag = view.etag;
                     return absl::StatusOr<ShardChange>(ShardChange());
                   }});
  };
  ASSERT_TRUE(look().ok());
  EXPECT_EQ(seen, TestPolicy());
  EXPECT_EQ(etag, store().GetStream("s")->etag);
  ASSERT_TRUE(store()
                  .UpdateStream("s", "",
                                [](Policy policy) {
                                  policy.batch_size = 5;
                                  return absl::StatusOr<Policy>(policy);
                                })
                  .ok());
  ASSERT_TRUE(look().ok());
  EXPECT_EQ(seen.batch_size, 5);
  EXPECT_EQ(etag, store().GetStream("s")->etag);
}

TEST_P(StoreContract, DeletesAStreamWithAllThatBelongsToIt) {
  AddShards({"0"});
  const LeaseGrant grant = MustLease("w", 1);
  const Failed failed{{"1"}, {}, "E", "m"};
  for (int64_t delivery : {1, 2}) {
    ASSERT_TRUE(Update(Report("0", "w", grant.leases[0].shard.epoch, delivery, failed)).ok());
  }
  ASSERT_EQ(store().ListDeadLetters("s", "", 0, 10)->size(), 1u);

  const std::string etag = store().GetStream("s")->etag;
  auto stale = store().DeleteStream("s", "other");
  EXPECT_EQ(Reason(stale), kEtagMismatch);
  EXPECT_TRUE(store().DeleteStream("s", etag).ok());
  EXPECT_EQ(Reason(store().GetStream("s").status()), kStreamNotFound);
  EXPECT_EQ(Reason(store().DeleteStream("s", "")), kStreamNotFound);
  EXPECT_EQ(Reason(Update(Report(grant.leases[0], failed))), kStreamNotFound);

  auto fresh = store().CreateStream("s", TestPolicy());
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_NE(fresh->etag, etag) << "an etag must not come back";
  EXPECT_THAT(*store().ListShards("s", "", 10), IsEmpty());
  EXPECT_THAT(*store().ListDeadLetters("s", "", 0, 10), IsEmpty());
  EXPECT_THAT(*store().ListEvents("s", "", 0, 10), IsEmpty());
  EXPECT_EQ(Reason(store().CheckSession("s", "w")), kSessionExpired);
}

TEST_P(StoreContract, SaysThatAStreamDoesNotExist) {
  const auto unchanged = [](const Policy& policy) { return absl::StatusOr<Policy>(policy); };
  std::vector<ShardUpdate> updates(2, Report("0", "w", 1, 1, NotRun()));
  std::vector<absl::Status> statuses = {
      store().GetStream("x").status(),
      store().UpdateStream("x", "", unchanged).status(),
      store().DeleteStream("x", ""),
      store().AddShards("x", {{"0", {}}}).status(),
      store().GetShard("x", "0").status(),
      store().ListShards("x", "", 1).status(),
      LeaseOne(store(), Call("w", 1, 0, "x")).status(),
      RenewOne(store(), "x", "w", absl::Seconds(1)).status(),
      store().CheckSession("x", "w"),
      store().ReadCensus("x").status(),
      store().ListHeld("x", "w").status(),
      store().ListDeadLetters("x", "", 0, 1).status(),
      store().GetDeadLetter("x", 1).status(),
      store().ListEvents("x", "", 0, 1).status(),
  };
  for (const absl::Status& status : store().UpdateShards("x", updates)) statuses.push_back(status);
  ASSERT_EQ(statuses.size(), 16u);
  for (size_t i = 0; i < statuses.size(); ++i) {
    EXPECT_EQ(Reason(statuses[i]), kStreamNotFound) << i << ": " << statuses[i];
    EXPECT_EQ(statuses[i].code(), absl::StatusCode::kNotFound) << i;
  }
}

// A name cut at its NUL would be another tenant's.
TEST_P(StoreContract, RefusesTextThatCannotBeStored) {
  using std::string_literals::operator""s;
  AddShards({"0"});
  const auto unchanged = [](const Policy& policy) { return absl::StatusOr<Policy>(policy); };
  for (const std::string& bad : {"s\0"s, "\0"s, "s\0x"s, "s\xFF"s, "\xC0\x80"s, "\xED\xA0\x80"s,
                                 "\xF4\x90\x80\x80"s, "s\xE2\x82"s}) {
    std::vector<ShardUpdate> updates(1, Report(bad, "w", 1, 1, NotRun()));
    std::vector<ShardUpdate> nowhere(1, Report("0", "w", 1, 1, NotRun()));
    const std::vector<absl::Status> statuses = {
        store().CreateStream(bad, Policy()).status(),
        store().GetStream(bad).status(),
        store().ListStreams(bad, 1).status(),
        store().UpdateStream(bad, "", unchanged).status(),
        store().DeleteStream(bad, ""),
        store().AddShards(bad, {}).status(),
        store().AddShards("s", {{bad, {}}}).status(),
        store().AddShards("s", {{"1", {bad}}}).status(),
        store().GetShard(bad, "0").status(),
        store().GetShard("s", bad).status(),
        store().ListShards(bad, "", 1).status(),
        store().ListShards("s", bad, 1).status(),
        store().UpdateShards("s", updates)[0],
        store().UpdateShards(bad, nowhere)[0],
        LeaseOne(store(), Call(bad, 1)).status(),
        LeaseOne(store(), Call("w", 1, 0, bad)).status(),
        RenewOne(store(), "s", bad, absl::Seconds(1)).status(),
        RenewOne(store(), bad, "w", absl::Seconds(1)).status(),
        store().CheckSession("s", bad),
        store().CheckSession(bad, "w"),
        store().ReadCensus(bad).status(),
        store().ListHeld("s", bad).status(),
        store().ListHeld(bad, "w").status(),
        store().ListDeadLetters("s", bad, 0, 1).status(),
        store().ListDeadLetters(bad, "", 0, 1).status(),
        store().GetDeadLetter(bad, 1).status(),
        store().ListEvents("s", bad, 0, 1).status(),
        store().ListEvents(bad, "", 0, 1).status(),
    };
    for (size_t i = 0; i < statuses.size(); ++i) {
      EXPECT_EQ(statuses[i].code(), absl::StatusCode::kInvalidArgument)
          << i << ", " << testing::PrintToString(bad) << ": " << statuses[i];
    }
  }
  EXPECT_THAT(Names(store().ListStreams("", 10)), ElementsAre("s"));
  EXPECT_EQ(store().ListShards("s", "", 10)->size(), 1u);
}

TEST_P(StoreContract, KeepsAwkwardNames) {
  const std::string odd = AwkwardText();
  ASSERT_TRUE(store().CreateStream(odd, TestPolicy()).ok());
  auto added = store().AddShards(odd, {{odd, {}}, {"child" + odd, {odd}}});
  ASSERT_TRUE(added.ok()) << added.status();
  auto grant = LeaseOne(store(), Call(odd, 2, 0, odd));
  ASSERT_TRUE(grant.ok()) << grant.status();
  ASSERT_EQ(grant->leases.size(), 1u);
  EXPECT_EQ(grant->leases[0].shard.stream, odd);
  EXPECT_EQ(grant->leases[0].shard.shard, odd);
  EXPECT_EQ(grant->leases[0].shard.owner, odd);
  auto record = store().GetShard(odd, "child" + odd);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_THAT(record->parents, ElementsAre(odd));
  EXPECT_EQ(MustGet(odd, odd), grant->leases[0].shard);
  EXPECT_EQ(store().ReadCensus(odd)->workers[0].worker, odd);
  EXPECT_EQ(store().ListHeld(odd, odd)->shards.size(), 1u);
  EXPECT_EQ(store().ListShards(odd, odd, 1)->front().shard.shard, "child" + odd);
  EXPECT_TRUE(store().CheckSession(odd, odd).ok());
  EXPECT_TRUE(RenewOne(store(), odd, odd, absl::Seconds(10)).ok());
  EXPECT_EQ(Names(store().ListStreams("", 1)), std::vector<std::string>{odd});
  EXPECT_TRUE(store().DeleteStream(odd, "").ok());
  EXPECT_EQ(Reason(store().GetStream(odd).status()), kStreamNotFound);
}

TEST_P(StoreContract, SaysThatItCanBeWrittenTo) { EXPECT_TRUE(store().Check().ok()); }

}  // namespace
}  // namespace lowmark
