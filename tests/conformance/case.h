// A conformance case, as README.md in this folder describes the format.
#ifndef LOWMARK_TESTS_CONFORMANCE_CASE_H_
#define LOWMARK_TESTS_CONFORMANCE_CASE_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/core/policy.h"

namespace lowmark::conformance {

// A rule of the scripted handler: when it matches, and what the handler then does.
struct Rule {
  enum class Act { kRaise, kReport, kReportIndex, kAnswer, kDie };

  std::vector<int> when_has;    // the batch has these records
  std::optional<int> delivery;  // it is this delivery of the shard
  std::optional<int> index;     // the batch has so many records
  std::optional<int> times;     // it matched less often before

  Act act = Act::kRaise;
  std::vector<int> report;  // kReport
  std::string answer;       // kAnswer
};

// Something done to the shard between two deliveries.
struct Op {
  enum class Kind { kRepeatReport, kStaleEpochReport, kReportOutside, kSeek, kRestartCoordinator };

  Kind kind = Kind::kRepeatReport;
  // After this delivery; without, when the shard is drained.
  std::optional<int> after_delivery;
  std::vector<int> failed;  // kReportOutside
  int at = 0;               // kSeek
};

// What is expected of a dead letter; what is not set is not checked.
struct ExpectedDeadLetter {
  std::optional<int> first;
  std::optional<int> last;
  std::optional<int> count;
  std::optional<std::string> condition;
  std::optional<int> attempts;
};

// What must be seen; what is not set is not checked.
struct Expect {
  std::optional<std::vector<std::vector<int>>> deliveries;
  std::optional<std::vector<int>> batches;
  std::optional<std::vector<bool>> backoff;
  std::optional<std::string> checkpoint;  // as CheckpointText writes it
  std::optional<std::vector<ExpectedDeadLetter>> dead_letters;
  std::optional<std::string> error;  // empty: none
};

struct Case {
  std::string file;
  std::string id;
  std::string about;
  // As the case states it, not validated: that a policy is refused can be what
  // the case is about.
  Policy policy;
  std::vector<std::string> sequences;  // of records 1, 2, ...
  std::map<int, absl::Duration> ages;  // of those that are not 0
  std::vector<Rule> handler;
  std::vector<Op> ops;
  Expect expect;

  absl::Duration Age(int record) const {
    auto age = ages.find(record);
    return age == ages.end() ? absl::ZeroDuration() : age->second;
  }
  bool Restarts() const;
};

// "{at: 2}", "{after: 3}", "TRIM_HORIZON", ... A sequence number that is none of
// the case's records is written as it is.
std::string CheckpointText(const Position& position, const std::vector<std::string>& sequences);

// The cases of a file, and what is wrong with it. A malformed case is left out of
// `cases` and has a line in `errors` that names file, case and key.
struct CaseFile {
  std::vector<Case> cases;
  std::vector<std::string> errors;
};
CaseFile ReadCases(const std::string& path);

}  // namespace lowmark::conformance

#endif  // LOWMARK_TESTS_CONFORMANCE_CASE_H_
