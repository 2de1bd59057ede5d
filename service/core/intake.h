// How many more shards workers may be given: the rules that both ways to balance
// share.
#ifndef LOWMARK_SERVICE_CORE_INTAKE_H_
#define LOWMARK_SERVICE_CORE_INTAKE_H_

#include <cstdint>
#include <vector>

#include "service/core/assignment.h"

namespace lowmark {

// What each worker of a census may be given above what it holds, in its order.
// Nothing in a stream that is paused, nor to a worker that is cordoned or drained.
struct Intake {
  std::vector<int64_t> first;
  // Only when the workers have taken all that `first` allows: what those that are
  // on trial may be given besides. Shards that nobody processes are worse than
  // shards in unproven hands.
  std::vector<int64_t> then;
};

// A worker that has not proven itself is on trial where there is one that has, and
// that may hold shards: it is given one shard. On trial or not, it keeps what it
// holds: where all workers started together, the first one to prove itself is no
// reason to take shards from the others.
Intake IntakeOf(const Census& census);

// A worker as shards are shared out by level: what is in it already, how much it
// rises with one more shard, and how many more it may be given.
struct Vessel {
  double load = 0;
  double shard = 1;  // > 0
  double capacity = 1;
  int64_t room = 0;
};

// How many of `shards` each vessel is given, when one after the other goes to the
// vessel with the least load for its capacity that has room; the first of equals.
std::vector<int64_t> Pour(const std::vector<Vessel>& vessels, int64_t shards);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_INTAKE_H_
