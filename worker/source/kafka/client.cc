#include "worker/source/kafka/client.h"

#include <syslog.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "worker/source/kafka/properties.h"

namespace lowmark {
namespace {

constexpr size_t kMaxKeyBytes = size_t{64} << 10;
// While no broker can be reached it is tried so often whether one can again.
constexpr absl::Duration kProbeInterval = absl::Seconds(2);
constexpr int kProbeTimeoutMs = 1000;
// A line of librdkafka's is logged again after this.
constexpr absl::Duration kLogAgain = absl::Minutes(1);

template <typename T>
std::string Bytes(const T* data, size_t size) {
  return data == nullptr ? "" : std::string(static_cast<const char*>(data), size);
}

std::vector<std::pair<std::string, std::string>> HeadersOf(const rd_kafka_message_t& message) {
  std::vector<std::pair<std::string, std::string>> result;
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return result;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    result.emplace_back(name, Bytes(value, size));
  }
  return result;
}

SourceRecord ToRecord(const rd_kafka_message_t& message) {
  SourceRecord result;
  Record& record = result.record;
  record.sequence = absl::StrCat(message.offset);
  record.data = Bytes(message.payload, message.len);
  record.headers = HeadersOf(message);
  rd_kafka_timestamp_type_t type;
  const int64_t time = rd_kafka_message_timestamp(&message, &type);
  record.arrival_time = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || time < 0
                            ? absl::Now()
                            : absl::FromUnixMillis(time);
  if (message.key_len <= kMaxKeyBytes) {
    record.partition_key = Bytes(message.key, message.key_len);
  } else {
    result.defect = SourceRecord::Defect::kUnreadable;
    result.problem = absl::StrCat("the key has more than ", kMaxKeyBytes, " bytes");
  }
  return result;
}

// librdkafka adds what changes with each try: "... (after 3ms in state CONNECT)". A port
// without TLS closes the connection, which is all that it says of that.
std::string WithoutCircumstances(const std::string& reason) {
  const std::string plain = reason.substr(0, reason.find(" (after "));
  const bool closed = absl::StrContains(plain, "SSL handshake failed") &&
                      absl::StrContains(plain, "unexpected eof");
  return closed ? plain + ": does that port speak TLS, as security.protocol says?" : plain;
}

bool IsCredentials(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
         error == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
}

// One partition, through its client.
class ClientPartition : public KafkaPartition {
 public:
  ClientPartition(std::shared_ptr<KafkaClient> client, int32_t number)
      : client_(std::move(client)), number_(number) {}
  ~ClientPartition() override { Stop(); }

  absl::Status Start(int64_t offset) override {
    Stop();
    if (rd_kafka_consume_start(client_->topic(), number_, offset) != 0) {
      return client_->ErrorOf(rd_kafka_last_error(), Name());
    }
    started_ = true;
    return absl::OkStatus();
  }

  void Stop() override {
    if (std::exchange(started_, false)) rd_kafka_consume_stop(client_->topic(), number_);
  }

