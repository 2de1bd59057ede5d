// Which shards their workers are asked to hand over, so that the shards of a
// stream stay shared out fairly.
//
// Each coordinator works this out for itself, from the store's census, for the
// streams whose workers it serves; all come to the same answer, so nothing here
// needs to be shared or to survive.
#ifndef LOWMARK_SERVICE_HANDOVERS_H_
#define LOWMARK_SERVICE_HANDOVERS_H_

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/time/time.h"
#include "service/metrics.h"
#include "service/process/mutex.h"
#include "store/store.h"

namespace lowmark {

struct HandoverOptions {
  // How often each active stream is looked at.
  absl::Duration interval = absl::Seconds(1);
  // How long a worker's session lives without a sign of it: within that time a
  // live worker is told what is asked of it.
  absl::Duration session_ttl = absl::Seconds(30);
  // A shard that came to its worker less than this ago is not asked for.
  absl::Duration settling = absl::Seconds(5);
  // Of a stream's shards so many are asked for at a time, at most: this share of
  // them, and ten at least.
  double moves = 0.1;
};

// Thread-safe.
class Handovers {
 public:
  Handovers(Store& store, Metrics& metrics, const HandoverOptions& options);
  ~Handovers();

  Handovers(const Handovers&) = delete;
  Handovers& operator=(const Handovers&) = delete;

  // A worker of the stream was heard of here.
  void NoteActivity(const std::string& stream);
  // Whether the worker that holds the shard under `epoch` is to hand it over; it
  // is told so now, and has the policy's handoff_timeout from then on.
  bool Ask(const std::string& stream, const std::string& shard, int64_t epoch);
  // The shards that the worker is to hand over; it is told so now.
  std::vector<std::string> AskAll(const std::string& stream, const std::string& worker);
  // The worker is about to give the shard back: whether it was asked to, which it is
  // no longer then.
  bool Withdraw(const std::string& stream, const std::string& shard, int64_t epoch);

 private:
  struct Request {
    std::string worker;
    int64_t epoch = 0;
    SteadyTime since;
    std::optional<SteadyTime> told;
  };
  using Requests = std::map<std::string, Request>;  // by shard

  void Run();
  // Works out anew what is asked of a stream's workers, and takes shards away
  // from those that were told longer than the policy's handoff_timeout ago.
  void Balance(const std::string& stream);
  absl::StatusOr<Requests> Choose(const std::string& stream);
  // Carries over since when what was asked before is asked; returns what is
  // overdue.
  Requests Replace(const std::string& stream, Requests wanted, absl::Duration handoff_timeout);
  bool Overdue(const Request& request, absl::Duration handoff_timeout) const;
  void Forget(const std::string& stream);
  void TakeAway(const std::string& stream, const Requests& overdue);

  Store& store_;
  Metrics& metrics_;
  const HandoverOptions options_;
  Mutex mutex_;
  CondVar stopping_changed_;
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::unordered_map<std::string, SteadyTime> active_ LOWMARK_GUARDED_BY(mutex_);
  std::unordered_map<std::string, Requests> asked_ LOWMARK_GUARDED_BY(mutex_);
  // Whether asked_ is empty, so that reports need no lock to know.
  std::atomic<bool> none_asked_ = true;
  std::thread thread_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_HANDOVERS_H_
