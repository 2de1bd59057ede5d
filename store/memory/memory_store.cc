#include "store/memory/memory_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "store/change.h"
#include "store/topology.h"

namespace lowmark {
namespace {

// Up to `limit` values of `from` after `after` that `matches`.
template <typename Map, typename Matches>
std::vector<typename Map::mapped_type> Page(const Map& from, const typename Map::key_type& after,
                                            int32_t limit, Matches matches) {
  std::vector<typename Map::mapped_type> page;
  for (auto it = from.upper_bound(after);
       it != from.end() && static_cast<int32_t>(page.size()) < limit; ++it) {
    if (matches(it->second)) page.push_back(it->second);
  }
  return page;
}

}  // namespace

void MemoryStore::SetTimeline(int64_t timeline) {
  MutexLock lock(mutex_);
  timeline_ = timeline;
}

void MemoryStore::WatchFreeShards(std::function<void(const std::string& stream)> on_free) {
  on_free_ = std::move(on_free);
}

absl::StatusOr<MemoryStore::StreamData*> MemoryStore::Find(const std::string& stream) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  auto found = streams_.find(stream);
  if (found == streams_.end()) return StreamNotFound(stream);
  return &found->second;
}

std::string MemoryStore::NewEtag() { return absl::StrCat("m", ++last_id_); }

// --- Streams ---------------------------------------------------------------

absl::StatusOr<Stream> MemoryStore::CreateStream(const std::string& name, const Policy& policy) {
  if (auto s = CheckText("stream", name); !s.ok()) return s;
  MutexLock lock(mutex_);
  if (streams_.contains(name)) {
    return MakeError(absl::StatusCode::kAlreadyExists, kStreamExists,
                     absl::StrCat("stream \"", name, "\" exists"));
  }
  const absl::Time now = Now();
  StreamData& data = streams_[name];
  data.stream = {name, policy, NewEtag(), now, now};
  return data.stream;
}

absl::StatusOr<Stream> MemoryStore::GetStream(const std::string& name) {
  MutexLock lock(mutex_);
  auto data = Find(name);
  if (!data.ok()) return data.status();
  return WithTrouble(**data, Now());
}

absl::StatusOr<std::vector<Stream>> MemoryStore::ListStreams(const std::string& after,
                                                             int32_t limit) {
  if (auto s = CheckText("after", after); !s.ok()) return s;
  MutexLock lock(mutex_);
  std::vector<Stream> streams;
  for (auto it = streams_.upper_bound(after);
       it != streams_.end() && static_cast<int32_t>(streams.size()) < limit; ++it) {
    streams.push_back(WithTrouble(it->second, Now()));
  }
  return streams;
}

absl::StatusOr<Stream> MemoryStore::UpdateStream(
    const std::string& name, const std::string& etag,
    const std::function<absl::StatusOr<Policy>(const Policy&)>& change) {
  Stream updated;
  bool unpaused = false;
  {
    MutexLock lock(mutex_);
    auto data = Find(name);
    if (!data.ok()) return data.status();
    Stream& stream = (*data)->stream;
    if (!etag.empty() && etag != stream.etag) {
      return Aborted(kEtagMismatch, absl::StrCat("stream ", name, " has changed"));
    }
    auto policy = change(stream.policy);
    if (!policy.ok()) return policy.status();
    unpaused = stream.policy.paused && !policy->paused;
    stream.policy = *std::move(policy);
    stream.etag = NewEtag();
    stream.update_time = Now();
    updated = stream;
  }
  if (unpaused) TellFree(name);
  return updated;
}

absl::Status MemoryStore::DeleteStream(const std::string& name, const std::string& etag) {
  MutexLock lock(mutex_);
  auto data = Find(name);
  if (!data.ok()) return data.status();
  if (!etag.empty() && etag != (*data)->stream.etag) {
    return Aborted(kEtagMismatch, absl::StrCat("stream ", name, " has changed"));
  }
  streams_.erase(name);
  return absl::OkStatus();
}

// --- Shards ----------------------------------------------------------------

absl::StatusOr<int32_t> MemoryStore::AddShards(const std::string& stream,
                                               const std::vector<SourceShard>& shards) {
  int32_t added = 0;
  bool freed = false;
  {
    MutexLock lock(mutex_);
    auto data = Find(stream);
    if (!data.ok()) return data.status();
    std::map<std::string, bool> known;
    for (const auto& [id, record] : (*data)->shards) known[id] = record.shard.state.done();
    auto fresh = PlanNewShards(stream, (*data)->stream.policy, known, shards);
    if (!fresh.ok()) return fresh.status();
    for (ShardRecord& record : *fresh) {
      freed = freed || record.shard.leasable();
      std::string id = record.shard.shard;
      (*data)->shards.emplace(std::move(id), StoredShard{std::move(record)});
      ++added;
    }
  }
  if (freed) TellFree(stream);
  return added;
}