  KafkaEvent Next(absl::Duration wait) override {
    const std::unique_ptr<rd_kafka_message_t, decltype(&rd_kafka_message_destroy)> message(
        rd_kafka_consume(client_->topic(), number_,
                         static_cast<int>(absl::ToInt64Milliseconds(wait))),
        &rd_kafka_message_destroy);
    KafkaEvent event;
    if (message == nullptr) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__TIMED_OUT) {
        event.kind = KafkaEvent::Kind::kError;
        event.error = client_->ErrorOf(rd_kafka_last_error(), Name());
      }
      return event;
    }
    event.offset = message->offset;
    switch (message->err) {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        event.kind = KafkaEvent::Kind::kMessage;
        event.record = ToRecord(*message);
        break;
      case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        event.kind = KafkaEvent::Kind::kEnd;
        break;
      case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        event.kind = KafkaEvent::Kind::kOutOfRange;
        return event;
      default:
        event.kind = KafkaEvent::Kind::kError;
        event.error = client_->ErrorOf(message->err, Name());
        return event;
    }
    client_->OnAnswer();
    return event;
  }

  std::optional<int64_t> KnownEnd() override {
    int64_t low = RD_KAFKA_OFFSET_INVALID;
    int64_t high = RD_KAFKA_OFFSET_INVALID;
    const auto error = rd_kafka_get_watermark_offsets(client_->get(), client_->topic_name().c_str(),
                                                      number_, &low, &high);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR || high < 0) return std::nullopt;
    return high;
  }

  absl::StatusOr<KafkaRange> QueryRange() override { return client_->QueryRange(number_); }
  absl::StatusOr<std::optional<int64_t>> QueryTime(absl::Time time) override {
    return client_->QueryTime(number_, time);
  }
  absl::Status CheckBrokers() override { return client_->CheckBrokers(); }

 private:
  std::string Name() const { return absl::StrCat(client_->topic_name(), "-", number_); }

  const std::shared_ptr<KafkaClient> client_;
  const int32_t number_;
  bool started_ = false;
};

}  // namespace

absl::StatusOr<std::shared_ptr<KafkaClient>> KafkaClient::Make(const KafkaSourceOptions& options) {
  auto conf = MakeKafkaConf(options);
  if (!conf.ok()) return conf.status();
  std::shared_ptr<KafkaClient> client(new KafkaClient(options));
  rd_kafka_conf_set_opaque(conf->get(), client.get());
  rd_kafka_conf_set_error_cb(conf->get(), &OnError);
  rd_kafka_conf_set_log_cb(conf->get(), &OnLog);
  char error[512];
  client->client_ = rd_kafka_new(RD_KAFKA_CONSUMER, conf->get(), error, sizeof(error));
  if (client->client_ == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("kafka-property: ", error));
  }
  conf->release();  // the client's now
  client->topic_ = rd_kafka_topic_new(client->client_, options.topic.c_str(), nullptr);
  if (client->topic_ == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("kafka-topic: ", rd_kafka_err2str(rd_kafka_last_error())));
  }
  return client;
}

KafkaClient::~KafkaClient() {
  if (topic_ != nullptr) rd_kafka_topic_destroy(topic_);
  if (client_ != nullptr) rd_kafka_destroy(client_);
}

std::unique_ptr<KafkaPartition> KafkaClient::Partition(int32_t number) {
  return std::make_unique<ClientPartition>(shared_from_this(), number);
}

absl::StatusOr<int32_t> KafkaClient::CountPartitions() {
  Poll();
  const rd_kafka_metadata_t* answer = nullptr;
  const auto error = rd_kafka_metadata(client_, /*all_topics=*/0, topic_, &answer, TimeoutMs());
  Poll();
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return ErrorOf(error, options_.topic);
  OnAnswer();
  const std::unique_ptr<const rd_kafka_metadata_t, decltype(&rd_kafka_metadata_destroy)> owned(
      answer, &rd_kafka_metadata_destroy);
  if (answer->topic_cnt != 1) {
    return absl::UnavailableError(absl::StrCat(options_.topic, ": no answer about the topic"));
  }
  const rd_kafka_metadata_topic_t& topic = answer->topics[0];
  if (topic.err != RD_KAFKA_RESP_ERR_NO_ERROR) return ErrorOf(topic.err, options_.topic);
  return topic.partition_cnt;
}

absl::StatusOr<KafkaRange> KafkaClient::QueryRange(int32_t partition) {
  KafkaRange range;
  const auto error = rd_kafka_query_watermark_offsets(client_, options_.topic.c_str(), partition,
                                                      &range.first, &range.end, TimeoutMs());
  Poll();
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return ErrorOf(error, absl::StrCat(options_.topic, "-", partition));
  }
  OnAnswer();
  return range;
}

