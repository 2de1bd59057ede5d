#include "worker/internal/shard_sync.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace lowmark {
namespace {

constexpr size_t kMostShards = 10000;
// A list that did not change is told again after this, should the coordinator
// have forgotten it (a stream that was deleted and made anew).
constexpr absl::Duration kTellAgain = absl::Minutes(1);

// Each shard once, parents before their children, with those parents that are listed.
std::vector<ListedShard> ParentsFirst(const std::vector<ListedShard>& shards) {
  std::unordered_map<std::string, const ListedShard*> listed;
  for (const ListedShard& shard : shards) listed.emplace(shard.shard, &shard);

  // Depth first, parents before children, without recursion. A shard that is its
  // own ancestor comes where it is met; the coordinator says what is wrong.
  std::vector<ListedShard> ordered;
  std::unordered_map<std::string, bool> placed;  // false while its parents are placed
  for (const ListedShard& first : shards) {
    std::vector<const ListedShard*> path = {&first};
    while (!path.empty()) {
      const ListedShard& shard = *path.back();
      if (placed.emplace(shard.shard, false).second) {
        for (const std::string& parent : shard.parents) {
          auto found = listed.find(parent);
          if (found != listed.end() && !placed.count(parent)) path.push_back(found->second);
        }
        continue;
      }
      path.pop_back();
      if (std::exchange(placed[shard.shard], true)) continue;
      ordered.push_back(shard);
    }
  }
  return ordered;
}

// Shards that are linked by parents together, in the order in which they come.
std::vector<std::vector<ListedShard>> Families(std::vector<ListedShard> ordered) {
  std::vector<std::vector<ListedShard>> families;
  std::unordered_map<std::string, size_t> family_of;
  const auto join = [&](size_t from, size_t to) {
    for (ListedShard& shard : families[from]) {
      family_of[shard.shard] = to;
      families[to].push_back(std::move(shard));
    }
    families[from].clear();
  };
  for (ListedShard& shard : ordered) {
    size_t own = families.size();
    families.emplace_back();
    for (const std::string& parent : shard.parents) {
      const auto found = family_of.find(parent);
      if (found == family_of.end() || found->second == own) continue;
      const size_t other = found->second;
      const bool larger = families[other].size() > families[own].size();
      join(larger ? own : other, larger ? other : own);
      if (larger) own = other;
    }
    family_of[shard.shard] = own;
    families[own].push_back(std::move(shard));
  }
  return families;
}

}  // namespace

std::vector<std::vector<ListedShard>> SyncOrder(const std::vector<ListedShard>& shards,
                                                size_t most) {
  std::vector<std::vector<ListedShard>> calls;
  for (std::vector<ListedShard>& family : Families(ParentsFirst(shards))) {
    if (family.empty()) continue;
    if (calls.empty() || calls.back().size() + family.size() > most) calls.emplace_back();
    for (ListedShard& shard : family) {
      if (calls.back().size() == most) calls.emplace_back();
      calls.back().push_back(std::move(shard));
    }
  }
  return calls;
}

ShardSync::ShardSync(WorkerContext& context, std::function<void()> session_expired)
    : context_(context),
      session_expired_(std::move(session_expired)),
      pause_(context.options.retry_initial, context.options.retry_maximum) {}

ShardSync::~ShardSync() { Stop(); }

void ShardSync::Begin(const std::string& worker) {
  Stop();
  worker_ = worker;
  current_ = std::make_shared<bool>(true);
}

void ShardSync::Elect(bool elected) {
  elected_ = elected;
  if (elected_ && current_ && !busy_ && timer_ == 0) List();
}

void ShardSync::Stop() {
  context_.loop->Cancel(timer_);
  current_.reset();
  elected_ = false;
  busy_ = false;
  told_.clear();
  told_at_ = SteadyTime::min();
  calls_.clear();
  pause_.Reset();
  watch_.End();
  calls_watch_.End();
  done_ = false;
}

std::optional<ListingStat> ShardSync::stat(SteadyTime now) const {
  if (!elected_) return std::nullopt;
  auto trouble = watch_.Get(now);
  if (!trouble && !done_) return std::nullopt;
  return ListingStat{std::move(trouble)};
}

