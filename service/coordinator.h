// The use cases of Lowmark in plain C++ types: what the wire's handlers call,
// and what decides with the core and acts through the store.
//
// Methods that workers call do not block: they enqueue, and answer through a
// callback from another thread. Methods that operators call block.
#ifndef LOWMARK_SERVICE_COORDINATOR_H_
#define LOWMARK_SERVICE_COORDINATOR_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/committer.h"
#include "service/executor.h"
#include "service/handovers.h"
#include "service/heartbeats.h"
#include "service/lease_queue.h"
#include "service/metrics.h"
#include "service/on_failure/options.h"
#include "store/store.h"

namespace lowmark {

struct CoordinatorOptions {
  // How long a worker's session lives without a heartbeat: 100 ms..1 h. Workers
  // are told; shorter finds dead workers sooner, longer forgives longer pauses.
  absl::Duration session_ttl = absl::Seconds(30);
  // How often the balance of a stream is looked at: 10 ms..1 min.
  absl::Duration balance_interval = absl::Seconds(1);
  // A shard that came to its worker less than this ago stays there: 0..1 h.
  absl::Duration balance_settling = absl::Seconds(5);
  // The share of a stream's shards that may be on the move at a time: 0.001..1.
  double balance_moves = 0.1;
  // A LeaseShard call is answered no later than this: 1 s..10 min.
  absl::Duration longest_wait = absl::Minutes(1);
  // How often waiting LeaseShard calls are looked at where no hint that a shard
  // became free arrives from the database, a tenth as often where they do: 10 ms..1 min.
  absl::Duration lease_retry = absl::Milliseconds(500);
  // Threads for what is not grouped: leases, heartbeats, shard lists. 1..64.
  int threads = 2;
  CommitterOptions committer;
  // What streams may use as destinations of their dead letters.
  DestinationOptions destinations = {};

  absl::Status Validate() const;
};

// A report as a worker sends it.
struct Report {
  std::string stream;
  std::string shard;
  std::string worker;
  int64_t epoch = 0;
  int64_t delivery = 0;
  // One of Succeeded, Failed, SetAside, NotRun, Started.
  Event event;
  // With NotRun: what kept the handler from running, for the audit.
  std::string trouble;
  // The records' data, to be kept with a dead letter.
  std::vector<Record> records;
  // The etag of the policy that the worker knows.
  std::string config_etag;
};

// The shard after a report.
struct ReportAnswer {
  Shard shard;
  std::optional<Delivery> next;  // not set when the shard is done
  int64_t discarded = 0;
  bool hand_over = false;
  std::optional<Policy> policy;  // where the worker knows another
  std::string etag;
};

// A session after its renewal.
struct HeartbeatAnswer {
  std::vector<std::string> hand_over;
  bool elected = false;
  int64_t stats_token = 0;  // see SessionView
};

// A seek, before and after.
struct SeekAnswer {
  ShardRecord before;
  ShardRecord after;
};

// Thread-safe. The store and metrics must outlive it.
class Coordinator {
 public:
  template <typename T>
  using Done = std::function<void(absl::StatusOr<T>)>;

  Coordinator(Store& store, Metrics& metrics, const CoordinatorOptions& options);
  // Finishes what was submitted. No method may be running, or be called any more.
  ~Coordinator();

  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  const CoordinatorOptions& options() const { return options_; }
  Metrics& metrics() { return metrics_; }

  // --- For workers ---------------------------------------------------------

  void ReportBatch(std::shared_ptr<const Report> report, Done<ReportAnswer> done);
  // `call.wait` is the caller's patience.
  void LeaseShard(const std::string& stream, LeaseCall call, std::function<bool()> cancelled,
                  Done<LeaseGrant> done);
  void Heartbeat(const std::string& stream, Renewal renewal, std::function<bool()> cancelled,
                 Done<HeartbeatAnswer> done);
  void ReleaseShard(const std::string& stream, const std::string& shard, const std::string& worker,
                    int64_t epoch, std::function<void(absl::Status)> done);
  void SyncShards(const std::string& stream, const std::string& worker,
                  std::vector<SourceShard> shards, Done<int32_t> done);

  // --- For operators -------------------------------------------------------

  // What needs no decision is read from and written to the store itself.
  Store& store() { return store_; }
  absl::StatusOr<SeekAnswer> Seek(const std::string& stream, const std::string& shard,
                                  const Position& position, const std::string& reason,
                                  bool dry_run);
  // What the stream's workers have to do, for who starts and stops them.
  absl::StatusOr<Workload> ReadWorkload(const std::string& stream);

  // Answers all calls that wait and lets no more wait, before a shutdown.
  void Drain() { leases_.Drain(); }

 private:
  // Runs what blocks; `done` gets UNAVAILABLE when there is too much of it.
  template <typename T>
  void RunBlocking(const Done<T>& done, std::function<absl::StatusOr<T>()> task);

  // Where the store's hints go. They come from its own thread, and may still
  // come when the coordinator is gone.
  struct Hints {
    Mutex mutex;
    LeaseQueue* leases LOWMARK_GUARDED_BY(mutex) = nullptr;
  };

  Store& store_;
  Metrics& metrics_;
  const CoordinatorOptions options_;
  Handovers handovers_;
  LeaseQueue leases_;
  Heartbeats heartbeats_;
  Executor executor_;
  Committer committer_;
  const std::shared_ptr<Hints> hints_;
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_COORDINATOR_H_
