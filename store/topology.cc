#include "store/topology.h"

#include <algorithm>
#include <set>
#include <utility>

#include "service/core/error.h"
#include "store/change.h"

namespace lowmark {
namespace {

absl::Status CheckId(const char* field, const std::string& id) {
  if (id.empty()) return InvalidField(field, id, "must not be empty");
  return CheckText(field, id);
}

// The new shards by id; of one that is listed twice the first counts.
using NewShards = std::map<std::string, const SourceShard*>;

absl::StatusOr<NewShards> FindNew(const std::map<std::string, bool>& known,
                                  const std::vector<SourceShard>& listed) {
  NewShards fresh;
  for (const SourceShard& shard : listed) {
    if (auto s = CheckId("shard", shard.shard); !s.ok()) return s;
    if (!known.contains(shard.shard)) fresh.emplace(shard.shard, &shard);
  }
  for (const auto& [id, shard] : fresh) {
    for (const std::string& parent : shard->parents) {
      if (auto s = CheckId("parents", parent); !s.ok()) return s;
      if (!known.contains(parent) && !fresh.contains(parent)) {
        return InvalidField("parents", parent, "must be a known or listed shard");
      }
    }
  }
  return fresh;
}

// Takes away, again and again, the shards all of whose parents are taken away or
// were known before. What is left lies on a cycle or below one.
absl::Status CheckNoCycle(const NewShards& fresh) {
  std::map<std::string, size_t> waiting;  // parents that are new, by shard
  std::map<std::string, std::vector<std::string>> children;
  std::vector<std::string> ready;
  for (const auto& [id, shard] : fresh) {
    const std::set<std::string> parents(shard->parents.begin(), shard->parents.end());
    for (const std::string& parent : parents) {
      if (!fresh.contains(parent)) continue;
      ++waiting[id];
      children[parent].push_back(id);
    }
    if (!waiting.contains(id)) ready.push_back(id);
  }
  while (!ready.empty()) {
    const std::string id = std::move(ready.back());
    ready.pop_back();
    for (const std::string& child : children[id]) {
      if (--waiting[child] > 0) continue;
      waiting.erase(child);
      ready.push_back(child);
    }
  }
  if (waiting.empty()) return absl::OkStatus();
  return InvalidField("shard", waiting.begin()->first, "must not be its own ancestor");
}

}  // namespace

absl::StatusOr<std::vector<ShardRecord>> PlanNewShards(const std::string& stream,
                                                       const Policy& policy,
                                                       const std::map<std::string, bool>& known,
                                                       const std::vector<SourceShard>& listed) {
  auto fresh = FindNew(known, listed);
  if (!fresh.ok()) return fresh.status();
  if (auto s = CheckNoCycle(*fresh); !s.ok()) return s;
  std::vector<ShardRecord> records;
  records.reserve(fresh->size());
  for (const auto& [id, shard] : *fresh) {
    ShardRecord record;
    for (const std::string& parent : shard->parents) {
      const bool repeated =
          std::find(record.parents.begin(), record.parents.end(), parent) != record.parents.end();
      if (!repeated) record.parents.push_back(parent);
    }
    const auto left =
        std::count_if(record.parents.begin(), record.parents.end(), [&](const std::string& parent) {
          auto found = known.find(parent);
          return found == known.end() || !found->second;
        });
    record.shard =
        NewShard(stream, id, static_cast<int32_t>(left), !record.parents.empty(), policy);
    record.shard.state.position.time = StoredTime(record.shard.state.position.time);
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace lowmark
