#include "store/leasing.h"

#include <algorithm>
#include <unordered_map>
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
    letter.batch_id = shard.state.batch_id;
    change.dead_letters.push_back(std::move(letter));
  }
  change.events.push_back(
      MakeEvent("leased", change.shard, worker,
                absl::StrCat("checkpoint ", change.shard.state.position.ToString())));
  leased.lease = StandingLease(change.shard, policy, now);
  leased.lease.repeated = false;
  leased.lease.lost = facts.lost;
  leased.lease.discarded = static_cast<int32_t>(facts.discarded);
  return leased;
}

void SetPolicy(const Policy& policy, Census& census) {
  census.paused = policy.paused;
  census.frozen = policy.frozen;
  census.by_load = policy.balance_by != BalanceBy::kShards;
}

std::vector<Share> SharesOf(Census census, int64_t free, const LeaseRound& round,
                            const std::function<std::optional<int64_t>(size_t)>& given) {
  std::unordered_map<std::string, size_t> index;
  for (size_t i = 0; i < census.workers.size(); ++i) index[census.workers[i].worker] = i;
  for (const std::string& worker : round.withdrawn) {
    if (auto found = index.find(worker); found != index.end()) {
      census.workers[found->second].wanted = 0;
    }
  }
  std::vector<Share> shares;
  std::vector<size_t> place;  // of each share in the census
  for (size_t i = 0; i < round.calls.size(); ++i) {
    auto found = index.find(round.calls[i].worker);
    if (found == index.end()) continue;  // its session has expired
    const std::optional<int64_t> before = given(i);
    int64_t& wanted = census.workers[found->second].wanted;
    wanted = before ? std::max<int64_t>(0, round.calls[i].max_leases - *before) : 0;
    shares.push_back({i, 0, wanted});
    place.push_back(found->second);
  }
  const std::vector<int64_t> out = ShareOut(census, free);
  for (size_t i = 0; i < shares.size(); ++i) shares[i].count = out[place[i]];
  std::erase_if(shares, [](const Share& share) { return share.count == 0; });
  return shares;
}

LeaseGrant::Lease StandingLease(const Shard& shard, const Policy& policy, absl::Time now) {
  LeaseGrant::Lease lease;
  lease.shard = shard;
  lease.delivery = CurrentDelivery(shard.state, policy, now);
  lease.repeated = true;
  return lease;
}

ShardChange ExpireLease(const Shard& shard) {
  ShardChange change;
  change.changed = true;
  change.shard = Vacate(shard);
  change.events.push_back(MakeEvent("expired", shard, shard.owner, "the session was not renewed"));
  return change;
}

ShardChange EndLeaseFromBefore(const Shard& shard, const std::string& worker, int64_t timeline) {
  ShardChange change;
  change.changed =
      shard.owner == worker && !shard.state.done() && IsFromBefore(shard.epoch, timeline);
  if (!change.changed) return change;
  change.shard = Vacate(shard);
  change.events.push_back(MakeEvent("expired", shard, worker,
                                    "the database has failed over since the lease was given"));
  return change;
}

}  // namespace lowmark
