#include "worker/handler/event.h"

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "worker/handler/event_shapes.h"

namespace lowmark {
namespace {

// What data in base64 and the members around it take at most, so that an event is
// seldom moved while it grows.
size_t EstimatedBytes(const Batch& batch) {
  size_t bytes = 1024;
  for (const Record& record : batch.records) bytes += record.data.size() * 4 / 3 + 700;
  return bytes;
}

void AppendMembers(const Batch& batch, std::string& json) {
  switch (batch.origin.shape) {
    case Origin::Shape::kKinesis:
      return AppendKinesisMembers(batch, json);
    case Origin::Shape::kDynamoDb:
      return AppendDynamoDbMembers(batch, json);
    case Origin::Shape::kKafka:
      return AppendKafkaMembers(batch, json);
  }
}

}  // namespace

std::string EventJson(const Batch& batch) {
  std::string json;
  json.reserve(EstimatedBytes(batch));
  json += '{';
  AppendMembers(batch, json);
  absl::StrAppend(&json, R"(,"lowmark":{"stream":)", QuotedJson(batch.stream), R"(,"shard":)",
                  QuotedJson(batch.shard), R"(,"epoch":)", batch.epoch, R"(,"batchId":)",
                  QuotedJson(batch.batch_id), R"(,"attempt":)", batch.attempt);
  if (batch.deadline != absl::InfiniteFuture()) {
    absl::StrAppend(&json, R"(,"deadlineMs":)", absl::ToUnixMillis(batch.deadline));
  }
  absl::StrAppend(&json, "}}");
  return json;
}

std::vector<std::string> Sequences(const Batch& batch) {
  std::vector<std::string> sequences;
  sequences.reserve(batch.records.size());
  for (const Record& record : batch.records) sequences.push_back(record.sequence);
  return sequences;
}

std::string QuotedJson(absl::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string EventRegion(const Batch& batch) {
  return batch.origin.region.empty() ? "local" : batch.origin.region;
}

}  // namespace lowmark
