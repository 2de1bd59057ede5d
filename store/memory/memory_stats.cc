// MemoryStore: what workers tell of their shards.
#include <algorithm>
#include <utility>

#include "store/memory/memory_store.h"

namespace lowmark {
namespace {

// Trouble that goes on has its beginning already.
void Keep(const ShardStat& told, int64_t epoch, absl::Time now, int64_t& kept_epoch,
          ShardStat& kept, absl::Time& since) {
  const bool goes_on = kept_epoch == epoch && kept.trouble && told.trouble &&
                       kept.trouble->kind == told.trouble->kind &&
                       kept.trouble->message == told.trouble->message;
  if (told.trouble && !goes_on) since = now - told.trouble->lasted;
  kept_epoch = epoch;
  kept = told;
}

ShardStat Aged(ShardStat stat, absl::Time since, absl::Time now) {
  if (stat.trouble) stat.trouble->lasted = now - since;
  return stat;
}

}  // namespace

void MemoryStore::LoseStats() {
  MutexLock lock(mutex_);
  for (auto& [name, data] : streams_) {
    data.stats.clear();
    data.listing = {};
    data.stats_token = 0;
  }
}

void MemoryStore::KeepStats(StreamData& data, const Renewal& renewal, absl::Time now) {
  if (renewal.stats.empty() && !renewal.listing) return;
  if (data.stats_token == 0) data.stats_token = ++last_id_;
  for (const ToldStat& told : renewal.stats) {
    auto shard = data.shards.find(told.shard);
    if (shard == data.shards.end()) continue;
    const Shard& held = shard->second.shard;
    if (held.owner != renewal.worker || held.epoch != told.epoch) continue;
    StoredStat& stored = data.stats[told.shard];
    Keep(told.stat, told.epoch, now, stored.epoch, stored.stat, stored.since);
  }
  if (!renewal.listing) return;
  ShardStat listing;
  listing.trouble = renewal.listing->trouble;
  Keep(listing, 0, now, data.listing.epoch, data.listing.stat, data.listing.since);
  data.listing.worker = renewal.worker;
}

bool MemoryStore::IsLive(const StreamData& data, const std::string& worker, absl::Time now) {
  auto session = data.sessions.find(worker);
  return session != data.sessions.end() && !session->second.ended && session->second.expires > now;
}

Stream MemoryStore::WithTrouble(const StreamData& data, absl::Time now) {
  Stream stream = data.stream;
  if (IsLive(data, data.listing.worker, now)) {
    stream.trouble = Aged(data.listing.stat, data.listing.since, now).trouble;
  }
  return stream;
}

ShardRecord MemoryStore::WithStat(const StreamData& data, const StoredShard& record,
                                  absl::Time now) {
  ShardRecord shown = record;
  auto stored = data.stats.find(record.shard.shard);
  if (stored != data.stats.end() && !record.shard.owner.empty() &&
      stored->second.epoch == record.shard.epoch) {
    shown.stat = Aged(stored->second.stat, stored->second.since, now);
  }
  return shown;
}

absl::StatusOr<Workload> MemoryStore::ReadWorkload(const std::string& stream) {
  MutexLock lock(mutex_);
  auto found = Find(stream);
  if (!found.ok()) return found.status();
  const StreamData& data = **found;
  const absl::Time now = Now();
  Workload load;
  load.paused = data.stream.policy.paused;
  for (const auto& [id, record] : data.shards) {
    const Shard& shard = record.shard;
    if (shard.state.done() || shard.parents_left > 0) continue;
    ++load.shards;
    const bool held = IsLive(data, shard.owner, now);
    auto stored = data.stats.find(id);
    const bool told = stored != data.stats.end();
    const bool current = told && stored->second.epoch == shard.epoch;
    const bool idle = told && stored->second.stat.idle;
    if (held && current) {
      load.lag_age =
          std::max(load.lag_age, stored->second.stat.lag_age.value_or(absl::ZeroDuration()));
    }
    if (!idle || (!held && (!current || shard.state.outstanding))) {
      ++load.with_work;
    } else if (!held) {
      ++load.untaken;
    } else if (!current) {
      ++load.unread;
    }
  }
  for (const auto& entry : data.sessions) {
    const std::string& worker = entry.first;
    const Session& session = entry.second;
    const bool live = IsLive(data, worker, now);
    if (live) {
      load.newest = std::min(load.newest.value_or(absl::InfiniteDuration()), now - session.opened);
    }
    if (session.proven || load.shards == 0) {
      const absl::Duration ago = now - (session.expires - session.ttl);
      load.last_read = std::min(load.last_read.value_or(absl::InfiniteDuration()), ago);
    }
    const bool holds = std::any_of(data.shards.begin(), data.shards.end(), [&](const auto& each) {
      return each.second.shard.owner == worker && !each.second.shard.state.done();
    });
    if (!holds || !live) continue;
    ++load.holders;
    load.holders_age = std::max(load.holders_age, now - session.opened);
  }
  return load;
}

absl::StatusOr<std::vector<UnownedShards>> MemoryStore::ListUnowned() {
  MutexLock lock(mutex_);
  const absl::Time now = Now();
  std::vector<UnownedShards> all;
  for (const auto& [name, data] : streams_) {
    if (data.stream.policy.paused) continue;
    const auto unowned =
        std::count_if(data.shards.begin(), data.shards.end(), [&, &data = data](const auto& each) {
          const Shard& shard = each.second.shard;
          return !shard.state.done() && shard.parents_left == 0 && !IsLive(data, shard.owner, now);
        });
    if (unowned > 0) all.push_back({name, unowned});
  }
  return all;
}

}  // namespace lowmark
