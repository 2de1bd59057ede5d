// The store in memory: for tests and simulation. It behaves as PostgresStore
// does, but for durability.
#ifndef LOWMARK_STORE_MEMORY_MEMORY_STORE_H_
#define LOWMARK_STORE_MEMORY_MEMORY_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "service/process/mutex.h"
#include "store/store.h"

namespace lowmark {

struct MemoryStoreOptions {
  // The store's clock; times are taken from nowhere else.
  std::function<absl::Time()> clock = absl::Now;
  // The spread of backoffs, in [0, 1), asked for once for each lease.
  std::function<double()> jitter = [] { return 0.5; };
};

// Thread-safe. Decisions run with the store's lock held: they must not call the
// store. The callback of WatchFreeShards is called by the thread whose call freed
// the shard, after the lock was given up and before the call returns.
class MemoryStore : public Store {
 public:
  explicit MemoryStore(MemoryStoreOptions options = {}) : options_(std::move(options)) {}
  explicit MemoryStore(std::function<absl::Time()> clock) { options_.clock = std::move(clock); }

  // What PostgreSQL's timeline is after a failover; 0 at first.
  void SetTimeline(int64_t timeline);
  // Forgets what workers told of their shards, as PostgreSQL does when it crashes.
  void LoseStats();

  absl::StatusOr<Stream> CreateStream(const std::string& name, const Policy& policy) override;
  absl::StatusOr<Stream> GetStream(const std::string& name) override;
  absl::StatusOr<std::vector<Stream>> ListStreams(const std::string& after, int32_t limit) override;
  absl::StatusOr<Stream> UpdateStream(
      const std::string& name, const std::string& etag,
      const std::function<absl::StatusOr<Policy>(const Policy&)>& change) override;
  absl::Status DeleteStream(const std::string& name, const std::string& etag) override;

  absl::StatusOr<int32_t> AddShards(const std::string& stream,
                                    const std::vector<SourceShard>& shards) override;
  absl::StatusOr<ShardRecord> GetShard(const std::string& stream,
                                       const std::string& shard) override;
  absl::StatusOr<std::vector<ShardRecord>> ListShards(const std::string& stream,
                                                      const std::string& after,
                                                      int32_t limit) override;
  std::vector<absl::Status> UpdateShards(const std::string& stream,
                                         std::vector<ShardUpdate>& updates) override;

  absl::StatusOr<LeaseAnswers> LeaseShards(const LeaseRound& round) override;
  absl::StatusOr<std::vector<absl::StatusOr<SessionView>>> RenewSessions(
      const std::string& stream, const std::vector<Renewal>& renewals, absl::Duration ttl) override;
  absl::Status CheckSession(const std::string& stream, const std::string& worker) override;
  absl::StatusOr<Census> ReadCensus(const std::string& stream) override;
  absl::StatusOr<Workload> ReadWorkload(const std::string& stream) override;
  absl::StatusOr<std::vector<UnownedShards>> ListUnowned() override;
  absl::StatusOr<Holdings> ListHeld(const std::string& stream, const std::string& worker) override;
  absl::StatusOr<std::vector<WorkerRecord>> ListWorkers(const std::string& stream,
                                                        const std::string& after,
                                                        int32_t limit) override;
  absl::StatusOr<WorkerRecord> ChangeWorker(const std::string& stream, const std::string& worker,
                                            const WorkerChange& change) override;

  absl::StatusOr<std::vector<DeadLetter>> ListDeadLetters(const std::string& stream,
                                                          const std::string& shard,
                                                          int64_t after_id, int32_t limit) override;
  absl::StatusOr<DeadLetter> GetDeadLetter(const std::string& stream, int64_t id) override;
  absl::StatusOr<std::vector<ShardEvent>> ListEvents(const std::string& stream,
                                                     const std::string& shard, int64_t after_id,
                                                     int32_t limit) override;

  absl::StatusOr<std::vector<Outbox>> ListOutboxes(const std::string& after,
                                                   int32_t limit) override;
  absl::StatusOr<ClaimedLetters> ClaimLetters(const std::string& stream, int32_t limit,
                                              absl::Duration lease) override;
  absl::Status SettleLetters(const std::string& stream,
                             const std::vector<ForwardResult>& results) override;

