// Where streams, shards, sessions and dead letters are kept. The seam between
// the coordinator's decisions and the database: operations take pure decisions
// and carry each of them out in one transaction.
//
// Two implementations, with one contract suite (tests/store): MemoryStore and
// PostgresStore. All methods block and are safe to call from many threads.
//
// Errors, beside those that a method names: UNAVAILABLE when the database is out
// of reach or the outcome of a commit is unknown (repeat: every operation may be
// repeated); INVALID_ARGUMENT for text that holds NUL or is not UTF-8 (a record's
// key and data are bytes, and hold anything); INTERNAL for a defect. After any
// error but UNAVAILABLE nothing was changed. Times are kept to the microsecond.
#ifndef LOWMARK_STORE_STORE_H_
#define LOWMARK_STORE_STORE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/core/assignment.h"
#include "service/core/lease.h"
#include "service/core/policy.h"
#include "service/core/record.h"
#include "service/core/scaling.h"
#include "service/core/shard_stat.h"
#include "store/session.h"

namespace lowmark {

// A stream as stored.
struct Stream {
  std::string name;
  Policy policy;
  std::string etag;  // changes with every update, never comes back
  absl::Time create_time;
  absl::Time update_time;
  // What keeps its shards from being listed, as who lists them told: what operators read.
  std::optional<Trouble> trouble = {};
};

// A dead letter's way to the destination that the stream's policy names.
struct Forwarding {
  int32_t tries = 0;
  std::string error;                    // why the last one failed
  absl::Time next_try;                  // no earlier; while it is claimed, when the claim expires
  std::optional<absl::Time> forwarded;  // when it was taken

  bool operator==(const Forwarding&) const = default;
};

// Records that were set aside.
struct DeadLetter {
  int64_t id = 0;  // ascending within the stream; given by the store
  std::string stream;
  std::string shard;
  DeadLetterRange range;
  int64_t epoch = 0;
  int64_t delivery = 0;
  int64_t batch_id = 0;  // of the batch that failed; see BatchName
  std::string worker;
  absl::Time create_time;       // given by the store
  std::vector<Record> records;  // as many as were kept
  // Given by the store: not set where the policy had no destination.
  std::optional<Forwarding> forwarding;
};

// Shards of a stream that no live worker holds, though one could.
struct UnownedShards {
  std::string stream;
  int64_t shards = 0;
};

// A stream that has dead letters to be forwarded.
struct Outbox {
  std::string stream;
  std::string cursor;   // for the page that follows
  int64_t waiting = 0;  // dead letters, counted up to kMostCounted
  absl::Time oldest;    // when the oldest of them was stored
  bool due = false;     // whether one may be claimed now, and there is a destination
  absl::Time now;       // the store's clock

  static constexpr int64_t kMostCounted = 10000;
};

// A dead letter in the hands of one that forwards it. Its records are as many, from
// the first on, as the policy's maximum_data_bytes allows.
struct ClaimedLetter {
  DeadLetter letter;
  // Of its first and last record, where those were kept.
  std::optional<absl::Time> first_arrival;
  std::optional<absl::Time> last_arrival;
  int64_t claim = 0;  // tells this claim from others of the same letter
};

// What is claimed, and the policy that says where it goes.
struct ClaimedLetters {
  OnFailure on_failure;
  std::vector<ClaimedLetter> letters;
};

// What became of a claimed letter.
struct ForwardResult {
  enum class Kind {
    kForwarded,  // the destination has it
    kFailed,     // it is tried again after `pause`, at the earliest
    kNotTried,   // as kFailed, but this was no try
  };

