// Brings batches and runtimes together: who waits for work, who has it, and what
// became of it. Knows neither sockets nor processes.
#ifndef LOWMARK_WORKER_HANDLER_LAMBDA_DISPATCHER_H_
#define LOWMARK_WORKER_HANDLER_LAMBDA_DISPATCHER_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "service/process/mutex.h"
#include "worker/handler/lambda.h"
#include "worker/handler/lambda/http_listener.h"

namespace lowmark {

// Thread safe. Has endpoints, numbered from 0, at each of which runtimes ask for
// work: one, where it is the endpoint of a child.
class Dispatcher {
 public:
  struct Options {
    int endpoints = 1;
    int capacity = 1;  // runtimes at an endpoint
    std::string function_name = {};
    ResponsePolicy response_policy = ResponsePolicy::kStrict;
    // Ends the child at that endpoint: it did not answer in time. Empty where there
    // are no children.
    std::function<void(int endpoint)> kill = {};
    std::function<void(const std::string& what, const std::string& why)> warn = {};
  };

  explicit Dispatcher(Options options);

  // Has a runtime process the batch, as Handler::Process does.
  HandlerResult Run(const Batch& batch);
  // Makes the calls of Run return.
  void Abort();
  LambdaStats stats() const;

  // A request that came to an endpoint.
  void OnRequest(int endpoint, std::shared_ptr<HttpExchange> exchange);
  // A child is being started.
  void OnStart(int endpoint);
  // Whether it has asked for work since.
  bool HasAsked(int endpoint) const;
  // It has ended. False where it had no work since it was started, so that it should
  // not be started again at once.
  bool OnExit(int endpoint, const std::string& how);

 private:
  enum class State { kStarting, kUp, kDown };

  struct Invocation {
    int endpoint = 0;
    std::shared_ptr<HttpExchange> next = {};  // by which the runtime got it
    bool done = false;
    bool timed_out = false;
    // Where done: what the function said, or what happened instead.
    bool answered = false;
    std::string body = {};
    HandlerResult result = {};
  };

  struct Endpoint {
    State state = State::kStarting;
    HandlerResult down = {};                                 // where down: why
    std::deque<std::shared_ptr<HttpExchange>> waiting = {};  // runtimes, for work
    int running = 0;                                         // invocations
    bool had_work = false;                                   // since it was started
    bool condemned = false;  // about to be killed: it gets no work any more
  };

  // A free endpoint, or the reason why there is none.
  struct Choice {
    int endpoint = -1;
    HandlerResult otherwise = {};
  };
  Choice AwaitFree(absl::Time deadline) LOWMARK_REQUIRES(mutex_);
  int FindFree() LOWMARK_REQUIRES(mutex_);
  bool AllDown() const LOWMARK_REQUIRES(mutex_);
  using Running = std::map<std::string, Invocation*>;
  // The invocation has ended; its runtime may have the next.
  Running::iterator Finish(Running::iterator running) LOWMARK_REQUIRES(mutex_);
  HandlerResult Await(const std::string& id, Invocation& invocation, const Batch& batch,
                      SteadyTime until);
  static void DropGone(Endpoint& endpoint);

  void OnNext(int endpoint, std::shared_ptr<HttpExchange> exchange);
  void OnAnswer(int endpoint, const std::string& id, HttpExchange& exchange, bool error);
  void OnInitError(int endpoint, HttpExchange& exchange);
  void FailLost(int endpoint, const std::string& how, bool only_gone) LOWMARK_REQUIRES(mutex_);
  void GoDown(Endpoint& endpoint, const HandlerResult& why) LOWMARK_REQUIRES(mutex_);

  const Options options_;
  const uint64_t process_;  // tells this process' request ids from any other's
  mutable Mutex mutex_;
  CondVar changed_;
  bool aborted_ LOWMARK_GUARDED_BY(mutex_) = false;
  uint64_t invocations_ LOWMARK_GUARDED_BY(mutex_) = 0;
  std::vector<Endpoint> endpoints_ LOWMARK_GUARDED_BY(mutex_);
  // By request id, those without an answer.
  Running running_ LOWMARK_GUARDED_BY(mutex_);
  std::string warned_ LOWMARK_GUARDED_BY(mutex_);  // of what, last
  LambdaStats stats_ LOWMARK_GUARDED_BY(mutex_);
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_HANDLER_LAMBDA_DISPATCHER_H_