void ShardSync::List() {
  busy_ = true;
  context_.source_pool.Submit([this, wanted = std::weak_ptr<bool>(current_), loop = context_.loop,
                               source = context_.source] {
    auto shards = source->ListShards();
    loop->Post([this, wanted, shards = std::move(shards)]() mutable {
      if (wanted.lock()) OnListed(std::move(shards));
    });
  });
}

void ShardSync::OnListed(absl::StatusOr<std::vector<ListedShard>> shards) {
  if (!shards.ok()) {
    const bool passing = absl::IsUnavailable(shards.status());
    context_.metrics.CountSourceError(passing);
    if (watch_.Note(passing, std::string(shards.status().message()),
                    std::chrono::steady_clock::now())) {
      context_.log.Warning("source's shards cannot be listed, tried again",
                           {{"stream", context_.options.stream}, {"error", shards.status()}});
    }
    Again(pause_.Next(context_.random));
    return;
  }
  listed_ = *std::move(shards);
  std::sort(listed_.begin(), listed_.end(),
            [](const ListedShard& a, const ListedShard& b) { return a.shard < b.shard; });
  const auto again = told_at_ == SteadyTime::min()
                         ? SteadyTime::min()
                         : told_at_ + absl::ToChronoNanoseconds(kTellAgain);
  if (listed_.empty() || (listed_ == told_ && std::chrono::steady_clock::now() < again)) {
    OnDone();
    Again(context_.options.sync_interval);
    return;
  }
  calls_ = SyncOrder(listed_, kMostShards);
  std::reverse(calls_.begin(), calls_.end());
  Send();
}

bool ShardSync::IsListed(const std::string& shard) const {
  const auto found =
      std::lower_bound(listed_.begin(), listed_.end(), shard,
                       [](const ListedShard& a, const std::string& b) { return a.shard < b; });
  return found != listed_.end() && found->shard == shard;
}

void ShardSync::Send() {
  v1::SyncShardsRequest request;
  request.set_stream(context_.options.stream);
  request.set_worker(worker_);
  for (const ListedShard& shard : calls_.back()) {
    v1::SourceShard* proto = request.add_shards();
    proto->set_shard(shard.shard);
    for (const std::string& parent : shard.parents) {
      *(IsListed(parent) ? proto->mutable_parents() : proto->mutable_former_parents())->Add() =
          parent;
    }
  }
  context_.client.SyncShards(request, context_.options.call_timeout,
                             [this, wanted = std::weak_ptr<bool>(current_)](
                                 const absl::StatusOr<v1::SyncShardsResponse>& answer) {
                               if (wanted.lock())
                                 OnSent(answer.status(), answer.ok() ? answer->added() : 0);
                             });
}

void ShardSync::OnSent(const absl::Status& error, int32_t added) {
  if (!error.ok()) {
    const std::string reason = Reason(error);
    context_.metrics.CountCallError("SyncShards", reason);
    if (reason == kSessionExpired) {
      session_expired_();
      return;
    }
    const auto now = std::chrono::steady_clock::now();
    // The source's doing, or the coordinator's.
    const bool news =
        absl::IsInvalidArgument(error)
            ? watch_.Note(/*passing=*/false,
                          absl::StrCat("the list of its shards is not taken: ", error.message()),
                          now)
            : calls_watch_.Note(/*passing=*/true, error.ToString(), now);
    if (news) {
      context_.log.Warning("coordinator does not take the source's shards, tried again",
                           {{"stream", context_.options.stream}, {"error", error}});
    }
    Again(pause_.Next(context_.random));
    return;
  }
  if (added > 0) {
    context_.log.Info("shards found in the source",
                      {{"stream", context_.options.stream}, {"added", added}});
  }
  calls_.pop_back();
  if (!calls_.empty()) {
    Send();
    return;
  }
  OnDone();
  told_ = listed_;
  told_at_ = std::chrono::steady_clock::now();
  Again(context_.options.sync_interval);
}

void ShardSync::OnDone() {
  pause_.Reset();
  calls_watch_.End();
  if (watch_.End()) {
    context_.log.Info("source's shards can be listed again", {{"stream", context_.options.stream}});
  }
  done_ = true;
}

void ShardSync::Again(absl::Duration pause) {
  busy_ = false;
  timer_ = context_.loop->After(pause, [this] {
    timer_ = 0;
    if (elected_) List();
  });
}

}  // namespace lowmark
