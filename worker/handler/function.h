// A C++ function as a handler.
//
//   auto handler = std::make_shared<FunctionHandler>([](const Batch& batch) {
//     std::vector<std::string> failed;
//     for (const Record& record : batch.records) {
//       if (!Store(record)) failed.push_back(record.sequence);
//     }
//     return HandlerResult::Failed(failed);
//   });
//
// The function must return by batch.deadline: a function cannot be stopped from
// outside, so one that does not return holds its shard until the process ends.
#ifndef LOWMARK_WORKER_HANDLER_FUNCTION_H_
#define LOWMARK_WORKER_HANDLER_FUNCTION_H_

#include <exception>
#include <functional>
#include <utility>

#include "worker/handler.h"

namespace lowmark {

class FunctionHandler : public Handler {
 public:
  // Called from several threads at once. What it throws is a raise.
  explicit FunctionHandler(std::function<HandlerResult(const Batch&)> function)
      : function_(std::move(function)) {}

  HandlerResult Process(const Batch& batch) override {
    try {
      return function_(batch);
    } catch (const std::exception& e) {
      return HandlerResult::Raised("Exception", e.what());
    } catch (...) {
      return HandlerResult::Raised("Exception", "not a std::exception");
    }
  }

 private:
  const std::function<HandlerResult(const Batch&)> function_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_FUNCTION_H_
