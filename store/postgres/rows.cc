#include "store/postgres/rows.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "store/postgres/policy_json.h"
#include "store/postgres/text_array.h"

namespace lowmark {
namespace {

// In the order of Position::Kind.
constexpr std::array<const char*, 6> kPositionKinds = {"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP",
                                                       "AT",           "AFTER",  "SHARD_END"};

std::string ToText(const pqxx::field& field) { return {field.c_str(), field.size()}; }

// Three columns from `first` on: kind, message, how long it has lasted.
std::optional<Trouble> ReadTrouble(const pqxx::row& row, pqxx::row::size_type first) {
  if (row[first].is_null()) return std::nullopt;
  return Trouble{static_cast<Trouble::Kind>(ToInt(row[first])), ToText(row[first + 1]),
                 ToDuration(row[first + 2])};
}

Position::Kind ToPositionKind(absl::string_view name) {
  const auto* found = std::find(kPositionKinds.begin(), kPositionKinds.end(), name);
  // What is not one of these cannot be in a column of the enum.
  return static_cast<Position::Kind>(found - kPositionKinds.begin());
}

std::optional<DeclaredBatch> ToDeclared(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  std::vector<std::string> parts = ParseTextArray(field.c_str());
  if (parts.size() != 4) return std::nullopt;
  return DeclaredBatch{std::move(parts[0]), std::move(parts[1]), std::move(parts[2]),
                       static_cast<int32_t>(std::strtol(parts[3].c_str(), nullptr, 10))};
}

}  // namespace

int64_t ToInt(const pqxx::field& field) { return std::strtoll(field.c_str(), nullptr, 10); }

absl::Time ToTime(const pqxx::field& field) {
  const char* text = field.c_str();
  const bool negative = *text == '-';
  char* rest = nullptr;
  const int64_t seconds = std::llabs(std::strtoll(text, &rest, 10));
  int64_t micros = 0;
  if (*rest == '.') {
    int64_t unit = 100000;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) micros += (*rest - '0') * unit;
  }
  const int64_t total = seconds * 1000000 + micros;
  return absl::FromUnixMicros(negative ? -total : total);
}

absl::Duration ToDuration(const pqxx::field& field) { return ToTime(field) - absl::UnixEpoch(); }

std::string FormatTimestamp(absl::Time time) {
  return absl::FormatTime("%E4Y-%m-%d %H:%M:%E6S+00", time, absl::UTCTimeZone());
}

int64_t ToMicros(absl::Duration duration) {
  const absl::Duration century = absl::Hours(24 * 36500);
  return absl::ToInt64Microseconds(std::clamp(duration, absl::ZeroDuration(), century));
}

const char* PositionKindName(Position::Kind kind) {
  return kPositionKinds[static_cast<size_t>(kind)];
}

Shard ReadShard(const std::string& stream, const pqxx::row& row) {
  Shard shard;
  shard.stream = stream;
  shard.shard = ToText(row[0]);
  shard.epoch = ToInt(row[1]);
  shard.owner = ToText(row[2]);
  shard.parents_left = static_cast<int32_t>(ToInt(row[3]));
  ShardState& state = shard.state;
  state.position.kind = ToPositionKind({row[4].c_str(), row[4].size()});
  state.position.sequence = ToText(row[5]);
  if (!row[6].is_null()) state.position.time = ToTime(row[6]);
  if (!row[7].is_null()) state.bounds = ParseTextArray(row[7].c_str());
  state.batch_id = ToInt(row[8]);
  state.delivery = ToInt(row[9]);
  state.attempts = static_cast<int32_t>(ToInt(row[10]));
  state.lost_deliveries = static_cast<int32_t>(ToInt(row[11]));
  if (!row[12].is_null()) state.not_before = ToTime(row[12]);
  state.outstanding = *row[13].c_str() == 't';
  state.cause = static_cast<Redelivery>(ToInt(row[14]));
  state.declared = ToDeclared(row[15]);
  return shard;
}

ShardRecord ReadShardRecord(const std::string& stream, const pqxx::row& row) {
  constexpr pqxx::row::size_type kStat = 16;  // the first column after the shard's
  ShardRecord record{ReadShard(stream, row), {}};
  if (row[kStat].is_null()) return record;
  ShardStat stat;
  stat.idle = *row[kStat].c_str() == 't';
  if (!row[kStat + 1].is_null()) stat.lag_age = ToDuration(row[kStat + 1]);
  if (!row[kStat + 2].is_null()) stat.backlog = ToInt(row[kStat + 2]);
  stat.trouble = ReadTrouble(row, kStat + 3);
  record.stat = std::move(stat);
  return record;
}

absl::StatusOr<Stream> ReadStreamWithTrouble(const pqxx::row& row) {
  auto stream = ReadStream(row);
  if (stream.ok()) stream->trouble = ReadTrouble(row, 5);
  return stream;
}

absl::StatusOr<Stream> ReadStream(const pqxx::row& row) {
  auto policy = PolicyFromJson(ToText(row[1]));
  if (!policy.ok()) return policy.status();
  return Stream{ToText(row[0]), *std::move(policy), ToText(row[2]), ToTime(row[3]), ToTime(row[4])};
}

DeadLetter ReadDeadLetter(const std::string& stream, const pqxx::row& row) {
  DeadLetter letter;
  letter.stream = stream;
  letter.id = ToInt(row[0]);
  letter.shard = ToText(row[1]);
  letter.range.first = ToText(row[2]);
  letter.range.last = ToText(row[3]);
  letter.range.count = static_cast<int32_t>(ToInt(row[4]));
  letter.range.condition = static_cast<Condition>(ToInt(row[5]));
  letter.range.attempts = static_cast<int32_t>(ToInt(row[6]));
  letter.range.error_type = ToText(row[7]);
  letter.range.error_message = ToText(row[8]);
  letter.epoch = ToInt(row[9]);
  letter.delivery = ToInt(row[10]);
  letter.worker = ToText(row[11]);
  letter.create_time = ToTime(row[12]);
  letter.batch_id = ToInt(row[13]);
  if (row[14].is_null()) return letter;
  Forwarding forwarding;
  forwarding.tries = static_cast<int32_t>(ToInt(row[14]));
  forwarding.error = ToText(row[15]);
  forwarding.next_try = ToTime(row[16]);
  if (!row[17].is_null()) forwarding.forwarded = ToTime(row[17]);
  letter.forwarding = std::move(forwarding);
  return letter;
}

std::vector<std::pair<std::string, std::string>> ReadHeaders(const pqxx::field& field) {
  const std::vector<std::string> fields = ParseTextArray(field.c_str());
  std::vector<std::pair<std::string, std::string>> headers;
  for (size_t i = 0; i + 1 < fields.size(); i += 2) {
    headers.emplace_back(ParseBytes(fields[i]), ParseBytes(fields[i + 1]));
  }
  return headers;
}

ShardEvent ReadEvent(const std::string& stream, const pqxx::row& row) {
  ShardEvent event;
  event.stream = stream;
  event.id = ToInt(row[0]);
  event.shard = ToText(row[1]);
  event.time = ToTime(row[2]);
  event.kind = ToText(row[3]);
  event.epoch = ToInt(row[4]);
  event.delivery = ToInt(row[5]);
  event.actor = ToText(row[6]);
  event.detail = ToText(row[7]);
  return event;
}

StreamRow ReadStreamRow(const pqxx::row& row) {
  return {ToInt(row[1]), ToText(row[2]), ToText(row[5]), ToInt(row[9]), ToTime(row[12])};
}

}  // namespace lowmark
