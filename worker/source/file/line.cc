#include "worker/source/file/line.h"

#include <cmath>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace lowmark {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxKeyBytes = size_t{64} << 10;
// The years 1 to 9999.
constexpr double kEarliest = -62135596800;
constexpr double kLatest = 253402300799;

std::optional<absl::Time> TimeOfSeconds(double seconds) {
  if (!(seconds >= kEarliest && seconds <= kLatest)) return std::nullopt;
  // Microseconds are what a double of this size holds.
  return absl::FromUnixMicros(std::llround(seconds * 1e6));
}

std::optional<absl::Time> ReadTime(const Json& value) {
  if (value.is_number()) return TimeOfSeconds(value.get<double>());
  if (!value.is_string()) return std::nullopt;
  const auto& text = value.get_ref<const std::string&>();
  double seconds = 0;
  if (absl::SimpleAtod(text, &seconds)) return TimeOfSeconds(seconds);
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) return std::nullopt;
  const double parsed = absl::ToDoubleSeconds(time - absl::UnixEpoch());
  if (!(parsed >= kEarliest && parsed <= kLatest)) return std::nullopt;
  return time;
}

std::string ReadKey(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

SourceRecord ParseLine(absl::string_view line, int64_t offset, const LineFields& fields,
                       absl::Time now) {
  SourceRecord result;
  result.record = {absl::StrCat(offset), "", now, std::string(line)};
  const auto unreadable = [&result](absl::string_view problem) {
    result.defect = SourceRecord::Defect::kUnreadable;
    result.problem = std::string(problem);
  };
  if (fields.key.empty() && fields.time.empty() && !fields.dynamodb) {
    if (!Json::accept(line.begin(), line.end())) unreadable("the line is not JSON");
    return result;
  }
  const Json json = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    unreadable("the line is not JSON");
    return result;
  }
  if (fields.dynamodb && (!json.is_object() || !json.value("dynamodb", Json()).is_object())) {
    unreadable("the line is not a record of a DynamoDB stream: it has no object \"dynamodb\"");
    return result;
  }
  if (!json.is_object()) return result;
  if (auto key = json.find(fields.key); !fields.key.empty() && key != json.end()) {
    result.record.partition_key = ReadKey(*key);
    if (result.record.partition_key.size() > kMaxKeyBytes) {
      result.record.partition_key.clear();
      unreadable(absl::StrCat("the partition key is longer than ", kMaxKeyBytes, " bytes"));
    }
  }
  if (auto time = json.find(fields.time); !fields.time.empty() && time != json.end()) {
    result.record.arrival_time = ReadTime(*time).value_or(now);
  }
  return result;
}

}  // namespace lowmark
