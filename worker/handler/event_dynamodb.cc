// Records of DynamoDB's streams. A record's data is the JSON of one as GetRecords
// returns it, {"eventName": "INSERT", "dynamodb": {"Keys": {...}, ...}, ...}; what
// is there is kept, in its order, and what is missing added where it is known.
// The sequence number is always the record's own, by which answers name it.
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "worker/handler/event_shapes.h"

namespace lowmark {
namespace {

using Json = nlohmann::ordered_json;

// Adds a member where there is none.
void Complete(Json& object, const char* key, Json value) {
  if (!object.contains(key)) object[key] = std::move(value);
}

// Which images there are tells at least what the stream must hold.
const char* StreamViewType(const Json& change) {
  const bool before = change.contains("OldImage"), after = change.contains("NewImage");
  if (before && after) return "NEW_AND_OLD_IMAGES";
  if (before) return "OLD_IMAGE";
  return after ? "NEW_IMAGE" : "KEYS_ONLY";
}

Json Change(const Record& record, const Json& event) {
  const auto found = event.find("dynamodb");
  Json change = found != event.end() && found->is_object() ? *found : Json::object();
  Complete(change, "ApproximateCreationDateTime", absl::ToUnixSeconds(record.arrival_time));
  Complete(change, "SizeBytes", record.data.size());
  Complete(change, "StreamViewType", StreamViewType(change));
  change["SequenceNumber"] = record.sequence;
  return change;
}

std::string SourceArn(const Batch& batch) {
  if (!batch.origin.arn.empty()) return batch.origin.arn;
  return absl::StrCat("arn:aws:dynamodb:", EventRegion(batch), ":000000000000:table/", batch.stream,
                      "/stream/1970-01-01T00:00:00.000");
}

}  // namespace

void AppendDynamoDbMembers(const Batch& batch, std::string& json) {
  const std::string arn = SourceArn(batch), region = EventRegion(batch);
  json += R"("Records":[)";
  for (const Record& record : batch.records) {
    Json event = Json::parse(record.data, nullptr, /*allow_exceptions=*/false);
    if (!event.is_object()) event = Json::object();
    Complete(event, "eventID", absl::StrCat(batch.shard, ":", record.sequence));
    Complete(event, "eventVersion", "1.1");
    Complete(event, "eventSource", "aws:dynamodb");
    Complete(event, "awsRegion", region);
    event["dynamodb"] = Change(record, event);
    Complete(event, "eventSourceARN", arn);
    if (json.back() == '}') json += ',';
    json += event.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  json += ']';
}

}  // namespace lowmark
