#include "worker/source/kinesis/kinesis_api.h"

#include <cmath>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "worker/source/kinesis/json_field.h"

namespace lowmark {
namespace {

constexpr size_t kShownBytes = 500;
constexpr int kMostPages = 10000;

// "ResourceNotFoundException" of "com.amazonaws.kinesis#ResourceNotFoundException:http://..."
std::string ErrorName(const HttpAnswer& answer, const nlohmann::json& body) {
  std::string name = answer.error_type.empty() ? JsonText(body, "__type") : answer.error_type;
  name = name.substr(0, name.find(':'));
  const size_t hash = name.rfind('#');
  return hash == std::string::npos ? name : name.substr(hash + 1);
}

absl::StatusCode CodeOf(const std::string& error, int status) {
  struct Known {
    const char* error;
    absl::StatusCode code;
  };
  static constexpr Known kKnown[] = {
      {"ProvisionedThroughputExceededException", absl::StatusCode::kUnavailable},
      {"LimitExceededException", absl::StatusCode::kUnavailable},
      {"ThrottlingException", absl::StatusCode::kUnavailable},
      {"KMSThrottlingException", absl::StatusCode::kUnavailable},
      {"RequestLimitExceeded", absl::StatusCode::kUnavailable},
      {"ExpiredNextTokenException", absl::StatusCode::kUnavailable},
      {"ResourceInUseException", absl::StatusCode::kUnavailable},  // being created
      {"ResourceNotFoundException", absl::StatusCode::kNotFound},
      {"ExpiredIteratorException", absl::StatusCode::kAborted},
      {"InvalidArgumentException", absl::StatusCode::kInvalidArgument},
      {"ValidationException", absl::StatusCode::kInvalidArgument},
      {"AccessDeniedException", absl::StatusCode::kPermissionDenied},
      {"KMSAccessDeniedException", absl::StatusCode::kPermissionDenied},
      {"UnrecognizedClientException", absl::StatusCode::kUnauthenticated},
      {"InvalidSignatureException", absl::StatusCode::kUnauthenticated},
      {"IncompleteSignatureException", absl::StatusCode::kUnauthenticated},
      {"IncompleteSignature", absl::StatusCode::kUnauthenticated},
      {"MissingAuthenticationToken", absl::StatusCode::kUnauthenticated},
      {"MissingAuthenticationTokenException", absl::StatusCode::kUnauthenticated},
      {"InvalidClientTokenId", absl::StatusCode::kUnauthenticated},
      {"ExpiredTokenException", absl::StatusCode::kUnauthenticated},
      {"ExpiredToken", absl::StatusCode::kUnauthenticated},
      {"RequestExpired", absl::StatusCode::kUnauthenticated},
  };
  for (const Known& known : kKnown) {
    if (error == known.error) return known.code;
  }
  if (status >= 500 || status == 429) return absl::StatusCode::kUnavailable;
  // Something else than Kinesis, or a part of it, answered.
  if (error.empty()) return absl::StatusCode::kUnavailable;
  return absl::StatusCode::kFailedPrecondition;
}

// A sequence number of Kinesis is one of ours, unless somebody else answers.
absl::StatusOr<Record> ParseRecord(const nlohmann::json& json) {
  Record record;
  record.sequence = JsonText(json, "SequenceNumber");
  record.partition_key = JsonText(json, "PartitionKey");
  // Milliseconds are kept exactly: a double of seconds is not what was meant.
  record.arrival_time =
      absl::FromUnixMillis(std::llround(JsonNumber(json, "ApproximateArrivalTimestamp") * 1000));
  if (!IsNumericSequence(record.sequence) ||
      !absl::Base64Unescape(JsonText(json, "Data"), &record.data)) {
    return absl::UnavailableError("a record has no sequence number, or its data is no Base64");
  }
  return record;
}

}  // namespace

struct KinesisApi::Answer {
  nlohmann::json body;
  std::optional<absl::Time> date;
};

absl::StatusOr<KinesisApi::Answer> KinesisApi::Call(const char* operation,
                                                    const nlohmann::json& request) {
  auto credentials = credentials_.Get();
  if (!credentials.ok()) return credentials.status();
  HttpRequest http;
  http.method = "POST";
  http.url = stream_.endpoint + "/";
  http.headers = {"Content-Type: application/x-amz-json-1.1",
                  absl::StrCat("X-Amz-Target: Kinesis_20131202.", operation)};
  http.body = request.dump();
  http.timeout = timeout_;
  http.scope = absl::StrCat("aws:amz:", stream_.region, ":kinesis");
  http.credentials = *credentials;
  auto answer = http_.Do(http);
  if (!answer.ok()) return answer.status();
  Answer result{nlohmann::json::parse(answer->body, nullptr, /*allow_exceptions=*/false),
                answer->date};
  const std::string what =
      absl::StrCat(operation, " on stream ", stream_.name, " in ", stream_.region);
  if (answer->status == 200) {
    if (result.body.is_object()) return result;
    return absl::UnavailableError(absl::StrCat(what, ": the answer is no JSON object"));
  }
  const std::string error = ErrorName(*answer, result.body);
  std::string message = JsonText(result.body, "message");
  if (message.empty()) message = JsonText(result.body, "Message");
  if (message.empty() && error.empty()) message = answer->body;
  absl::Status status(
      CodeOf(error, answer->status),
      absl::StrCat(what, ": ", answer->status, " ",
                   error.empty() ? "without an error's name" : error, message.empty() ? "" : ": ",
                   absl::CHexEscape(message.substr(0, kShownBytes))));
  if (absl::IsUnauthenticated(status)) credentials_.Drop(*credentials);
  return status;
}

nlohmann::json KinesisApi::AboutStream() const {
  nlohmann::json request = {{"StreamName", stream_.name}};
  if (!stream_.arn.empty()) request["StreamARN"] = stream_.arn;
  return request;
}

absl::StatusOr<std::string> KinesisApi::DescribeStreamArn() {
  auto answer = Call("DescribeStreamSummary", AboutStream());
  if (!answer.ok()) return answer.status();
  std::string arn = JsonText(JsonMember(answer->body, "StreamDescriptionSummary"), "StreamARN");
  if (arn.empty()) return absl::UnavailableError("DescribeStreamSummary: the answer has no ARN");
  return arn;
}

absl::StatusOr<std::vector<ListedShard>> KinesisApi::ListShards() {
  std::vector<ListedShard> shards;
  nlohmann::json request = AboutStream();
  for (int page = 0; page < kMostPages; ++page) {
    auto answer = Call("ListShards", request);
    if (!answer.ok()) return answer.status();
    const nlohmann::json& listed = JsonMember(answer->body, "Shards");
    if (!listed.is_array()) {
      return absl::UnavailableError("ListShards: the answer has no list of shards");
    }
    for (const nlohmann::json& json : listed) {
      ListedShard shard{JsonText(json, "ShardId"), {}};
      for (const char* field : {"ParentShardId", "AdjacentParentShardId"}) {
        if (auto parent = JsonText(json, field); !parent.empty()) shard.parents.push_back(parent);
      }
      if (!IsToken(shard.shard)) {
        return absl::UnavailableError("ListShards: the answer has a shard without an id");
      }
      shards.push_back(std::move(shard));
    }
    const std::string token = JsonText(answer->body, "NextToken");
    if (token.empty()) return shards;
    // A token stands for the stream, whose name may not be given beside it.
    request = {{"NextToken", token}};
    if (!stream_.arn.empty()) request["StreamARN"] = stream_.arn;
  }
  return absl::UnavailableError("ListShards: there is no last page");
}

absl::StatusOr<ShardIterator> KinesisApi::GetShardIterator(const std::string& shard,
                                                           const Position& from) {
  nlohmann::json request = AboutStream();
  request["ShardId"] = shard;
  switch (from.kind) {
    case Position::Kind::kTrimHorizon:
    case Position::Kind::kShardEnd:
      request["ShardIteratorType"] = "TRIM_HORIZON";
      break;
    case Position::Kind::kLatest:
      request["ShardIteratorType"] = "LATEST";
      break;
    case Position::Kind::kAtTimestamp:
      request["ShardIteratorType"] = "AT_TIMESTAMP";
      // Kinesis knows milliseconds: rounded down, nothing is left out.
      request["Timestamp"] = static_cast<double>(absl::ToUnixMillis(from.time)) / 1000;
      break;
    case Position::Kind::kAt:
    case Position::Kind::kAfter:
      request["ShardIteratorType"] =
          from.kind == Position::Kind::kAt ? "AT_SEQUENCE_NUMBER" : "AFTER_SEQUENCE_NUMBER";
      request["StartingSequenceNumber"] = from.sequence;
      break;
  }
  const absl::Time before = absl::Now();
  auto answer = Call("GetShardIterator", request);
  if (!answer.ok()) return answer.status();
  ShardIterator iterator{JsonText(answer->body, "ShardIterator"), answer->date.value_or(before)};
  if (!iterator.token.empty()) return iterator;
  return absl::UnavailableError("GetShardIterator: the answer has no iterator");
}

absl::StatusOr<RecordsPage> KinesisApi::GetRecords(const std::string& iterator, int32_t limit) {
  nlohmann::json request = {{"ShardIterator", iterator}, {"Limit", limit}};
  if (!stream_.arn.empty()) request["StreamARN"] = stream_.arn;
  auto answer = Call("GetRecords", request);
  if (!answer.ok()) return answer.status();
  const nlohmann::json& records = JsonMember(answer->body, "Records");
  // The end of a shard is what an answer leaves out: it has to be one.
  if (!records.is_array()) {
    return absl::UnavailableError("GetRecords: the answer has no list of records");
  }
  RecordsPage page;
  page.records.reserve(records.size());
  for (const nlohmann::json& json : records) {
    auto record = ParseRecord(json);
    if (!record.ok()) {
      return absl::UnavailableError(absl::StrCat("GetRecords: ", record.status().message()));
    }
    page.records.push_back(*std::move(record));
  }
  page.next_iterator = JsonText(answer->body, "NextShardIterator");
  page.millis_behind_latest = static_cast<int64_t>(JsonNumber(answer->body, "MillisBehindLatest"));
  return page;
}

}  // namespace lowmark
