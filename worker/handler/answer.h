// The answers of Lambda-style handlers: the one place that reads them.
#ifndef LOWMARK_WORKER_HANDLER_ANSWER_H_
#define LOWMARK_WORKER_HANDLER_ANSWER_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "worker/handler.h"

namespace lowmark {

// What a handler says that answered normally (HTTP status 2xx, exit code 0) with
// this body; `sequences` are those of the batch. For streams that report batch
// item failures: elsewhere the body is not looked at.
//
//   success  an empty body, null, "", [], {}, and an object whose
//            batchItemFailures is missing, null or [].
//   failed   {"batchItemFailures": [{"itemIdentifier": "<sequence>"}, ...]}, all
//            of them sequence numbers of the batch.
//   raised   anything else, "InvalidAnswer": an item without a valid identifier,
//            a body that is not JSON or something other than an object. Also an
//            object without batchItemFailures that has a list, not empty, under
//            another key with "fail" in its name: Lambda takes that for a
//            success, but a misspelt key must not lose records.
HandlerResult ParseAnswer(absl::string_view body, const std::vector<std::string>& sequences);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_ANSWER_H_
