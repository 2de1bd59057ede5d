// What becomes of one shard when it is leased or its worker's session ended:
// the core's decision with its audit and dead letters, the same in every store.
#ifndef LOWMARK_STORE_LEASING_H_
#define LOWMARK_STORE_LEASING_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

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

// What the census takes from the policy.
void SetPolicy(const Policy& policy, Census& census);

// What a round's caller is to be given now.
struct Share {
  size_t call = 0;  // its index in the round
  int64_t count = 0;
  int64_t wanted = 0;
};
// The shares of a round's callers that are to be given any, of `free` shards.
// `given` says what each has been given already in this round; it wants none where
// it has its answer. Others that wait share in what is free, and are served by the
// round that their call is in.
std::vector<Share> SharesOf(Census census, int64_t free, const LeaseRound& round,
                            const std::function<std::optional<int64_t>(size_t)>& given);

// A lease that the worker has already, as it stands.
LeaseGrant::Lease StandingLease(const Shard& shard, const Policy& policy, absl::Time now);

// The shard without its owner, whose session has ended.
ShardChange ExpireLease(const Shard& shard);

// Frees a shard whose lease is from before a failover, so that it is leased under an
// epoch of the present timeline; does nothing where it is not such a one of that worker.
ShardChange EndLeaseFromBefore(const Shard& shard, const std::string& worker, int64_t timeline);

}  // namespace lowmark

#endif  // LOWMARK_STORE_LEASING_H_
