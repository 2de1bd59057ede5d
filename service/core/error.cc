#include "service/core/error.h"

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

constexpr char kReasonUrl[] = "lowmark/reason";
constexpr size_t kShownBytes = 64;

}  // namespace

absl::Status MakeError(absl::StatusCode code, absl::string_view reason, absl::string_view message) {
  absl::Status status(code, message);
  status.SetPayload(kReasonUrl, absl::Cord(reason));
  return status;
}

absl::Status InvalidField(absl::string_view field, absl::string_view value,
                          absl::string_view allowed) {
  const std::string shown = absl::CHexEscape(value.substr(0, kShownBytes));
  const char* more = value.size() > kShownBytes ? "..." : "";
  return MakeError(absl::StatusCode::kInvalidArgument, kInvalidArgument,
                   absl::StrCat(field, " is \"", shown, more, "\": ", allowed));
}

absl::Status InvalidField(absl::string_view field, int64_t value, absl::string_view allowed) {
  return MakeError(absl::StatusCode::kInvalidArgument, kInvalidArgument,
                   absl::StrCat(field, " is ", value, ": ", allowed));
}

absl::Status CheckDuration(absl::string_view field, absl::Duration value, absl::Duration low,
                           absl::Duration high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return InvalidField(
      field, absl::FormatDuration(value),
      absl::StrCat("must be ", absl::FormatDuration(low), "..", absl::FormatDuration(high)));
}

absl::Status Aborted(absl::string_view reason, absl::string_view message) {
  return MakeError(absl::StatusCode::kAborted, reason, message);
}

absl::Status StreamNotFound(absl::string_view stream) {
  return MakeError(absl::StatusCode::kNotFound, kStreamNotFound,
                   absl::StrCat("stream \"", absl::CHexEscape(stream), "\" does not exist"));
}

absl::Status ShardNotFound(absl::string_view stream, absl::string_view shard) {
  return MakeError(absl::StatusCode::kNotFound, kShardNotFound,
                   absl::StrCat("shard \"", absl::CHexEscape(shard), "\" of stream \"",
                                absl::CHexEscape(stream), "\" does not exist"));
}

absl::Status WorkerNotFound(absl::string_view stream, absl::string_view worker) {
  return MakeError(absl::StatusCode::kNotFound, kWorkerNotFound,
                   absl::StrCat("stream \"", absl::CHexEscape(stream), "\" has no live worker \"",
                                absl::CHexEscape(worker), "\""));
}

absl::Status Unavailable(absl::string_view message) {
  return MakeError(absl::StatusCode::kUnavailable, kUnavailable, message);
}

std::string Reason(const absl::Status& status) {
  if (status.ok()) return "";
  if (auto reason = status.GetPayload(kReasonUrl)) return std::string(*reason);
  return absl::StatusCodeToString(status.code());
}

}  // namespace lowmark
