// A coordinator for tests of the worker: a real gRPC server on a port of its own,
// with the real rules of a shard in memory, whose calls a test can make fail.
#ifndef LOWMARK_TESTS_WORKER_FAKE_COORDINATOR_H_
#define LOWMARK_TESTS_WORKER_FAKE_COORDINATOR_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lowmark/v1/coordinator.grpc.pb.h"
#include "service/core/lease.h"
#include "service/core/policy.h"
#include "service/process/mutex.h"

namespace lowmark {

// Thread safe.
class FakeCoordinator : public v1::CoordinatorService::Service {
 public:
  explicit FakeCoordinator(const Policy& policy, absl::Duration ttl = absl::Seconds(30));
  ~FakeCoordinator() override;

  const std::string& address() const { return address_; }

  void AddShard(const std::string& shard, const Position& position = Position::TrimHorizon());
  // One that the worker, which must have a session, was leased by an answer that it never got.
  void AddUnknownLease(const std::string& shard);
  void SetPolicy(const Policy& policy);

  // The next `times` calls of a method ("ReportBatch") get this error; `applied`:
  // after they had their effect, as when the answer is lost.
  void Fail(const std::string& method, int times, const absl::Status& error, bool applied = false);
  // The methods answer UNAVAILABLE from now on, or no more.
  void SetDown(bool down);
  // Ends all sessions; their leases are free.
  void ExpireSessions();
  // The shard's lease is another worker's.
  void TakeAway(const std::string& shard);
  // What the worker is next told to do with the shard is nothing that it understands: in a
  // lease or, `in_report`, the answer to a report.
  void Garble(const std::string& shard, bool in_report);
  // A failover loses what the shard has become since then.
  void Restore(const Shard& shard);
  // Asks for the shard, with the next heartbeat or, `in_report`, the next report.
  void AskFor(const std::string& shard, bool in_report);
  // Asks for the source's shards.
  void SetElected(bool elected);

  // Forgets what was told of shards.
  void LoseStats();

  // Waits until the condition holds, which is looked at after each call; false
  // when that takes more than a long time.
  bool Await(const std::function<bool()>& condition);

  Shard shard(const std::string& shard);
  // Reports that were applied.
  std::vector<v1::ReportBatchRequest> applied();
  int calls(const std::string& method);
  std::set<std::string> workers();
  std::vector<DeadLetterRange> dead_letters();
  // Shards that SyncShards brought.
  std::vector<std::string> synced();
  // The parents that it named of each, former ones as "former ID".
  std::map<std::string, std::vector<std::string>> listed_parents();
  // What heartbeats told last of the shard, and of the list of shards; and how many things
  // they told in all.
  std::optional<v1::ShardStat> stat(const std::string& shard);
  v1::ListingStat listing();
  int told();
  bool released(const std::string& shard);
  // Whether the shard's checkpoint is this position.
  bool Reached(const std::string& shard, const Position& position);

 private:
  struct Fault {
    absl::Status error;
    bool applied;
  };

  // Runs a call: its faults, its effect, and who waits for either.
  grpc::Status Serve(const std::string& method, const std::function<absl::Status()>& effect);
  absl::Status CheckSession(const std::string& worker) LOWMARK_REQUIRES(mutex_);
  absl::Status Apply(const v1::ReportBatchRequest& request, v1::ReportBatchResponse* response)
      LOWMARK_REQUIRES(mutex_);

  grpc::Status LeaseShard(grpc::ServerContext* context, const v1::LeaseShardRequest* request,
                          v1::LeaseShardResponse* response) override;
  grpc::Status ReportBatch(grpc::ServerContext* context, const v1::ReportBatchRequest* request,
                           v1::ReportBatchResponse* response) override;
  grpc::Status Heartbeat(grpc::ServerContext* context, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override;
  grpc::Status ReleaseShard(grpc::ServerContext* context, const v1::ReleaseShardRequest* request,
                            v1::ReleaseShardResponse* response) override;
  grpc::Status SyncShards(grpc::ServerContext* context, const v1::SyncShardsRequest* request,
                          v1::SyncShardsResponse* response) override;

  const absl::Duration ttl_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;

  Mutex mutex_;
  CondVar changed_;
  Policy policy_ LOWMARK_GUARDED_BY(mutex_);
  int etag_ LOWMARK_GUARDED_BY(mutex_) = 1;
  std::map<std::string, Shard> shards_ LOWMARK_GUARDED_BY(mutex_);
  std::map<std::string, std::deque<Fault>> faults_ LOWMARK_GUARDED_BY(mutex_);
  bool down_ LOWMARK_GUARDED_BY(mutex_) = false;
  bool stopping_ LOWMARK_GUARDED_BY(mutex_) = false;
  bool elected_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::set<std::string> open_ LOWMARK_GUARDED_BY(mutex_);     // sessions
  std::set<std::string> expired_ LOWMARK_GUARDED_BY(mutex_);  // and those that were
  std::set<std::string> asked_in_heartbeat_ LOWMARK_GUARDED_BY(mutex_);
  std::set<std::string> asked_in_report_ LOWMARK_GUARDED_BY(mutex_);
  std::set<std::string> garbled_in_lease_ LOWMARK_GUARDED_BY(mutex_);
  std::set<std::string> garbled_in_report_ LOWMARK_GUARDED_BY(mutex_);
  std::set<std::string> released_ LOWMARK_GUARDED_BY(mutex_);
  std::vector<v1::ReportBatchRequest> applied_ LOWMARK_GUARDED_BY(mutex_);
  std::map<std::string, int> calls_ LOWMARK_GUARDED_BY(mutex_);
  std::vector<DeadLetterRange> dead_letters_ LOWMARK_GUARDED_BY(mutex_);
  std::vector<std::string> synced_ LOWMARK_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<std::string>> listed_parents_ LOWMARK_GUARDED_BY(mutex_);
  std::map<std::string, v1::ShardStat> stats_ LOWMARK_GUARDED_BY(mutex_);
  v1::ListingStat listing_ LOWMARK_GUARDED_BY(mutex_);
  int64_t stats_token_ LOWMARK_GUARDED_BY(mutex_) = 1;
  int told_ LOWMARK_GUARDED_BY(mutex_) = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_WORKER_FAKE_COORDINATOR_H_
