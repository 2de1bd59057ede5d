// What a worker reports of a batch. Pure.
#ifndef LOWMARK_WORKER_INTERNAL_REPORT_H_
#define LOWMARK_WORKER_INTERNAL_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lowmark/v1/coordinator.pb.h"
#include "service/core/policy.h"
#include "service/core/step.h"
#include "service/rpc/message_size.h"
#include "worker/handler.h"
#include "worker/source.h"

namespace lowmark {

// Bytes of a report at most.
inline constexpr size_t kMaxReportBytes = kLargestMessage;

// `text` as valid UTF-8 without control characters but tab and newline (where
// `one_line`, without these too), cut to `max_bytes` between characters.
std::string Sanitize(absl::string_view text, size_t max_bytes, bool one_line);

// Each sets the outcome of a report, with the records it is about. `records` are
// never empty.
using Records = std::vector<const SourceRecord*>;
void SetSuccess(const Records& records, bool shard_end, v1::ReportBatchRequest* report);
// Nothing is left up to the end of the delivery, or of the shard.
void SetNothingLeft(bool shard_end, v1::ReportBatchRequest* report);
void SetStarted(const Records& records, v1::ReportBatchRequest* report);
// Where LATEST is, at which the delivery starts.
void SetResolved(const Position& position, v1::ReportBatchRequest* report);
// Their data goes along, as far as it fits. Returns for how many it does not.
int32_t SetSetAside(const Records& records, int32_t count, Condition condition,
                    v1::ReportBatchRequest* report);

// What a handler returned. Data goes along, as far as it fits, where records
// would be set aside. Returns for how many of these it does not.
int32_t SetResult(const Records& records, const HandlerResult& result, const Policy& policy,
                  bool final_attempt, bool shard_end, v1::ReportBatchRequest* report);

// Adds, to a report that ends the shard, what became of records that were not read;
// nothing to any other, or where `what` is empty.
void SetVanished(const std::string& what, v1::ReportBatchRequest* report);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_REPORT_H_
