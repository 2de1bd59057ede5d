// Runner: signs of life, what they tell, and what is answered.
#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "service/core/error.h"
#include "worker/internal/runner.h"

namespace lowmark {
namespace {

// Of the usual time between two heartbeats.
constexpr double kLeastPause = 0.9;

SteadyTime Now() { return std::chrono::steady_clock::now(); }

}  // namespace

// A worker that has shown that it can work is given its share of the shards, which
// a heartbeat tells: the first need not wait for its time.
void Runner::OnReported() {
  if (proven_ || !session_open_) return;
  proven_ = true;
  if (beating_) return;
  loop_->Cancel(beat_timer_);
  Beat();
}

void Runner::Beat() {
  beat_timer_ = 0;
  if (!session_open_ || beating_) return;
  beating_ = true;
  v1::HeartbeatRequest request;
  request.set_stream(options_.stream);
  request.set_worker(worker_);
  for (const auto& [shard, run] : shards_) {
    const std::optional<ShardWeight> weight = run->weight(Now());
    if (!weight) continue;
    v1::ShardLoad* load = request.add_loads();
    load->set_shard(shard);
    if (weight->load) load->set_load(*weight->load);
  }
  std::vector<ToldStat> stats;
  const absl::Time now = absl::Now();
  for (const auto& [shard, run] : shards_) {
    if (auto stat = run->stat(now, Now())) {
      stats.push_back({shard, run->epoch(), *std::move(stat)});
    }
  }
  teller_.Tell(stats, sync_.stat(Now()), &request);
  const absl::Duration timeout =
      std::clamp(ttl_ / 3, absl::Milliseconds(100), options_.call_timeout);
  client_->Heartbeat(
      request, timeout,
      [this, sent = Now(), session = session_](const absl::StatusOr<v1::HeartbeatResponse>& a) {
        OnHeartbeat(sent, session, a);
      });
}

void Runner::BeatAfter(SteadyTime sent, double least) {
  const double part = std::uniform_real_distribution<>(least, 1)(random_);
  beat_timer_ = loop_->At(sent + absl::ToChronoNanoseconds(ttl_ / 3 * part), [this] { Beat(); });
}

void Runner::OnHeartbeat(SteadyTime sent, uint64_t session,
                         const absl::StatusOr<v1::HeartbeatResponse>& answer) {
  if (session != session_) return;
  beating_ = false;
  if (answer.ok()) {
    beat_pause_.Reset();
    ready_ = true;
    teller_.OnAnswer(answer->stats_token());
    OnRenewed(sent, answer->session_ttl(), answer->sync_shards());
    BeatAfter(sent, kLeastPause);
    for (const std::string& shard : answer->hand_over_shards()) {
      auto found = shards_.find(shard);
      if (found == shards_.end() || found->second->handing_over()) continue;
      metrics_.CountHandoff();
      const auto run = found->second;
      run->HandOver();
    }
    return;
  }
  metrics_.CountCallError("Heartbeat", Reason(answer.status()));
  if (Reason(answer.status()) == kSessionExpired) {
    OnSessionExpired();
    return;
  }
  if (beat_pause_.attempts() == 0) {
    log_.Warning("heartbeat failed, tried again",
                 {{"stream", options_.stream}, {"error", answer.status()}});
  }
  LoseAllOf(answer.status());
  if (!trust_->Holds(Now())) ready_ = false;
  beat_timer_ = loop_->After(std::min(beat_pause_.Next(random_), ttl_ / 6), [this] { Beat(); });
}

}  // namespace lowmark
