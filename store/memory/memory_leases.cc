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

absl::Status SessionExpired(const std::string& worker) {
  return Aborted(kSessionExpired, absl::StrCat("worker ", worker, " has no session"));
}

bool IsHeldBy(const Shard& shard, const std::string& worker) {
  return shard.owner == worker && !shard.state.done();
}

}  // namespace

absl::StatusOr<LeaseAnswers> MemoryStore::LeaseShards(const LeaseRound& round) {
  LeaseAnswers answers;
  bool freed = false;
  {
    MutexLock lock(mutex_);
    auto data = Find(round.stream);
    if (!data.ok()) return data.status();
    const absl::Time now = Now();
    answers.now = now;
    std::vector<bool> complete(round.calls.size(), false);
    for (size_t i = 0; i < round.calls.size(); ++i) {
      bool done = false;
      answers.grants.push_back(Answer(**data, round.calls[i], round.session_ttl, now, done));
      complete[i] = done || !answers.grants[i].ok();
    }
    for (const std::string& worker : round.withdrawn) {
      auto session = FindSession(**data, worker);
      if (session.ok()) (*session)->wanted = 0;
    }
    if (now >= round.may_end_from && now <= round.may_end_until) {
      freed = EndExpiredSessions(**data, now);
    }
    LeaseFree(**data, round, complete, now, answers);
    for (size_t i = 0; i < round.calls.size(); ++i) {
      auto& grant = answers.grants[i];
      if (grant.ok()) grant->elected = IsElected(**data, round.calls[i].worker, now);
      const bool answered = grant.ok() && grant->opened && grant->leases.empty();
      if (answered) (*data)->sessions.at(round.calls[i].worker).wanted = 0;
    }
    for (const auto& [worker, session] : (*data)->sessions) {
      if (!session.ended && session.expires > now) {
        answers.look_again = std::min(answers.look_again, session.expires);
      }
    }
  }
  if (freed) TellFree(round.stream);
  return answers;
}

absl::StatusOr<LeaseGrant> MemoryStore::Answer(StreamData& data, const LeaseCall& call,
                                               absl::Duration ttl, absl::Time now, bool& complete) {
  if (auto s = CheckText("worker", call.worker); !s.ok()) return s;
  LeaseGrant grant;
  grant.policy = data.stream.policy;
  grant.etag = data.stream.etag;
  if (!call.renew) return grant;
  auto [found, opened] = data.sessions.try_emplace(call.worker);
  Session& session = found->second;
  if (session.ended) return SessionExpired(call.worker);
  if (opened) {
    session.order = ++last_id_;
    session.opened = now;
  }
  grant.opened = opened;
  session.capacity = call.capacity;
  session.ttl = ttl;
  session.expires = now + ttl;
  session.wanted = call.max_leases;
  session.wants_until = now + call.wait;
  std::vector<StoredShard*> held;
  for (auto& [id, record] : data.shards) {
    if (IsHeldBy(record.shard, call.worker)) held.push_back(&record);
  }
  if (static_cast<int64_t>(held.size()) <= call.held) return grant;
  for (StoredShard* record : held) {
    if (ShardChange end = EndLeaseFromBefore(record->shard, call.worker, timeline_); end.changed) {
      Apply(data, *record, end);
    } else {
      grant.leases.push_back(StandingLease(record->shard, grant.policy, now));
    }
  }
  complete = !grant.leases.empty();
  return grant;
}

void MemoryStore::MoveLoad(StreamData& data, StoredShard& record, const Shard& after) {
  const Shard& before = record.shard;
  if (data.stream.policy.balance_by == BalanceBy::kShards) return;
  if (before.owner == after.owner && before.state.done() == after.state.done()) return;
  auto loser = data.sessions.find(before.owner);
  if (loser != data.sessions.end()) {
    auto load = loser->second.loads.extract(before.shard);
    record.load = load.empty() ? 0 : load.mapped();
  }
  auto winner = data.sessions.find(after.owner);
  if (winner != data.sessions.end() && IsHeldBy(after, after.owner)) {
    winner->second.loads[after.shard] = record.load;
  }
}

