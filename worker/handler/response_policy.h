// How the answers of Lambda-style handlers are read.
#ifndef LOWMARK_WORKER_HANDLER_RESPONSE_POLICY_H_
#define LOWMARK_WORKER_HANDLER_RESPONSE_POLICY_H_

namespace lowmark {

enum class ResponsePolicy {
  // An answer that seems to list failures under another name than
  // batchItemFailures fails the batch: Lambda takes it for a success, so that a
  // misspelt key loses every record that failed.
  kStrict,
  // As Lambda itself: an object without batchItemFailures is a success.
  kLambda,
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_RESPONSE_POLICY_H_
