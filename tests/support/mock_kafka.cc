#include "tests/support/mock_kafka.h"

#include <gtest/gtest.h>

#include <memory>

#include "service/process/mutex.h"
#include "tests/support/kafka_mark.h"

namespace lowmark {
namespace {

constexpr int kPatienceMs = 30000;

rd_kafka_t* NewProducer(const std::string& brokers) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char error[512] = "";
  if (!brokers.empty()) {
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers.c_str(), error, sizeof(error));
  }
  // In batches as they are given, and in order.
  rd_kafka_conf_set(conf, "linger.ms", "1", error, sizeof(error));
  rd_kafka_conf_set(conf, "max.in.flight", "1", error, sizeof(error));
  rd_kafka_conf_set(conf, "log_level", "0", error, sizeof(error));
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
  EXPECT_NE(producer, nullptr) << error;
  return producer;
}

rd_kafka_resp_err_t Send(rd_kafka_t* producer, const std::string& topic, int partition,
                         const MockMessage& message) {
  rd_kafka_headers_t* headers = rd_kafka_headers_new(message.headers.size());
  for (const auto& [name, value] : message.headers) {
    rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                        static_cast<ssize_t>(value.size()));
  }
  const auto error = rd_kafka_producev(
      producer, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK),
      RD_KAFKA_V_KEY(message.key.data(), message.key.size()),
      // librdkafka does not write what it is given.
      RD_KAFKA_V_VALUE(const_cast<char*>(message.data.data()), message.data.size()),
      RD_KAFKA_V_TIMESTAMP(absl::ToUnixMillis(message.time)), RD_KAFKA_V_HEADERS(headers),
      RD_KAFKA_V_END);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_headers_destroy(headers);
  return error;
}

MockKafka::Message ToMessage(const rd_kafka_message_t& from) {
  MockKafka::Message message;
  message.partition = from.partition;
  message.key.assign(static_cast<const char*>(from.key), from.key_len);
  message.value.assign(static_cast<const char*>(from.payload), from.len);
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  if (rd_kafka_message_headers(&from, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
      rd_kafka_header_get_last(headers, "idempotency-key", &value, &size) ==
          RD_KAFKA_RESP_ERR_NO_ERROR) {
    message.idempotency_key.assign(static_cast<const char*>(value), size);
  }
  return message;
}

}  // namespace

MockKafka::MockKafka(int brokers) : producer_(NewProducer("")) {
  cluster_ = rd_kafka_mock_cluster_new(producer_, brokers);
  brokers_ = rd_kafka_mock_cluster_bootstraps(cluster_);
}

MockKafka::~MockKafka() {
  rd_kafka_mock_cluster_destroy(cluster_);
  rd_kafka_destroy(producer_);
}

void MockKafka::CreateTopic(const std::string& topic, int partitions) {
  EXPECT_EQ(rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, 1),
            RD_KAFKA_RESP_ERR_NO_ERROR);
}

void MockKafka::Produce(const std::string& topic, int partition,
                        const std::vector<MockMessage>& messages) {
  rd_kafka_t* producer = NewProducer(brokers_);
  for (const MockMessage& message : messages) {
    EXPECT_EQ(Send(producer, topic, partition, message), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  EXPECT_EQ(rd_kafka_flush(producer, kPatienceMs), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_destroy(producer);
}

std::vector<MockKafka::Message> MockKafka::Read(const std::string& topic, int partitions,
                                                size_t count) const {
  char error[512] = "";
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", brokers_.c_str(), error, sizeof(error));
  rd_kafka_conf_set(conf, "group.id", "none", error, sizeof(error));
  rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof(error));
  EXPECT_NE(consumer, nullptr) << error;
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions);
  for (int p = 0; p < partitions; ++p) {
    rd_kafka_topic_partition_list_add(list, topic.c_str(), p)->offset = 0;
  }
  rd_kafka_assign(consumer, list);
  rd_kafka_topic_partition_list_destroy(list);
  std::vector<Message> messages;
  const SteadyTime deadline = SteadyDeadline(absl::Milliseconds(kPatienceMs));
  while (messages.size() < count && SteadyDeadline(absl::ZeroDuration()) < deadline) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, 100);
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) messages.push_back(ToMessage(*message));
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  return messages;
}

void MockKafka::AppendMark(const std::string& topic, int partition) {
  EXPECT_EQ(SendKafkaMark(brokers_.substr(0, brokers_.find(',')), topic, partition), "");
}

void MockKafka::Fail(Api api, const std::vector<rd_kafka_resp_err_t>& errors) {
  rd_kafka_mock_push_request_errors_array(cluster_, static_cast<int16_t>(api), errors.size(),
                                          errors.data());
}

void MockKafka::SetMissing(const std::string& topic, bool missing) {
  rd_kafka_mock_topic_set_error(
      cluster_, topic.c_str(),
      missing ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART : RD_KAFKA_RESP_ERR_NO_ERROR);
}

void MockKafka::SetLeader(const std::string& topic, int partition, int broker) {
  rd_kafka_mock_partition_set_leader(cluster_, topic.c_str(), partition, broker);
}

void MockKafka::SetRoundTrip(int broker, absl::Duration time) {
  rd_kafka_mock_broker_set_rtt(cluster_, broker, static_cast<int>(absl::ToInt64Milliseconds(time)));
}

void MockKafka::SetDown(int broker, bool down) {
  if (down) {
    rd_kafka_mock_broker_set_down(cluster_, broker);
  } else {
    rd_kafka_mock_broker_set_up(cluster_, broker);
  }
}

}  // namespace lowmark
