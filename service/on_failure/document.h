// A dead letter as the document that AWS Lambda sends to a stream's on-failure
// destination. The one place that knows its form; docs/on-failure.md shows it.
#ifndef LOWMARK_SERVICE_ON_FAILURE_DOCUMENT_H_
#define LOWMARK_SERVICE_ON_FAILURE_DOCUMENT_H_

#include <string>

#include "service/core/on_failure.h"
#include "store/store.h"

namespace lowmark {

// What tells a dead letter's document from all others, however often it is sent:
// "orders/17".
std::string DocumentKey(const DeadLetter& letter);

// Lambda's word for why records were set aside. Two of them Lambda does not have,
// since there no record is too large or unreadable: RecordTooLarge, RecordUnreadable.
std::string LambdaCondition(Condition condition);

// The document, a JSON object in one line:
// - "requestContext": "requestId" is the batch's id, as the handler was given it,
//   "approximateInvokeCount" how often the batch was delivered.
// - "responseContext": left out where no handler saw the records; otherwise what
//   Lambda says of a function that raised, whatever the handler was.
// - "KinesisBatchInfo", or "DDBStreamBatchInfo" where the policy's stream_arn is of
//   DynamoDB. The times of arrival are left out where the records were not kept.
// - "lowmark": what Lambda's document has no place for, and "records" as the letter
//   holds them, with "recordsOmitted" for the rest. Bytes of a partition key that
//   are not UTF-8 become U+FFFD.
std::string FailureDocument(const ClaimedLetter& claimed, const OnFailure& on_failure);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_ON_FAILURE_DOCUMENT_H_
