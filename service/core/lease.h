// Who may do what with a shard: leases, their fencing, and worker sessions.
// Pure, like step.h; the store runs these decisions with the shard's row locked.
#ifndef LOWMARK_SERVICE_CORE_LEASE_H_
#define LOWMARK_SERVICE_CORE_LEASE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/core/policy.h"
#include "service/core/step.h"

namespace lowmark {

// A shard: its lease, and its progress.
struct Shard {
  std::string stream;
  std::string shard;
  // The fencing token of the last lease; 0 before the first. Rises with every
  // change of owner to a worker and with every operator's move, never reused.
  int64_t epoch = 0;
  // The worker that holds the lease; empty where none does.
  std::string owner;
  // Parents that are not done; the shard is not leased before this is 0.
  int32_t parents_left = 0;
  ShardState state;

  bool leasable() const { return owner.empty() && parents_left == 0 && !state.done(); }
  bool operator==(const Shard&) const = default;
};

// A shard that a stream just learnt of. One that continues shards which the stream knew
// before starts at its first record whatever the policy says: what they did not have is in
// it. Shards that came of a split or merge before the stream knew any of them start where
// the policy says, like their ancestors: LATEST means nothing old.
Shard NewShard(const std::string& stream, const std::string& shard, int32_t parents_left,
               bool continues, const Policy& policy);

// What a report is about, once it is known not to be stale.
enum class ReportKind {
  kCurrent,   // the delivery that is outstanding
  kRepeated,  // the one before: already applied, to be answered with the present
};

// Compares a report with the shard. ABORTED LEASE_FENCED where the worker does
// not hold this epoch, ABORTED STALE_DELIVERY where the delivery is another.
absl::StatusOr<ReportKind> CheckReport(const Shard& shard, const std::string& worker, int64_t epoch,
                                       int64_t delivery);

// The epoch after `epoch`. `timeline` is the PostgreSQL timeline (0 elsewhere):
// it puts every epoch given after a failover above all given before it, also
// those that the failover lost.
int64_t NextEpoch(int64_t epoch, int64_t timeline);

// The timeline that was the present one when the epoch was given; 0 where there was
// none.
int64_t TimelineOf(int64_t epoch);

// Whether a failover came since the epoch was given. It may have lost what was done
// under it, and a lease with a higher one that sinks have seen; so the lease is not
// answered again as it stands, and who holds it is to hand it over.
bool IsFromBefore(int64_t epoch, int64_t timeline);

// What workers and documents call a batch: "orders/shard-0/0.17". Batches that a
// failover lost had numbers that are given again: the timeline makes them others.
std::string BatchName(const std::string& stream, const std::string& shard, int64_t epoch,
                      int64_t batch_id);

// Leases a leasable shard to a worker; an outstanding delivery becomes a loss.
// FAILED_PRECONDITION where it is not leasable, or the stream is paused.
struct GrantResult {
  Shard shard;
  StepResult step;
};
absl::StatusOr<GrantResult> Grant(const Shard& shard, const std::string& worker, int64_t timeline,
                                  const Policy& policy, absl::Time now, double jitter01);

// Gives a lease back gracefully. Releasing again changes nothing; ABORTED
// LEASE_FENCED where another epoch is current.
absl::StatusOr<Shard> Release(const Shard& shard, const std::string& worker, int64_t epoch);

// Takes the lease from its owner; what was outstanding stays so, and becomes a
// loss with the next lease.
Shard Vacate(const Shard& shard);

// Moves the checkpoint for an operator; ends the lease and raises the epoch.
// FAILED_PRECONDITION SHARD_DONE where the shard is done.
absl::StatusOr<Shard> Seek(const Shard& shard, const Position& position, int64_t timeline,
                           const Policy& policy);

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_CORE_LEASE_H_
