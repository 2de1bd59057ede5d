// A worker at work: its session, its leases, and what keeps them alive.
#ifndef LOWMARK_WORKER_INTERNAL_RUNNER_H_
#define LOWMARK_WORKER_INTERNAL_RUNNER_H_

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "worker/internal/connection_watch.h"
#include "worker/internal/context.h"
#include "worker/internal/retry_pause.h"
#include "worker/internal/shard_run.h"
#include "worker/internal/shard_sync.h"
#include "worker/internal/stat_teller.h"

namespace lowmark {

class Runner {
 public:
  // `options` must be valid; `secrets` are those of its security.
  Runner(const WorkerOptions& options, std::shared_ptr<Source> source,
         std::shared_ptr<Handler> handler, const LogOptions& log,
         std::shared_ptr<ClientSecrets> secrets);
  ~Runner();

  // As in Worker. Thread safe, but for Run.
  absl::Status Run();
  void Stop();
  bool ready() const { return ready_; }
  bool healthy() const { return healthy_; }
  const WorkerMetrics& metrics() const { return metrics_; }

 private:
  // --- Everything below is on the loop only. ---
  void OpenSession();
  void OnSessionExpired();
  // What every answer that renews the session says.
  void OnRenewed(SteadyTime sent, const google::protobuf::Duration& ttl, bool sync_shards);

  void LeaseMore();
  void OnLeases(SteadyTime sent, uint64_t session,
                const absl::StatusOr<v1::LeaseShardResponse>& answer);
  // False where this worker does not understand it.
  bool AddLease(const v1::Lease& lease);
  void GiveBack(const v1::Lease& lease);

  void OnReported();
  void Beat();
  // Beats a third of the TTL after `sent`, or earlier, by chance, though not before `least`
  // of that time: workers that came together, as with a deployment, are not to beat together.
  void BeatAfter(SteadyTime sent, double least);
  void OnHeartbeat(SteadyTime sent, uint64_t session,
                   const absl::StatusOr<v1::HeartbeatResponse>& answer);

  void ResumeShard(const std::string& shard);
  void ResumeAll();
  void OnShardEnded(const std::string& shard, bool lost);
  void LoseAll(const std::string& reason);
  // Loses them where the error says that their stream was deleted.
  void LoseAllOf(const absl::Status& error);
  // The shards at this moment: calls may end them.
  std::vector<std::shared_ptr<ShardRun>> Shards() const;

  void Measure();

  void BeginStop();
  void OnGraceOver();
  void FinishIfDone();
  void AskForUnknown();

  const WorkerOptions options_;
  Logger log_;
  WorkerMetrics metrics_;
  std::mt19937_64 random_;
  const std::shared_ptr<EventLoop> loop_ = std::make_shared<EventLoop>();
  const std::shared_ptr<LeaseTrust> trust_ = std::make_shared<LeaseTrust>();
  const std::shared_ptr<Source> source_;
  HandlerRuns handlers_;
  ThreadPool source_pool_;
  std::unique_ptr<CoordinatorClient> client_;
  WorkerContext context_;
  ShardSync sync_;
  ConnectionWatch connection_;
  StatTeller teller_;

  std::string worker_;
  uint64_t session_ = 0;       // raised with each; answers to an earlier one are not for us
  bool session_open_ = false;  // the coordinator knows of it
  bool proven_ = false;        // and that it has accepted a report under it
  absl::Duration ttl_ = absl::ZeroDuration();
  std::map<std::string, std::shared_ptr<ShardRun>> shards_;
  std::map<std::string, int64_t> ended_;  // by shard: the last epoch that ended here
  int giving_back_ = 0;                   // leases that are released without having been started

  bool leasing_ = false;
  bool cut_off_ = false;  // a LeaseShard call, by the stop
  CoordinatorClient::Cancel cancel_lease_;
  EventLoop::TimerId lease_timer_ = 0;
  RetryPause lease_pause_;
  RetryPause misread_pause_;   // after leases that are not understood
  std::string lease_trouble_;  // why there were none, as it was said last
  bool beating_ = false;
  EventLoop::TimerId beat_timer_ = 0;
  RetryPause beat_pause_;
  EventLoop::TimerId measure_timer_ = 0;

  bool stopping_ = false;
  std::atomic<bool> ready_{false};
  std::atomic<bool> healthy_{true};
};

}  // namespace lowmark

#endif  // LOWMARK_WORKER_INTERNAL_RUNNER_H_
