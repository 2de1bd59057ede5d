// What becomes of one shard when it is leased or its worker's session ended:
// the core's decision with its audit and dead letters, the same in every store.
#ifndef LOWMARK_STORE_LEASING_H_
#define LOWMARK_STORE_LEASING_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "store/store.h"

namespace lowmark {

// A free shard leased to a worker: the lease to be answered and the change to be
// written. An error where the shard is not free.
struct LeasedShard {
  LeaseGrant::Lease lease;
  ShardChange change;
};
absl::StatusOr<LeasedShard> LeaseTo(const Shard& shard, const std::string& worker, int64_t timeline,
                                    const Policy& policy, absl::Time now, double jitter01);

// How many free shards a call is to be given. The caller counts as wanting what it
// asks for now, however short it would wait.
int64_t LeasesDue(Census census, const LeaseCall& call);

// A lease that the worker has already, as it stands.
LeaseGrant::Lease StandingLease(const Shard& shard, const Policy& policy, absl::Time now);

// The shard without its owner, whose session has ended.
ShardChange ExpireLease(const Shard& shard);

}  // namespace lowmark

#endif  // LOWMARK_STORE_LEASING_H_