  absl::Status Check() override { return absl::OkStatus(); }
  void WatchFreeShards(std::function<void(const std::string& stream)> on_free) override;
  bool WatchesFreeShards() const override { return on_free_ != nullptr; }

 private:
  struct Session {
    int64_t order = 0;  // the smallest of a stream is its oldest
    int32_t capacity = 1;
    absl::Duration ttl;
    absl::Time opened;
    absl::Time expires;
    int64_t wanted = 0;
    absl::Time wants_until = absl::InfinitePast();
    bool proven = false;
    bool cordoned = false;
    bool draining = false;
    bool ended = false;
    std::map<std::string, double> loads;  // of the shards it holds, as far as measured
  };
  // What was told of a shard, or of the source's list of them.
  struct StoredStat {
    int64_t epoch = 0;
    std::string worker;
    ShardStat stat;
    absl::Time since;  // of its trouble
  };
  // A shard with what the store alone keeps of it.
  struct StoredShard : ShardRecord {
    absl::Time leased_at = absl::UnixEpoch();
    double load = 0;  // as its last owner measured it
  };
  struct StreamData {
    Stream stream;
    std::map<std::string, StoredShard> shards;
    std::map<std::string, Session> sessions;
    std::map<int64_t, DeadLetter> dead_letters;
    std::map<int64_t, int64_t> claims;  // the last one of each dead letter
    std::map<int64_t, ShardEvent> events;
    std::map<std::string, StoredStat> stats;  // by shard
    StoredStat listing;
    int64_t stats_token = 0;
  };

  // STREAM_NOT_FOUND or SESSION_EXPIRED.
  absl::StatusOr<StreamData*> Find(const std::string& stream) LOWMARK_REQUIRES(mutex_);
  absl::StatusOr<Session*> FindSession(StreamData& data, const std::string& worker)
      LOWMARK_REQUIRES(mutex_);

  absl::Time Now() const { return absl::FromUnixMicros(absl::ToUnixMicros(options_.clock())); }
  std::string NewEtag() LOWMARK_REQUIRES(mutex_);
  // Writes a checked change with all that goes with it; true where it freed a
  // shard.
  bool Apply(StreamData& data, StoredShard& record, const ShardChange& change)
      LOWMARK_REQUIRES(mutex_);
  // A shard's load goes with it from one owner to the next.
  static void MoveLoad(StreamData& data, StoredShard& record, const Shard& after);
  absl::Status Update(StreamData& data, const ShardUpdate& update, bool& freed)
      LOWMARK_REQUIRES(mutex_);
  // Opens or renews the caller's session; repeats its leases where it holds more
  // than it knows of, which completes its answer.
  absl::StatusOr<LeaseGrant> Answer(StreamData& data, const LeaseCall& call, absl::Duration ttl,
                                    absl::Time now, bool& complete) LOWMARK_REQUIRES(mutex_);
  bool EndExpiredSessions(StreamData& data, absl::Time now) LOWMARK_REQUIRES(mutex_);
  void KeepStats(StreamData& data, const Renewal& renewal, absl::Time now) LOWMARK_REQUIRES(mutex_);
  static Stream WithTrouble(const StreamData& data, absl::Time now);
  static ShardRecord WithStat(const StreamData& data, const StoredShard& record, absl::Time now);
  static bool IsLive(const StreamData& data, const std::string& worker, absl::Time now);
  static Census TakeCensus(const StreamData& data, absl::Time now, int64_t& free);
  static WorkerRecord RecordOf(const StreamData& data, const std::string& worker, absl::Time now);
  static bool IsElected(const StreamData& data, const std::string& worker, absl::Time now);
  void LeaseFree(StreamData& data, const LeaseRound& round, const std::vector<bool>& complete,
                 absl::Time now, LeaseAnswers& answers) LOWMARK_REQUIRES(mutex_);
  void TellFree(const std::string& stream) const {
    if (on_free_) on_free_(stream);
  }

  MemoryStoreOptions options_;
  std::function<void(const std::string&)> on_free_;
  Mutex mutex_;
  int64_t timeline_ LOWMARK_GUARDED_BY(mutex_) = 0;
  int64_t last_id_ LOWMARK_GUARDED_BY(mutex_) = 0;
  std::map<std::string, StreamData> streams_ LOWMARK_GUARDED_BY(mutex_);
};

}  // namespace lowmark

#endif  // LOWMARK_STORE_MEMORY_MEMORY_STORE_H_
