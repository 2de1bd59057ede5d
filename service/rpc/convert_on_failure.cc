#include "service/rpc/convert_on_failure.h"

#include <utility>

#include "service/rpc/convert.h"

namespace lowmark {
namespace {

using Texts = google::protobuf::Map<std::string, std::string>;

OnFailure::Texts ReadTexts(const Texts& proto) { return {proto.begin(), proto.end()}; }

void WriteTexts(const OnFailure::Texts& texts, Texts* proto) {
  for (const auto& [name, value] : texts) (*proto)[name] = value;
}

void Write(const std::monostate&, v1::OnFailure*) {}

void Write(const OnFailure::Http& http, v1::OnFailure* proto) {
  proto->mutable_http()->set_url(http.url);
  WriteTexts(http.headers, proto->mutable_http()->mutable_headers());
}

void Write(const OnFailure::Kafka& kafka, v1::OnFailure* proto) {
  proto->mutable_kafka()->set_brokers(kafka.brokers);
  proto->mutable_kafka()->set_topic(kafka.topic);
  WriteTexts(kafka.properties, proto->mutable_kafka()->mutable_properties());
}

void Write(const OnFailure::Directory& directory, v1::OnFailure* proto) {
  proto->mutable_directory()->set_path(directory.path);
}

}  // namespace

void ToProto(const OnFailure& on_failure, v1::OnFailure* proto) {
  std::visit([proto](const auto& destination) { Write(destination, proto); },
             on_failure.destination);
  ToProto(on_failure.timeout, proto->mutable_timeout());
  proto->set_maximum_data_bytes(on_failure.maximum_data_bytes);
  proto->set_function_arn(on_failure.function_arn);
  proto->set_stream_arn(on_failure.stream_arn);
}

absl::StatusOr<OnFailure> OnFailureFromProto(const v1::OnFailure& proto) {
  OnFailure on_failure;
  switch (proto.destination_case()) {
    case v1::OnFailure::kHttp:
      on_failure.destination =
          OnFailure::Http{proto.http().url(), ReadTexts(proto.http().headers())};
      break;
    case v1::OnFailure::kKafka:
      on_failure.destination = OnFailure::Kafka{proto.kafka().brokers(), proto.kafka().topic(),
                                                ReadTexts(proto.kafka().properties())};
      break;
    case v1::OnFailure::kDirectory:
      on_failure.destination = OnFailure::Directory{proto.directory().path()};
      break;
    case v1::OnFailure::DESTINATION_NOT_SET:
      break;
  }
  if (proto.has_maximum_data_bytes()) on_failure.maximum_data_bytes = proto.maximum_data_bytes();
  on_failure.function_arn = proto.function_arn();
  on_failure.stream_arn = proto.stream_arn();
  if (!proto.has_timeout()) return on_failure;
  auto timeout = DurationFromProto("config.on_failure.timeout", proto.timeout());
  if (!timeout.ok()) return timeout.status();
  on_failure.timeout = *timeout;
  return on_failure;
}

}  // namespace lowmark
