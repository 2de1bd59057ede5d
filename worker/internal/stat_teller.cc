#include "worker/internal/stat_teller.h"

#include <algorithm>
#include <utility>

#include "service/rpc/convert_stats.h"

namespace lowmark {
namespace {

bool IsNews(const std::optional<ListingStat>& told, const ListingStat& now) {
  // Compared as shards are, of which this has the trouble alone.
  ShardStat before, after;
  if (told) before.trouble = told->trouble;
  after.trouble = now.trouble;
  return !told || IsNews(before, after);
}

}  // namespace

void StatTeller::Begin() { *this = StatTeller(); }

void StatTeller::Tell(const std::vector<ToldStat>& now, const std::optional<ListingStat>& listing,
                      v1::HeartbeatRequest* request) {
  const auto held = [&now](const std::string& shard) {
    const auto found = std::lower_bound(
        now.begin(), now.end(), shard,
        [](const ToldStat& stat, const std::string& id) { return stat.shard < id; });
    return found != now.end() && found->shard == shard;
  };
  std::erase_if(told_, [&](const auto& entry) { return !held(entry.first); });
  telling_.clear();
  for (const ToldStat& stat : now) {
    const auto told = told_.find(stat.shard);
    const bool known = told != told_.end() && told->second.epoch == stat.epoch;
    if (!known || IsNews(told->second.stat, stat.stat)) telling_.push_back(stat);
  }
  std::stable_partition(telling_.begin(), telling_.end(),
                        [](const ToldStat& stat) { return stat.stat.trouble.has_value(); });
  if (telling_.size() > kMostStats) telling_.resize(kMostStats);
  for (const ToldStat& stat : telling_) {
    v1::ShardStat* proto = request->add_stats();
    proto->set_shard(stat.shard);
    proto->set_epoch(stat.epoch);
    ToProto(stat.stat, proto);
  }
  telling_listing_.reset();
  if (!listing || !IsNews(told_listing_, *listing)) return;
  telling_listing_ = listing;
  request->mutable_listing();
  if (listing->trouble) ToProto(*listing->trouble, request->mutable_listing()->mutable_trouble());
}

void StatTeller::OnAnswer(int64_t token) {
  if (token != token_) {
    told_.clear();
    told_listing_.reset();
    token_ = token;
  }
  if (token != 0) {
    for (ToldStat& stat : telling_) {
      std::string shard = stat.shard;
      told_.insert_or_assign(std::move(shard), std::move(stat));
    }
    if (telling_listing_) told_listing_ = telling_listing_;
  }
  telling_.clear();
  telling_listing_.reset();
}

}  // namespace lowmark
