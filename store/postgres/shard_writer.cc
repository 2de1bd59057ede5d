#include "store/postgres/shard_writer.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "store/change.h"
#include "store/postgres/queries.h"
#include "store/postgres/rows.h"
#include "store/postgres/text_array.h"

namespace lowmark {
namespace {

// Records go to the server in pieces of about this size: one parameter may not
// exceed 1 GB there, and is held in memory several times.
constexpr size_t kRecordBytes = size_t{16} << 20;

// Whether nothing changed but what kUpdateProgress writes: the position, without
// the shard's end, and the numbers of batch and delivery.
bool IsProgressAlone(const Shard& before, const Shard& after) {
  const ShardState& a = before.state;
  const ShardState& b = after.state;
  return before.epoch == after.epoch && before.owner == after.owner && !a.done() && !b.done() &&
         a.position.time == b.position.time && a.bounds == b.bounds && a.attempts == b.attempts &&
         a.lost_deliveries == b.lost_deliveries && a.not_before == b.not_before &&
         a.outstanding == b.outstanding && a.cause == b.cause && a.declared == b.declared;
}

absl::Status CheckCount(const pqxx::result& result, int64_t wanted) {
  if (static_cast<int64_t>(result.affected_rows()) == wanted) return absl::OkStatus();
  return MakeError(absl::StatusCode::kInternal, kInternal,
                   absl::StrCat("of ", wanted, " locked shards ", result.affected_rows(),
                                " were as they had been read"));
}

void AddTimestamp(TextArray& array, absl::Time time) {
  if (time == absl::UnixEpoch()) {
    array.AddNull();
  } else {
    array.Add(FormatTimestamp(time));
  }
}

// An array within an array of texts: NULL where it is empty.
void AddTexts(TextArray& array, const std::vector<std::string>& texts) {
  if (texts.empty()) {
    array.AddNull();
  } else {
    array.Add(TextArray(texts).Finish());
  }
}

void AddDeclared(TextArray& array, const std::optional<DeclaredBatch>& declared) {
  if (!declared) {
    array.AddNull();
    return;
  }
  AddTexts(array,
           {declared->first, declared->middle, declared->last, absl::StrCat(declared->count)});
}

// The columns of kUpdateProgress.
class ProgressRows {
 public:
  void Add(const Shard& before, const Shard& after) {
    shard_.Add(before.shard);
    epoch_.AddNumber(before.epoch);
    old_delivery_.AddNumber(before.state.delivery);
    position_.AddWord(PositionKindName(after.state.position.kind));
    sequence_.Add(after.state.position.sequence);
    batch_id_.AddNumber(after.state.batch_id);
    delivery_.AddNumber(after.state.delivery);
  }

  absl::Status Write(pqxx::transaction_base& transaction, int64_t stream_id) {
    if (shard_.size() == 0) return absl::OkStatus();
    return CheckCount(
        transaction.exec_params(sql::kUpdateProgress, stream_id, shard_.Finish(), epoch_.Finish(),
                                old_delivery_.Finish(), position_.Finish(), sequence_.Finish(),
                                batch_id_.Finish(), delivery_.Finish()),
        shard_.size());
  }

 private:
  TextArray shard_, epoch_, old_delivery_, position_, sequence_, batch_id_, delivery_;
};

// The columns of kUpdateShards.
class FullRows {
 public:
  void Add(const Shard& before, const Shard& after) {
    const ShardState& state = after.state;
    shard_.Add(before.shard);
    old_epoch_.AddNumber(before.epoch);
    old_delivery_.AddNumber(before.state.delivery);
    epoch_.AddNumber(after.epoch);
    owner_.Add(after.owner);
    position_.AddWord(PositionKindName(state.position.kind));
    sequence_.Add(state.position.sequence);
    AddTimestamp(position_time_, state.position.time);
    AddTexts(bounds_, state.bounds);
    batch_id_.AddNumber(state.batch_id);
    delivery_.AddNumber(state.delivery);
    attempts_.AddNumber(state.attempts);
    lost_deliveries_.AddNumber(state.lost_deliveries);
    AddTimestamp(not_before_, state.not_before);
    outstanding_.AddBool(state.outstanding);
    cause_.AddNumber(static_cast<int64_t>(state.cause));
    AddDeclared(declared_, state.declared);
  }

  absl::Status Write(pqxx::transaction_base& transaction, int64_t stream_id) {
    if (shard_.size() == 0) return absl::OkStatus();
    return CheckCount(
        transaction.exec_params(sql::kUpdateShards, stream_id, shard_.Finish(), old_epoch_.Finish(),
                                old_delivery_.Finish(), epoch_.Finish(), owner_.Finish(),
                                position_.Finish(), sequence_.Finish(), position_time_.Finish(),
                                bounds_.Finish(), batch_id_.Finish(), delivery_.Finish(),
                                attempts_.Finish(), lost_deliveries_.Finish(), not_before_.Finish(),
                                outstanding_.Finish(), cause_.Finish(), declared_.Finish()),
        shard_.size());
  }

