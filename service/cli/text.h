// How the values of the contract look to a person, and how a person writes them.
#ifndef LOWMARK_SERVICE_CLI_TEXT_H_
#define LOWMARK_SERVICE_CLI_TEXT_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lowmark/v1/position.pb.h"

namespace lowmark::cli {

// Text that came from elsewhere, made safe for a terminal and a line: control
// characters become \n, \t or \x1b, and so do bytes that are not UTF-8.
std::string Safe(absl::string_view text);

// Safe, and shortened to `width` characters: at its end, or in its middle, which
// leaves both ends of a long sequence number to be seen.
std::string Shortened(absl::string_view text, size_t width);
std::string ShortenedInside(absl::string_view text, size_t width);

// Characters of UTF-8 text: columns, for most scripts.
size_t Width(absl::string_view text);

// Whether all of it is UTF-8 without control characters but tab and newline.
bool IsPrintable(absl::string_view text);

// RFC 3339 in UTC, to the millisecond where there is any: "2026-01-31T12:00:00Z".
// Empty for no time.
std::string TimeText(const google::protobuf::Timestamp& time);
std::string DurationText(const google::protobuf::Duration& duration);

// "12 bytes", "3.4 KiB".
std::string SizeText(size_t bytes);

// "record" for DISCARD_SCOPE_RECORD.
std::string EnumText(const google::protobuf::EnumValueDescriptor& value);

// "AT 4", "AFTER 10", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP 2026-01-31T12:00:00Z",
// "SHARD_END".
std::string PositionText(const v1::Position& position);

// Reads what PositionText writes, in upper or lower case, with a space or a colon.
absl::StatusOr<v1::Position> ParsePosition(absl::string_view text);
absl::StatusOr<google::protobuf::Duration> ParseDuration(absl::string_view text);

}  // namespace lowmark::cli

#endif  // LOWMARK_SERVICE_CLI_TEXT_H_
