#include "service/cli/text.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace lowmark::cli {
namespace {

constexpr char kEllipsis[] = "\xe2\x80\xa6";

// The length of the UTF-8 character that text starts with; 0 where it starts with
// something else.
size_t CharacterLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what is beyond Unicode.
  if (first == 0xe0 && byte(1) < 0xa0) return 0;
  if (first == 0xed && byte(1) >= 0xa0) return 0;
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) >= 0x90) return 0;
  return length;
}

// Whether a character steers a terminal: C0, DEL, C1, and the overrides of the
// direction of writing.
bool IsControl(absl::string_view character) {
  const unsigned char first = character[0];
  if (character.size() == 1) return first < 32 || first == 127;
  if (character.size() == 2) {
    return first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
  }
  return character >= "\xe2\x80\xa8" && character <= "\xe2\x80\xae" && character.size() == 3;
}

std::string Escaped(absl::string_view bytes) {
  std::string text;
  for (const unsigned char c : bytes) {
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else {
      absl::StrAppendFormat(&text, "\\x%02x", c);
    }
  }
  return text;
}

// Where the n-th character starts.
size_t Offset(absl::string_view text, size_t n) {
  size_t offset = 0;
  for (; n > 0 && offset < text.size(); --n) {
    offset += std::max<size_t>(CharacterLength(text.substr(offset)), 1);
  }
  return offset;
}

}  // namespace

std::string Safe(absl::string_view text) {
  std::string safe;
  while (!text.empty()) {
    const size_t length = std::max<size_t>(CharacterLength(text), 1);
    const absl::string_view character = text.substr(0, length);
    if (CharacterLength(text) == 0 || IsControl(character)) {
      safe += Escaped(character);
    } else {
      absl::StrAppend(&safe, character);
    }
    text.remove_prefix(length);
  }
  return safe;
}

std::string Shortened(absl::string_view text, size_t width) {
  std::string safe = Safe(text);
  if (Width(safe) <= width) return safe;
  return safe.substr(0, Offset(safe, width - 1)) + kEllipsis;
}

std::string ShortenedInside(absl::string_view text, size_t width) {
  std::string safe = Safe(text);
  const size_t length = Width(safe);
  if (length <= width) return safe;
  const size_t tail = (width - 1) / 2;
  return absl::StrCat(safe.substr(0, Offset(safe, width - 1 - tail)), kEllipsis,
                      safe.substr(Offset(safe, length - tail)));
}

size_t Width(absl::string_view text) {
  size_t characters = 0;
  for (const unsigned char c : text) characters += (c & 0xc0) != 0x80 ? 1 : 0;
  return characters;
}

bool IsPrintable(absl::string_view text) {
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    if (length == 0) return false;
    const absl::string_view character = text.substr(0, length);
    if (IsControl(character) && character != "\n" && character != "\t") return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0 && time.nanos() == 0) return "";
  const absl::Time t = absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
  return absl::FormatTime(time.nanos() < 1'000'000 ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%dT%H:%M:%E3SZ",
                          t, absl::UTCTimeZone());
}

std::string DurationText(const google::protobuf::Duration& duration) {
  const absl::Duration d = absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
  return d == absl::ZeroDuration() ? "0s" : absl::FormatDuration(d);
}

std::string SizeText(size_t bytes) {
  if (bytes == 1) return "1 byte";
  if (bytes < 1024) return absl::StrCat(bytes, " bytes");
  if (bytes < 1024 * 1024) return absl::StrFormat("%.1f KiB", bytes / 1024.0);
  return absl::StrFormat("%.1f MiB", bytes / 1024.0 / 1024.0);
}

std::string EnumText(const google::protobuf::EnumValueDescriptor& value) {
  // Values carry their type's name: DiscardScope has DISCARD_SCOPE_RECORD.
  std::string prefix;
  for (const char c : value.type()->name()) {
    if (absl::ascii_isupper(c) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(c);
  }
  absl::string_view name = value.name();
  absl::ConsumePrefix(&name, prefix + "_");
  return absl::AsciiStrToLower(name);
}

std::string PositionText(const v1::Position& position) {
  switch (position.position_case()) {
    case v1::Position::kTrimHorizon:
      return "TRIM_HORIZON";
    case v1::Position::kLatest:
      return "LATEST";
    case v1::Position::kAtTimestamp:
      return google::protobuf::util::TimeUtil::ToString(position.at_timestamp())
          .insert(0, "AT_TIMESTAMP ");
    case v1::Position::kAtSequence:
      return Safe(absl::StrCat("AT ", position.at_sequence()));
    case v1::Position::kAfterSequence:
      return Safe(absl::StrCat("AFTER ", position.after_sequence()));
    case v1::Position::kShardEnd:
      return "SHARD_END";
    case v1::Position::POSITION_NOT_SET:
      break;
  }
  return "";
}

absl::StatusOr<v1::Position> ParsePosition(absl::string_view text) {
  const size_t separator = text.find_first_of(" :");
  const std::string kind = absl::AsciiStrToUpper(text.substr(0, separator));
  const std::string value(separator == text.npos ? "" : text.substr(separator + 1));
  v1::Position position;
  if (kind == "TRIM_HORIZON" && value.empty()) {
    position.mutable_trim_horizon();
  } else if (kind == "LATEST" && value.empty()) {
    position.mutable_latest();
  } else if (kind == "SHARD_END" && value.empty()) {
    position.mutable_shard_end();
  } else if (kind == "AT" && !value.empty()) {
    position.set_at_sequence(value);
  } else if (kind == "AFTER" && !value.empty()) {
    position.set_after_sequence(value);
  } else if (kind != "AT_TIMESTAMP" || !google::protobuf::util::TimeUtil::FromString(
                                           value, position.mutable_at_timestamp())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", Safe(text), "\" is no position: must be trim_horizon, latest, at SEQUENCE, ",
        "after SEQUENCE, or at_timestamp TIME as in at_timestamp 2026-01-31T12:00:00Z"));
  }
  return position;
}

absl::StatusOr<google::protobuf::Duration> ParseDuration(absl::string_view text) {
  absl::Duration duration;
  // -1 stands for "no limit" in the contract.
  if (!absl::ParseDuration(text == "-1" ? "-1s" : std::string(text), &duration) ||
      absl::AbsDuration(duration) > absl::Hours(24 * 365)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", Safe(text), "\" is no duration: must be such as 200ms, 30s or 5m"));
  }
  google::protobuf::Duration proto;
  const int64_t seconds = absl::IDivDuration(duration, absl::Seconds(1), &duration);
  proto.set_seconds(seconds);
  proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
  return proto;
}

}  // namespace lowmark::cli
