// A client of librdkafka that reads partitions of one topic, each by itself and
// from any offset, without a consumer group.
#ifndef LOWMARK_WORKER_SOURCE_KAFKA_CLIENT_H_
#define LOWMARK_WORKER_SOURCE_KAFKA_CLIENT_H_

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "service/process/mutex.h"
#include "worker/source/kafka/kafka_source.h"
#include "worker/source/kafka/partition.h"

namespace lowmark {

// Thread safe.
class KafkaClient : public std::enable_shared_from_this<KafkaClient> {
 public:
  // Does not wait for a broker. INVALID_ARGUMENT for wrong options.
  static absl::StatusOr<std::shared_ptr<KafkaClient>> Make(const KafkaSourceOptions& options);
  ~KafkaClient();
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;

  // How many partitions the topic has now. UNAVAILABLE where no broker answers.
  absl::StatusOr<int32_t> CountPartitions();
  // A partition, whether or not there is one of that number. Keeps the client alive.
  std::unique_ptr<KafkaPartition> Partition(int32_t number);

  // As in KafkaPartition.
  absl::StatusOr<KafkaRange> QueryRange(int32_t partition);
  absl::StatusOr<std::optional<int64_t>> QueryTime(int32_t partition, absl::Time time);
  absl::Status CheckBrokers();

  rd_kafka_t* get() { return client_; }
  rd_kafka_topic_t* topic() { return topic_; }
  const std::string& topic_name() const { return options_.topic; }
  // A broker has answered.
  void OnAnswer() { down_ = false; }
  // The error in words, with what is known of the brokers' state where it says
  // nothing itself, as the status that a reader is to return.
  absl::Status ErrorOf(rd_kafka_resp_err_t error, const std::string& what);

 private:
  explicit KafkaClient(const KafkaSourceOptions& options) : options_(options) {}

  static void OnError(rd_kafka_t* client, int error, const char* reason, void* self);
  static void OnLog(const rd_kafka_t* client, int level, const char* facility, const char* text);
  void Note(rd_kafka_resp_err_t error, const std::string& reason);
  // Whether the line is to be logged: librdkafka repeats some with each try.
  bool IsNews(const std::string& line);
  // Runs the callbacks that are due.
  void Poll() { rd_kafka_poll(client_, 0); }
  int TimeoutMs() const {
    return static_cast<int>(absl::ToInt64Milliseconds(options_.request_timeout));
  }

  const KafkaSourceOptions options_;
  rd_kafka_t* client_ = nullptr;
  rd_kafka_topic_t* topic_ = nullptr;
  std::atomic<bool> down_ = false;  // no broker can be reached, as far as is known

  Mutex mutex_;
  // What the brokers' connections said last was wrong.
  rd_kafka_resp_err_t last_error_ LOWMARK_GUARDED_BY(mutex_) = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::string last_reason_ LOWMARK_GUARDED_BY(mutex_);
  SteadyTime probed_ LOWMARK_GUARDED_BY(mutex_);
  std::map<std::string, SteadyTime> logged_ LOWMARK_GUARDED_BY(mutex_);  // when, by line
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_SOURCE_KAFKA_CLIENT_H_
