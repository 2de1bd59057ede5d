// The answers of Lambda-style handlers: the one place that reads them.
#ifndef LOWMARK_WORKER_HANDLER_ANSWER_H_
#define LOWMARK_WORKER_HANDLER_ANSWER_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "worker/handler.h"
#include "worker/handler/response_policy.h"

namespace lowmark {

// The error types of answers that fail a batch because of what they say.
inline constexpr char kInvalidAnswer[] = "InvalidAnswer";
inline constexpr char kWrongKey[] = "WrongAnswerKey";

struct AnswerRules {
  ResponsePolicy policy = ResponsePolicy::kStrict;
  // Where not empty, an identifier may also be what Kafka's event source mappings
  // use, {"partition": "TOPIC-0", "offset": 3}, with this partition.
  std::string partition = {};
};

// What a handler says that answered normally (HTTP status 2xx, exit code 0) with
// this body; `sequences` are those of the batch. For streams that report batch
// item failures: elsewhere the body is not looked at.
//
//   success  an empty body, null, "", [], {}, and an object whose
//            batchItemFailures is missing, null or [].
//   failed   {"batchItemFailures": [{"itemIdentifier": "<sequence>"}, ...]}, all
//            of them sequence numbers of the batch.
//   raised   anything else, "InvalidAnswer": an item without a valid identifier,
//            a body that is not JSON or something other than an object. And,
//            by the strict policy, "WrongAnswerKey": an object without
//            batchItemFailures that has a list, be it empty, under another key, or
//            a key with "fail" in its name whose value is not 0 or false.
HandlerResult ParseAnswer(absl::string_view body, const std::vector<std::string>& sequences,
                          const AnswerRules& rules = {});

// What an answer says of this batch: a success where the stream reports no failures.
HandlerResult ParseAnswer(absl::string_view body, const Batch& batch, ResponsePolicy policy);

// What a function says that raised: {"errorType": "...", "errorMessage": "..."}.
// Where the body says nothing, `type` and the start of the body.
HandlerResult ParseFunctionError(absl::string_view body, absl::string_view type);

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_ANSWER_H_
