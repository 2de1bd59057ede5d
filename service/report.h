// A report's decision: what it makes of its shard. Pure; the store calls it with
// the shard's row locked.
#ifndef LOWMARK_SERVICE_REPORT_H_
#define LOWMARK_SERVICE_REPORT_H_

#include <optional>

#include "absl/status/statusor.h"
#include "service/coordinator.h"

namespace lowmark {

// What came of a decision, for the answer and the metrics.
struct ReportDecision {
  ReportAnswer answer;
  std::optional<StepResult> step;  // not set for a repeated report
};

// Decides `report` on the shard that `view` shows. The change's dead letters
// hold those of the report's records that they are about; everything but a
// success leaves a line in the audit.
absl::StatusOr<ShardChange> DecideReport(const Report& report, const ShardView& view,
                                         double jitter01, ReportDecision& decision);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_REPORT_H_
