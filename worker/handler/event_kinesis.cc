#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "worker/handler/event_shapes.h"

namespace lowmark {
namespace {

// Seconds since the epoch, to the millisecond, as Kinesis gives them.
std::string UnixSeconds(absl::Time time) {
  return absl::StrFormat("%.3f", static_cast<double>(absl::ToUnixMillis(time)) / 1000);
}

// What is the same for every record of a batch: the end of its object.
std::string RecordTail(const Batch& batch) {
  const std::string region = EventRegion(batch);
  const std::string arn =
      batch.origin.arn.empty()
          ? absl::StrCat("arn:aws:kinesis:", region, ":000000000000:stream/", batch.stream)
          : batch.origin.arn;
  return absl::StrCat(
      R"(,"eventSource":"aws:kinesis","eventVersion":"1.0","eventName":"aws:kinesis:record",)",
      R"("invokeIdentityArn":"arn:aws:iam::000000000000:role/lowmark","awsRegion":)",
      QuotedJson(region), R"(,"eventSourceARN":)", QuotedJson(arn), "}");
}

void AppendRecord(const Batch& batch, const Record& record, const std::string& tail,
                  std::string& json) {
  absl::StrAppend(&json, R"({"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":)",
                  QuotedJson(record.partition_key), R"(,"sequenceNumber":)",
                  QuotedJson(record.sequence), R"(,"data":")", absl::Base64Escape(record.data),
                  R"(","approximateArrivalTimestamp":)", UnixSeconds(record.arrival_time),
                  R"(},"eventID":)", QuotedJson(absl::StrCat(batch.shard, ":", record.sequence)),
                  tail);
}

}  // namespace

void AppendKinesisMembers(const Batch& batch, std::string& json) {
  const std::string tail = RecordTail(batch);
  json += R"("Records":[)";
  for (const Record& record : batch.records) {
    if (json.back() == '}') json += ',';
    AppendRecord(batch, record, tail, json);
  }
  json += ']';
}

}  // namespace lowmark