bool MemoryStore::EndExpiredSessions(StreamData& data, absl::Time now) {
  bool freed = false;
  for (auto& [worker, session] : data.sessions) {
    // One that would live far longer than its TTL is from before the clock was set
    // back.
    if (session.ended || (session.expires > now && session.expires <= now + 2 * session.ttl)) {
      continue;
    }
    session.ended = true;
    session.wanted = 0;
    for (auto& [id, record] : data.shards) {
      if (IsHeldBy(record.shard, worker)) {
        freed = Apply(data, record, ExpireLease(record.shard)) || freed;
      }
    }
  }
  return freed;
}

void MemoryStore::LeaseFree(StreamData& data, const LeaseRound& round,
                            const std::vector<bool>& complete, absl::Time now,
                            LeaseAnswers& answers) {
  int64_t free = 0;
  const Census census = TakeCensus(data, now, free);
  if (const absl::Duration wait = Gathering(census); wait > absl::ZeroDuration()) {
    answers.look_again = std::min(answers.look_again, now + wait);
    return;
  }
  const auto given = [&](size_t i) {
    return complete[i] ? std::nullopt : std::optional<int64_t>(0);
  };
  auto next = data.shards.begin();
  for (const Share& share : SharesOf(census, free, round, given)) {
    LeaseGrant& grant = *answers.grants[share.call];
    const std::string& worker = round.calls[share.call].worker;
    for (int64_t count = share.count; count > 0 && next != data.shards.end(); ++next) {
      if (!next->second.shard.leasable()) continue;
      auto leased =
          LeaseTo(next->second.shard, worker, timeline_, grant.policy, now, options_.jitter());
      // CheckChange cannot refuse what the core grants, but it brings times to the
      // store's precision.
      if (!leased.ok() || !CheckChange(next->second.shard, grant.policy, leased->change).ok()) {
        continue;
      }
      Apply(data, next->second, leased->change);
      leased->lease.shard = next->second.shard;
      grant.leases.push_back(std::move(leased->lease));
      --count;
    }
    data.sessions.at(worker).wanted = share.wanted - static_cast<int64_t>(grant.leases.size());
  }
}

absl::StatusOr<MemoryStore::Session*> MemoryStore::FindSession(StreamData& data,
                                                               const std::string& worker) {
  if (auto s = CheckText("worker", worker); !s.ok()) return s;
  auto found = data.sessions.find(worker);
  if (found == data.sessions.end() || found->second.ended) return SessionExpired(worker);
  return &found->second;
}

absl::StatusOr<std::vector<absl::StatusOr<SessionView>>> MemoryStore::RenewSessions(
    const std::string& stream, const std::vector<Renewal>& renewals, absl::Duration ttl) {
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  const absl::Time now = Now();
  std::vector<absl::StatusOr<SessionView>> views;
  for (const Renewal& renewal : renewals) {
    if (auto s = CheckRenewal(renewal); !s.ok()) {
      views.emplace_back(s);
      continue;
    }
    auto session = FindSession(**data, renewal.worker);
    if (!session.ok()) {
      views.emplace_back(session.status());
      continue;
    }
    (*session)->ttl = ttl;
    (*session)->expires = now + ttl;
    if (renewal.measured) {
      const auto before = std::exchange((*session)->loads, {});
      for (const ShardLoad& each : renewal.loads) {
        auto known = before.find(each.shard);
        (*session)->loads[each.shard] =
            each.load.value_or(known == before.end() ? 0 : known->second);
      }
    }
    const WorkerRecord record = RecordOf(**data, renewal.worker, now);
    (*session)->proven = (*session)->proven || record.load.held > 0;
    KeepStats(**data, renewal, now);
    views.emplace_back(SessionView{IsElected(**data, renewal.worker, now), (*data)->stats_token});
  }
  return views;
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
  int64_t free = 0;
  return TakeCensus(**data, Now(), free);
}

