#include "service/rpc/scaler_metadata.h"

#include <algorithm>
#include <array>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "service/core/error.h"
#include "service/core/position.h"

namespace lowmark {
namespace {

constexpr int32_t kMostShardsPerWorker = 100000;

bool IsKedas(absl::string_view key) {
  static constexpr std::array<const char*, 6> kKeys = {
      "scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsClientCert", "tlsClientKey"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

std::string Named(absl::string_view key) { return absl::StrCat("scalerMetadata.", key); }

absl::StatusOr<absl::Duration> ParseLength(absl::string_view key, const std::string& value,
                                           absl::Duration least, absl::Duration most) {
  absl::Duration length;
  if (absl::ParseDuration(value, &length) && length >= least && length <= most) return length;
  return InvalidField(Named(key), value,
                      absl::StrCat("must be a duration, ", absl::FormatDuration(least), "..",
                                   absl::FormatDuration(most)));
}

absl::Status Read(absl::string_view key, const std::string& value, ScalerMetadata& metadata) {
  if (key == "stream") {
    metadata.stream = value;
    return absl::OkStatus();
  }
  if (key == "shardsPerWorker") {
    int32_t& number = metadata.shards_per_worker;
    if (absl::SimpleAtoi(value, &number) && number >= 1 && number <= kMostShardsPerWorker) {
      return absl::OkStatus();
    }
    return InvalidField(Named(key), value, absl::StrCat("must be 1..", kMostShardsPerWorker));
  }
  if (key == "targetLagAge") {
    auto age = ParseLength(key, value, absl::Seconds(1), absl::Hours(24));
    if (age.ok()) metadata.target_lag_age = *age;
    return age.status();
  }
  if (key == "wakeEvery") {
    auto pause = ParseLength(key, value, absl::Seconds(10), absl::Hours(24));
    if (pause.ok()) metadata.rule.wake_every = *pause;
    return pause.status();
  }
  return InvalidField(Named(key), value,
                      "is not read by anybody: the keys are stream, shardsPerWorker, "
                      "targetLagAge and wakeEvery");
}

}  // namespace

absl::StatusOr<ScalerMetadata> ParseScalerMetadata(
    const google::protobuf::Map<std::string, std::string>& metadata) {
  ScalerMetadata parsed;
  // In order, so that of several errors it is always the same that is told.
  for (const auto& [key, value] :
       std::map<std::string, std::string>(metadata.begin(), metadata.end())) {
    const absl::string_view name = absl::StripSuffix(key, "FromEnv");
    if (IsKedas(name)) continue;
    if (auto s = Read(name, value, parsed); !s.ok()) return s;
  }
  if (IsToken(parsed.stream)) return parsed;
  return InvalidField(Named("stream"), parsed.stream, "must match [A-Za-z0-9._:-]{1,128}");
}

}  // namespace lowmark
