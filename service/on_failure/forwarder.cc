#include "service/on_failure/forwarder.h"

#include <algorithm>
#include <utility>

#include "service/on_failure/document.h"

namespace lowmark {
namespace {

using Kind = ForwardResult::Kind;

// Streams looked at by one statement, which counts up to 10,000 letters of each.
constexpr int32_t kPage = 100;

// A refusal's or failure's words, as the store may keep them: a library's are not
// ours to trust.
std::string ErrorText(const absl::Status& status) {
  constexpr size_t kLongest = 500;
  std::string text(status.message());
  text.resize(std::min(text.size(), kLongest));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

std::vector<Document> DocumentsOf(const ClaimedLetters& claimed) {
  std::vector<Document> documents;
  for (const ClaimedLetter& each : claimed.letters) {
    documents.push_back({DocumentKey(each.letter), each.letter.shard, each.claim,
                         FailureDocument(each, claimed.on_failure)});
  }
  return documents;
}

}  // namespace

Forwarder::Forwarder(Store& store, Metrics& metrics, const ForwarderOptions& options,
                     MakeDestination make, Note note)
    : store_(store),
      metrics_(metrics),
      options_(options),
      make_(std::move(make)),
      note_(std::move(note)) {
  threads_.emplace_back([this] { Watch(); });
  for (int i = 0; i < std::max(options.threads, 2); ++i) threads_.emplace_back([this] { Work(); });
}

Forwarder::~Forwarder() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    for (auto& [stream, route] : routes_) {
      if (route.destination != nullptr) route.destination->Stop(options_.stop_grace);
    }
  }
  changed_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
}

// --- Finding what is due ------------------------------------------------------

void Forwarder::Watch() {
  do {
    Look();
  } while (!Stopped(options_.interval));
}

void Forwarder::Look() {
  std::vector<Outbox> all;
  for (;;) {
    auto page = store_.ListOutboxes(all.empty() ? "" : all.back().cursor, kPage);
    metrics_.CountStoreError("list_outboxes", page.status());
    if (!page.ok()) return;
    all.insert(all.end(), page->begin(), page->end());
    if (page->size() < kPage || Stopped(absl::ZeroDuration())) break;
  }
  metrics_.SetOutboxes(all);
  QueueDue(all);
  ForgetUnseen();
}

void Forwarder::QueueDue(const std::vector<Outbox>& outboxes) {
  {
    MutexLock lock(mutex_);
    const SteadyTime now = SteadyDeadline(absl::ZeroDuration());
    for (const Outbox& outbox : outboxes) {
      Route& route = routes_[outbox.stream];
      route.seen = true;
      if (!outbox.due || route.busy || now < route.not_before) continue;
      route.busy = true;
      (route.failures > 0 ? failing_ : well_).push_back(outbox.stream);
    }
  }
  changed_.NotifyAll();
}

void Forwarder::ForgetUnseen() {
  std::vector<std::shared_ptr<Destination>> closed;  // which may take a while
  MutexLock lock(mutex_);
  for (auto it = routes_.begin(); it != routes_.end();) {
    Route& route = it->second;
    if (route.seen || route.busy) {
      route.seen = false;
      ++it;
      continue;
    }
    closed.push_back(std::move(route.destination));
    it = routes_.erase(it);
  }
}

bool Forwarder::Stopped(absl::Duration wait) {
  const SteadyTime until = SteadyDeadline(wait);
  MutexLock lock(mutex_);
  while (!stopping_ && changed_.WaitUntil(mutex_, until)) {
  }
  return stopping_;
}

// --- Sending ------------------------------------------------------------------

void Forwarder::Work() {
  Task task;
  while (Take(task)) Finish(task, Forward(task));
}

bool Forwarder::Take(Task& task) {
  MutexLock lock(mutex_);
  const int most_probing = std::max(options_.threads, 2) / 2;
  for (; !stopping_; changed_.Wait(mutex_)) {
    task.probe = !failing_.empty() && probing_ < most_probing;
    if (!task.probe && well_.empty()) continue;
    std::deque<std::string>& queue = task.probe ? failing_ : well_;
    task.stream = std::move(queue.front());
    queue.pop_front();
    if (task.probe) ++probing_;
    return true;
  }
  return false;
}

