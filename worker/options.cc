#include "worker/options.h"

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/core/position.h"

namespace lowmark {
namespace {

absl::Status CheckRange(absl::string_view field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return InvalidField(field, value, absl::StrCat("must be ", low, "..", high));
}

absl::Status CheckRange(absl::string_view field, absl::Duration value, absl::Duration low,
                        absl::Duration high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return InvalidField(
      field, absl::FormatDuration(value),
      absl::StrCat("must be ", absl::FormatDuration(low), "..", absl::FormatDuration(high)));
}

}  // namespace

absl::Status WorkerOptions::Validate() const {
  if (coordinator.empty()) {
    return InvalidField("coordinator", coordinator, "must be an address such as localhost:7070");
  }
  if (!IsToken(stream)) {
    return InvalidField("stream", stream, "must match [A-Za-z0-9._:-]{1,128}");
  }
  if (log_format != "console" && log_format != "json") {
    return InvalidField("log_format", log_format, "must be console or json");
  }
  if (auto s = security.Validate(coordinator); !s.ok()) return s;
  const absl::Duration ms = absl::Milliseconds(1);
  for (const absl::Status& status : {
           CheckRange("max_leases", max_leases, 1, 100000),
           CheckRange("capacity", capacity, 1, 1000000),
           CheckRange("threads", threads, 1, 1000),
           CheckRange("source_threads", source_threads, 1, 1000),
           CheckRange("grace", grace, absl::ZeroDuration(), absl::Hours(1)),
           CheckRange("sync_interval", sync_interval, 10 * ms, absl::Hours(24)),
           CheckRange("poll_interval", poll_interval, ms, absl::Minutes(1)),
           CheckRange("idle_after", idle_after, absl::Seconds(1), absl::Hours(1)),
           CheckRange("lease_wait", lease_wait, absl::Seconds(1), absl::Minutes(5)),
           CheckRange("call_timeout", call_timeout, 100 * ms, absl::Minutes(5)),
           CheckRange("retry_initial", retry_initial, ms, retry_maximum),
           CheckRange("retry_maximum", retry_maximum, ms, absl::Hours(1)),
           CheckRange("read_ahead_bytes", read_ahead_bytes, 0, int64_t{1} << 50),
           CheckRange("overrun_limit", overrun_limit, ms, absl::Hours(24 * 365)),
       }) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace lowmark
