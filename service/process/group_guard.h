// Ends what this process started when it ends itself, however that comes: after SIGKILL, or
// a crash, nobody else would. PR_SET_PDEATHSIG reaches a child alone, not what it started.
#ifndef LOWMARK_SERVICE_PROCESS_GROUP_GUARD_H_
#define LOWMARK_SERVICE_PROCESS_GROUP_GUARD_H_

#include <sys/types.h>

namespace lowmark {

// A process of its own, forked with the first call, that sends SIGKILL to the groups it was
// told of when this process is gone. Thread safe; where it cannot be had, nothing is done.
class GroupGuard {
 public:
  static GroupGuard& Get();
  GroupGuard(const GroupGuard&) = delete;
  GroupGuard& operator=(const GroupGuard&) = delete;

  // The group has been started.
  void Add(pid_t group);
  // To be called before the group's leader is reaped, so that its number is not yet another's.
  void Remove(pid_t group);

 private:
  GroupGuard();
  void Tell(pid_t word) const;

  int socket_ = -1;
};

// Reaps what was killed of a group whose leader is reaped, where that has become this
// process' own: it does where this is a container's first process. Waits a moment for it.
void ReapGroup(pid_t group);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_PROCESS_GROUP_GUARD_H_
