// A partition's log in memory, with all that makes offsets sparse: transactions,
// compaction, retention. Behaves as librdkafka does.
#ifndef LOWMARK_TESTS_WORKER_KAFKA_FAKE_PARTITION_H_
#define LOWMARK_TESTS_WORKER_KAFKA_FAKE_PARTITION_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/source/kafka/partition.h"

namespace lowmark {

// What is at one offset.
struct FakeEntry {
  enum class Kind { kRecord, kAborted, kMark, kCompacted, kOpen };
  Kind kind = Kind::kRecord;
  std::string data;
  absl::Time time;
};

struct FakeLog {
  std::vector<FakeEntry> entries;
  int64_t first = 0;                // what lies before was deleted
  absl::Status trouble;             // of the broker, for questions
  std::deque<absl::Status> errors;  // of the partition, each met once
  // Whether something that could be returned is late; false where not set.
  std::function<bool()> late;
  int starts = 0;

  int64_t end() const { return static_cast<int64_t>(entries.size()); }
  // The offset of the first record of an open transaction.
  int64_t stable() const {
    const auto open = std::find_if(entries.begin(), entries.end(), [](const FakeEntry& entry) {
      return entry.kind == FakeEntry::Kind::kOpen;
    });
    return open - entries.begin();
  }
  void Add(FakeEntry::Kind kind, int count = 1) {
    for (int i = 0; i < count; ++i) {
      entries.push_back({kind, absl::StrCat("d", end()), absl::FromUnixSeconds(1000 + end())});
    }
  }
  // The records that are to be read from `from` up to `to`, included.
  std::vector<std::string> Visible(int64_t from, int64_t to) const {
    std::vector<std::string> visible;
    for (int64_t i = std::max(from, first); i <= std::min(to, stable() - 1); ++i) {
      if (entries[i].kind == FakeEntry::Kind::kRecord) visible.push_back(absl::StrCat(i));
    }
    return visible;
  }
};

class FakePartition : public KafkaPartition {
 public:
  explicit FakePartition(std::shared_ptr<FakeLog> log) : log_(std::move(log)) {}

  absl::Status Start(int64_t offset) override {
    ++log_->starts;
    next_ = offset;
    end_told_ = -1;
    return absl::OkStatus();
  }
  void Stop() override { next_ = -1; }

  KafkaEvent Next(absl::Duration) override {
    KafkaEvent event;
    if (next_ < 0) {
      event.kind = KafkaEvent::Kind::kError;
      event.error = absl::InternalError("not started");
      return event;
    }
    if (!log_->errors.empty()) {
      event.kind = KafkaEvent::Kind::kError;
      event.error = log_->errors.front();
      log_->errors.pop_front();
      return event;
    }
    if (log_->late && log_->late()) return event;
    known_end_ = log_->end();
    if (next_ < log_->first || next_ > log_->end()) {
      event.kind = KafkaEvent::Kind::kOutOfRange;
      event.offset = next_;
      return event;
    }
    for (; next_ < log_->stable(); ++next_) {
      const FakeEntry& entry = log_->entries[next_];
      if (entry.kind != FakeEntry::Kind::kRecord) continue;
      event.kind = KafkaEvent::Kind::kMessage;
      event.offset = next_;
      event.record.record.sequence = absl::StrCat(next_++);
      event.record.record.data = entry.data;
      event.record.record.arrival_time = entry.time;
      return event;
    }
    // Told once for each position.
    if (end_told_ == next_) return event;
    end_told_ = next_;
    event.kind = KafkaEvent::Kind::kEnd;
    event.offset = next_;
    return event;
  }

  std::optional<int64_t> KnownEnd() override { return known_end_; }

  absl::StatusOr<KafkaRange> QueryRange() override {
    if (!log_->trouble.ok()) return log_->trouble;
    return KafkaRange{log_->first, log_->stable()};
  }
  absl::StatusOr<std::optional<int64_t>> QueryTime(absl::Time time) override {
    if (!log_->trouble.ok()) return log_->trouble;
    for (int64_t i = log_->first; i < log_->end(); ++i) {
      if (log_->entries[i].time >= time) return i;
    }
    return std::nullopt;
  }
  absl::Status CheckBrokers() override { return log_->trouble; }

 private:
  const std::shared_ptr<FakeLog> log_;
  int64_t next_ = -1;
  int64_t end_told_ = -1;
  std::optional<int64_t> known_end_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_WORKER_KAFKA_FAKE_PARTITION_H_
