// MemoryStore: dead letters on their way to a stream's destination.
#include <algorithm>
#include <utility>

#include "store/change.h"
#include "store/memory/memory_store.h"

namespace lowmark {
namespace {

bool Waits(const DeadLetter& letter) { return letter.forwarding && !letter.forwarding->forwarded; }

bool IsDue(const DeadLetter& letter, absl::Time now) {
  return Waits(letter) && letter.forwarding->next_try <= now;
}

// As long a claim, and as short a pause, as PostgresStore knows.
absl::Time After(absl::Time now, absl::Duration pause) {
  return StoredTime(now + std::clamp(pause, absl::ZeroDuration(), absl::Hours(24 * 36500)));
}

ClaimedLetter Claimed(const DeadLetter& letter, int64_t claim, int64_t most) {
  ClaimedLetter claimed;
  claimed.letter = letter;
  claimed.claim = claim;
  claimed.letter.records.clear();
  int64_t bytes = 0;
  for (const Record& record : letter.records) {
    if (!claimed.first_arrival && record.sequence == letter.range.first) {
      claimed.first_arrival = record.arrival_time;
    }
    if (record.sequence == letter.range.last) claimed.last_arrival = record.arrival_time;
    bytes += static_cast<int64_t>(record.data.size() + record.partition_key.size());
    if (most > 0 && bytes <= most) claimed.letter.records.push_back(record);
  }
  return claimed;
}

}  // namespace

absl::StatusOr<std::vector<Outbox>> MemoryStore::ListOutboxes(const std::string& after,
                                                              int32_t limit) {
  MutexLock lock(mutex_);
  const absl::Time now = Now();
  std::vector<Outbox> outboxes;
  for (auto it = streams_.upper_bound(after);
       it != streams_.end() && static_cast<int32_t>(outboxes.size()) < limit; ++it) {
    const StreamData& data = it->second;
    Outbox outbox{it->first, it->first, 0, absl::InfiniteFuture(), false, now};
    for (const auto& [id, letter] : data.dead_letters) {
      if (!Waits(letter)) continue;
      outbox.due = outbox.due || IsDue(letter, now);
      if (outbox.waiting == Outbox::kMostCounted) continue;
      ++outbox.waiting;
      outbox.oldest = std::min(outbox.oldest, letter.create_time);
    }
    outbox.due = outbox.due && data.stream.policy.on_failure.set();
    if (outbox.waiting > 0) outboxes.push_back(std::move(outbox));
  }
  return outboxes;
}

absl::StatusOr<ClaimedLetters> MemoryStore::ClaimLetters(const std::string& stream, int32_t limit,
                                                         absl::Duration lease) {
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  const OnFailure& on_failure = (*data)->stream.policy.on_failure;
  if (!on_failure.set()) return ClaimedLetters();
  const absl::Time now = Now();
  std::vector<DeadLetter*> due;
  for (auto& [id, letter] : (*data)->dead_letters) {
    if (IsDue(letter, now)) due.push_back(&letter);
  }
  std::stable_sort(due.begin(), due.end(), [](const DeadLetter* a, const DeadLetter* b) {
    return a->forwarding->next_try < b->forwarding->next_try;
  });
  if (static_cast<int32_t>(due.size()) > limit) due.resize(limit);
  std::sort(due.begin(), due.end(),
            [](const DeadLetter* a, const DeadLetter* b) { return a->id < b->id; });
  ClaimedLetters claimed;
  claimed.on_failure = on_failure;
  for (DeadLetter* letter : due) {
    letter->forwarding->next_try = After(now, lease);
    claimed.letters.push_back(
        Claimed(*letter, ++(*data)->claims[letter->id], on_failure.maximum_data_bytes));
  }
  return claimed;
}

absl::Status MemoryStore::SettleLetters(const std::string& stream,
                                        const std::vector<ForwardResult>& results) {
  using Kind = ForwardResult::Kind;
  for (const ForwardResult& result : results) {
    if (auto s = CheckText("error", result.error); !s.ok()) return s;
  }
  MutexLock lock(mutex_);
  auto data = Find(stream);
  if (!data.ok()) return data.status();
  const absl::Time now = Now();
  for (const ForwardResult& result : results) {
    auto found = (*data)->dead_letters.find(result.id);
    if (found == (*data)->dead_letters.end() || !Waits(found->second)) continue;
    const bool current = (*data)->claims[result.id] == result.claim;
    if (result.kind != Kind::kForwarded && !current) continue;
    Forwarding& forwarding = *found->second.forwarding;
    forwarding.next_try = After(now, result.pause);
    if (result.kind == Kind::kForwarded) forwarding.forwarded = now;
    if (result.kind == Kind::kNotTried) continue;
    ++forwarding.tries;
    forwarding.error = result.error;
  }
  return absl::OkStatus();
}

}  // namespace lowmark