Census MemoryStore::TakeCensus(const StreamData& data, absl::Time now, int64_t& free) {
  Census census;
  SetPolicy(data.stream.policy, census);
  for (const auto& [id, record] : data.shards) {
    const Shard& shard = record.shard;
    if (shard.state.done() || shard.parents_left > 0) continue;
    ++census.shards;
    if (shard.owner.empty()) ++free;
  }
  std::map<int64_t, std::string> by_age;
  absl::Duration age = -absl::InfiniteDuration();
  for (const auto& [worker, session] : data.sessions) {
    if (session.ended || session.expires <= now) continue;
    by_age.emplace(session.order, worker);
    age = std::max(age, now - session.opened);
  }
  census.age = age;
  for (const auto& [order, worker] : by_age) {
    census.workers.push_back(RecordOf(data, worker, now).load);
  }
  return census;
}

WorkerRecord MemoryStore::RecordOf(const StreamData& data, const std::string& worker,
                                   absl::Time now) {
  const Session& session = data.sessions.at(worker);
  WorkerRecord record;
  record.load.worker = worker;
  record.load.capacity = session.capacity;
  record.load.held = std::count_if(data.shards.begin(), data.shards.end(), [&](const auto& entry) {
    return IsHeldBy(entry.second.shard, worker);
  });
  record.load.wanted = session.wants_until > now ? session.wanted : 0;
  record.load.proven = session.proven;
  record.load.cordoned = session.cordoned;
  record.load.draining = session.draining;
  for (const auto& [shard, load] : session.loads) record.load.load += load;
  record.opened = session.opened;
  record.expires = session.expires;
  record.ended = session.ended;
  record.now = now;
  return record;
}

bool MemoryStore::IsElected(const StreamData& data, const std::string& worker, absl::Time now) {
  const Session& own = data.sessions.at(worker);
  return std::none_of(data.sessions.begin(), data.sessions.end(), [&](const auto& entry) {
    const Session& other = entry.second;
    return !other.ended && other.expires > now && other.order < own.order;
  });
}

absl::StatusOr<Holdings> MemoryStore::ListHeld(const std::string& stream,
                                               const std::string& worker) {
  if (auto s = CheckText("worker", worker); !s.ok()) return s;
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  Holdings held;
  held.now = Now();
  for (const auto& [id, record] : (*data)->shards) {
    if (!IsHeldBy(record.shard, worker)) continue;
    const auto& loads = (*data)->sessions.at(worker).loads;
    auto load = loads.find(id);
    held.shards.push_back(
        {id, record.shard.epoch, record.leased_at, load == loads.end() ? 0 : load->second});
  }
  return held;
}

absl::StatusOr<std::vector<WorkerRecord>> MemoryStore::ListWorkers(const std::string& stream,
                                                                   const std::string& after,
                                                                   int32_t limit) {
  if (auto s = CheckText("after", after); !s.ok()) return s;
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  std::vector<WorkerRecord> workers;
  for (auto it = (*data)->sessions.upper_bound(after);
       it != (*data)->sessions.end() && static_cast<int32_t>(workers.size()) < limit; ++it) {
    workers.push_back(RecordOf(**data, it->first, Now()));
  }
  return workers;
}

absl::StatusOr<WorkerRecord> MemoryStore::ChangeWorker(const std::string& stream,
                                                       const std::string& worker,
                                                       const WorkerChange& change) {
  WorkerRecord record;
  {
    MutexLock lock(mutex_);
    auto data = Find(stream);
    if (!data.ok()) return data.status();
    auto session = FindSession(**data, worker);
    if (Reason(session.status()) == kSessionExpired) return WorkerNotFound(stream, worker);
    if (!session.ok()) return session.status();
    (*session)->cordoned = change.cordoned.value_or((*session)->cordoned);
    (*session)->draining = change.draining.value_or((*session)->draining);
    record = RecordOf(**data, worker, Now());
  }
  // What it may hold has changed, and with it what others may.
  TellFree(stream);
  return record;
}

}  // namespace lowmark
