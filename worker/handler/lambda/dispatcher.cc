#include "worker/handler/lambda/dispatcher.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "worker/handler/answer.h"
#include "worker/handler/event.h"
#include "worker/handler/lambda/runtime_api.h"

namespace lowmark {
namespace {

constexpr char kExitError[] = "Runtime.ExitError";

uint64_t Random() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

SteadyTime Steady(absl::Time time) { return SteadyDeadline(time - absl::Now()); }

}  // namespace

Dispatcher::Dispatcher(Options options)
    : options_(std::move(options)), process_(Random()), endpoints_(options_.endpoints) {}

// --- Batches ------------------------------------------------------------------

HandlerResult Dispatcher::Run(const Batch& batch) {
  std::string event = EventJson(batch);
  const uint64_t random = Random();
  Invocation invocation;
  // Before the wait for a runtime, during which somebody may set the clock.
  const SteadyTime until = Steady(batch.deadline);
  std::string id;
  {
    MutexLock lock(mutex_);
    Choice choice = AwaitFree(batch.deadline);
    if (choice.endpoint < 0) return choice.otherwise;
    Endpoint& endpoint = endpoints_[choice.endpoint];
    id = RequestId(batch.batch_id, process_, ++invocations_);
    invocation.endpoint = choice.endpoint;
    invocation.next = std::move(endpoint.waiting.front());
    endpoint.waiting.pop_front();
    endpoint.had_work = true;
    ++endpoint.running;
    running_[id] = &invocation;
    invocation.next->Answer(
        InvocationAnswer(batch, std::move(event), id, options_.function_name, random));
  }
  HandlerResult result = Await(id, invocation, batch, until);
  if (invocation.timed_out && options_.kill) options_.kill(invocation.endpoint);
  return result;
}

// Waits for half the time at most: what is left must be enough for the function.
Dispatcher::Choice Dispatcher::AwaitFree(absl::Time deadline) {
  const absl::Duration patience = (deadline - absl::Now()) / 2;
  const SteadyTime until = SteadyDeadline(patience);
  while (true) {
    if (aborted_) return {-1, HandlerResult::NotRun("Aborted", "the worker stopped")};
    if (const int free = FindFree(); free >= 0) return {free, {}};
    if (AllDown()) return {-1, endpoints_.front().down};
    if (!changed_.WaitUntil(mutex_, until) && FindFree() < 0 && !AllDown() && !aborted_) {
      const std::string waited = absl::FormatDuration(absl::Trunc(patience, absl::Milliseconds(1)));
      return {-1, HandlerResult::NotRun("NoRuntime",
                                        absl::StrCat("no runtime asked for work for ", waited))};
    }
  }
}

int Dispatcher::FindFree() {
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    Endpoint& endpoint = endpoints_[i];
    DropGone(endpoint);
    const bool free = !endpoint.condemned && endpoint.running < options_.capacity;
    if (free && !endpoint.waiting.empty()) return static_cast<int>(i);
  }
  return -1;
}

bool Dispatcher::AllDown() const {
  return std::all_of(endpoints_.begin(), endpoints_.end(),
                     [](const Endpoint& e) { return e.state == State::kDown && e.running == 0; });
}

HandlerResult Dispatcher::Await(const std::string& id, Invocation& invocation, const Batch& batch,
                                SteadyTime until) {
  {
    MutexLock lock(mutex_);
    while (!invocation.done && !aborted_ && changed_.WaitUntil(mutex_, until)) {
    }
    if (!invocation.done) {
      Finish(running_.find(id));
      if (aborted_) return HandlerResult::Raised("Aborted", "the worker stopped");
      invocation.timed_out = true;
      if (options_.kill) {
        endpoints_[invocation.endpoint].condemned = true;
        ++stats_.killed;
      }
      return HandlerResult::Raised("Timeout", "the function did not answer in its time");
    }
  }
  if (!invocation.answered) return invocation.result;
  return ParseAnswer(invocation.body, batch, options_.response_policy);
}

Dispatcher::Running::iterator Dispatcher::Finish(Running::iterator running) {
  Invocation& invocation = *running->second;
  invocation.done = true;
  --endpoints_[invocation.endpoint].running;
  changed_.NotifyAll();
  return running_.erase(running);
}

void Dispatcher::Abort() {
  MutexLock lock(mutex_);
  aborted_ = true;
  changed_.NotifyAll();
}

LambdaStats Dispatcher::stats() const {
  MutexLock lock(mutex_);
  LambdaStats stats = stats_;
  for (const Endpoint& endpoint : endpoints_) {
    stats.busy += endpoint.running;
    stats.ready += std::count_if(endpoint.waiting.begin(), endpoint.waiting.end(),
                                 [](const auto& waiting) { return !waiting->Gone(); });
  }
  return stats;
}

// --- Runtimes -----------------------------------------------------------------