 private:
  TextArray shard_, old_epoch_, old_delivery_, epoch_, owner_, position_, sequence_, position_time_,
      bounds_, batch_id_, delivery_, attempts_, lost_deliveries_, not_before_, outstanding_, cause_,
      declared_;
};

// The columns of kInsertRecords.
struct RecordRows {
  TextArray letter, ordinal, sequence, arrival_time, partition_key, data, headers;

  void Add(int64_t id, int64_t index, const Record& record) {
    letter.AddNumber(id);
    ordinal.AddNumber(index);
    sequence.Add(record.sequence);
    arrival_time.Add(FormatTimestamp(record.arrival_time));
    partition_key.AddBytes(record.partition_key);
    data.AddBytes(record.data);
    TextArray pairs;
    for (const auto& [name, value] : record.headers) {
      pairs.AddBytes(name);
      pairs.AddBytes(value);
    }
    headers.Add(pairs.Finish());
  }

  size_t bytes() const { return data.bytes() + partition_key.bytes() + headers.bytes(); }

  void Write(pqxx::transaction_base& transaction, int64_t stream_id) {
    if (letter.size() == 0) return;
    transaction.exec_params(sql::kInsertRecords, stream_id, letter.Finish(), ordinal.Finish(),
                            sequence.Finish(), arrival_time.Finish(), partition_key.Finish(),
                            data.Finish(), headers.Finish());
  }
};

using NumberedLetters = std::vector<std::pair<int64_t, const DeadLetter*>>;

void WriteRecords(pqxx::transaction_base& transaction, int64_t stream_id,
                  const NumberedLetters& letters) {
  RecordRows rows;
  for (const auto& [id, letter] : letters) {
    for (size_t i = 0; i < letter->records.size(); ++i) {
      rows.Add(id, static_cast<int64_t>(i), letter->records[i]);
      if (rows.bytes() < kRecordBytes) continue;
      rows.Write(transaction, stream_id);
      rows = RecordRows();
    }
  }
  rows.Write(transaction, stream_id);
}

void WriteDeadLetters(pqxx::transaction_base& transaction, int64_t stream_id, const Policy& policy,
                      const std::vector<WrittenShard>& shards) {
  NumberedLetters letters;
  std::vector<const std::string*> ids;
  for (const WrittenShard& written : shards) {
    for (const DeadLetter& letter : written.change.dead_letters) {
      letters.emplace_back(0, &letter);
      ids.push_back(&written.before.shard);
    }
  }
  if (letters.empty()) return;
  const pqxx::result numbers = transaction.exec_params(sql::kTakeDeadLetterIds, letters.size());
  TextArray id, shard, first, last, count, condition, attempts, error_type, error_message, epoch,
      delivery, worker, batch_id;
  for (size_t i = 0; i < letters.size(); ++i) {
    letters[i].first = ToInt(numbers[static_cast<pqxx::result::size_type>(i)][0]);
    const DeadLetter& letter = *letters[i].second;
    id.AddNumber(letters[i].first);
    shard.Add(*ids[i]);
    first.Add(letter.range.first);
    last.Add(letter.range.last);
    count.AddNumber(letter.range.count);
    condition.AddNumber(static_cast<int64_t>(letter.range.condition));
    attempts.AddNumber(letter.range.attempts);
    error_type.Add(letter.range.error_type);
    error_message.Add(letter.range.error_message);
    epoch.AddNumber(letter.epoch);
    delivery.AddNumber(letter.delivery);
    worker.Add(letter.worker);
    batch_id.AddNumber(letter.batch_id);
  }
  transaction.exec_params(sql::kInsertDeadLetters, stream_id, id.Finish(), shard.Finish(),
                          first.Finish(), last.Finish(), count.Finish(), condition.Finish(),
                          attempts.Finish(), error_type.Finish(), error_message.Finish(),
                          epoch.Finish(), delivery.Finish(), worker.Finish(), batch_id.Finish());
  if (policy.on_failure.set())
    transaction.exec_params(sql::kInsertForwards, stream_id, id.Finish());
  WriteRecords(transaction, stream_id, letters);
}

void WriteEvents(pqxx::transaction_base& transaction, int64_t stream_id,
                 const std::vector<WrittenShard>& shards) {
  TextArray shard, kind, epoch, delivery, actor, detail;
  for (const WrittenShard& written : shards) {
    for (const ShardEvent& event : written.change.events) {
      shard.Add(written.before.shard);
      kind.Add(event.kind);
      epoch.AddNumber(event.epoch);
      delivery.AddNumber(event.delivery);
      actor.Add(event.actor);
      detail.Add(event.detail);
    }
  }
  if (shard.size() == 0) return;
  transaction.exec_params(sql::kInsertEvents, stream_id, shard.Finish(), kind.Finish(),
                          epoch.Finish(), delivery.Finish(), actor.Finish(), detail.Finish());
}

// The children of shards that ended have that many parents less to wait for. Two
// statements: the second one must see what the first waited for. Whether a child
// became free.
absl::StatusOr<bool> TellChildren(pqxx::transaction_base& transaction, int64_t stream_id,
                                  const std::vector<std::string>& ended) {
  const pqxx::result children =
      transaction.exec_params(sql::kLockChildren, stream_id, TextArray(ended).Finish());
  if (children.empty()) return false;
  TextArray shard, parents_left;
  bool freed = false;
  for (const pqxx::row& child : children) {
    const int64_t left = ToInt(child[1]) - ToInt(child[2]);
    if (left < 0) {
      return MakeError(absl::StatusCode::kInternal, kInternal,
                       absl::StrCat("shard ", child[0].c_str(), " waits for ", child[1].c_str(),
                                    " parents, and ", child[2].c_str(), " more ended"));
    }
    shard.Add(child[0].c_str());
    parents_left.AddNumber(left);
    freed = freed || (left == 0 && *child[3].c_str() == 't');
  }
  const pqxx::result updated = transaction.exec_params(sql::kUpdateChildren, stream_id,
                                                       shard.Finish(), parents_left.Finish());
  if (auto s = CheckCount(updated, shard.size()); !s.ok()) return s;
  return freed;
}

// Shards and the workers that they go from or to.
struct OwnerRows {
  TextArray shard, worker;

