// Watches whether the store can be used, for readiness and health checks.
#ifndef LOWMARK_SERVICE_HEALTH_H_
#define LOWMARK_SERVICE_HEALTH_H_

#include <functional>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "service/process/mutex.h"
#include "store/store.h"

namespace lowmark {

// Calls `on_change` from its own thread with the store's state: at first, and
// whenever it turns from OK to an error or back.
class HealthMonitor {
 public:
  HealthMonitor(Store& store, absl::Duration interval,
                std::function<void(const absl::Status&)> on_change);
  // Afterwards `on_change` is not called any more.
  ~HealthMonitor();

  HealthMonitor(const HealthMonitor&) = delete;
  HealthMonitor& operator=(const HealthMonitor&) = delete;

 private:
  void Run();

  Store& store_;
  const absl::Duration interval_;
  const std::function<void(const absl::Status&)> on_change_;
  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_HEALTH_H_
