// A source in memory whose reads a test can make fail.
#ifndef LOWMARK_TESTS_WORKER_SCRIPTED_SOURCE_H_
#define LOWMARK_TESTS_WORKER_SCRIPTED_SOURCE_H_

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/process/mutex.h"
#include "worker/source.h"

namespace lowmark {

// Thread safe. Sequence numbers are 1, 2, 3 ...
class ScriptedSource : public Source {
 public:
  // Appends `count` records, with their sequence numbers as data.
  void Append(const std::string& shard, int count) {
    for (int i = 0; i < count; ++i) AppendRecord(shard, {});
  }
  // Appends one; its sequence number, and where these are not set its data and
  // arrival time, are filled in.
  void AppendRecord(const std::string& shard, SourceRecord record) {
    MutexLock lock(mutex_);
    auto& records = shards_[shard].records;
    record.record.sequence = absl::StrCat(records.size() + 1);
    if (record.record.data.empty()) record.record.data = record.record.sequence;
    if (record.record.arrival_time == absl::Time()) record.record.arrival_time = absl::Now();
    records.push_back(std::move(record));
  }
  // What the list says of the shard's parents; they need not be listed.
  void SetParents(const std::string& shard, const std::vector<std::string>& parents) {
    MutexLock lock(mutex_);
    shards_[shard].parents = parents;
  }
  void Close(const std::string& shard) {
    MutexLock lock(mutex_);
    shards_[shard].closed = true;
  }
  // Reads of the shard fail from now on; OK: no more.
  void SetError(const std::string& shard, const absl::Status& error) {
    MutexLock lock(mutex_);
    shards_[shard].error = error;
  }
  // The list of shards fails from now on; OK: no more.
  void SetListError(const absl::Status& error) {
    MutexLock lock(mutex_);
    list_error_ = error;
  }
  // Whether it can say where LATEST is.
  void PinLatest() {
    MutexLock lock(mutex_);
    pins_ = true;
  }
  // The shard is over, its records are gone.
  void Vanish(const std::string& shard, const std::string& what) {
    MutexLock lock(mutex_);
    shards_[shard].records.clear();
    shards_[shard].closed = true;
    shards_[shard].vanished = what;
  }
  // Each read asks for so long a pause.
  void SetPause(absl::Duration pause) {
    MutexLock lock(mutex_);
    pause_ = pause;
  }
  // The next read says that so many records are gone.
  void Lose(const std::string& shard, int64_t records) {
    MutexLock lock(mutex_);
    shards_[shard].lost = records;
  }
  int lists() {
    MutexLock lock(mutex_);
    return lists_;
  }
  // The shard's records are there, and it does not give them from now on, or no more.
  void Withhold(const std::string& shard, bool withhold) {
    MutexLock lock(mutex_);
    shards_[shard].withheld = withhold;
  }
  int reads(const std::string& shard) {
    MutexLock lock(mutex_);
    return shards_[shard].reads;
  }

  absl::StatusOr<std::vector<ListedShard>> ListShards() override {
    MutexLock lock(mutex_);
    ++lists_;
    if (!list_error_.ok()) return list_error_;
    std::vector<ListedShard> listed;
    for (const auto& [id, shard] : shards_) listed.push_back({id, shard.parents});
    return listed;
  }

  absl::StatusOr<Position> ResolveLatest(const std::string& id) override {
    MutexLock lock(mutex_);
    if (!shards_[id].error.ok()) return shards_[id].error;
    if (!pins_) return Position::Latest();
    return Position::At(absl::StrCat(shards_[id].records.size() + 1));
  }

  absl::StatusOr<std::unique_ptr<ShardReader>> Open(const std::string& id,
                                                    const Position& from) override {
    MutexLock lock(mutex_);
    Shard& shard = shards_[id];
    size_t next = 0;
    if (from.kind == Position::Kind::kLatest) next = shard.records.size();
    if (from.kind == Position::Kind::kAt || from.kind == Position::Kind::kAfter) {
      int number = 0;
      if (!absl::SimpleAtoi(from.sequence, &number)) return absl::OutOfRangeError(from.sequence);
      next = from.kind == Position::Kind::kAt ? number - 1 : number;
    }
    return std::make_unique<Reader>(*this, id, next);
  }

 private:
  struct Shard {
    std::vector<SourceRecord> records;
    std::vector<std::string> parents;
    bool closed = false;
    absl::Status error;
    std::string vanished;
    int64_t lost = 0;
    bool withheld = false;
    int reads = 0;
  };

  class Reader : public ShardReader {
   public:
    Reader(ScriptedSource& source, std::string shard, size_t next)
        : source_(source), shard_(std::move(shard)), next_(next) {}

    absl::StatusOr<ReadResult> Read(const ReadLimits& limits) override {
      MutexLock lock(source_.mutex_);
      Shard& shard = source_.shards_[shard_];
      ++shard.reads;
      if (!shard.error.ok()) return shard.error;
      ReadResult result;
      if (shard.withheld && next_ < shard.records.size()) {
        result.records_behind = static_cast<int64_t>(shard.records.size() - next_);
        result.behind_since = shard.records[next_].record.arrival_time;
        return result;
      }
      result.state = ReadResult::State::kMore;
      size_t end = shard.records.size();
      int last = 0;
      const bool bounded = absl::SimpleAtoi(limits.end_sequence, &last);
      if (bounded) end = std::min<size_t>(end, last);
      while (next_ < end && static_cast<int>(result.records.size()) < limits.max_records) {
        result.records.push_back(shard.records[next_++]);
      }
      if (bounded && next_ >= static_cast<size_t>(last)) {
        result.state = ReadResult::State::kEndReached;
      } else if (next_ == shard.records.size()) {
        result.state = shard.closed ? ReadResult::State::kShardEnd : ReadResult::State::kUpToDate;
      }
      result.vanished = shard.vanished;
      result.pause = source_.pause_;
      result.lost = std::exchange(shard.lost, 0);
      result.records_behind = static_cast<int64_t>(shard.records.size() - next_);
      return result;
    }

   private:
    ScriptedSource& source_;
    const std::string shard_;
    size_t next_;
  };

  Mutex mutex_;
  absl::Status list_error_ LOWMARK_GUARDED_BY(mutex_);
  int lists_ LOWMARK_GUARDED_BY(mutex_) = 0;
  bool pins_ LOWMARK_GUARDED_BY(mutex_) = false;
  absl::Duration pause_ LOWMARK_GUARDED_BY(mutex_);
  std::map<std::string, Shard> shards_ LOWMARK_GUARDED_BY(mutex_);
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_WORKER_SCRIPTED_SOURCE_H_
