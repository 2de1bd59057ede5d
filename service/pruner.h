// Deletes what is too old, events of the audit or dead letters, a little at a time.
#ifndef LOWMARK_SERVICE_PRUNER_H_
#define LOWMARK_SERVICE_PRUNER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/metrics.h"
#include "service/process/mutex.h"
#include "store/store.h"

namespace lowmark {

struct PrunerOptions {
  // As failures of it are counted.
  std::string operation;
  // How often all streams are gone through, the first time at once.
  absl::Duration interval = absl::Minutes(10);
  // How many are deleted at once, in a transaction of their own: few enough to be no
  // burden on the reports beside it.
  int32_t batch = 1000;
};

// Works in a thread of its own from its beginning to its end. Any number of
// coordinators may do so side by side. What fails is counted, and tried again with
// the next round. The store and metrics must outlive it.
class Pruner {
 public:
  // Deletes up to `most` of the stream's, the oldest first, and returns how
  // many: fewer than `most` where no more are old enough.
  using Prune = std::function<absl::StatusOr<int32_t>(const std::string& stream, int32_t most)>;

  Pruner(Store& store, Metrics& metrics, const PrunerOptions& options, Prune prune);
  // Waits for the batch at hand.
  ~Pruner();

  Pruner(const Pruner&) = delete;
  Pruner& operator=(const Pruner&) = delete;

 private:
  void Run();
  void PruneAll();
  void PruneStream(const std::string& stream);
  // Waits; true when told to stop.
  bool Stopped(absl::Duration wait = absl::ZeroDuration()) LOWMARK_EXCLUDES(mutex_);

  Store& store_;
  Metrics& metrics_;
  const PrunerOptions options_;
  const Prune prune_;
  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PRUNER_H_