  void Add(const Shard& each) {
    shard.Add(each.shard);
    worker.Add(each.owner);
  }

  void Write(pqxx::transaction_base& transaction, const char* statement, int64_t stream_id) {
    if (shard.size() == 0) return;
    transaction.exec_params(statement, stream_id, shard.Finish(), worker.Finish());
  }
};

bool Counts(const Shard& shard) { return !shard.owner.empty() && !shard.state.done(); }

// Keeps workers.held right, and loads: the last rows to be locked, by id. What a
// worker that has ended is leased is refused.
absl::Status WriteHeld(pqxx::transaction_base& transaction, int64_t stream_id, const Policy& policy,
                       const std::vector<WrittenShard>& shards) {
  std::map<std::string, int64_t> changes;
  OwnerRows taken, given;
  for (const WrittenShard& written : shards) {
    const Shard& before = written.before;
    const Shard& after = written.change.shard;
    if (before.owner == after.owner && Counts(before) == Counts(after)) continue;
    if (Counts(before)) {
      --changes[before.owner];
      taken.Add(before);
    }
    if (Counts(after)) {
      ++changes[after.owner];
      given.Add(after);
    }
  }
  TextArray worker, change;
  bool leased = false;
  for (const auto& [name, number] : changes) {
    if (number == 0) continue;
    worker.Add(name);
    change.AddNumber(number);
    leased = leased || number > 0;
  }
  if (worker.size() == 0) return absl::OkStatus();
  const pqxx::result changed =
      transaction.exec_params(sql::kChangeHeld, stream_id, worker.Finish(), change.Finish());
  if (leased && static_cast<int64_t>(changed.affected_rows()) != worker.size()) {
    return Unavailable("a worker's session ended while it was given a lease");
  }
  if (policy.balance_by == BalanceBy::kShards) return absl::OkStatus();
  taken.Write(transaction, sql::kTakeLoads, stream_id);
  given.Write(transaction, sql::kGiveLoads, stream_id);
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteShards(pqxx::transaction_base& transaction, const std::string& stream,
                         int64_t stream_id, const Policy& policy,
                         const std::vector<WrittenShard>& shards) {
  ProgressRows progress;
  FullRows full;
  std::vector<std::string> ended;
  bool freed = false;
  for (const WrittenShard& written : shards) {
    const Shard& before = written.before;
    const Shard& after = written.change.shard;
    if (IsProgressAlone(before, after)) {
      progress.Add(before, after);
    } else {
      full.Add(before, after);
    }
    freed = freed || BecomesFree(before, after);
    if (!before.state.done() && after.state.done()) ended.push_back(before.shard);
  }
  if (auto s = progress.Write(transaction, stream_id); !s.ok()) return s;
  if (auto s = full.Write(transaction, stream_id); !s.ok()) return s;
  WriteDeadLetters(transaction, stream_id, policy, shards);
  WriteEvents(transaction, stream_id, shards);
  if (!ended.empty()) {
    auto children_freed = TellChildren(transaction, stream_id, ended);
    if (!children_freed.ok()) return children_freed.status();
    freed = freed || *children_freed;
  }
  if (auto s = WriteHeld(transaction, stream_id, policy, shards); !s.ok()) return s;
  if (freed) transaction.exec_params(sql::kNotifyFree, stream);
  return absl::OkStatus();
}

}  // namespace lowmark
