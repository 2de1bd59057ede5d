// What operators send.
#include <google/protobuf/util/field_mask_util.h>

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/core/position.h"
#include "service/rpc/checks.h"
#include "service/rpc/validate.h"

namespace lowmark {
namespace {

constexpr int kMostPaths = 100;
constexpr int32_t kLargestPage = 1000;
constexpr size_t kLongestReason = 1024;

absl::Status CheckPage(int32_t size) { return CheckRange("page_size", size, 0, kLargestPage); }

// Page tokens are the id that the page before ended with.
absl::Status CheckPageToken(const std::string& token) {
  return token.empty() ? absl::OkStatus() : CheckId("page_token", token);
}

// Whether `text` is a dead letter's id as it is written: no sign, no blanks.
bool IsRowId(const std::string& text) {
  int64_t id = 0;
  return IsNumericSequence(text) && absl::SimpleAtoi(text, &id) && id >= 1;
}

absl::Status CheckNumericPageToken(const std::string& token) {
  if (token.empty() || IsRowId(token)) return absl::OkStatus();
  return InvalidField("page_token", token, "must be a next_page_token");
}

absl::Status CheckMask(const google::protobuf::FieldMask& mask) {
  if (mask.paths().empty() || mask.paths_size() > kMostPaths) {
    return InvalidField("update_mask", absl::StrCat(mask.paths_size(), " paths"),
                        "must name 1..100 fields of config, or be \"*\"");
  }
  if (mask.paths_size() == 1 && mask.paths(0) == "*") return absl::OkStatus();
  for (const std::string& path : mask.paths()) {
    // The library takes an empty path for the message itself.
    if (path.empty() ||
        !google::protobuf::util::FieldMaskUtil::IsValidPath<v1::StreamConfig>(path)) {
      return InvalidField("update_mask", path, "must name fields of config, or be \"*\"");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const v1::CreateStreamRequest& request) {
  if (auto s = CheckId("stream", request.stream()); !s.ok()) return s;
  if (v1::Preset_IsValid(request.preset())) return absl::OkStatus();
  return InvalidField("preset", request.preset(), "must be unset or LAMBDA (1)");
}

absl::Status Validate(const v1::GetStreamRequest& request) {
  return CheckId("stream", request.stream());
}

absl::Status Validate(const v1::ListStreamsRequest& request) {
  return First({CheckPage(request.page_size()), CheckPageToken(request.page_token())});
}

absl::Status Validate(const v1::UpdateStreamRequest& request) {
  return First({CheckId("stream", request.stream()), CheckEtag("etag", request.etag()),
                CheckMask(request.update_mask())});
}

absl::Status Validate(const v1::DeleteStreamRequest& request) {
  return First({CheckId("stream", request.stream()), CheckEtag("etag", request.etag())});
}

absl::Status Validate(const v1::GetShardRequest& request) {
  return First({CheckId("stream", request.stream()), CheckId("shard", request.shard())});
}

absl::Status Validate(const v1::ListShardsRequest& request) {
  return First({CheckId("stream", request.stream()), CheckPage(request.page_size()),
                CheckPageToken(request.page_token())});
}

absl::Status Validate(const v1::SeekShardRequest& request) {
  if (auto s = First({CheckId("stream", request.stream()), CheckId("shard", request.shard()),
                      CheckText("reason", request.reason(), kLongestReason, false)});
      !s.ok()) {
    return s;
  }
  if (request.reason().empty()) {
    return InvalidField("reason", "", "must say why, for the audit: 1..1024 bytes");
  }
  return absl::OkStatus();
}

absl::Status Validate(const v1::ListWorkersRequest& request) {
  return First({CheckId("stream", request.stream()), CheckPage(request.page_size()),
                CheckPageToken(request.page_token())});
}

absl::Status Validate(const v1::CordonWorkerRequest& request) {
  return First({CheckId("stream", request.stream()), CheckId("worker", request.worker())});
}

absl::Status Validate(const v1::UncordonWorkerRequest& request) {
  return First({CheckId("stream", request.stream()), CheckId("worker", request.worker())});
}

absl::Status Validate(const v1::DrainWorkerRequest& request) {
  return First({CheckId("stream", request.stream()), CheckId("worker", request.worker())});
}

absl::Status Validate(const v1::GetDeadLetterRequest& request) {
  if (auto s = CheckId("stream", request.stream()); !s.ok()) return s;
  if (IsRowId(request.id())) return absl::OkStatus();
  return InvalidField("id", request.id(), "must be a dead letter's id, a positive integer");
}

absl::Status Validate(const v1::ListDeadLettersRequest& request) {
  return First({CheckId("stream", request.stream()),
                request.shard().empty() ? absl::OkStatus() : CheckId("shard", request.shard()),
                CheckPage(request.page_size()), CheckNumericPageToken(request.page_token())});
}

}  // namespace lowmark
