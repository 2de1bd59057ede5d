#include "store/leasing.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace lowmark {
namespace {

ShardEvent MakeEvent(const char* kind, const Shard& shard, const std::string& actor,
                     std::string detail) {
  ShardEvent event;
  event.kind = kind;
  event.epoch = shard.epoch;
  event.delivery = shard.state.delivery;
  event.actor = actor;
  event.detail = std::move(detail);
  return event;
}

}  // namespace

absl::StatusOr<LeasedShard> LeaseTo(const Shard& shard, const std::string& worker, int64_t timeline,
                                    const Policy& policy, absl::Time now, double jitter01) {
  auto granted = Grant(shard, worker, timeline, policy, now, jitter01);
  if (!granted.ok()) return granted.status();
  LeasedShard leased;
  ShardChange& change = leased.change;
  change.changed = true;
  change.shard = granted->shard;
  const Facts& facts = granted->step.facts;
  if (facts.lost) {
    change.events.push_back(
        MakeEvent("lost", shard, "", absl::StrCat("batch ", shard.state.batch_id, " unreported")));
  }
  // The lost delivery's worker is not known any more: the row has no owner.
  for (const DeadLetterRange& range : granted->step.dead_letters) {
    DeadLetter letter;
    letter.range = range;
    letter.epoch = shard.epoch;
    letter.delivery = shard.state.delivery;
    change.dead_letters.push_back(std::move(letter));
  }
  change.events.push_back(
      MakeEvent("leased", change.shard, worker,
                absl::StrCat("checkpoint ", change.shard.state.position.ToString())));
  leased.lease = StandingLease(change.shard, policy, now);
  leased.lease.lost = facts.lost;
  leased.lease.discarded = static_cast<int32_t>(facts.discarded);
  return leased;
}

int64_t LeasesDue(Census census, const LeaseCall& call) {
  for (WorkerLoad& load : census.workers) {
    if (load.worker == call.worker) load.wanted = call.max_leases;
  }
  return std::min<int64_t>(MayLease(census, call.worker), call.max_leases);
}

LeaseGrant::Lease StandingLease(const Shard& shard, const Policy& policy, absl::Time now) {
  LeaseGrant::Lease lease;
  lease.shard = shard;
  lease.delivery = CurrentDelivery(shard.state, policy, now);
  return lease;
}

ShardChange ExpireLease(const Shard& shard) {
  ShardChange change;
  change.changed = true;
  change.shard = Vacate(shard);
  change.events.push_back(MakeEvent("expired", shard, shard.owner, "the session was not renewed"));
  return change;
}

}  // namespace lowmark