absl::StatusOr<ShardRecord> MemoryStore::GetShard(const std::string& stream,
                                                  const std::string& shard) {
  if (auto s = CheckText("shard", shard); !s.ok()) return s;
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  auto found = (*data)->shards.find(shard);
  if (found == (*data)->shards.end()) return ShardNotFound(stream, shard);
  return WithStat(**data, found->second, Now());
}

absl::StatusOr<std::vector<ShardRecord>> MemoryStore::ListShards(const std::string& stream,
                                                                 const std::string& after,
                                                                 int32_t limit) {
  if (auto s = CheckText("after", after); !s.ok()) return s;
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  std::vector<ShardRecord> records;
  for (const auto& shard :
       Page((*data)->shards, after, limit, [](const StoredShard&) { return true; })) {
    records.push_back(WithStat(**data, shard, Now()));
  }
  return records;
}

std::vector<absl::Status> MemoryStore::UpdateShards(const std::string& stream,
                                                    std::vector<ShardUpdate>& updates) {
  std::vector<absl::Status> statuses(updates.size());
  bool freed = false;
  {
    MutexLock lock(mutex_);
    auto data = Find(stream);
    for (size_t i = 0; i < updates.size(); ++i) {
      statuses[i] = data.ok() ? Update(**data, updates[i], freed) : data.status();
    }
  }
  if (freed) TellFree(stream);
  return statuses;
}

absl::Status MemoryStore::Update(StreamData& data, const ShardUpdate& update, bool& freed) {
  if (auto s = CheckText("shard", update.shard); !s.ok()) return s;
  auto found = data.shards.find(update.shard);
  if (found == data.shards.end()) return ShardNotFound(data.stream.name, update.shard);
  const Shard& shard = found->second.shard;
  auto change = update.decide({shard, data.stream.policy, data.stream.etag, timeline_, Now()});
  if (!change.ok()) return change.status();
  if (!change->changed) return absl::OkStatus();
  if (auto s = CheckChange(shard, data.stream.policy, *change); !s.ok()) return s;
  freed = Apply(data, found->second, *change) || freed;
  return absl::OkStatus();
}

bool MemoryStore::Apply(StreamData& data, StoredShard& record, const ShardChange& change) {
  const std::string& id = record.shard.shard;
  for (DeadLetter letter : change.dead_letters) {
    letter.id = ++last_id_;
    letter.stream = data.stream.name;
    letter.shard = id;
    letter.create_time = Now();
    if (data.stream.policy.on_failure.set()) {
      letter.forwarding = Forwarding{0, "", letter.create_time, std::nullopt};
    }
    data.dead_letters.emplace(letter.id, std::move(letter));
  }
  for (ShardEvent event : change.events) {
    event.id = ++last_id_;
    event.stream = data.stream.name;
    event.shard = id;
    event.time = Now();
    data.events.emplace(event.id, std::move(event));
  }
  bool freed = BecomesFree(record.shard, change.shard);
  const bool ended = !record.shard.state.done() && change.shard.state.done();
  if (!change.shard.owner.empty() && change.shard.owner != record.shard.owner) {
    record.leased_at = Now();
  }
  MoveLoad(data, record, change.shard);
  record.shard = change.shard;
  if (!ended) return freed;
  for (auto& [child, other] : data.shards) {
    if (std::count(other.parents.begin(), other.parents.end(), id) == 0) continue;
    other.shard.parents_left = std::max(0, other.shard.parents_left - 1);
    freed = freed || other.shard.leasable();
  }
  return freed;
}

// --- Dead letters and audit ------------------------------------------------

absl::StatusOr<std::vector<DeadLetter>> MemoryStore::ListDeadLetters(const std::string& stream,
                                                                     const std::string& shard,
                                                                     int64_t after_id,
                                                                     int32_t limit) {
  if (auto s = CheckText("shard", shard); !s.ok()) return s;
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  auto letters = Page((*data)->dead_letters, after_id, limit, [&](const DeadLetter& letter) {
    return shard.empty() || letter.shard == shard;
  });
  for (DeadLetter& letter : letters) letter.records.clear();
  return letters;
}

absl::StatusOr<DeadLetter> MemoryStore::GetDeadLetter(const std::string& stream, int64_t id) {
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  auto found = (*data)->dead_letters.find(id);
  if (found == (*data)->dead_letters.end()) {
    return MakeError(absl::StatusCode::kNotFound, kDeadLetterNotFound,
                     absl::StrCat("dead letter ", id, " of stream ", stream, " does not exist"));
  }
  return found->second;
}

absl::StatusOr<std::vector<ShardEvent>> MemoryStore::ListEvents(const std::string& stream,
                                                                const std::string& shard,
                                                                int64_t after_id, int32_t limit) {
  if (auto s = CheckText("shard", shard); !s.ok()) return s;
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  return Page((*data)->events, after_id, limit,
              [&](const ShardEvent& event) { return shard.empty() || event.shard == shard; });
}

}  // namespace lowmark
