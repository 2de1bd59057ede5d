// What keeps something from going on, since when, and whether it is worth telling.
#ifndef LOWMARK_WORKER_INTERNAL_TROUBLE_WATCH_H_
#define LOWMARK_WORKER_INTERNAL_TROUBLE_WATCH_H_

#include <optional>
#include <string>

#include "service/core/shard_stat.h"
#include "service/process/mutex.h"

namespace lowmark {

// Not thread safe.
class TroubleWatch {
 public:
  // Trouble that should pass by itself is told when it has lasted for so long.
  static constexpr absl::Duration kPassing = absl::Seconds(5);

  explicit TroubleWatch(Trouble::Kind kind) : kind_(kind) {}

  // It failed, again or for the first time; `passing`: for now. Whether it is to be logged: not
  // where the same was noted last, but for numbers, since a failure that lasts is tried again.
  bool Note(bool passing, const std::string& message, SteadyTime now);
  // It went well. Whether it had not before.
  bool End();
  // What is to be told; nothing where all is well, or was a moment ago.
  std::optional<Trouble> Get(SteadyTime now) const;

 private:
  const Trouble::Kind kind_;
  std::optional<SteadyTime> since_;
  bool passing_ = false;
  std::string message_;
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_TROUBLE_WATCH_H_
