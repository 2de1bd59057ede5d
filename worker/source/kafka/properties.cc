#include "worker/source/kafka/properties.h"

#include <algorithm>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/core/position.h"

namespace lowmark {
namespace {

using Property = std::pair<std::string, std::string>;

// So that the name of a shard, "TOPIC-PARTITION", has at most 128 characters.
constexpr size_t kLongestTopic = 117;

// Any of these can be given otherwise.
constexpr std::pair<const char*, const char*> kDefaults[] = {
    {"client.id", "lowmark-worker"},
    // How long it takes to learn that nothing follows a transaction's end.
    {"fetch.wait.max.ms", "100"},
    // For each partition that is read; the default of 64 MiB is meant for few.
    {"queued.max.messages.kbytes", "1024"},
    {"check.crcs", "true"},
    {"socket.keepalive.enable", "true"},
};

// None of these can.
constexpr std::pair<const char*, const char*> kNeeded[] = {
    {"enable.auto.commit", "false"},       {"auto.commit.enable", "false"},
    {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"},
};

// Why a property cannot be given; empty where it can.
std::string Refusal(const std::string& name) {
  if (name == "bootstrap.servers" || name == "metadata.broker.list") {
    return "must be given as kafka-brokers";
  }
  if (name == "auto.offset.reset") {
    return "must not be given: the stream's starting_position says where reading starts, "
           "kafka-out-of-range what is done where records are gone";
  }
  const bool ours = std::any_of(std::begin(kNeeded), std::end(kNeeded),
                                [&](const auto& needed) { return name == needed.first; });
  if (ours || absl::StartsWith(name, "group.") || absl::StartsWith(name, "offset.store.") ||
      name == "partition.assignment.strategy") {
    return "must not be given: leases say who reads a partition, and checkpoints lie with the "
           "coordinator";
  }
  return "";
}

absl::Status Set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  char error[512];
  switch (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof(error))) {
    case RD_KAFKA_CONF_OK:
      return absl::OkStatus();
    case RD_KAFKA_CONF_UNKNOWN:
      return InvalidField("kafka-property", name, "is no setting of librdkafka");
    default:
      return InvalidField("kafka-property", name,
                          absl::StrCat("has a value that librdkafka does not take: ", error));
  }
}

bool IsTopicName(const std::string& topic) {
  return std::all_of(topic.begin(), topic.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  });
}

}  // namespace

absl::StatusOr<Property> ParseKafkaProperty(const std::string& text) {
  const size_t equals = text.find('=');
  const std::string name(absl::StripAsciiWhitespace(text.substr(0, equals)));
  if (equals == std::string::npos || name.empty()) {
    // What is given may be a secret alone.
    return InvalidField("kafka-property", equals == std::string::npos ? "without \"=\"" : "=...",
                        "must be NAME=VALUE");
  }
  return Property(name, absl::StripAsciiWhitespace(text.substr(equals + 1)));
}

absl::StatusOr<std::vector<Property>> ReadKafkaProperties(const std::string& path) {
  std::ifstream file(path);
  if (!file) return InvalidField("kafka-properties-file", path, "must be a file that can be read");
  std::vector<Property> properties;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    const absl::string_view text = absl::StripAsciiWhitespace(line);
    if (text.empty() || text[0] == '#') continue;
    auto property = ParseKafkaProperty(std::string(text));
    if (!property.ok()) {
      return InvalidField("kafka-properties-file", path,
                          absl::StrCat("must have NAME=VALUE in line ", number));
    }
    properties.push_back(*std::move(property));
  }
  if (file.bad()) {
    return InvalidField("kafka-properties-file", path, "must be a file that can be read");
  }
  return properties;
}

absl::Status KafkaSourceOptions::Validate() const {
  if (brokers.empty()) {
    return InvalidField("kafka-brokers", "", "must be the address of a broker, or some: host:port");
  }
  if (topic.empty() || topic.size() > kLongestTopic || !IsTopicName(topic)) {
    return InvalidField("kafka-topic", topic,
                        absl::StrCat("must be a topic's name of at most ", kLongestTopic,
                                     " characters [A-Za-z0-9._-]"));
  }
  return CheckDuration("kafka.request_timeout", request_timeout, absl::Milliseconds(100),
                       absl::Minutes(1));
}

absl::StatusOr<KafkaConf> MakeKafkaConf(const KafkaSourceOptions& options) {
  if (auto s = options.Validate(); !s.ok()) return s;
  KafkaConf conf(rd_kafka_conf_new(), &rd_kafka_conf_destroy);
  for (const auto& [name, value] : kDefaults) {
    if (auto s = Set(conf.get(), name, value); !s.ok()) return s;
  }
  for (const auto& [name, value] : options.properties) {
    if (const std::string why = Refusal(name); !why.empty()) {
      return InvalidField("kafka-property", name, why);
    }
    if (auto s = Set(conf.get(), name, value); !s.ok()) return s;
  }
  for (const auto& [name, value] : kNeeded) {
    if (auto s = Set(conf.get(), name, value); !s.ok()) return s;
  }
  if (auto s = Set(conf.get(), "bootstrap.servers", options.brokers); !s.ok()) return s;
  return conf;
}

}  // namespace lowmark
