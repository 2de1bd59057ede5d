// PostgresStore: shards and their updates.
#include <map>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "store/change.h"
#include "store/postgres/connection_pool.h"
#include "store/postgres/postgres_store.h"
#include "store/postgres/queries.h"
#include "store/postgres/rows.h"
#include "store/postgres/shard_writer.h"
#include "store/postgres/stream_id.h"
#include "store/postgres/text_array.h"
#include "store/topology.h"

namespace lowmark {
namespace {

using Mode = ConnectionPool::Mode;

// Every shard that the list names, as one to add or as a parent.
std::vector<std::string> Named(const std::vector<SourceShard>& listed) {
  std::vector<std::string> named;
  for (const SourceShard& shard : listed) {
    named.push_back(shard.shard);
    named.insert(named.end(), shard.parents.begin(), shard.parents.end());
    named.insert(named.end(), shard.former_parents.begin(), shard.former_parents.end());
  }
  return named;
}

std::map<std::string, bool> ReadKnown(const pqxx::result& rows) {
  std::map<std::string, bool> known;
  for (const pqxx::row& row : rows) known[row[0].as<std::string>()] = *row[1].c_str() == 't';
  return known;
}

absl::Status CheckNames(const std::string& stream, const std::vector<SourceShard>& shards) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  for (const std::string& name : Named(shards)) {
    if (auto s = CheckText("shard", name); !s.ok()) return s;
  }
  return absl::OkStatus();
}

void InsertShards(pqxx::transaction_base& transaction, int64_t stream_id, SequenceOrder order,
                  const std::vector<ShardRecord>& records) {
  TextArray shard, parents_left, position, position_time;
  TextArray child, ordinal, parent;
  for (const ShardRecord& record : records) {
    const Position& start = record.shard.state.position;
    shard.Add(record.shard.shard);
    parents_left.AddNumber(record.shard.parents_left);
    position.AddWord(PositionKindName(start.kind));
    if (start.kind == Position::Kind::kAtTimestamp) {
      position_time.Add(FormatTimestamp(start.time));
    } else {
      position_time.AddNull();
    }
    for (size_t i = 0; i < record.parents.size(); ++i) {
      child.Add(record.shard.shard);
      ordinal.AddNumber(static_cast<int64_t>(i));
      parent.Add(record.parents[i]);
    }
  }
  transaction.exec_params(sql::kInsertShards, stream_id, order == SequenceOrder::kNumeric,
                          shard.Finish(), parents_left.Finish(), position.Finish(),
                          position_time.Finish());
  if (child.size() == 0) return;
  transaction.exec_params(sql::kInsertParents, stream_id, child.Finish(), ordinal.Finish(),
                          parent.Finish());
}

// Gives shards their parents, which never change.
void AddParents(pqxx::transaction_base& transaction, int64_t stream_id,
                std::vector<ShardRecord>& records) {
  TextArray ids;
  std::unordered_map<std::string, ShardRecord*> by_id;
  for (ShardRecord& record : records) {
    ids.Add(record.shard.shard);
    by_id[record.shard.shard] = &record;
  }
  for (const pqxx::row& row :
       transaction.exec_params(sql::kSelectParents, stream_id, ids.Finish())) {
    by_id[row[0].as<std::string>()]->parents.push_back(row[1].as<std::string>());
  }
}

// Whether all that the list names is known, which is how most lists are.
bool IsKnown(const std::map<std::string, bool>& known, const std::vector<SourceShard>& listed) {
  for (const SourceShard& shard : listed) {
    if (!known.contains(shard.shard)) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<int32_t> PostgresStore::AddShards(const std::string& stream,
                                                 const std::vector<SourceShard>& shards) {
  if (auto s = CheckNames(stream, shards); !s.ok()) return s;
  const std::string named = TextArray(Named(shards)).Finish();
  bool all_known = false;
  absl::Status status = pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
    auto id = FindStreamId(transaction, stream);
    if (!id.ok()) return id.status();
    all_known = IsKnown(ReadKnown(transaction.exec_params(sql::kSelectKnown, *id, named)), shards);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (all_known) return 0;

  int32_t added = 0;
  status = pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
    // One list at a time, so that no two add the same shard.
    const pqxx::result rows = transaction.exec_params(sql::kLockStream, stream);
    if (rows.empty()) return StreamNotFound(stream);
    auto read = ReadStream(rows[0]);
    if (!read.ok()) return read.status();
    const int64_t id = ToInt(rows[0][5]);
    // Locked, so that no parent ends between here and the commit.
    const auto known = ReadKnown(transaction.exec_params(sql::kLockKnown, id, named));
    auto fresh = PlanNewShards(stream, read->policy, known, shards);
    if (!fresh.ok()) return fresh.status();
    added = static_cast<int32_t>(fresh->size());
    if (fresh->empty()) return absl::OkStatus();
    InsertShards(transaction, id, read->policy.sequence_order, *fresh);
    bool freed = false;
    for (const ShardRecord& record : *fresh) freed = freed || record.shard.leasable();
    if (freed) transaction.exec_params(sql::kNotifyFree, stream);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return added;
}

absl::StatusOr<ShardRecord> PostgresStore::GetShard(const std::string& stream,
                                                    const std::string& shard) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  if (auto s = CheckText("shard", shard); !s.ok()) return s;
  std::vector<ShardRecord> records;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        auto id = FindStreamId(transaction, stream);
        if (!id.ok()) return id.status();
        const pqxx::result rows = transaction.exec_params(sql::kSelectShard, *id, shard);
        if (rows.empty()) return ShardNotFound(stream, shard);
        records = {ReadShardRecord(stream, rows[0])};
        AddParents(transaction, *id, records);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return records[0];
}

absl::StatusOr<std::vector<ShardRecord>> PostgresStore::ListShards(const std::string& stream,
                                                                   const std::string& after,
                                                                   int32_t limit) {
  if (auto s = CheckText("stream", stream); !s.ok()) return s;
  if (auto s = CheckText("after", after); !s.ok()) return s;
  std::vector<ShardRecord> records;
  const absl::Status status =
      pool_->Run(Mode::kTransaction, [&](pqxx::transaction_base& transaction) {
        records.clear();
        auto id = FindStreamId(transaction, stream);
        if (!id.ok()) return id.status();
        for (const pqxx::row& row :
             transaction.exec_params(sql::kSelectShards, *id, after, limit)) {
          records.push_back(ReadShardRecord(stream, row));
        }
        AddParents(transaction, *id, records);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return records;
}

// --- Updates ---------------------------------------------------------------

struct PostgresStore::Group {
  const std::string& stream;
  std::vector<ShardUpdate>& updates;
  std::vector<absl::Status>& statuses;
  std::vector<size_t> members;  // of `updates`
};

namespace {

// A shard of the group while its updates are decided.
struct Working {
  WrittenShard written;  // change.shard: as the updates before left it
  bool changed = false;
};

// Takes one update's change into the shard's.
void Fold(ShardChange change, Working& working) {
  ShardChange& sum = working.written.change;
  working.changed = true;
  sum.shard = std::move(change.shard);
  for (DeadLetter& letter : change.dead_letters) sum.dead_letters.push_back(std::move(letter));
  for (ShardEvent& event : change.events) sum.events.push_back(std::move(event));
}

}  // namespace

std::vector<absl::Status> PostgresStore::UpdateShards(const std::string& stream,
                                                      std::vector<ShardUpdate>& updates) {
  std::vector<absl::Status> statuses(updates.size());
  Group group{stream, updates, statuses, {}};
  const absl::Status stream_text = CheckText("stream", stream);
  for (size_t i = 0; i < updates.size(); ++i) {
    statuses[i] = stream_text.ok() ? CheckText("shard", updates[i].shard) : stream_text;
    if (statuses[i].ok()) group.members.push_back(i);
  }
  if (!group.members.empty()) UpdateGroup(group);
  return statuses;
}

void PostgresStore::UpdateGroup(const Group& group) {
  Failure failure = Failure::kNone;
  const absl::Status status = pool_->Run(
      Mode::kTransaction,
      [&](pqxx::transaction_base& transaction) { return TryGroup(transaction, group); }, &failure);
  if (status.ok()) return;
  if (failure == Failure::kRefusedData && group.members.size() > 1) {
    // One of them is the reason: find it, and let the others pass.
    const auto middle = group.members.begin() + static_cast<long>(group.members.size() / 2);
    UpdateGroup({group.stream, group.updates, group.statuses, {group.members.begin(), middle}});
    UpdateGroup({group.stream, group.updates, group.statuses, {middle, group.members.end()}});
    return;
  }
  // Also those whose decision was an error: it may have rested on what another
  // of the group did, and that did not come to be.
  for (size_t i : group.members) group.statuses[i] = status;
}

absl::Status PostgresStore::TryGroup(pqxx::transaction_base& transaction, const Group& group) {
  TextArray ids;
  std::unordered_map<std::string, size_t> index;
  for (size_t i : group.members) {
    if (index.emplace(group.updates[i].shard, 0).second) ids.Add(group.updates[i].shard);
  }
  index.clear();
  const auto recalled = RecallPolicy(group.stream);
  const pqxx::result rows =
      transaction.exec_params(sql::kLockShards, group.stream, ids.Finish(), recalled->etag);
  if (rows.empty()) return StreamNotFound(group.stream);
  const StreamRow stream = ReadStreamRow(rows.back());
  auto known = LearnPolicy(group.stream, stream.etag, stream.policy, recalled);
  if (!known.ok()) return known.status();

  std::vector<Working> working(rows.size() - 1);
  for (size_t i = 0; i < working.size(); ++i) {
    WrittenShard& written = working[i].written;
    written.before = ReadShard(group.stream, rows[static_cast<pqxx::result::size_type>(i)]);
    written.change.shard = written.before;
    index.emplace(written.before.shard, i);
  }
  for (size_t i : group.members) {
    auto found = index.find(group.updates[i].shard);
    if (found == index.end()) {
      group.statuses[i] = ShardNotFound(group.stream, group.updates[i].shard);
      continue;
    }
    Working& shard = working[found->second];
    const Shard& present = shard.written.change.shard;
    auto change = group.updates[i].decide(
        {present, (*known)->policy, (*known)->etag, stream.timeline, stream.now});
    group.statuses[i] = change.status();
    if (!change.ok() || !change->changed) continue;
    group.statuses[i] = CheckChange(present, (*known)->policy, *change);
    if (group.statuses[i].ok()) Fold(*std::move(change), shard);
  }
  std::vector<WrittenShard> written;
  for (Working& each : working) {
    if (each.changed) written.push_back(std::move(each.written));
  }
  return WriteShards(transaction, group.stream, stream.stream_id, (*known)->policy, written);
}

}  // namespace lowmark