  int64_t id = 0;
  int64_t claim = 0;
  Kind kind = Kind::kNotTried;
  std::string error = {};
  absl::Duration pause = absl::ZeroDuration();
};

// A line of a shard's audit.
struct ShardEvent {
  int64_t id = 0;  // ascending within the stream; given by the store
  std::string stream;
  std::string shard;
  absl::Time time;   // given by the store
  std::string kind;  // "leased", "released", "lost", "failed", "seek", ...
  int64_t epoch = 0;
  int64_t delivery = 0;
  std::string actor;   // the worker, or the operator
  std::string detail;  // for people
};

// What a decision sees: the shard with its row locked, and the stream's policy.
struct ShardView {
  const Shard& shard;
  const Policy& policy;
  const std::string& etag;  // of the policy
  int64_t timeline;         // for NextEpoch
  absl::Time now;           // the store's clock, read after the lock was taken
};

// What is to become of the shard. Where `changed` is false the rest is ignored
// and nothing is written.
struct ShardChange {
  bool changed = false;
  Shard shard;
  std::vector<DeadLetter> dead_letters;  // without id, stream, shard, create_time
  std::vector<ShardEvent> events;        // without id, stream, shard, time
};

// One shard's part of UpdateShards.
struct ShardUpdate {
  std::string shard;
  // May be called more than once, each time on the then current state, when a
  // transaction is repeated: it must depend on its argument alone, and assign
  // (not add to) whatever it lets out. An error leaves the shard unchanged and
  // becomes the update's status.
  std::function<absl::StatusOr<ShardChange>(const ShardView&)> decide;
};

// A shard with what does not change of it.
struct ShardRecord {
  Shard shard;
  std::vector<std::string> parents;
  // What its holder told of it: what operators read. Not set where nobody holds it.
  std::optional<ShardStat> stat = {};
};

// A shard as its source describes it.
struct SourceShard {
  std::string shard;
  // Known to the stream, or listed in the same call.
  std::vector<std::string> parents;
  // No longer listed: they count where the stream knows them.
  std::vector<std::string> former_parents = {};
};

// A worker's call for leases.
struct LeaseCall {
  std::string worker;
  int32_t max_leases = 1;  // 0: none but those that it holds and does not know of
  int32_t capacity = 1;
  // Leases that the worker knows of. Where it holds more, an answer was lost.
  int32_t held = 0;
  // The call is answered, empty-handed, no later than this from now; until then
  // the worker counts as wanting max_leases shards.
  absl::Duration wait;
  // Whether this is a sign of the worker's life. Not where a call that waits is
  // served again: its worker may be gone.
  bool renew = true;
};

// The calls of a stream's workers that are served together.
struct LeaseRound {
  std::string stream;
  // Of different workers.
  std::vector<LeaseCall> calls;
  // Workers whose call waits no longer, though its time is not over: they count as
  // wanting nothing.
  std::vector<std::string> withdrawn;
  // Sessions that are opened or renewed live this long from now, without another
  // renewal.
  absl::Duration session_ttl;
  // Sessions that have expired are ended if the store's clock lies within these.
  // Outside, either the clock was set or time was lost: who seems dead may not be.
  absl::Time may_end_from = absl::InfinitePast();
  absl::Time may_end_until = absl::InfiniteFuture();
};

// What is granted: shards already leased to the worker under their new epoch.
struct LeaseGrant {
  struct Lease {
    Shard shard;
    Delivery delivery;
    bool lost = false;      // the delivery before was lost
    bool repeated = false;  // it was the worker's before this call
    int32_t discarded = 0;  // records that this loss set aside
  };
  std::vector<Lease> leases;
  Policy policy;
  std::string etag;
  bool elected = false;  // see SessionView
  bool opened = false;   // whether this call opened the session
};

// What became of a round.
struct LeaseAnswers {
  // For each call of the round, in its order. ABORTED SESSION_EXPIRED where the
  // worker's own session has ended.
  std::vector<absl::StatusOr<LeaseGrant>> grants;
  // The store's clock.
  absl::Time now;
  // When another round may do more: when the next of the stream's sessions expires,
  // unless it is renewed, or enough workers have gathered.
  absl::Time look_again = absl::InfiniteFuture();
};

// What a worker holds.
struct Holdings {
  std::vector<HeldShard> shards;  // by id
  absl::Time now;                 // the store's clock
};

// A worker's session as operators see it.
struct WorkerRecord {
  WorkerLoad load;
  absl::Time opened;
  absl::Time expires;
  bool ended = false;  // for ever; its shards are free, or about to be
  absl::Time now;      // the store's clock when this was read
};

// What an operator says about a worker; what is not set stays as it is.
struct WorkerChange {
  std::optional<bool> cordoned;
  std::optional<bool> draining;
};

class Store {
 public:
  virtual ~Store() = default;

