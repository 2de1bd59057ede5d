// MemoryStore: leases and sessions.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "store/change.h"
#include "store/leasing.h"
#include "store/memory/memory_store.h"

namespace lowmark {
namespace {

// Leases that are repeated to a worker at once, as store.h says.
constexpr int64_t kMostRepeated = 1000;

absl::Status SessionExpired(const std::string& worker) {
  return Aborted(kSessionExpired, absl::StrCat("worker ", worker, " has no session"));
}

bool IsHeldBy(const Shard& shard, const std::string& worker) {
  return shard.owner == worker && !shard.state.done();
}

}  // namespace

absl::StatusOr<LeaseGrant> MemoryStore::LeaseShards(const LeaseCall& call) {
  if (auto s = CheckText("worker", call.worker); !s.ok()) return s;
  LeaseGrant grant;
  bool freed = false;
  {
    MutexLock lock(mutex_);
    auto data = Find(call.stream);
    if (!data.ok()) return data.status();
    const absl::Time now = Now();
    auto [found, opened] = (*data)->sessions.try_emplace(call.worker);
    Session& session = found->second;
    if (session.ended) return SessionExpired(call.worker);
    if (opened) session.order = ++last_id_;
    grant.opened = opened;
    session.capacity = call.capacity;
    if (opened || call.renew) session.expires = now + call.session_ttl;
    session.wanted = call.max_leases;
    session.wants_until = now + call.wait;
    freed = EndExpiredSessions(**data, call.worker, now);
    grant.policy = (*data)->stream.policy;
    grant.etag = (*data)->stream.etag;
    grant.elected = IsElected(**data, call.worker, now);

    std::vector<const Shard*> held;
    for (const auto& [id, record] : (*data)->shards) {
      if (IsHeldBy(record.shard, call.worker)) held.push_back(&record.shard);
    }
    if (static_cast<int64_t>(held.size()) > call.held) {
      held.resize(std::min<size_t>(held.size(), kMostRepeated));
      for (const Shard* shard : held) {
        grant.leases.push_back(StandingLease(*shard, grant.policy, now));
      }
    } else {
      LeaseFree(**data, call, LeasesDue(TakeCensus(**data, now), call), now, grant);
      session.wanted -= static_cast<int64_t>(grant.leases.size());
    }
  }
  if (freed) TellFree(call.stream);
  return grant;
}

bool MemoryStore::EndExpiredSessions(StreamData& data, const std::string& but, absl::Time now) {
  bool freed = false;
  for (auto& [worker, session] : data.sessions) {
    if (session.ended || session.expires > now || worker == but) continue;
    session.ended = true;
    for (auto& [id, record] : data.shards) {
      if (IsHeldBy(record.shard, worker)) {
        freed = Apply(data, record, ExpireLease(record.shard)) || freed;
      }
    }
  }
  return freed;
}

void MemoryStore::LeaseFree(StreamData& data, const LeaseCall& call, int64_t count, absl::Time now,
                            LeaseGrant& grant) {
  for (auto& [id, record] : data.shards) {
    if (static_cast<int64_t>(grant.leases.size()) >= count) return;
    if (!record.shard.leasable()) continue;
    auto leased =
        LeaseTo(record.shard, call.worker, timeline_, grant.policy, now, options_.jitter());
    // CheckChange cannot refuse what the core grants, but it brings times to the
    // store's precision.
    if (!leased.ok() || !CheckChange(record.shard, grant.policy, leased->change).ok()) continue;
    Apply(data, record, leased->change);
    leased->lease.shard = record.shard;
    grant.leases.push_back(std::move(leased->lease));
  }
}

absl::StatusOr<MemoryStore::Session*> MemoryStore::FindSession(StreamData& data,
                                                               const std::string& worker) {
  if (auto s = CheckText("worker", worker); !s.ok()) return s;
  auto found = data.sessions.find(worker);
  if (found == data.sessions.end() || found->second.ended) return SessionExpired(worker);
  return &found->second;
}

absl::StatusOr<SessionView> MemoryStore::RenewSession(const std::string& stream,
                                                      const std::string& worker,
                                                      absl::Duration ttl) {
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  auto session = FindSession(**data, worker);
  if (!session.ok()) return session.status();
  (*session)->expires = Now() + ttl;
  return SessionView{IsElected(**data, worker, Now())};
}

absl::Status MemoryStore::CheckSession(const std::string& stream, const std::string& worker) {
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  return FindSession(**data, worker).status();
}

absl::StatusOr<Census> MemoryStore::ReadCensus(const std::string& stream) {
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  return TakeCensus(**data, Now());
}

Census MemoryStore::TakeCensus(const StreamData& data, absl::Time now) {
  Census census;
  census.paused = data.stream.policy.paused;
  std::map<std::string, int64_t> held;
  for (const auto& [id, record] : data.shards) {
    const Shard& shard = record.shard;
    if (shard.state.done() || shard.parents_left > 0) continue;
    ++census.shards;
    ++held[shard.owner];
  }
  for (const auto& [worker, session] : data.sessions) {
    if (session.ended || session.expires <= now) continue;
    WorkerLoad load;
    load.worker = worker;
    load.capacity = session.capacity;
    load.held = held[worker];
    load.wanted = session.wants_until > now ? session.wanted : 0;
    census.workers.push_back(std::move(load));
  }
  return census;
}

bool MemoryStore::IsElected(const StreamData& data, const std::string& worker, absl::Time now) {
  const Session& own = data.sessions.at(worker);
  return std::none_of(data.sessions.begin(), data.sessions.end(), [&](const auto& entry) {
    const Session& other = entry.second;
    return !other.ended && other.expires > now && other.order < own.order;
  });
}

absl::StatusOr<std::vector<Shard>> MemoryStore::ListLeases(const std::string& stream,
                                                           const std::string& worker,
                                                           int32_t limit) {
  if (auto s = CheckText("worker", worker); !s.ok()) return s;
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  std::vector<Shard> leases;
  for (const auto& [id, record] : (*data)->shards) {
    if (static_cast<int32_t>(leases.size()) >= limit) break;
    if (IsHeldBy(record.shard, worker)) leases.push_back(record.shard);
  }
  return leases;
}

}  // namespace lowmark