absl::StatusOr<std::optional<int64_t>> KafkaClient::QueryTime(int32_t partition, absl::Time time) {
  const std::unique_ptr<rd_kafka_topic_partition_list_t,
                        decltype(&rd_kafka_topic_partition_list_destroy)>
      list(rd_kafka_topic_partition_list_new(1), &rd_kafka_topic_partition_list_destroy);
  rd_kafka_topic_partition_t* asked =
      rd_kafka_topic_partition_list_add(list.get(), options_.topic.c_str(), partition);
  // Negative numbers have another meaning there.
  asked->offset = std::max<int64_t>(0, absl::ToUnixMillis(time - absl::Nanoseconds(1)) + 1);
  auto error = rd_kafka_offsets_for_times(client_, list.get(), TimeoutMs());
  Poll();
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = asked->err;
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return ErrorOf(error, absl::StrCat(options_.topic, "-", partition));
  }
  OnAnswer();
  if (asked->offset < 0) return std::nullopt;
  return asked->offset;
}

absl::Status KafkaClient::CheckBrokers() {
  Poll();
  if (!down_) return absl::OkStatus();
  bool probe = false;
  {
    MutexLock lock(mutex_);
    const SteadyTime now = std::chrono::steady_clock::now();
    if (now - probed_ >= absl::ToChronoNanoseconds(kProbeInterval)) {
      probed_ = now;
      probe = true;
    }
  }
  if (probe) {
    const rd_kafka_metadata_t* answer = nullptr;
    if (rd_kafka_metadata(client_, 0, topic_, &answer, kProbeTimeoutMs) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_metadata_destroy(answer);
      OnAnswer();
      return absl::OkStatus();
    }
    Poll();
  }
  return ErrorOf(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, options_.topic);
}

absl::Status KafkaClient::ErrorOf(rd_kafka_resp_err_t error, const std::string& what) {
  const std::string said = rd_kafka_err2str(error);
  switch (error) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return absl::NotFoundError(
          absl::StrCat("Kafka has no topic or partition ", what, " (", options_.brokers, ")"));
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return absl::PermissionDeniedError(absl::StrCat("Kafka, ", what, ": ", said));
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__WAIT_COORD: {
      MutexLock lock(mutex_);
      const std::string why =
          absl::StrCat("Kafka at ", options_.brokers,
                       " cannot be reached: ", last_reason_.empty() ? said : last_reason_);
      return IsCredentials(last_error_) ? absl::UnauthenticatedError(why)
                                        : absl::UnavailableError(why);
    }
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      return absl::FailedPreconditionError(absl::StrCat("Kafka, ", what, ": ", said));
    default:
      return absl::UnavailableError(absl::StrCat("Kafka, ", what, ": ", said));
  }
}

void KafkaClient::OnError(rd_kafka_t*, int error, const char* reason, void* self) {
  static_cast<KafkaClient*>(self)->Note(static_cast<rd_kafka_resp_err_t>(error), reason);
}

void KafkaClient::Note(rd_kafka_resp_err_t error, const std::string& reason) {
  if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
    down_ = true;
    return;  // the reason came before
  }
  MutexLock lock(mutex_);
  last_error_ = error;
  last_reason_ = WithoutCircumstances(reason);
}

bool KafkaClient::IsNews(const std::string& line) {
  MutexLock lock(mutex_);
  const SteadyTime now = std::chrono::steady_clock::now();
  std::erase_if(logged_, [&](const auto& entry) {
    return now - entry.second >= absl::ToChronoNanoseconds(kLogAgain);
  });
  return logged_.emplace(line, now).second;
}

void KafkaClient::OnLog(const rd_kafka_t* client, int level, const char* facility,
                        const char* text) {
  auto* self = static_cast<KafkaClient*>(rd_kafka_opaque(client));
  if (self == nullptr || !self->options_.log) return;
  const std::string line = absl::StrCat("librdkafka: ", facility, ": ", text);
  if (level == LOG_DEBUG || self->IsNews(line)) self->options_.log(line);
}

}  // namespace lowmark
