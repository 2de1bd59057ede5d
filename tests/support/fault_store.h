// A store that fails and waits when a test says so: a decorator that really
// injects the faults.
//
//   MemoryStore memory(clock);
//   FaultStore store(memory);
//   store.Inject(StoreCall::kUpdateShards, Fault::kAfter);  // done, answer lost
//   store.Hold(StoreCall::kLeaseShards);                    // calls wait ...
//   ASSERT_TRUE(store.AwaitHeld(StoreCall::kLeaseShards, 1, absl::Seconds(10)));
//   store.Release(StoreCall::kLeaseShards);                 // ... until here
#ifndef LOWMARK_TESTS_SUPPORT_FAULT_STORE_H_
#define LOWMARK_TESTS_SUPPORT_FAULT_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "service/process/mutex.h"
#include "store/store.h"

namespace lowmark {

// The store's methods, but for WatchFreeShards.
enum class StoreCall {
  kCreateStream,
  kGetStream,
  kListStreams,
  kUpdateStream,
  kDeleteStream,
  kAddShards,
  kGetShard,
  kListShards,
  kUpdateShards,
  kLeaseShards,
  kRenewSessions,
  kCheckSession,
  kReadCensus,
  kReadWorkload,
  kListUnowned,
  kListHeld,
  kListWorkers,
  kChangeWorker,
  kListDeadLetters,
  kGetDeadLetter,
  kListEvents,
  kListOutboxes,
  kClaimLetters,
  kSettleLetters,
  kCheck,
};

enum class Fault {
  kBefore,  // nothing is done
  kAfter,   // all is done, and the answer lost
};

// Thread-safe. The inner store must outlive it; the destructor must not run
// while calls are held.
class FaultStore : public Store {
 public:
  explicit FaultStore(Store& inner) : inner_(inner) {}

  // Lets the next `count` calls fail, as UNAVAILABLE unless told otherwise. For
  // UpdateShards that is the status of each update.
  void Inject(StoreCall call, Fault fault, int count = 1);
  void Inject(StoreCall call, Fault fault, int count, const absl::Status& status);
  // All calls fail with kBefore, as when the database is out of reach, until
  // this is called with false.
  void SetDown(bool down);

  // Calls wait from now on, before they do anything; Release lets those go that
  // wait, and those to come.
  void Hold(StoreCall call);
  void Release(StoreCall call);
  // Whether `count` calls waited at the same time before the timeout.
  bool AwaitHeld(StoreCall call, int count, absl::Duration timeout);

  // How many calls were made, those that failed included.
  int64_t Calls(StoreCall call) const;

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
  absl::Status Check() override;
  void WatchFreeShards(std::function<void(const std::string& stream)> on_free) override;
  bool WatchesFreeShards() const override { return inner_.WatchesFreeShards(); }

 private:
  struct Injected {
    Fault fault = Fault::kBefore;
    absl::Status status;
    int left = 0;
  };
  struct Gate {
    bool closed = false;
    int waiting = 0;
  };

  // Counts a call, waits where it is held, and takes the fault that it is to
  // have.
  std::optional<Injected> Enter(StoreCall call);
  // Runs a call with its fault; T is absl::Status or an absl::StatusOr.
  template <typename T>
  T Run(StoreCall call, const std::function<T()>& run);

  Store& inner_;
  mutable Mutex mutex_;
  CondVar changed_;
  bool down_ LOWMARK_GUARDED_BY(mutex_) = false;
  std::map<StoreCall, Injected> injected_ LOWMARK_GUARDED_BY(mutex_);
  std::map<StoreCall, Gate> gates_ LOWMARK_GUARDED_BY(mutex_);
  std::map<StoreCall, int64_t> calls_ LOWMARK_GUARDED_BY(mutex_);
};

}  // namespace lowmark

#endif  // LOWMARK_TESTS_SUPPORT_FAULT_STORE_H_
