#include "service/rpc/checks.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/core/position.h"

namespace lowmark {
namespace {

constexpr size_t kLongestEtag = 128;

}  // namespace

absl::Status First(std::initializer_list<absl::Status> checks) {
  for (const absl::Status& check : checks) {
    if (!check.ok()) return check;
  }
  return absl::OkStatus();
}

absl::Status CheckId(absl::string_view field, const std::string& id) {
  if (IsToken(id)) return absl::OkStatus();
  return InvalidField(field, id, "must match [A-Za-z0-9._:-]{1,128}");
}

absl::Status CheckRange(absl::string_view field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return InvalidField(field, value, absl::StrCat("must be ", low, "..", high));
}

absl::Status CheckPositive(absl::string_view field, int64_t value) {
  return value >= 1 ? absl::OkStatus() : InvalidField(field, value, "must be at least 1");
}

absl::Status CheckText(absl::string_view field, const std::string& text, size_t longest,
                       bool lines) {
  if (text.size() > longest) {
    return InvalidField(field, text, absl::StrCat("must be at most ", longest, " bytes"));
  }
  const bool clean = std::all_of(text.begin(), text.end(), [&](char c) {
    if (lines && (c == '\n' || c == '\t')) return true;
    return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
  });
  if (clean) return absl::OkStatus();
  return InvalidField(field, text, "must not contain control characters");
}

absl::Status CheckEtag(const std::string& field, const std::string& etag) {
  return CheckText(field, etag, kLongestEtag, /*lines=*/false);
}

}  // namespace lowmark
