#include "service/process/deadlock_detection.h"

#include "absl/synchronization/mutex.h"

namespace lowmark {

void DisableDeadlockDetection() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

}  // namespace lowmark