void Dispatcher::OnRequest(int endpoint, std::shared_ptr<HttpExchange> exchange) {
  const RuntimeCall call = ParseCall(exchange->method(), exchange->path());
  switch (call.kind) {
    case RuntimeCall::Kind::kNext:
      return OnNext(endpoint, std::move(exchange));
    case RuntimeCall::Kind::kResponse:
    case RuntimeCall::Kind::kError:
      return OnAnswer(endpoint, call.request_id, *exchange, call.kind == RuntimeCall::Kind::kError);
    case RuntimeCall::Kind::kInitError:
      return OnInitError(endpoint, *exchange);
    case RuntimeCall::Kind::kUnknown:
      return exchange->Answer(NotFound());
    case RuntimeCall::Kind::kWrongMethod:
      return exchange->Answer(WrongMethod());
  }
}

// Held until there is work: a runtime takes any other answer, and the loss of the
// connection, for its end.
void Dispatcher::OnNext(int number, std::shared_ptr<HttpExchange> exchange) {
  MutexLock lock(mutex_);
  Endpoint& endpoint = endpoints_[number];
  DropGone(endpoint);
  endpoint.waiting.push_back(std::move(exchange));
  endpoint.state = State::kUp;
  warned_.clear();
  // More than there are: it came in the place of one that has ended.
  if (endpoint.running + static_cast<int>(endpoint.waiting.size()) > options_.capacity) {
    FailLost(number, "the runtime ended; another asked for work in its place", true);
  }
  changed_.NotifyAll();
}

void Dispatcher::OnAnswer(int endpoint, const std::string& id, HttpExchange& exchange, bool error) {
  HttpAnswer answer = Accepted();
  {
    MutexLock lock(mutex_);
    const auto found = running_.find(id);
    if (found == running_.end() || found->second->endpoint != endpoint) {
      ++stats_.late_answers;
      answer = InvalidRequestId(id);
    } else {
      Invocation& invocation = *found->second;
      Finish(found);
      if (error) {
        invocation.result = ParseFunctionError(
            exchange.body(), exchange.error_type().empty() ? "Unhandled" : exchange.error_type());
      } else if (exchange.too_large()) {
        answer = TooLarge();
        invocation.result = HandlerResult::Raised(
            "Function.ResponseSizeTooLarge",
            absl::StrCat("the answer has more than ", kMaxResponseBytes, " bytes"));
      } else {
        invocation.answered = true;
        invocation.body = exchange.body();
      }
    }
  }
  exchange.Answer(std::move(answer));
}

void Dispatcher::OnInitError(int number, HttpExchange& exchange) {
  const HandlerResult error = ParseFunctionError(
      exchange.body(), exchange.error_type().empty() ? "Runtime.InitError" : exchange.error_type());
  {
    MutexLock lock(mutex_);
    GoDown(endpoints_[number], HandlerResult::NotRun(error.error_type, error.error_message));
  }
  exchange.Answer(Accepted());
}

void Dispatcher::OnStart(int number) {
  MutexLock lock(mutex_);
  Endpoint& endpoint = endpoints_[number];
  endpoint.state = State::kStarting;
  endpoint.had_work = false;
  endpoint.condemned = false;
  ++stats_.starts;
}

bool Dispatcher::HasAsked(int number) const {
  MutexLock lock(mutex_);
  return endpoints_[number].state == State::kUp;
}

bool Dispatcher::OnExit(int number, const std::string& how) {
  MutexLock lock(mutex_);
  Endpoint& endpoint = endpoints_[number];
  // With the runtime its connections have ended, but for those of what it left behind.
  for (const auto& waiting : endpoint.waiting) waiting->Answer({});
  endpoint.waiting.clear();
  FailLost(number, how, false);
  if (endpoint.had_work) {
    endpoint.state = State::kStarting;
  } else if (endpoint.state != State::kDown) {
    GoDown(endpoint, HandlerResult::NotRun(kExitError, how));
  }
  changed_.NotifyAll();
  return endpoint.had_work;
}

void Dispatcher::FailLost(int number, const std::string& how, bool only_gone) {
  for (auto it = running_.begin(); it != running_.end();) {
    Invocation& invocation = *it->second;
    if (invocation.endpoint != number || (only_gone && !invocation.next->Gone())) {
      ++it;
      continue;
    }
    invocation.result = HandlerResult::Raised(kExitError, how);
    ++stats_.lost;
    it = Finish(it);
  }
}

void Dispatcher::GoDown(Endpoint& endpoint, const HandlerResult& why) {
  endpoint.state = State::kDown;
  endpoint.down = why;
  changed_.NotifyAll();
  if (aborted_) return;  // it was told to end
  ++stats_.failed_starts;
  const std::string text = absl::StrCat(why.error_type, ": ", why.error_message);
  if (options_.warn && std::exchange(warned_, text) != text) {
    options_.warn("the function does not start", text);
  }
}

void Dispatcher::DropGone(Endpoint& endpoint) {
  auto& waiting = endpoint.waiting;
  const auto gone = std::stable_partition(waiting.begin(), waiting.end(),
                                          [](const auto& w) { return !w->Gone(); });
  // So that the listener lets go of the connection.
  std::for_each(gone, waiting.end(), [](const auto& w) { w->Answer({}); });
  waiting.erase(gone, waiting.end());
}

}  // namespace lowmark
