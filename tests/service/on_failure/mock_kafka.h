// A Kafka cluster for tests: librdkafka's own, served over TCP on 127.0.0.1.
#ifndef LOWMARK_TESTS_SERVICE_ON_FAILURE_MOCK_KAFKA_H_
#define LOWMARK_TESTS_SERVICE_ON_FAILURE_MOCK_KAFKA_H_

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <array>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/process/mutex.h"

namespace lowmark {

class MockKafka {
 public:
  struct Message {
    int32_t partition = 0;
    std::string key;
    std::string value;
    std::string idempotency_key;
  };

  MockKafka() {
    std::array<char, 512> error{};
    client_ = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), error.data(), error.size());
    cluster_ = rd_kafka_mock_cluster_new(client_, 1);
  }
  ~MockKafka() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(client_);
  }
  MockKafka(const MockKafka&) = delete;
  MockKafka& operator=(const MockKafka&) = delete;

  std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  void CreateTopic(const std::string& topic, int partitions) {
    rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, 1);
  }
  void SetUp(bool up) {
    up ? rd_kafka_mock_broker_set_up(cluster_, 1) : rd_kafka_mock_broker_set_down(cluster_, 1);
  }
  // The next Produce requests are answered so.
  void FailProduces(const std::vector<rd_kafka_resp_err_t>& errors) {
    rd_kafka_mock_push_request_errors_array(cluster_, /*ApiKey=*/0, errors.size(), errors.data());
  }

  // What the topic holds, once it holds `count` messages or half a minute is over.
  std::vector<Message> Read(const std::string& topic, int partitions, size_t count) {
    std::array<char, 512> error{};
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers().c_str(), error.data(), error.size());
    rd_kafka_conf_set(conf, "group.id", "none", error.data(), error.size());
    rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error.data(), error.size());
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions);
    for (int p = 0; p < partitions; ++p) {
      rd_kafka_topic_partition_list_add(list, topic.c_str(), p)->offset = 0;
    }
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    std::vector<Message> messages;
    const SteadyTime deadline = SteadyDeadline(absl::Seconds(30));
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

 private:
  static Message ToMessage(const rd_kafka_message_t& from) {
    Message message;
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

  rd_kafka_t* client_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SERVICE_ON_FAILURE_MOCK_KAFKA_H_
