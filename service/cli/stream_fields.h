// A stream's policy as lines of text, field by field: "batch_size" "100". The
// names are those of StreamConfig in the contract, with a dot before the fields of
// a field: "retry_backoff.initial". A field that is a map has a line for each entry,
// "on_failure.http.headers" "Team=orders". What Fields writes, SetField reads.
#ifndef LOWMARK_SERVICE_CLI_STREAM_FIELDS_H_
#define LOWMARK_SERVICE_CLI_STREAM_FIELDS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lowmark/v1/stream.pb.h"

namespace lowmark::cli {

// All fields with their values, in the contract's order; "" where one is not set.
std::vector<std::pair<std::string, std::string>> Fields(const v1::StreamConfig& config);

// Sets a field, or an entry of a map, from "NAME=VALUE" and returns its name. INVALID_ARGUMENT
// names the field, the value, and what is allowed or is the nearest name.
absl::StatusOr<std::string> SetField(const std::string& assignment, v1::StreamConfig& config);

// OK where a field has that name.
absl::Status CheckField(const std::string& name);

// OK where a field has that name, or fields of its own: "on_failure".
absl::Status CheckResettable(const std::string& name);

}  // namespace lowmark::cli

#endif  // LOWMARK_SERVICE_CLI_STREAM_FIELDS_H_
