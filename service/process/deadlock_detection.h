// Abseil's mutexes, which gRPC takes on every call, can watch for deadlocks: a
// debugging aid that Debian's build of Abseil has switched on, and that costs a
// tenth of a server's time.
#ifndef LOWMARK_SERVICE_PROCESS_DEADLOCK_DETECTION_H_
#define LOWMARK_SERVICE_PROCESS_DEADLOCK_DETECTION_H_

namespace lowmark {

// Switches it off for the whole process. To be called first in `main`.
void DisableDeadlockDetection();

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_DEADLOCK_DETECTION_H_
