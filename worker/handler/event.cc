#include "worker/handler/event.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace lowmark {
namespace {

using Json = nlohmann::json;

// A JSON string with its quotes.
std::string Quoted(absl::string_view text) {
  return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Seconds since the epoch, to the millisecond, as Kinesis gives them.
std::string UnixSeconds(absl::Time time) {
  return absl::StrFormat("%.3f", static_cast<double>(absl::ToUnixMillis(time)) / 1000);
}

// What is the same for every record of a batch: the end of its object.
std::string RecordTail(const Batch& batch) {
  const std::string region = batch.origin.region.empty() ? "local" : batch.origin.region;
  const std::string arn =
      batch.origin.arn.empty()
          ? absl::StrCat("arn:aws:kinesis:", region, ":000000000000:stream/", batch.stream)
          : batch.origin.arn;
  return absl::StrCat(
      R"(,"eventSource":"aws:kinesis","eventVersion":"1.0","eventName":"aws:kinesis:record",)",
      R"("invokeIdentityArn":"arn:aws:iam::000000000000:role/lowmark","awsRegion":)",
      Quoted(region), R"(,"eventSourceARN":)", Quoted(arn), "}");
}

void AppendRecord(const Batch& batch, const Record& record, const std::string& tail,
                  std::string& json) {
  absl::StrAppend(&json, R"({"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":)",
                  Quoted(record.partition_key), R"(,"sequenceNumber":)", Quoted(record.sequence),
                  R"(,"data":")", absl::Base64Escape(record.data),
                  R"(","approximateArrivalTimestamp":)", UnixSeconds(record.arrival_time),
                  R"(},"eventID":)", Quoted(absl::StrCat(batch.shard, ":", record.sequence)), tail);
}

}  // namespace

std::string EventJson(const Batch& batch) {
  const std::string tail = RecordTail(batch);
  size_t bytes = 0;
  for (const Record& record : batch.records) bytes += record.data.size() * 4 / 3 + 700;
  std::string json;
  json.reserve(bytes);
  json = R"({"Records":[)";
  for (const Record& record : batch.records) {
    if (json.back() == '}') json += ',';
    AppendRecord(batch, record, tail, json);
  }
  absl::StrAppend(&json, R"(],"lowmark":{"stream":)", Quoted(batch.stream), R"(,"shard":)",
                  Quoted(batch.shard), R"(,"epoch":)", batch.epoch, R"(,"batchId":)",
                  Quoted(batch.batch_id), R"(,"attempt":)", batch.attempt);
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

}  // namespace lowmark
