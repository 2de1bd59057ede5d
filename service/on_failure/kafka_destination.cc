#include "service/on_failure/kafka_destination.h"

#include <librdkafka/rdkafka.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

// More than any document has; what a broker takes is its own to say.
constexpr char kMostBytes[] = "8000000";
constexpr int kPollMs = 50;

// A document in the producer's hands.
struct Pending {
  absl::Status* answer = nullptr;
  size_t* outstanding = nullptr;
};

absl::Status ToStatus(rd_kafka_resp_err_t error, const std::string& last_error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      return absl::OkStatus();
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
      return absl::FailedPreconditionError(rd_kafka_err2str(error));
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
      return absl::CancelledError("the coordinator stopped");
    default:
      return absl::UnavailableError(
          absl::StrCat(rd_kafka_err2str(error), last_error.empty() ? "" : "; ", last_error));
  }
}

}  // namespace

struct KafkaDestination::Producer {
  rd_kafka_t* kafka = nullptr;
  // What the connections last complained of: says more than that time is over.
  // Touched by the thread that polls alone.
  std::string last_error;

  Producer() = default;
  ~Producer() {
    if (kafka != nullptr) rd_kafka_destroy(kafka);
  }
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  static void OnReport(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    auto* pending = static_cast<Pending*>(message->_private);
    *pending->answer = ToStatus(message->err, static_cast<Producer*>(self)->last_error);
    --*pending->outstanding;
  }
  static void OnError(rd_kafka_t*, int, const char* reason, void* self) {
    static_cast<Producer*>(self)->last_error = reason;
  }

  rd_kafka_resp_err_t Produce(const std::string& topic, const Document& document, Pending* pending);
};

absl::StatusOr<std::unique_ptr<Destination>> KafkaDestination::Create(const OnFailure::Kafka& kafka,
                                                                      absl::Duration timeout) {
  auto producer = std::make_unique<Producer>();
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  std::array<char, 512> error{};
  OnFailure::Texts properties = {{"client.id", "lowmark-coordinator"}};
  for (const auto& [name, value] : kafka.properties) properties[name] = value;
  // Whatever a stream says.
  properties["bootstrap.servers"] = kafka.brokers;
  properties["enable.idempotence"] = "true";
  properties["acks"] = "all";
  properties["message.max.bytes"] = kMostBytes;
  properties["message.timeout.ms"] = absl::StrCat(absl::ToInt64Milliseconds(timeout));
  for (const auto& [name, value] : properties) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error.data(), error.size()) !=
        RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      // librdkafka's own words may hold the value, which may be a secret.
      return absl::FailedPreconditionError(
          absl::StrCat("librdkafka does not take the value of the property ", name));
    }
  }
  rd_kafka_conf_set_log_cb(conf, nullptr);
  rd_kafka_conf_set_dr_msg_cb(conf, &Producer::OnReport);
  rd_kafka_conf_set_error_cb(conf, &Producer::OnError);
  rd_kafka_conf_set_opaque(conf, producer.get());
  producer->kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error.data(), error.size());
  if (producer->kafka == nullptr) {
    rd_kafka_conf_destroy(conf);
    return absl::FailedPreconditionError(absl::StrCat("librdkafka: ", error.data()));
  }
  return std::unique_ptr<Destination>(new KafkaDestination(kafka.topic, std::move(producer)));
}

KafkaDestination::KafkaDestination(std::string topic, std::unique_ptr<Producer> producer)
    : topic_(std::move(topic)), producer_(std::move(producer)) {}

KafkaDestination::~KafkaDestination() = default;

rd_kafka_resp_err_t KafkaDestination::Producer::Produce(const std::string& topic,
                                                        const Document& document,
                                                        Pending* pending) {
  // NOLINTBEGIN: librdkafka takes the parts of a message as a list of any length
  return rd_kafka_producev(
      kafka, RD_KAFKA_V_TOPIC(topic.c_str()),
      RD_KAFKA_V_KEY(document.shard.data(), document.shard.size()),
      RD_KAFKA_V_VALUE(const_cast<char*>(document.text.data()), document.text.size()),
      RD_KAFKA_V_HEADER("idempotency-key", document.key.data(), document.key.size()),
      RD_KAFKA_V_HEADER("content-type", "application/json", -1), RD_KAFKA_V_OPAQUE(pending),
      RD_KAFKA_V_END);
  // NOLINTEND
}

std::vector<absl::Status> KafkaDestination::Send(const std::vector<Document>& documents,
                                                 absl::Duration) {
  std::vector<absl::Status> answers(documents.size(), absl::CancelledError("not tried"));
  std::vector<Pending> pending(documents.size());
  size_t outstanding = 0;
  for (size_t i = 0; i < documents.size() && !stop().stopping(); ++i) {
    pending[i] = {&answers[i], &outstanding};
    const rd_kafka_resp_err_t error = producer_->Produce(topic_, documents[i], &pending[i]);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++outstanding;
    } else {
      answers[i] = ToStatus(error, producer_->last_error);
    }
  }
  // Each is answered: in time, or because its time is over.
  bool purged = false;
  while (outstanding > 0) {
    rd_kafka_poll(producer_->kafka, kPollMs);
    if (!stop().over() || purged) continue;
    rd_kafka_purge(producer_->kafka, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    purged = true;
  }
  return answers;
}

}  // namespace lowmark
