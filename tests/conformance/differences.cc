#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "service/core/error.h"
#include "tests/conformance/play.h"

namespace lowmark::conformance {
namespace {

std::string Text(bool value) { return value ? "true" : "false"; }
std::string Text(int value) { return absl::StrCat(value); }

std::string Text(const ExpectedDeadLetter& dead) {
  std::vector<std::string> fields;
  const auto add = [&](const char* key, const auto& value) {
    if (value) fields.push_back(absl::StrCat(key, ": ", *value));
  };
  add("first", dead.first);
  add("last", dead.last);
  add("count", dead.count);
  add("condition", dead.condition);
  add("attempts", dead.attempts);
  return absl::StrCat("{", absl::StrJoin(fields, ", "), "}");
}

template <typename T>
std::string Text(const std::vector<T>& values) {
  std::vector<std::string> texts;
  for (const T& value : values) texts.push_back(Text(value));
  return absl::StrCat("[", absl::StrJoin(texts, ","), "]");
}

// Batches are told apart by their numbers, whatever those are.
std::vector<int> InOrderOfAppearance(const std::vector<int>& batches) {
  std::map<int, int> numbers;
  std::vector<int> renamed;
  for (int batch : batches) {
    renamed.push_back(numbers.emplace(batch, static_cast<int>(numbers.size()) + 1).first->second);
  }
  return renamed;
}

const char* Name(Condition condition) {
  switch (condition) {
    case Condition::kRetryAttemptsExhausted:
      return "RetryAttemptsExhausted";
    case Condition::kRecordAgeExceeded:
      return "RecordAgeExceeded";
    case Condition::kRecordTooLarge:
      return "RecordTooLarge";
    case Condition::kRecordUnreadable:
      return "RecordUnreadable";
  }
  return "unknown";
}

int Ordinal(const Case& c, const std::string& sequence) {
  const auto found = std::find(c.sequences.begin(), c.sequences.end(), sequence);
  return found == c.sequences.end() ? -1 : static_cast<int>(found - c.sequences.begin()) + 1;
}

ExpectedDeadLetter Whole(const Case& c, const DeadLetterRange& dead) {
  return {Ordinal(c, dead.first), Ordinal(c, dead.last), dead.count, Name(dead.condition),
          dead.attempts};
}

// What `seen` is where `expected` says something.
ExpectedDeadLetter Asked(const ExpectedDeadLetter& expected, ExpectedDeadLetter seen) {
  if (!expected.first) seen.first.reset();
  if (!expected.last) seen.last.reset();
  if (!expected.count) seen.count.reset();
  if (!expected.condition) seen.condition.reset();
  if (!expected.attempts) seen.attempts.reset();
  return seen;
}

class Comparison {
 public:
  void Add(const char* what, const std::string& expected, const std::string& seen) {
    if (expected == seen) return;
    differences_.push_back(absl::StrCat(what, ": expected ", expected, ", seen ", seen));
  }
  std::string Text() const { return absl::StrJoin(differences_, "; "); }

 private:
  std::vector<std::string> differences_;
};

void CompareDeadLetters(const Case& c, const Seen& seen, Comparison& comparison) {
  if (!c.expect.dead_letters) return;
  const std::vector<ExpectedDeadLetter>& expected = *c.expect.dead_letters;
  std::vector<ExpectedDeadLetter> found;
  for (size_t i = 0; i < seen.dead_letters.size(); ++i) {
    const ExpectedDeadLetter whole = Whole(c, seen.dead_letters[i]);
    found.push_back(i < expected.size() ? Asked(expected[i], whole) : whole);
  }
  comparison.Add("dead_letters", Text(expected), Text(found));
}

void CompareError(const Case& c, const Seen& seen, Comparison& comparison) {
  if (!c.expect.error) return;
  std::string expected = absl::AsciiStrToUpper(*c.expect.error);
  if (expected == "OK" || expected == "NONE") expected.clear();
  // A case may name the code instead of the reason.
  if (!seen.error.ok() && expected == absl::StatusCodeToString(seen.error.code())) return;
  const std::string reason = Reason(seen.error);
  if (expected == reason) return;
  comparison.Add(
      "error", expected.empty() ? "none" : expected,
      reason.empty() ? "none" : absl::StrCat(reason, " (", std::string(seen.error.message()), ")"));
}

}  // namespace

std::string Differences(const Case& c, const Seen& seen) {
  Comparison comparison;
  const Expect& expect = c.expect;
  if (expect.deliveries) {
    comparison.Add("deliveries", Text(*expect.deliveries), Text(seen.deliveries));
  }
  if (expect.batches) {
    comparison.Add("batches", Text(InOrderOfAppearance(*expect.batches)), Text(seen.batches));
  }
  if (expect.backoff) comparison.Add("backoff", Text(*expect.backoff), Text(seen.backoff));
  if (seen.trouble.empty()) {
    if (expect.checkpoint) comparison.Add("checkpoint", *expect.checkpoint, seen.checkpoint);
    CompareDeadLetters(c, seen, comparison);
    CompareError(c, seen, comparison);
    return comparison.Text();
  }
  const std::string rest = comparison.Text();
  return absl::StrCat(seen.trouble, rest.empty() ? "" : "; ", rest);
}

}  // namespace lowmark::conformance
