#include "service/core/assignment.h"

#include <algorithm>
#include <utility>

#include "service/core/balance_by_load.h"
#include "service/core/balance_by_number.h"

namespace lowmark {
namespace {

// Before anything has been measured, all shards weigh the same.
bool ByLoad(const Census& census) {
  return census.by_load && std::any_of(census.workers.begin(), census.workers.end(),
                                       [](const WorkerLoad& worker) { return worker.load > 0; });
}

// A clock that was set back makes leases begin in the future. They are as good as
// old: nothing must be stuck until a clock has caught up.
bool Settled(const HeldShard& shard, absl::Time now, absl::Duration settling) {
  return absl::AbsDuration(now - shard.leased_at) >= settling;
}

std::vector<size_t> ChooseByNumber(const std::vector<HeldShard>& held, std::vector<size_t> settled,
                                   int64_t shards) {
  std::sort(settled.begin(), settled.end(), [&](size_t a, size_t b) {
    if (held[a].leased_at != held[b].leased_at) return held[a].leased_at < held[b].leased_at;
    return held[a].shard < held[b].shard;
  });
  if (static_cast<int64_t>(settled.size()) > shards) settled.resize(shards);
  return settled;
}

std::vector<size_t> ChooseByLoad(const std::vector<HeldShard>& held, std::vector<size_t> settled,
                                 double load, int64_t limit) {
  // The excess is a difference of sums, which are off by their rounding.
  constexpr double kRounding = 1e-9;
  std::sort(settled.begin(), settled.end(), [&](size_t a, size_t b) {
    if (held[a].load != held[b].load) return held[a].load > held[b].load;
    return held[a].shard < held[b].shard;
  });
  std::vector<size_t> chosen;
  double left = load * (1 + kRounding);
  for (size_t i : settled) {
    if (held[i].load <= 0 || static_cast<int64_t>(chosen.size()) >= limit) break;
    if (held[i].load > left) continue;
    left -= held[i].load;
    chosen.push_back(i);
  }
  return chosen;
}

}  // namespace

absl::Duration Gathering(const Census& census) {
  // A clock that was set back makes workers younger than new: nothing waits for it.
  if (census.shards < kShardsToGatherFor || absl::AbsDuration(census.age) >= kGathering) {
    return absl::ZeroDuration();
  }
  for (const WorkerLoad& worker : census.workers) {
    if (worker.held > 0) return absl::ZeroDuration();
  }
  return kGathering - absl::AbsDuration(census.age);
}

std::vector<int64_t> ShareOut(const Census& census, int64_t free) {
  return ByLoad(census) ? ShareOutByLoad(census, free) : ShareOutByNumber(census, free);
}

std::vector<Excess> ToHandOver(const Census& census) {
  if (census.frozen && !census.paused) return std::vector<Excess>(census.workers.size());
  return ByLoad(census) && !census.paused ? ToHandOverByLoad(census) : ToHandOverByNumber(census);
}

std::vector<size_t> ChooseToHandOver(const std::vector<HeldShard>& held, const Excess& excess,
                                     absl::Time now, absl::Duration settling, int64_t limit) {
  std::vector<size_t> settled;
  for (size_t i = 0; i < held.size(); ++i) {
    if (Settled(held[i], now, settling)) settled.push_back(i);
  }
  limit = std::max<int64_t>(0, limit);
  if (excess.shards > 0) {
    return ChooseByNumber(held, std::move(settled), std::min(excess.shards, limit));
  }
  return ChooseByLoad(held, std::move(settled), excess.load, limit);
}

}  // namespace lowmark
