#include "service/health.h"

#include <optional>
#include <utility>

namespace lowmark {

HealthMonitor::HealthMonitor(Store& store, absl::Duration interval,
                             std::function<void(const absl::Status&)> on_change)
    : store_(store), interval_(interval), on_change_(std::move(on_change)) {
  thread_ = std::thread([this] { Run(); });
}

HealthMonitor::~HealthMonitor() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  stopped_.NotifyAll();
  thread_.join();
}

void HealthMonitor::Run() {
  std::optional<bool> was_ok;
  for (;;) {
    const absl::Status status = store_.Check();
    if (was_ok != status.ok()) on_change_(status);
    was_ok = status.ok();
    MutexLock lock(mutex_);
    const SteadyTime next = SteadyDeadline(interval_);
    while (!stopping_ && stopped_.WaitUntil(mutex_, next)) {
    }
    if (stopping_) return;
  }
}

}  // namespace lowmark
