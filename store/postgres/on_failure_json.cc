#include "store/postgres/on_failure_json.h"

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "absl/time/time.h"

namespace lowmark {
namespace {

using nlohmann::json;

void Write(const std::monostate&, json&) {}

void Write(const OnFailure::Http& http, json& object) {
  object["http"] = {{"url", http.url}, {"headers", http.headers}};
}

void Write(const OnFailure::Kafka& kafka, json& object) {
  object["kafka"] = {
      {"brokers", kafka.brokers}, {"topic", kafka.topic}, {"properties", kafka.properties}};
}

void Write(const OnFailure::Directory& directory, json& object) {
  object["directory"] = {{"path", directory.path}};
}

}  // namespace

json OnFailureToJson(const OnFailure& on_failure) {
  json object = {{"timeout", absl::FormatDuration(on_failure.timeout)},
                 {"maximum_data_bytes", on_failure.maximum_data_bytes},
                 {"function_arn", on_failure.function_arn},
                 {"stream_arn", on_failure.stream_arn}};
  std::visit([&object](const auto& destination) { Write(destination, object); },
             on_failure.destination);
  return object;
}

OnFailure OnFailureFromJson(const json& object) {
  OnFailure on_failure;
  if (object.contains("http")) {
    const json& http = object.at("http");
    on_failure.destination = OnFailure::Http{http.at("url").get<std::string>(),
                                             http.value("headers", OnFailure::Texts())};
  } else if (object.contains("kafka")) {
    const json& kafka = object.at("kafka");
    on_failure.destination = OnFailure::Kafka{kafka.at("brokers").get<std::string>(),
                                              kafka.at("topic").get<std::string>(),
                                              kafka.value("properties", OnFailure::Texts())};
  } else if (object.contains("directory")) {
    on_failure.destination =
        OnFailure::Directory{object.at("directory").at("path").get<std::string>()};
  }
  if (object.contains("timeout") &&
      !absl::ParseDuration(object.at("timeout").get<std::string>(), &on_failure.timeout)) {
    throw std::runtime_error("timeout");
  }
  on_failure.maximum_data_bytes = object.value("maximum_data_bytes", int64_t{0});
  on_failure.function_arn = object.value("function_arn", "");
  on_failure.stream_arn = object.value("stream_arn", "");
  return on_failure;
}

}  // namespace lowmark
