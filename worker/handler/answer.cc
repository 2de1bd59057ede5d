#include "worker/handler/answer.h"

#include <optional>
#include <unordered_set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "worker/handler/event.h"

namespace lowmark {
namespace {

using Json = nlohmann::json;

constexpr char kFailures[] = "batchItemFailures";
constexpr char kIdentifier[] = "itemIdentifier";
constexpr size_t kShownBytes = 200;
constexpr size_t kShownErrorBytes = 1024;

HandlerResult Invalid(absl::string_view why) {
  return HandlerResult::Raised(kInvalidAnswer, std::string(why));
}

std::string Shown(absl::string_view text) {
  return absl::StrCat(text.substr(0, kShownBytes), text.size() > kShownBytes ? "..." : "");
}

// The sequence number that an identifier stands for; none where it is no identifier.
std::optional<std::string> Sequence(const Json& identifier, const AnswerRules& rules) {
  if (identifier.is_string()) return identifier.get<std::string>();
  if (rules.partition.empty() || !identifier.is_object()) return std::nullopt;
  const auto partition = identifier.find("partition");
  const auto offset = identifier.find("offset");
  if (partition == identifier.end() || offset == identifier.end()) return std::nullopt;
  if (*partition != rules.partition) return std::nullopt;
  if (offset->is_string()) return offset->get<std::string>();
  if (offset->is_number_integer()) return offset->dump();
  return std::nullopt;
}

HandlerResult ParseItems(const Json& items, const std::vector<std::string>& sequences,
                         const AnswerRules& rules) {
  const std::unordered_set<std::string> known(sequences.begin(), sequences.end());
  std::vector<std::string> failed;
  for (const Json& item : items) {
    const bool named = item.is_object() && item.contains(kIdentifier);
    const auto sequence = named ? Sequence(item[kIdentifier], rules) : std::nullopt;
    if (!sequence) {
      return Invalid(absl::StrCat(
          "an item of batchItemFailures has no itemIdentifier that is a string",
          rules.partition.empty() ? "" : " or names partition and offset of this batch"));
    }
    if (known.count(*sequence) == 0) {
      return Invalid(absl::StrCat("itemIdentifier \"", Shown(*sequence), "\" is not in the batch"));
    }
    failed.push_back(*sequence);
  }
  const std::string message =
      absl::StrCat("the handler named ", failed.size(), " of ", sequences.size(), " records");
  return HandlerResult::Failed(std::move(failed), "BatchItemFailures", message);
}

// Whether this member may be a list of failures under a wrong name.
bool MayBeFailures(const std::string& key, const Json& value) {
  if (value.is_array()) return true;
  return absl::StrContains(absl::AsciiStrToLower(key), "fail") && value != 0 && value != false;
}

HandlerResult ParseObject(const Json& object, const std::vector<std::string>& sequences,
                          const AnswerRules& rules) {
  auto failures = object.find(kFailures);
  if (failures == object.end()) {
    if (rules.policy == ResponsePolicy::kLambda) return HandlerResult::Success();
    for (const auto& [key, value] : object.items()) {
      if (!MayBeFailures(key, value)) continue;
      return HandlerResult::Raised(
          kWrongKey, absl::StrCat("the answer has \"", Shown(key), "\" but no ", kFailures));
    }
    return HandlerResult::Success();
  }
  if (failures->is_null()) return HandlerResult::Success();
  if (!failures->is_array()) return Invalid(absl::StrCat(kFailures, " is not a list"));
  return ParseItems(*failures, sequences, rules);
}

}  // namespace

HandlerResult ParseAnswer(absl::string_view body, const std::vector<std::string>& sequences,
                          const AnswerRules& rules) {
  const absl::string_view text = absl::StripAsciiWhitespace(body);
  if (text.empty()) return HandlerResult::Success();
  const Json answer = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (answer.is_discarded()) {
    return Invalid(absl::StrCat("the answer is not JSON: ", Shown(text)));
  }
  if (answer.is_object()) return ParseObject(answer, sequences, rules);
  const bool nothing = answer.is_null() || (answer.is_array() && answer.empty()) || answer == "";
  if (nothing) return HandlerResult::Success();
  return Invalid(absl::StrCat("the answer is not an object: ", Shown(text)));
}

HandlerResult ParseAnswer(absl::string_view body, const Batch& batch, ResponsePolicy policy) {
  if (!batch.report_batch_item_failures) return HandlerResult::Success();
  AnswerRules rules;
  rules.policy = policy;
  if (batch.origin.shape == Origin::Shape::kKafka)
    rules.partition = KafkaPartition(batch).ToString();
  return ParseAnswer(body, Sequences(batch), rules);
}

HandlerResult ParseFunctionError(absl::string_view body, absl::string_view type) {
  HandlerResult result =
      HandlerResult::Raised(std::string(type), std::string(body.substr(0, kShownErrorBytes)));
  const Json json = Json::parse(body.begin(), body.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return result;
  if (auto t = json.find("errorType"); t != json.end() && t->is_string() && *t != "") {
    result.error_type = *t;
  }
  if (auto m = json.find("errorMessage"); m != json.end() && m->is_string()) {
    result.error_message = *m;
  }
  return result;
}

}  // namespace lowmark
