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
    for (const std::string& parent : shard->former_parents) {
      if (auto s = CheckId("former_parents", parent); !s.ok()) return s;
    }
  }
  return fresh;
}

// All parents that count, each once, in the order in which they are named.
std::vector<std::string> ParentsOf(const SourceShard& shard,
                                   const std::map<std::string, bool>& known) {
  std::vector<std::string> parents;
  const auto add = [&](const std::string& parent) {
    const bool repeated = std::find(parents.begin(), parents.end(), parent) != parents.end();
    if (!repeated) parents.push_back(parent);
  };
  for (const std::string& parent : shard.parents) add(parent);
  for (const std::string& parent : shard.former_parents) {
    if (known.contains(parent)) add(parent);
  }
  return parents;
}

// The new shards, parents before children: takes away, again and again, those all of
// whose parents are taken away or were known before. What is left lies on a cycle or
// below one.
absl::StatusOr<std::vector<std::string>> InOrder(const NewShards& fresh) {
  std::map<std::string, size_t> waiting;  // parents that are new, by shard
  std::map<std::string, std::vector<std::string>> children;
  std::vector<std::string> order;
  for (const auto& [id, shard] : fresh) {
    const std::set<std::string> parents(shard->parents.begin(), shard->parents.end());
    for (const std::string& parent : parents) {
      if (!fresh.contains(parent)) continue;
      ++waiting[id];
      children[parent].push_back(id);
    }
    if (!waiting.contains(id)) order.push_back(id);
  }
  for (size_t next = 0; next < order.size(); ++next) {
    for (const std::string& child : children[order[next]]) {
      if (--waiting[child] > 0) continue;
      waiting.erase(child);
      order.push_back(child);
    }
  }
  if (waiting.empty()) return order;
  return InvalidField("shard", waiting.begin()->first, "must not be its own ancestor");
}

// The new shards that continue known ones, directly or through others that are new.
std::set<std::string> Continuing(const NewShards& fresh, const std::vector<std::string>& order,
                                 const std::map<std::string, bool>& known) {
  std::set<std::string> continuing;
  for (const std::string& id : order) {
    for (const std::string& parent : ParentsOf(*fresh.at(id), known)) {
      if (known.contains(parent) || continuing.contains(parent)) continuing.insert(id);
    }
  }
  return continuing;
}

}  // namespace

absl::StatusOr<std::vector<ShardRecord>> PlanNewShards(const std::string& stream,
                                                       const Policy& policy,
                                                       const std::map<std::string, bool>& known,
                                                       const std::vector<SourceShard>& listed) {
  auto fresh = FindNew(known, listed);
  if (!fresh.ok()) return fresh.status();
  auto order = InOrder(*fresh);
  if (!order.ok()) return order.status();
  const std::set<std::string> continuing = Continuing(*fresh, *order, known);
  std::vector<ShardRecord> records;
  records.reserve(fresh->size());
  for (const auto& [id, shard] : *fresh) {
    ShardRecord record;
    record.parents = ParentsOf(*shard, known);
    const auto left =
        std::count_if(record.parents.begin(), record.parents.end(), [&](const std::string& parent) {
          auto found = known.find(parent);
          return found == known.end() || !found->second;
        });
    record.shard =
        NewShard(stream, id, static_cast<int32_t>(left), continuing.contains(id), policy);
    record.shard.state.position.time = StoredTime(record.shard.state.position.time);
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace lowmark
