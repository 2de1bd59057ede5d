// The store in PostgreSQL. See store.h for what it does, queries.h for how it locks,
// and migrations/ for the schema.
//
//   PostgresOptions options;
//   options.connection = "host=/run/postgresql dbname=lowmark";
//   if (absl::Status s = Migrate(options); !s.ok()) return s;        // migrate.h
//   if (absl::Status s = CheckDatabase(options); !s.ok()) return s;
//   PostgresStore store(options);
#ifndef LOWMARK_STORE_POSTGRES_POSTGRES_STORE_H_
#define LOWMARK_STORE_POSTGRES_POSTGRES_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "service/process/mutex.h"
#include "store/postgres/migrate.h"
#include "store/postgres/options.h"
#include "store/store.h"

namespace pqxx {
class transaction_base;
}

namespace lowmark {

class ConnectionPool;
class Listener;

// Thread-safe. Needs no database to be made: until one is in reach every call is
// UNAVAILABLE. A decision may be called more than once (see ShardUpdate), and must
// not call the store.
class PostgresStore : public Store {
 public:
  // `options` must be valid. Made `closed`, for a database that is not yet known
  // to be the right one, every call is UNAVAILABLE until Open.
  explicit PostgresStore(const PostgresOptions& options, bool closed = false);
  ~PostgresStore() override;
  PostgresStore(const PostgresStore&) = delete;
  PostgresStore& operator=(const PostgresStore&) = delete;

  void Open();
  // For the end: every call is answered UNAVAILABLE from now on, also those that wait
  // for PostgreSQL. Returns when none is on its way.
  void Close();

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

  // Deletes events of the stream that are older than `retention` (at least an
  // hour), the oldest first and `most` at a time, and returns how many.
  absl::StatusOr<int32_t> PruneEvents(const std::string& stream, absl::Duration retention,
                                      int32_t most);
  // The same for its dead letters, but for those that wait to be forwarded.
  absl::StatusOr<int32_t> PruneDeadLetters(const std::string& stream, absl::Duration retention,
                                           int32_t most);

  absl::Status Check() override;
  void WatchFreeShards(std::function<void(const std::string& stream)> on_free) override;
  bool WatchesFreeShards() const override;

 private:
  // Updates of one call and where their statuses go; a part of a group.
  struct Group;

  absl::StatusOr<int32_t> Prune(const char* sql, const std::string& stream,
                                absl::Duration retention, int32_t most);

  // A policy and the etag it stands under.
  struct KnownPolicy {
    std::string etag;
    Policy policy;
  };
  std::shared_ptr<const KnownPolicy> RecallPolicy(const std::string& stream);
  // What a statement read of the stream: the policy's text is empty where the etag
  // is the one that was recalled. INTERNAL where it cannot be read.
  absl::StatusOr<std::shared_ptr<const KnownPolicy>> LearnPolicy(
      const std::string& stream, const std::string& etag, const std::string& policy,
      const std::shared_ptr<const KnownPolicy>& recalled);

  // The steps of a round of LeaseShards, each in transactions of its own, so that
  // none waits for a lock with another's row locked.
  struct Round;
  absl::Status OpenSessions(Round& round);
  absl::Status ProbeStream(Round& round);
  absl::Status RepeatLeases(Round& round);
  absl::Status EndLeasesFromBefore(Round& round, const std::string& worker,
                                   const std::vector<Shard>& shards);
  absl::Status EndSessions(Round& round);
  absl::Status FreeShards(Round& round);
  absl::Status LeaseFree(Round& round);
  absl::Status TryLease(pqxx::transaction_base& transaction, Round& round,
                        std::vector<std::vector<LeaseGrant::Lease>>& leases, bool& more);
  absl::Status Withdraw(Round& round);

  // Writes what the workers of these renewals told; the token of what holds it, 0 where
  // it could not be written. `token` is what it was before.
  int64_t KeepStats(int64_t stream_id, int64_t token, const std::vector<const Renewal*>& renewals);

  void UpdateGroup(const Group& group);
  absl::Status TryGroup(pqxx::transaction_base& transaction, const Group& group);

  const PostgresOptions options_;
  std::unique_ptr<ConnectionPool> pool_;
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<const KnownPolicy>> policies_ LOWMARK_GUARDED_BY(mutex_);
  std::unique_ptr<Listener> listener_;
};

}  // namespace lowmark

#endif  // LOWMARK_STORE_POSTGRES_POSTGRES_STORE_H_
