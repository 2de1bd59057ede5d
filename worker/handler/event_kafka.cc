// Records of Kafka, as Lambda gives them for a cluster that is not AWS' own.
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/handler/event.h"
#include "worker/handler/event_shapes.h"

namespace lowmark {
namespace {

void AppendRecord(const KafkaPartition& partition, const std::string& topic, const Record& record,
                  std::string& json) {
  // A source's sequence number is an offset, which has no leading zeros: a JSON number.
  absl::StrAppend(&json, R"({"topic":)", topic, R"(,"partition":)", partition.number,
                  R"(,"offset":)", record.sequence, R"(,"timestamp":)",
                  absl::ToUnixMillis(record.arrival_time), R"(,"timestampType":"CREATE_TIME")");
  if (!record.partition_key.empty()) {
    absl::StrAppend(&json, R"(,"key":")", absl::Base64Escape(record.partition_key), "\"");
  }
  absl::StrAppend(&json, R"(,"value":")", absl::Base64Escape(record.data), R"(","headers":[)");
  const char* separator = "";
  for (const auto& [name, value] : record.headers) {
    absl::StrAppend(&json, std::exchange(separator, ","), "{", QuotedJson(name), ":[",
                    absl::StrJoin(value, ",",
                                  [](std::string* out, char byte) {
                                    absl::StrAppend(
                                        out, static_cast<int>(static_cast<unsigned char>(byte)));
                                  }),
                    "]}");
  }
  json += "]}";
}

}  // namespace

KafkaPartition::KafkaPartition(const Batch& batch) : topic(batch.shard) {
  const size_t dash = topic.rfind('-');
  if (dash == std::string::npos || dash == 0) return;
  if (!absl::SimpleAtoi(topic.substr(dash + 1), &number) || number < 0) {
    number = 0;
    return;
  }
  topic.erase(dash);
}

std::string KafkaPartition::ToString() const { return absl::StrCat(topic, "-", number); }

void AppendKafkaMembers(const Batch& batch, std::string& json) {
  const KafkaPartition partition(batch);
  const std::string topic = QuotedJson(partition.topic);
  absl::StrAppend(&json, R"("eventSource":"SelfManagedKafka","bootstrapServers":)",
                  QuotedJson(batch.origin.arn), R"(,"records":{)", QuotedJson(partition.ToString()),
                  ":[");
  for (const Record& record : batch.records) {
    if (json.back() == '}') json += ',';
    AppendRecord(partition, topic, record, json);
  }
  json += "]}";
}

}  // namespace lowmark
