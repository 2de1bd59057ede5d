#include "service/rpc/convert_stats.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/rpc/convert.h"

namespace lowmark {
namespace {

constexpr absl::Duration kLongest = absl::Hours(24 * 3650);

static_assert(static_cast<int>(Trouble::Kind::kSource) == v1::TROUBLE_KIND_SOURCE);
static_assert(static_cast<int>(Trouble::Kind::kHandler) == v1::TROUBLE_KIND_HANDLER);

absl::StatusOr<absl::Duration> LengthFromProto(absl::string_view field,
                                               const google::protobuf::Duration& proto) {
  auto length = DurationFromProto(field, proto);
  if (length.ok() && (*length < absl::ZeroDuration() || *length > kLongest)) {
    return InvalidField(field, absl::FormatDuration(*length), "must be 0..87600h");
  }
  return length;
}

absl::Duration Bounded(absl::Duration length) {
  return std::clamp(length, absl::ZeroDuration(), kLongest);
}

absl::Status CheckMessage(absl::string_view field, const std::string& message) {
  const bool clean = std::none_of(message.begin(), message.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!message.empty() && message.size() <= kLongestTrouble && clean) return absl::OkStatus();
  return InvalidField(
      field, message,
      absl::StrCat("must be a line of 1..", kLongestTrouble, " bytes without control characters"));
}

}  // namespace

void ToProto(const Trouble& trouble, v1::Trouble* proto) {
  proto->set_kind(static_cast<v1::TroubleKind>(trouble.kind));
  proto->set_message(trouble.message);
  ToProto(Bounded(trouble.lasted), proto->mutable_lasted());
}

absl::StatusOr<Trouble> TroubleFromProto(absl::string_view field, const v1::Trouble& proto) {
  if (proto.kind() != v1::TROUBLE_KIND_SOURCE && proto.kind() != v1::TROUBLE_KIND_HANDLER) {
    return InvalidField(absl::StrCat(field, ".kind"), proto.kind(),
                        "must be SOURCE (1) or HANDLER (2)");
  }
  if (auto s = CheckMessage(absl::StrCat(field, ".message"), proto.message()); !s.ok()) return s;
  auto lasted = LengthFromProto(absl::StrCat(field, ".lasted"), proto.lasted());
  if (!lasted.ok()) return lasted.status();
  return Trouble{static_cast<Trouble::Kind>(proto.kind()), proto.message(), *lasted};
}

void ToProto(const ShardStat& stat, v1::ShardStat* proto) {
  proto->set_idle(stat.idle);
  if (stat.lag_age) ToProto(Bounded(*stat.lag_age), proto->mutable_lag_age());
  if (stat.backlog) proto->set_backlog(*stat.backlog);
  if (stat.trouble) ToProto(*stat.trouble, proto->mutable_trouble());
}

absl::StatusOr<ShardStat> StatFromProto(absl::string_view field, const v1::ShardStat& proto) {
  ShardStat stat;
  stat.idle = proto.idle();
  if (proto.has_lag_age()) {
    auto age = LengthFromProto(absl::StrCat(field, ".lag_age"), proto.lag_age());
    if (!age.ok()) return age.status();
    stat.lag_age = *age;
  }
  if (proto.has_backlog()) {
    if (proto.backlog() < 0) {
      return InvalidField(absl::StrCat(field, ".backlog"), proto.backlog(), "must be 0 or more");
    }
    stat.backlog = proto.backlog();
  }
  if (proto.has_trouble()) {
    auto trouble = TroubleFromProto(absl::StrCat(field, ".trouble"), proto.trouble());
    if (!trouble.ok()) return trouble.status();
    stat.trouble = *std::move(trouble);
  }
  return stat;
}

}  // namespace lowmark
