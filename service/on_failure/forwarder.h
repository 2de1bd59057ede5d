// Sends dead letters to the destinations of their streams, out of the store's outbox.
#ifndef LOWMARK_SERVICE_ON_FAILURE_FORWARDER_H_
#define LOWMARK_SERVICE_ON_FAILURE_FORWARDER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/core/policy.h"
#include "service/metrics.h"
#include "service/on_failure/destination.h"
#include "service/process/mutex.h"
#include "store/store.h"

namespace lowmark {

struct ForwarderOptions {
  // How often the store is asked for what is due.
  absl::Duration interval = absl::Seconds(1);
  // Threads that send, at least 2. A stream has one at a time; those whose
  // destinations failed have half of them together, so that they never keep others.
  int threads = 4;
  // Letters claimed at a time.
  int32_t batch = 50;
  // How long a claim lasts. Sending goes on for half of it, the policy's timeout of at
  // most 30 s comes on top: what is claimed is claimed by nobody else meanwhile.
  absl::Duration claim = absl::Minutes(2);
  // The pauses of a destination that takes nothing, and of a letter that is refused.
  RetryBackoff unavailable = {absl::Seconds(1), 2, absl::Minutes(1), 0.2};
  RetryBackoff refused = {absl::Seconds(10), 2, absl::Minutes(10), 0.2};
  // At the end a document that is on its way has this long.
  absl::Duration stop_grace = absl::Seconds(3);
  // The spread of pauses, in [0, 1).
  std::function<double()> jitter = [] { return 0.5; };
};

// Works in threads of its own from its beginning to its end; any number of
// coordinators do so side by side. At least once: a letter counts as forwarded after
// its destination took it, so one is sent again where that was not noted in time.
//
// A destination that takes nothing is tried with one letter at a time, after pauses
// that grow; a letter that is refused has pauses of its own, and others pass it. What
// fails in the store is counted, and tried again with the next round.
//
// The store and metrics must outlive it.
class Forwarder {
 public:
  // Told when a stream's destination begins to fail, fails otherwise, or is well
  // again. From any thread of its own.
  using Note = std::function<void(const std::string& stream, const absl::Status& status)>;

  Forwarder(Store& store, Metrics& metrics, const ForwarderOptions& options, MakeDestination make,
            Note note);
  // Ends what is on its way, and gives back what was claimed and not tried.
  ~Forwarder();

  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

 private:
  // A stream that has something in the store's outbox.
  struct Route {
    bool busy = false;  // queued, or in a thread's hands
    bool seen = false;  // in the round at hand
    // Of the destination: sends in a row that it did not take, why, and the end of the
    // pause that follows.
    int failures = 0;
    std::string error;
    SteadyTime not_before = SteadyTime::min();
    // Kept while it works and the policy stays.
    OnFailure on_failure;
    std::shared_ptr<Destination> destination;
  };
  // What a thread is to do.
  struct Task {
    std::string stream;
    bool probe = false;  // its destination failed the last time
  };
  // What came of a batch.
  struct Sent {
    std::vector<ForwardResult> results;
    // Whether the destination took any, and its error where it took nothing more.
    bool took = false;
    absl::Status unavailable;
  };

  void Watch();
  void Look();
  void QueueDue(const std::vector<Outbox>& outboxes) LOWMARK_EXCLUDES(mutex_);
  void ForgetUnseen() LOWMARK_EXCLUDES(mutex_);

  void Work();
  bool Take(Task& task) LOWMARK_EXCLUDES(mutex_);
  // Whether there is more to send at once.
  bool Forward(const Task& task);
  absl::StatusOr<std::shared_ptr<Destination>> DestinationOf(const std::string& stream,
                                                             const OnFailure& on_failure)
      LOWMARK_EXCLUDES(mutex_);
  Sent Send(const std::string& stream, const ClaimedLetters& claimed);
  // Notes the destination's health; the pause before it is tried again.
  absl::Duration Judge(const std::string& stream, const Sent& sent) LOWMARK_EXCLUDES(mutex_);
  void Finish(const Task& task, bool more) LOWMARK_EXCLUDES(mutex_);
  bool Stopped(absl::Duration wait) LOWMARK_EXCLUDES(mutex_);

  Store& store_;
  Metrics& metrics_;
  const ForwarderOptions options_;
  const MakeDestination make_;
  const Note note_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::map<std::string, Route> routes_ LOWMARK_GUARDED_BY(mutex_);
  std::deque<std::string> well_ LOWMARK_GUARDED_BY(mutex_);
  std::deque<std::string> failing_ LOWMARK_GUARDED_BY(mutex_);
  int probing_ LOWMARK_GUARDED_BY(mutex_) = 0;  // threads with one of failing_
  std::vector<std::thread> threads_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_ON_FAILURE_FORWARDER_H_
