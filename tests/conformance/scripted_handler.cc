#include "tests/conformance/scripted_handler.h"

#include <algorithm>

#include "worker/handler/answer.h"

namespace lowmark::conformance {
namespace {

bool Has(const std::vector<int>& batch, int record) {
  return std::find(batch.begin(), batch.end(), record) != batch.end();
}

}  // namespace

bool IsAmbiguous(const Case& c) {
  return std::any_of(c.handler.begin(), c.handler.end(),
                     [](const Rule& rule) { return rule.when_has.size() > 1; });
}

std::optional<HandlerResult> ScriptedHandler::Process(const std::vector<int>& batch) {
  ++deliveries_;
  for (size_t i = 0; i < case_.handler.size(); ++i) {
    if (!Matches(case_.handler[i], matches_[i], batch)) continue;
    ++matches_[i];
    return Act(case_.handler[i], batch);
  }
  return HandlerResult::Success();
}

bool ScriptedHandler::Matches(const Rule& rule, int matched, const std::vector<int>& batch) const {
  if (rule.times && matched >= *rule.times) return false;
  if (rule.delivery && *rule.delivery != deliveries_) return false;
  if (rule.index && static_cast<int>(batch.size()) < *rule.index) return false;
  if (rule.when_has.empty()) return true;
  const auto has = [&](int record) { return Has(batch, record); };
  return reading_ == Reading::kAnyOf ? std::any_of(rule.when_has.begin(), rule.when_has.end(), has)
                                     : std::all_of(rule.when_has.begin(), rule.when_has.end(), has);
}

std::optional<HandlerResult> ScriptedHandler::Act(const Rule& rule,
                                                  const std::vector<int>& batch) const {
  switch (rule.act) {
    case Rule::Act::kRaise:
      return HandlerResult::Raised("ScriptedError", "the handler raised, as scripted");
    case Rule::Act::kReport: {
      std::vector<int> failed;
      for (int record : rule.report) {
        if (Has(batch, record)) failed.push_back(record);
      }
      return HandlerResult::Failed(Names(failed), "ScriptedReport", "reported, as scripted");
    }
    case Rule::Act::kReportIndex:
      return HandlerResult::Failed(Names({batch[*rule.index - 1]}), "ScriptedReport",
                                   "reported, as scripted");
    case Rule::Act::kAnswer:
      // Where reporting is off nobody looks at the body.
      return case_.policy.report_batch_item_failures ? ParseAnswer(rule.answer, Names(batch))
                                                     : HandlerResult::Success();
    case Rule::Act::kDie:
      return std::nullopt;
  }
  return std::nullopt;
}

std::vector<std::string> ScriptedHandler::Names(const std::vector<int>& records) const {
  std::vector<std::string> names;
  names.reserve(records.size());
  for (int record : records) names.push_back(case_.sequences[record - 1]);
  return names;
}

}  // namespace lowmark::conformance
