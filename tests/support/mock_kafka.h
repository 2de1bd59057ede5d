// A Kafka cluster that answers over TCP on loopback: librdkafka's mock, which lives
// in this process. It keeps about 5 MB of a partition, and deletes the oldest beyond.
//
//   MockKafka kafka;
//   kafka.CreateTopic("orders", 4);
//   kafka.Produce("orders", 0, {{.key = "k", .data = "d"}});
//   ... KafkaSource with kafka.brokers()
#ifndef LOWMARK_TESTS_SUPPORT_MOCK_KAFKA_H_
#define LOWMARK_TESTS_SUPPORT_MOCK_KAFKA_H_

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace lowmark {

struct MockMessage {
  std::string key;
  std::string data;
  absl::Time time = absl::UnixEpoch();  // of production, where not set
  std::vector<std::pair<std::string, std::string>> headers = {};
};

class MockKafka {
 public:
  // One that somebody has produced.
  struct Message {
    int32_t partition = 0;
    std::string key;
    std::string value;
    std::string idempotency_key;  // the header of this name
  };

  enum class Api { kProduce = 0, kFetch = 1, kListOffsets = 2, kMetadata = 3 };

  explicit MockKafka(int brokers = 1);
  ~MockKafka();
  MockKafka(const MockKafka&) = delete;
  MockKafka& operator=(const MockKafka&) = delete;

  // "host:port,..."
  const std::string& brokers() const { return brokers_; }

  void CreateTopic(const std::string& topic, int partitions);
  // Returns when the cluster has them.
  void Produce(const std::string& topic, int partition, const std::vector<MockMessage>& messages);
  // What the topic holds, once it holds `count` messages or half a minute is over.
  std::vector<Message> Read(const std::string& topic, int partitions, size_t count) const;
  // What a transaction leaves at its end: takes an offset, and is no record.
  void AppendMark(const std::string& topic, int partition);

  // The next requests of this kind get these errors, one each.
  void Fail(Api api, const std::vector<rd_kafka_resp_err_t>& errors);
  // Whether the brokers say that there is no such topic. (They create a topic that
  // they are asked about.)
  void SetMissing(const std::string& topic, bool missing);
  // Brokers are numbered from 1.
  void SetLeader(const std::string& topic, int partition, int broker);
  void SetRoundTrip(int broker, absl::Duration time);
  void SetDown(int broker, bool down);

 private:
  rd_kafka_t* producer_ = nullptr;  // the mock's owner, too
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
  std::string brokers_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SUPPORT_MOCK_KAFKA_H_