  // --- Streams -------------------------------------------------------------

  // ALREADY_EXISTS STREAM_EXISTS.
  virtual absl::StatusOr<Stream> CreateStream(const std::string& name, const Policy& policy) = 0;
  // NOT_FOUND STREAM_NOT_FOUND; so do all operations below that name a stream.
  virtual absl::StatusOr<Stream> GetStream(const std::string& name) = 0;
  // Streams with a name after `after`, by name.
  virtual absl::StatusOr<std::vector<Stream>> ListStreams(const std::string& after,
                                                          int32_t limit) = 0;
  // Replaces the policy by what `change` makes of it; an error of `change` is
  // returned. ABORTED ETAG_MISMATCH unless `etag` is empty or the stream's.
  virtual absl::StatusOr<Stream> UpdateStream(
      const std::string& name, const std::string& etag,
      const std::function<absl::StatusOr<Policy>(const Policy&)>& change) = 0;
  // Deletes the stream and all that belongs to it.
  virtual absl::Status DeleteStream(const std::string& name, const std::string& etag) = 0;

  // --- Shards --------------------------------------------------------------

  // Adds the shards that are not known yet; returns how many those were. Of
  // the parents listed, those not done yet must become so before the shard is
  // leased. INVALID_ARGUMENT for a parent that is neither known nor listed, or
  // for shards that are each other's ancestors.
  virtual absl::StatusOr<int32_t> AddShards(const std::string& stream,
                                            const std::vector<SourceShard>& shards) = 0;
  // NOT_FOUND SHARD_NOT_FOUND.
  virtual absl::StatusOr<ShardRecord> GetShard(const std::string& stream,
                                               const std::string& shard) = 0;
  // Shards with an id after `after`, by id.
  virtual absl::StatusOr<std::vector<ShardRecord>> ListShards(const std::string& stream,
                                                              const std::string& after,
                                                              int32_t limit) = 0;
  // Decides and applies all updates of a stream together, durably, in one
  // transaction where possible; several of one shard in their order. The
  // result has a status for each: a decision's error, NOT_FOUND for an unknown
  // shard, INTERNAL for one that the database would not take; one update's
  // failure leaves the others alone. Where a shard reaches its end, its children
  // have one parent less to wait for, in the same transaction.
  virtual std::vector<absl::Status> UpdateShards(const std::string& stream,
                                                 std::vector<ShardUpdate>& updates) = 0;

  // --- Leases and sessions -------------------------------------------------

