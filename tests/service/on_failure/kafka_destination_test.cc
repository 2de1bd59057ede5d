#include "service/on_failure/kafka_destination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "service/process/mutex.h"
#include "tests/support/mock_kafka.h"

namespace lowmark {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::SizeIs;

constexpr absl::Duration kPatience = absl::Minutes(1);

class KafkaDestinationTest : public testing::Test {
 protected:
  KafkaDestinationTest() { kafka_.CreateTopic("letters", kPartitions); }

  std::unique_ptr<Destination> Make(absl::Duration timeout = absl::Seconds(20),
                                    const OnFailure::Texts& properties = {}) {
    auto made = KafkaDestination::Create({kafka_.brokers(), "letters", properties}, timeout);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *std::move(made) : nullptr;
  }
  static std::vector<Document> Documents(int count) {
    std::vector<Document> documents;
    for (int i = 0; i < count; ++i) {
      documents.push_back({absl::StrCat("orders/", i), absl::StrCat("shard-", i % 7), 1,
                           absl::StrCat("{\"n\": ", i, "}")});
    }
    return documents;
  }

  static constexpr int kPartitions = 4;
  MockKafka kafka_;
};

TEST_F(KafkaDestinationTest, ProducesEachDocumentOnceWithItsShardAsKey) {
  auto destination = Make();
  EXPECT_THAT(destination->Send(Documents(50), kPatience), Each(absl::OkStatus()));
  EXPECT_THAT(destination->Send(Documents(1), kPatience), Each(absl::OkStatus()));
  std::map<std::string, std::set<int32_t>> partitions;
  std::map<std::string, int> times;
  const auto messages = kafka_.Read("letters", kPartitions, 51);
  ASSERT_THAT(messages, SizeIs(51));
  for (const MockKafka::Message& message : messages) {
    partitions[message.key].insert(message.partition);
    ++times[message.idempotency_key];
  }
  EXPECT_THAT(partitions, SizeIs(7));
  for (const auto& [shard, of] : partitions) EXPECT_THAT(of, SizeIs(1)) << shard;
  EXPECT_THAT(times, SizeIs(50));
  EXPECT_EQ(times["orders/0"], 2) << "sent twice";
  EXPECT_EQ(times["orders/49"], 1);
}

// Errors that will pass are librdkafka's to bear, and put nothing there twice.
TEST_F(KafkaDestinationTest, BearsErrorsThatPass) {
  auto destination = Make();
  kafka_.Fail(MockKafka::Api::kProduce,
              {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
               RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS});
  EXPECT_THAT(destination->Send(Documents(3), kPatience), Each(absl::OkStatus()));
  EXPECT_THAT(kafka_.Read("letters", kPartitions, 3), SizeIs(3));
}

TEST_F(KafkaDestinationTest, ABrokerThatIsDownTakesNothing) {
  kafka_.SetDown(1, true);
  auto destination = Make(absl::Seconds(1));
  for (const absl::Status& answer : destination->Send(Documents(2), kPatience)) {
    EXPECT_EQ(answer.code(), absl::StatusCode::kUnavailable) << answer;
    EXPECT_THAT(answer.message(), HasSubstr("timed out"));
  }
  kafka_.SetDown(1, false);
  destination = Make();
  EXPECT_THAT(destination->Send(Documents(2), kPatience), Each(absl::OkStatus()));
}

TEST_F(KafkaDestinationTest, RefusesADocumentThatIsTooLarge) {
  auto destination = Make();
  kafka_.Fail(MockKafka::Api::kProduce, {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
  const auto answers = destination->Send(Documents(1), kPatience);
  EXPECT_EQ(answers[0].code(), absl::StatusCode::kFailedPrecondition) << answers[0];
  Document huge{"orders/1", "0", 1, std::string(9'000'000, 'x')};
  EXPECT_EQ(destination->Send({huge}, kPatience)[0].code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(KafkaDestinationTest, StoppedItEndsSoonAndBeginsNothing) {
  kafka_.SetDown(1, true);
  auto destination = Make(absl::Seconds(30));
  const SteadyTime begun = SteadyDeadline(absl::ZeroDuration());
  std::vector<absl::Status> answers;
  std::thread sender([&] { answers = destination->Send(Documents(2), kPatience); });
  destination->Stop(absl::ZeroDuration());
  sender.join();
  EXPECT_LT(SteadyDeadline(absl::ZeroDuration()), begun + std::chrono::seconds(20));
  for (const absl::Status& answer : answers) {
    EXPECT_EQ(answer.code(), absl::StatusCode::kCancelled) << answer;
  }
}

TEST_F(KafkaDestinationTest, SaysWhichPropertyIsWrong) {
  auto made = KafkaDestination::Create({"localhost:1", "t", {{"security.protocol", "nonsense"}}},
                                       absl::Seconds(1));
  EXPECT_EQ(made.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(made.status().message(), HasSubstr("security.protocol"));
}

// Every property that streams may set is one that this librdkafka has.
TEST_F(KafkaDestinationTest, KnowsAllPropertiesThatAreAllowed) {
  for (const std::string name : {"batch.size", "client.id", "compression.codec", "linger.ms"}) {
    EXPECT_THAT(KafkaProperties(), HasSubstr(name));
  }
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  std::string rest = KafkaProperties();
  int properties = 0;
  for (size_t comma = 0; !rest.empty(); rest.erase(0, comma), ++properties) {
    comma = std::min(rest.find(", "), rest.size());
    const std::string name = rest.substr(0, comma);
    comma = std::min(comma + 2, rest.size());
    char error[512];
    EXPECT_NE(rd_kafka_conf_set(conf, name.c_str(), "", error, sizeof error), RD_KAFKA_CONF_UNKNOWN)
        << name;
  }
  char error[512];
  EXPECT_EQ(rd_kafka_conf_set(conf, "no.such.property", "", error, sizeof error),
            RD_KAFKA_CONF_UNKNOWN);
  rd_kafka_conf_destroy(conf);
  EXPECT_GT(properties, 10);
}

}  // namespace
}  // namespace lowmark
