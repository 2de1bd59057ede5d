#include "service/core/scaling.h"

#include <algorithm>

namespace lowmark {
namespace {

// Workers that have come have taken what they want by then; what is left is left for
// others.
constexpr absl::Duration kTaking = absl::Seconds(30);

}  // namespace

ScaleNeed NeedOf(const Workload& load, const ScaleRule& rule) {
  ScaleNeed need;
  if (load.paused) return need;  // no shard would be leased
  need.shards = load.with_work;
  // Those that hold others cannot take these: more workers are needed.
  const bool left = load.holders > 0 && load.holders_age >= kTaking;
  if (left) need.shards += load.untaken;
  // One worker is enough to look; what it finds is known then.
  const bool due = load.holders == 0 && (!load.last_read || *load.last_read >= rule.wake_every);
  // One that has come looks what shards there are, takes them, and reads them.
  const bool looking = load.unread > 0 || (load.holders > 0 && load.untaken > 0) ||
                       (load.shards == 0 && load.newest && *load.newest < kTaking);
  if (due) need.shards = std::max<int64_t>(need.shards, 1);
  need.active = need.shards > 0 || looking;
  need.shards = std::min(need.shards, load.shards);
  need.lag_age = load.lag_age;
  return need;
}

}  // namespace lowmark