void Forwarder::Finish(const Task& task, bool more) {
  {
    MutexLock lock(mutex_);
    if (task.probe) --probing_;
    Route& route = routes_[task.stream];
    route.busy = more && !stopping_;
    if (route.busy) well_.push_back(task.stream);
  }
  changed_.NotifyAll();
}

bool Forwarder::Forward(const Task& task) {
  const int32_t limit = task.probe ? 1 : options_.batch;
  const auto claimed = store_.ClaimLetters(task.stream, limit, options_.claim);
  metrics_.CountStoreError("claim_letters", claimed.status());
  if (!claimed.ok() || claimed->letters.empty()) return false;
  Sent sent = Send(task.stream, *claimed);
  const absl::Duration pause = Judge(task.stream, sent);
  for (size_t i = 0; i < sent.results.size(); ++i) {
    ForwardResult& result = sent.results[i];
    // With what the destination did not take others are tried first.
    if (result.kind == Kind::kFailed && result.pause == absl::ZeroDuration()) result.pause = pause;
  }
  const absl::Status settled = store_.SettleLetters(task.stream, sent.results);
  metrics_.CountStoreError("settle_letters", settled);
  const bool full = static_cast<int32_t>(claimed->letters.size()) == limit;
  return full && settled.ok() && sent.unavailable.ok();
}

absl::StatusOr<std::shared_ptr<Destination>> Forwarder::DestinationOf(const std::string& stream,
                                                                      const OnFailure& on_failure) {
  {
    MutexLock lock(mutex_);
    const Route& route = routes_[stream];
    if (stopping_) return absl::CancelledError("stopping");
    if (route.destination != nullptr && route.on_failure == on_failure) return route.destination;
  }
  auto made = make_(on_failure);
  if (!made.ok()) return absl::UnavailableError(made.status().message());
  std::shared_ptr<Destination> destination = *std::move(made);
  MutexLock lock(mutex_);
  if (stopping_) return absl::CancelledError("stopping");
  Route& route = routes_[stream];
  route.on_failure = on_failure;
  route.destination.swap(destination);
  return route.destination;
}

Forwarder::Sent Forwarder::Send(const std::string& stream, const ClaimedLetters& claimed) {
  std::vector<absl::Status> answers;
  auto destination = DestinationOf(stream, claimed.on_failure);
  if (destination.ok()) {
    answers = (*destination)->Send(DocumentsOf(claimed), options_.claim / 2);
  } else {
    answers.push_back(destination.status());
  }
  answers.resize(claimed.letters.size(), absl::CancelledError("not tried"));
  Sent sent;
  for (size_t i = 0; i < answers.size(); ++i) {
    const absl::Status& answer = answers[i];
    const ClaimedLetter& letter = claimed.letters[i];
    ForwardResult result{letter.letter.id, letter.claim, Kind::kForwarded};
    if (absl::IsCancelled(answer)) {
      result.kind = Kind::kNotTried;
    } else if (!answer.ok()) {
      result.kind = Kind::kFailed;
      result.error = ErrorText(answer);
      if (absl::IsUnavailable(answer)) {
        sent.unavailable = answer;
      } else {
        result.pause =
            Backoff(options_.refused, letter.letter.forwarding->tries + 1, options_.jitter());
      }
    }
    sent.took = sent.took || (result.kind != Kind::kNotTried && !absl::IsUnavailable(answer));
    metrics_.CountForward(stream, answer);
    sent.results.push_back(std::move(result));
  }
  return sent;
}

absl::Duration Forwarder::Judge(const std::string& stream, const Sent& sent) {
  std::shared_ptr<Destination> closed;
  absl::Duration pause = absl::ZeroDuration();
  bool changed = false;
  {
    MutexLock lock(mutex_);
    Route& route = routes_[stream];
    if (!sent.unavailable.ok()) {
      route.failures = sent.took ? 1 : route.failures + 1;
      pause = Backoff(options_.unavailable, route.failures, options_.jitter());
      route.not_before = SteadyDeadline(pause);
      const std::string error = ErrorText(sent.unavailable);
      changed = std::exchange(route.error, error) != error;
      // Made again with the next try: secrets may have changed, a producer be beyond help.
      closed = std::move(route.destination);
      route.destination = nullptr;
    } else if (sent.took) {
      changed = route.failures > 0;
      route.failures = 0;
      route.error.clear();
    }
  }
  if (changed) note_(stream, sent.unavailable);
  return pause;
}

}  // namespace lowmark
