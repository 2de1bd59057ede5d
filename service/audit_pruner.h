// Deletes events of the audit that are too old, a little at a time.
#ifndef LOWMARK_SERVICE_AUDIT_PRUNER_H_
#define LOWMARK_SERVICE_AUDIT_PRUNER_H_

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

struct AuditPrunerOptions {
  // How often all streams are gone through, the first time at once.
  absl::Duration interval = absl::Minutes(10);
  // Events deleted at once, in a transaction of their own: few enough to be no
  // burden on the reports beside it.
  int32_t batch = 1000;
};

// Works in a thread of its own from its beginning to its end. Any number of
// coordinators may do so side by side. What fails is counted, and tried again with
// the next round. The store and metrics must outlive it.
class AuditPruner {
 public:
  // Deletes up to `most` of the stream's events, the oldest first, and returns how
  // many: fewer than `most` where no more are old enough.
  using Prune = std::function<absl::StatusOr<int32_t>(const std::string& stream, int32_t most)>;

  AuditPruner(Store& store, Metrics& metrics, const AuditPrunerOptions& options, Prune prune);
  // Waits for the batch at hand.
  ~AuditPruner();

  AuditPruner(const AuditPruner&) = delete;
  AuditPruner& operator=(const AuditPruner&) = delete;

 private:
  void Run();
  void PruneAll();
  void PruneStream(const std::string& stream);
  // Waits; true when told to stop.
  bool Stopped(absl::Duration wait = absl::ZeroDuration()) LOWMARK_EXCLUDES(mutex_);

  Store& store_;
  Metrics& metrics_;
  const AuditPrunerOptions options_;
  const Prune prune_;
  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_AUDIT_PRUNER_H_