  // Serves the calls of a round: opens or renews their workers' sessions, ends
  // sessions of the stream that have expired (their shards become free), and leases
  // free shards: to each caller what ShareOut gives it of the census, by Grant.
  // Where a call is a sign of life and its worker holds more than call.held, those
  // it holds (the last it got, at least as many as it lacks) are returned instead, unchanged. A
  // worker whose call opened its session is answered at once, so it does not count as waiting.
  virtual absl::StatusOr<LeaseAnswers> LeaseShards(const LeaseRound& round) = 0;
  // Renews sessions, of different workers; writes one row for each, and what they told
  // that is new. The workers are proven by it. ABORTED SESSION_EXPIRED, in its place, for
  // one that has ended or was never opened. What was told may be lost at any time.
  virtual absl::StatusOr<std::vector<absl::StatusOr<SessionView>>> RenewSessions(
      const std::string& stream, const std::vector<Renewal>& renewals, absl::Duration ttl) = 0;
  // OK where the worker's session is open; ABORTED SESSION_EXPIRED otherwise.
  virtual absl::Status CheckSession(const std::string& stream, const std::string& worker) = 0;
  // The stream's live workers and how many shards each holds. A worker counts
  // as wanting shards while a LeaseShards call of it waits.
  virtual absl::StatusOr<Census> ReadCensus(const std::string& stream) = 0;
  // What there is to do in the stream, as far as its workers told. Reads all its shards.
  virtual absl::StatusOr<Workload> ReadWorkload(const std::string& stream) = 0;
  // All streams that have such shards and are not paused, in no order. Reads those that are
  // nobody's, and what workers hold in number.
  virtual absl::StatusOr<std::vector<UnownedShards>> ListUnowned() = 0;
  // Shards that the worker holds.
  virtual absl::StatusOr<Holdings> ListHeld(const std::string& stream,
                                            const std::string& worker) = 0;
  // Workers with an id after `after`, by id: those whose session is open, and those
  // that ended less than a day ago.
  virtual absl::StatusOr<std::vector<WorkerRecord>> ListWorkers(const std::string& stream,
                                                                const std::string& after,
                                                                int32_t limit) = 0;
  // NOT_FOUND WORKER_NOT_FOUND where the worker has no open session.
  virtual absl::StatusOr<WorkerRecord> ChangeWorker(const std::string& stream,
                                                    const std::string& worker,
                                                    const WorkerChange& change) = 0;

  // --- Dead letters and audit ----------------------------------------------

  // Those with an id above `after_id`, oldest first, without their records; of
  // one shard where `shard` is not empty.
  virtual absl::StatusOr<std::vector<DeadLetter>> ListDeadLetters(const std::string& stream,
                                                                  const std::string& shard,
                                                                  int64_t after_id,
                                                                  int32_t limit) = 0;
  // With its records. NOT_FOUND DEAD_LETTER_NOT_FOUND.
  virtual absl::StatusOr<DeadLetter> GetDeadLetter(const std::string& stream, int64_t id) = 0;
  // The audit of a stream, or of one shard of it; oldest first.
  virtual absl::StatusOr<std::vector<ShardEvent>> ListEvents(const std::string& stream,
                                                             const std::string& shard,
                                                             int64_t after_id, int32_t limit) = 0;

  // --- Forwarding dead letters ----------------------------------------------
  //
  // A dead letter that is stored while the policy has a destination waits, from the
  // same transaction on, to be forwarded. Who claims it has it alone until the claim
  // expires by the store's clock; so any number of coordinators share the work, and
  // what one that died had claimed comes free.

  // Streams with dead letters that wait, in an order of the store's; `after` is the
  // cursor of the last one of the page before, or empty.
  virtual absl::StatusOr<std::vector<Outbox>> ListOutboxes(const std::string& after,
                                                           int32_t limit) = 0;
  // Claims letters of the stream that are due, the longest due first. None where the
  // policy has no destination: they wait until it has one again.
  virtual absl::StatusOr<ClaimedLetters> ClaimLetters(const std::string& stream, int32_t limit,
                                                      absl::Duration lease) = 0;
  // Ends claims. A result for a claim that is no longer the letter's is ignored,
  // unless the letter was forwarded; so is one for a letter that is gone.
  virtual absl::Status SettleLetters(const std::string& stream,
                                     const std::vector<ForwardResult>& results) = 0;

  // --- The store itself ----------------------------------------------------

  // OK where the store can be written to now.
  virtual absl::Status Check() = 0;
  // Calls `on_free(stream)`, from a thread of the store's, whenever a shard of
  // the stream may have become free through any coordinator; an empty stream
  // means any. A hint: it may come for nothing or, while a connection is down,
  // not at all. Set once, before use; the callback must not block.
  virtual void WatchFreeShards(std::function<void(const std::string& stream)> on_free) = 0;
  // Whether these hints arrive at the moment.
  virtual bool WatchesFreeShards() const = 0;
};

}  // namespace lowmark

#endif  // LOWMARK_STORE_STORE_H_
