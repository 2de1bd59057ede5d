#include <gmock/gmock.h>

#include <fstream>

#include "worker/source/kafka/properties.h"

namespace lowmark {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

KafkaSourceOptions Options(std::vector<std::pair<std::string, std::string>> properties = {}) {
  KafkaSourceOptions options;
  options.brokers = "b1:9092,b2:9092";
  options.topic = "orders";
  options.properties = std::move(properties);
  return options;
}

std::string Get(const KafkaConf& conf, const char* name) {
  char value[512] = "";
  size_t size = sizeof(value);
  EXPECT_EQ(rd_kafka_conf_get(conf.get(), name, value, &size), RD_KAFKA_CONF_OK) << name;
  return value;
}

std::string ErrorOf(const KafkaSourceOptions& options) {
  auto conf = MakeKafkaConf(options);
  EXPECT_EQ(conf.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(conf.status().message());
}

TEST(KafkaPropertiesTest, PassesPropertiesOn) {
  auto conf = MakeKafkaConf(Options({{"security.protocol", "sasl_ssl"},
                                     {"sasl.mechanism", "SCRAM-SHA-512"},
                                     {"sasl.username", "u"},
                                     {"sasl.password", "first"},
                                     {"sasl.password", "last wins"},
                                     {"fetch.wait.max.ms", "7"}}));
  ASSERT_TRUE(conf.ok()) << conf.status();
  EXPECT_EQ(Get(*conf, "bootstrap.servers"), "b1:9092,b2:9092");
  EXPECT_EQ(Get(*conf, "security.protocol"), "sasl_ssl");
  EXPECT_EQ(Get(*conf, "sasl.password"), "last wins");
  EXPECT_EQ(Get(*conf, "fetch.wait.max.ms"), "7");
}

TEST(KafkaPropertiesTest, ReadsWhatIsCommittedAndCommitsNothing) {
  auto conf = MakeKafkaConf(Options());
  ASSERT_TRUE(conf.ok()) << conf.status();
  EXPECT_EQ(Get(*conf, "isolation.level"), "read_committed");
  EXPECT_EQ(Get(*conf, "enable.auto.commit"), "false");
  EXPECT_EQ(Get(*conf, "enable.auto.offset.store"), "false");
  EXPECT_EQ(Get(*conf, "auto.offset.reset"), "error");
  EXPECT_EQ(Get(*conf, "allow.auto.create.topics"), "false");
}

TEST(KafkaPropertiesTest, RefusesWhatTheSourceDecides) {
  for (const char* name : {"group.id", "group.instance.id", "enable.auto.commit",
                           "auto.commit.enable", "enable.auto.offset.store", "offset.store.method",
                           "enable.partition.eof", "partition.assignment.strategy"}) {
    EXPECT_THAT(ErrorOf(Options({{name, "true"}})),
                AllOf(HasSubstr(name), HasSubstr("leases say who reads a partition")));
  }
  EXPECT_THAT(ErrorOf(Options({{"bootstrap.servers", "x"}})), HasSubstr("kafka-brokers"));
  EXPECT_THAT(ErrorOf(Options({{"auto.offset.reset", "latest"}})), HasSubstr("kafka-out-of-range"));
}

TEST(KafkaPropertiesTest, NamesWhatIsWrong) {
  EXPECT_THAT(ErrorOf(Options({{"securty.protocol", "ssl"}})),
              HasSubstr("\"securty.protocol\": is no setting of librdkafka"));
  EXPECT_THAT(ErrorOf(Options({{"security.protocol", "tls"}})),
              AllOf(HasSubstr("security.protocol"), HasSubstr("tls")));
  KafkaSourceOptions options = Options();
  options.topic = "a topic";
  EXPECT_THAT(ErrorOf(options), HasSubstr("kafka-topic"));
  options.topic = std::string(118, 't');
  EXPECT_THAT(ErrorOf(options), HasSubstr("117"));
  options = Options();
  options.brokers = "";
  EXPECT_THAT(ErrorOf(options), HasSubstr("kafka-brokers"));
}

TEST(KafkaPropertiesTest, DoesNotRepeatSecrets) {
  const absl::Status refused =
      KafkaSource::Create(Options({{"security.protocol", "ssl"}, {"ssl.key.pem", "hunter2"}}))
          .status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.message(), AllOf(HasSubstr("ssl.key.pem"), Not(HasSubstr("hunter2"))));
  EXPECT_THAT(ParseKafkaProperty("hunter2").status().message(), Not(HasSubstr("hunter2")));
}

TEST(KafkaPropertiesTest, ReadsAFileAsKafkasToolsHaveIt) {
  const std::string path = testing::TempDir() + "/kafka.properties";
  std::ofstream(path) << "# a comment\n\n security.protocol = ssl \nsasl.password=a=b\n";
  auto properties = ReadKafkaProperties(path);
  ASSERT_TRUE(properties.ok()) << properties.status();
  EXPECT_THAT(*properties,
              ElementsAre(Pair("security.protocol", "ssl"), Pair("sasl.password", "a=b")));
  std::ofstream(path) << "a=b\nhunter2\n";
  const std::string error(ReadKafkaProperties(path).status().message());
  EXPECT_THAT(error, AllOf(HasSubstr("line 2"), HasSubstr(path), Not(HasSubstr("hunter2"))));
  EXPECT_FALSE(ReadKafkaProperties(path + ".none").ok());
}

}  // namespace
}  // namespace lowmark
