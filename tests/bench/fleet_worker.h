// A simulated worker: it calls a coordinator as a real one does and processes
// nothing. It opens its session with LeaseShard, waits for shards, reports batch
// after batch of each, sends heartbeats, hands over what it is asked for, and
// retries what fails, all with the pauses of the worker library.
#ifndef LOWMARK_TESTS_BENCH_FLEET_WORKER_H_
#define LOWMARK_TESTS_BENCH_FLEET_WORKER_H_

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "absl/time/time.h"
#include "tests/bench/fleet_calls.h"
#include "tests/bench/fleet_ledger.h"
#include "worker/internal/coordinator_client.h"
#include "worker/internal/event_loop.h"
#include "worker/internal/retry_pause.h"

namespace lowmark {

struct FleetWorkerOptions {
  std::string stream;
  // Its id; a session that is opened anew has another number behind it.
  std::string name;
  int max_leases = 1000;
  absl::Duration lease_wait = absl::Seconds(30);
  // Between the answer to a report and the shard's next one, on average, spread by
  // a half. Zero: nothing is ever there to report.
  absl::Duration report_pause = absl::ZeroDuration();
};

// What all workers of a fleet share.
struct FleetShared {
  EventLoop& loop;
  FleetLedger& ledger;
  FleetCalls& calls;
  std::mt19937_64& random;
};

// Used on the loop only. Must live until the loop has ended.
class FleetWorker {
 public:
  // The batches of its reports have so many records.
  static constexpr int64_t kBatch = 10;

  FleetWorker(FleetWorkerOptions options, const FleetShared& shared, CoordinatorClient& client);

  void Start() { OpenSession(); }
  // Leaves as on SIGTERM: asks for nothing more, and releases what it holds.
  void Stop();
  // Dies as on SIGKILL: nothing is sent from now on, nothing heard.
  void Kill();
  // Releases what is above that number, and asks for what is below it.
  void SetMaxLeases(int max_leases);

  const std::string& id() const { return id_; }
  int held() const { return static_cast<int>(shards_.size()); }
  bool dead() const { return dead_; }

 private:
  // A shard that it has.
  struct Held {
    explicit Held(const v1::Lease& lease);

    const std::string shard;
    const int64_t epoch;
    const std::string config_etag;
    v1::Delivery delivery;
    int64_t last;  // the sequence number before the next batch
    bool calling = false;
    bool hand_over = false;
    bool ended = false;
    EventLoop::TimerId timer = 0;
    RetryPause pause;
    CoordinatorClient::Cancel cancel;
  };
  using HeldShard = std::shared_ptr<Held>;

  void OpenSession();
  void OnSessionExpired();
  void OnRenewed(SteadyTime sent, const google::protobuf::Duration& ttl);
  void LeaseMore();
  void OnLeases(SteadyTime sent, const absl::StatusOr<v1::LeaseShardResponse>& answer);
  void LeaseAfter(absl::Duration pause);
  void AddLease(const v1::Lease& lease);
  void Beat();
  void OnHeartbeat(SteadyTime sent, const absl::StatusOr<v1::HeartbeatResponse>& answer);

  void ReportSoon(const HeldShard& held);
  // Names the batch first, where the delivery asks for that.
  void Report(const HeldShard& held);
  void SendReport(const HeldShard& held, const v1::ReportBatchRequest& report, int64_t last);
  void OnReport(const HeldShard& held, const v1::ReportBatchRequest& report, int64_t last,
                const absl::StatusOr<v1::ReportBatchResponse>& answer);
  void HandOver(const HeldShard& held);
  void Release(const HeldShard& held);
  void OnRelease(const HeldShard& held, const absl::Status& status);
  // Whether the error says that the lease or the session is over.
  bool EndsLease(const HeldShard& held, const absl::Status& error);
  void End(const HeldShard& held);
  void After(const HeldShard& held, absl::Duration pause,
             void (FleetWorker::*next)(const HeldShard&));

  // `callback` without the worker, once that is dead or has another session.
  template <typename Response>
  CoordinatorClient::Callback<Response> Measured(
      FleetMethod method,
      std::function<void(SteadyTime sent, const absl::StatusOr<Response>&)> callback);

  FleetWorkerOptions options_;
  const FleetShared shared_;
  CoordinatorClient& client_;
  std::string id_;
  int session_ = 0;
  bool session_open_ = false;
  bool proven_ = false;
  bool stopping_ = false;
  bool dead_ = false;
  absl::Duration ttl_ = absl::ZeroDuration();
  std::map<std::string, HeldShard> shards_;
  bool leasing_ = false;
  CoordinatorClient::Cancel cancel_lease_;
  EventLoop::TimerId lease_timer_ = 0;
  RetryPause lease_pause_;
  bool beating_ = false;
  CoordinatorClient::Cancel cancel_beat_;
  EventLoop::TimerId beat_timer_ = 0;
  RetryPause beat_pause_;
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_BENCH_FLEET_WORKER_H_
