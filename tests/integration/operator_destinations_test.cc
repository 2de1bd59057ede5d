// Destinations of dead letters, over the wire, on every store.
#include <google/protobuf/util/message_differencer.h>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "tests/integration/wire_fixture.h"

namespace lowmark {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::HasSubstr;

class OperatorDestinations : public WireTest {
 public:
  OperatorDestinations() : WireTest(NothingAllowed()) {}

  static CoordinatorOptions NothingAllowed() {
    CoordinatorOptions options = Options();
    options.destinations = {};
    return options;
  }
  static v1::StreamConfig ToHttp(const std::string& url) {
    v1::StreamConfig config;
    config.mutable_on_failure()->mutable_http()->set_url(url);
    (*config.mutable_on_failure()->mutable_http()->mutable_headers())["A"] = "b";
    return config;
  }
  absl::StatusOr<v1::Stream> Update(const v1::StreamConfig& config,
                                    const std::vector<std::string>& paths) {
    v1::UpdateStreamRequest request;
    request.set_stream("s");
    *request.mutable_config() = config;
    for (const std::string& path : paths) request.mutable_update_mask()->add_paths(path);
    v1::UpdateStreamResponse response;
    if (auto s = Call(&Admin::UpdateStream, server_.admin(), request, &response); !s.ok()) {
      return s;
    }
    return response.stream();
  }
  // Sets the first record of shard "1" aside.
  v1::DeadLetter SetARecordAside(const v1::Lease& lease) {
    auto answer = Send(Failure(lease, 1, 1, 1));
    EXPECT_TRUE(answer.ok()) << answer.status();
    v1::ListDeadLettersRequest list;
    list.set_stream("s");
    v1::ListDeadLettersResponse letters;
    EXPECT_EQ(Call(&Admin::ListDeadLetters, server_.admin(), list, &letters), absl::OkStatus());
    EXPECT_EQ(letters.dead_letters_size(), 1);
    return letters.dead_letters(0);
  }
};
INSTANTIATE_TEST_SUITE_P(Stores, OperatorDestinations, EveryStore(), StoreName);

TEST_P(OperatorDestinations, AreChangedPartByPartAndTakenAway) {
  MakeStream({"1"}, ToHttp("http://a/"));
  v1::StreamConfig change;
  change.mutable_on_failure()->mutable_http()->set_url("http://b/");
  auto updated = Update(change, {"on_failure.http.url"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->config().on_failure().http().url(), "http://b/");
  EXPECT_EQ(updated->config().on_failure().http().headers().at("A"), "b");
  EXPECT_EQ(updated->config().on_failure().timeout().seconds(), 10);

  // A map that is named is replaced.
  (*change.mutable_on_failure()->mutable_http()->mutable_headers())["C"] = "d";
  updated = Update(change, {"on_failure.http.headers"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->config().on_failure().http().headers_size(), 1);
  EXPECT_EQ(updated->config().on_failure().http().headers().at("C"), "d");

  // One kind takes the place of another.
  v1::KafkaDestination& kafka = *change.mutable_on_failure()->mutable_kafka();
  kafka.set_brokers("k:9092");
  kafka.set_topic("t");
  updated = Update(change, {"on_failure.kafka.brokers", "on_failure.kafka.topic"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_TRUE(updated->config().on_failure().has_kafka());
  EXPECT_FALSE(updated->config().on_failure().has_http());

  updated = Update({}, {"on_failure"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->config().on_failure().destination_case(), v1::OnFailure::DESTINATION_NOT_SET);
}

// What a coordinator's operator did not allow is refused when it is asked for.
TEST_P(OperatorDestinations, UseNothingOfTheHostUnlessItIsAllowed) {
  MakeStream({"1"});
  const auto before = *GetStream();
  v1::StreamConfig config;
  config.mutable_on_failure()->mutable_directory()->set_path("letters");
  auto refused = Update(config, {"on_failure"});
  EXPECT_EQ(Reason(refused.status()), kInvalidArgument);
  EXPECT_THAT(refused.status().message(), HasSubstr("--on-failure-directory-root"));
  config = ToHttp("http://a/");
  (*config.mutable_on_failure()->mutable_http()->mutable_headers())["A"] = "${secret:b}";
  refused = Update(config, {"on_failure"});
  EXPECT_THAT(refused.status().message(), HasSubstr("--on-failure-secrets"));
  v1::CreateStreamRequest create;
  create.set_stream("t");
  *create.mutable_config() = config;
  v1::CreateStreamResponse created;
  EXPECT_EQ(Reason(Call(&Admin::CreateStream, server_.admin(), create, &created)),
            kInvalidArgument);
  EXPECT_TRUE(MessageDifferencer::Equals(*GetStream(), before));
}

// Destinations may hold secrets, and are no business of workers.
TEST_P(OperatorDestinations, AreNotShownToWorkers) {
  v1::StreamConfig config = ToHttp("http://a/");
  MakeStream({"1"}, config);
  auto leased = Lease("w", 1);
  ASSERT_TRUE(leased.ok()) << leased.status();
  ASSERT_EQ(leased->leases_size(), 1);
  EXPECT_FALSE(leased->leases(0).config().has_on_failure());
  EXPECT_TRUE(leased->leases(0).config().has_batch_size());
  // A report under another etag is answered with the policy.
  config.mutable_on_failure()->mutable_timeout()->set_seconds(3);
  ASSERT_TRUE(Update(config, {"on_failure"}).ok());
  auto answer = Send(Success(leased->leases(0), 1, 1, 1));
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_TRUE(answer->has_config());
  EXPECT_FALSE(answer->config().has_on_failure());
}

TEST_P(OperatorDestinations, ADeadLetterTellsWhatBecameOfItOnItsWay) {
  v1::StreamConfig config = ToHttp("http://a/");
  config.set_maximum_retry_attempts(0);
  config.set_batch_size(1);
  MakeStream({"1"}, config);
  auto leased = Lease("w", 1);
  ASSERT_TRUE(leased.ok());
  v1::DeadLetter letter = SetARecordAside(leased->leases(0));
  ASSERT_TRUE(letter.has_forwarding());
  EXPECT_EQ(letter.forwarding().tries(), 0);
  EXPECT_FALSE(letter.forwarding().has_forward_time());
  EXPECT_TRUE(letter.forwarding().has_next_try_time());

  const auto claimed = open_->store().ClaimLetters("s", 1, absl::Minutes(1));
  ASSERT_TRUE(claimed.ok()) << claimed.status();
  ASSERT_EQ(claimed->letters.size(), 1u);
  const int64_t id = claimed->letters[0].letter.id;
  const int64_t claim = claimed->letters[0].claim;
  using Kind = ForwardResult::Kind;
  ASSERT_TRUE(
      open_->store()
          .SettleLetters("s", {{id, claim, Kind::kFailed, "HTTP status 503", absl::Minutes(1)}})
          .ok());
  v1::GetDeadLetterRequest get;
  get.set_stream("s");
  get.set_id(absl::StrCat(id));
  v1::GetDeadLetterResponse got;
  ASSERT_EQ(Call(&Admin::GetDeadLetter, server_.admin(), get, &got), absl::OkStatus());
  EXPECT_EQ(got.dead_letter().forwarding().tries(), 1);
  EXPECT_EQ(got.dead_letter().forwarding().error(), "HTTP status 503");
  ASSERT_TRUE(open_->store().SettleLetters("s", {{id, claim, Kind::kForwarded}}).ok());
  ASSERT_EQ(Call(&Admin::GetDeadLetter, server_.admin(), get, &got), absl::OkStatus());
  EXPECT_TRUE(got.dead_letter().forwarding().has_forward_time());
  EXPECT_FALSE(got.dead_letter().forwarding().has_next_try_time());
  EXPECT_EQ(got.dead_letter().forwarding().error(), "");
}

TEST_P(OperatorDestinations, ADeadLetterOfAStreamWithoutOneTellsNothing) {
  v1::StreamConfig config;
  config.set_maximum_retry_attempts(0);
  config.set_batch_size(1);
  MakeStream({"1"}, config);
  auto leased = Lease("w", 1);
  ASSERT_TRUE(leased.ok());
  EXPECT_FALSE(SetARecordAside(leased->leases(0)).has_forwarding());
}

}  // namespace
}  // namespace lowmark
