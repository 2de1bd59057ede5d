#include "service/on_failure/document.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "service/core/lease.h"

namespace lowmark {
namespace {

// In the order in which Lambda writes it.
using Json = nlohmann::ordered_json;

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%E4Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

std::string FunctionArn(const DeadLetter& letter, const OnFailure& on_failure) {
  if (!on_failure.function_arn.empty()) return on_failure.function_arn;
  return absl::StrCat("arn:aws:lambda:local:000000000000:function:", letter.stream);
}

std::string StreamArn(const DeadLetter& letter, const OnFailure& on_failure) {
  if (!on_failure.stream_arn.empty()) return on_failure.stream_arn;
  return absl::StrCat("arn:aws:kinesis:local:000000000000:stream/", letter.stream);
}

Json BatchInfo(const ClaimedLetter& claimed, const OnFailure& on_failure) {
  const DeadLetter& letter = claimed.letter;
  Json info = {{"shardId", letter.shard},
               {"startSequenceNumber", letter.range.first},
               {"endSequenceNumber", letter.range.last}};
  if (claimed.first_arrival) {
    info["approximateArrivalOfFirstRecord"] = TimeText(*claimed.first_arrival);
  }
  if (claimed.last_arrival) {
    info["approximateArrivalOfLastRecord"] = TimeText(*claimed.last_arrival);
  }
  info["batchSize"] = letter.range.count;
  info["streamArn"] = StreamArn(letter, on_failure);
  return info;
}

Json Records(const std::vector<Record>& records) {
  Json list = Json::array();
  for (const Record& record : records) {
    list.push_back({{"sequenceNumber", record.sequence},
                    {"partitionKey", record.partition_key},
                    {"approximateArrivalTimestamp", TimeText(record.arrival_time)},
                    {"data", absl::Base64Escape(record.data)}});
    for (const auto& [name, value] : record.headers) {
      list.back()["headers"].push_back({{"name", name}, {"value", absl::Base64Escape(value)}});
    }
  }
  return list;
}

Json OwnPart(const DeadLetter& letter) {
  return {{"stream", letter.stream},
          {"deadLetter", absl::StrCat(letter.id)},
          {"errorType", letter.range.error_type},
          {"errorMessage", letter.range.error_message},
          {"epoch", letter.epoch},
          {"delivery", letter.delivery},
          {"worker", letter.worker},
          {"records", Records(letter.records)},
          {"recordsOmitted", letter.range.count - static_cast<int64_t>(letter.records.size())}};
}

}  // namespace

std::string DocumentKey(const DeadLetter& letter) {
  return absl::StrCat(letter.stream, "/", letter.id);
}

std::string LambdaCondition(Condition condition) {
  switch (condition) {
    case Condition::kRetryAttemptsExhausted:
      return "RetryAttemptsExhausted";
    case Condition::kRecordAgeExceeded:
      return "RecordAgeExceeded";
    case Condition::kRecordTooLarge:
      return "RecordTooLarge";
    case Condition::kRecordUnreadable:
      return "RecordUnreadable";
  }
  return "";
}

std::string FailureDocument(const ClaimedLetter& claimed, const OnFailure& on_failure) {
  const DeadLetter& letter = claimed.letter;
  Json document;
  document["requestContext"] = {
      {"requestId", BatchName(letter.stream, letter.shard, letter.epoch, letter.batch_id)},
      {"functionArn", FunctionArn(letter, on_failure)},
      {"condition", LambdaCondition(letter.range.condition)},
      {"approximateInvokeCount", letter.range.attempts}};
  if (letter.range.attempts > 0) {
    document["responseContext"] = {
        {"statusCode", 200}, {"executedVersion", "$LATEST"}, {"functionError", "Unhandled"}};
  }
  document["version"] = "1.0";
  document["timestamp"] = TimeText(letter.create_time);
  const bool dynamo = absl::StartsWith(on_failure.stream_arn, "arn:") &&
                      absl::StrContains(on_failure.stream_arn, ":dynamodb:");
  document[dynamo ? "DDBStreamBatchInfo" : "KinesisBatchInfo"] = BatchInfo(claimed, on_failure);
  document["lowmark"] = OwnPart(letter);
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lowmark
