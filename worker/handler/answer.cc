#include "worker/handler/answer.h"

#include <unordered_set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace lowmark {
namespace {

using Json = nlohmann::json;

constexpr char kFailures[] = "batchItemFailures";
constexpr char kIdentifier[] = "itemIdentifier";
constexpr size_t kShownBytes = 200;

HandlerResult Invalid(absl::string_view why) {
  return HandlerResult::Raised("InvalidAnswer", std::string(why));
}

std::string Shown(absl::string_view text) {
  return absl::StrCat(text.substr(0, kShownBytes), text.size() > kShownBytes ? "..." : "");
}

HandlerResult ParseItems(const Json& items, const std::vector<std::string>& sequences) {
  const std::unordered_set<std::string> known(sequences.begin(), sequences.end());
  std::vector<std::string> failed;
  for (const Json& item : items) {
    if (!item.is_object() || !item.contains(kIdentifier) || !item[kIdentifier].is_string()) {
      return Invalid("an item of batchItemFailures has no itemIdentifier that is a string");
    }
    const auto& identifier = item[kIdentifier].get_ref<const std::string&>();
    if (known.count(identifier) == 0) {
      return Invalid(
          absl::StrCat("itemIdentifier \"", Shown(identifier), "\" is not in the batch"));
    }
    failed.push_back(identifier);
  }
  const std::string message =
      absl::StrCat("the handler named ", failed.size(), " of ", sequences.size(), " records");
  return HandlerResult::Failed(std::move(failed), "BatchItemFailures", message);
}

HandlerResult ParseObject(const Json& object, const std::vector<std::string>& sequences) {
  auto failures = object.find(kFailures);
  if (failures == object.end()) {
    for (const auto& [key, value] : object.items()) {
      if (value.is_array() && !value.empty() &&
          absl::StrContains(absl::AsciiStrToLower(key), "fail")) {
        return Invalid(
            absl::StrCat("the answer has a list \"", Shown(key), "\" but no ", kFailures));
      }
    }
    return HandlerResult::Success();
  }
  if (failures->is_null()) return HandlerResult::Success();
  if (!failures->is_array()) return Invalid(absl::StrCat(kFailures, " is not a list"));
  return ParseItems(*failures, sequences);
}

}  // namespace

HandlerResult ParseAnswer(absl::string_view body, const std::vector<std::string>& sequences) {
  const absl::string_view text = absl::StripAsciiWhitespace(body);
  if (text.empty()) return HandlerResult::Success();
  const Json answer = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (answer.is_discarded()) {
    return Invalid(absl::StrCat("the answer is not JSON: ", Shown(text)));
  }
  if (answer.is_object()) return ParseObject(answer, sequences);
  const bool nothing = answer.is_null() || (answer.is_array() && answer.empty()) || answer == "";
  if (nothing) return HandlerResult::Success();
  return Invalid(absl::StrCat("the answer is not an object: ", Shown(text)));
}

}  // namespace lowmark
