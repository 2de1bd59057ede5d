// Every statement that the store sends to PostgreSQL, in one place. For each: what
// it locks, and which index finds its rows. They are sent unnamed (exec_params),
// so that a pooler in transaction mode may stand between; none depends on the
// session's state.
//
// Locks are taken in this order, so that no two transactions wait for each other:
// the stream's row, shards by id, workers by id.
#ifndef LOWMARK_STORE_POSTGRES_QUERIES_H_
#define LOWMARK_STORE_POSTGRES_QUERIES_H_

namespace lowmark::sql {

// The channel that hints at free shards; the payload is the stream's name.
inline constexpr char kFreeChannel[] = "lowmark_free";

// --- Streams: by the unique index on name ------------------------------------
extern const char kInsertStream[];    // locks the new row
extern const char kSelectStream[];    // no lock
extern const char kShowStream[];      // no lock; with its trouble: primary keys
extern const char kSelectStreamId[];  // no lock
extern const char kSelectStreams[];   // no lock; as kShowStream, walks the index
extern const char kLockStream[];      // FOR NO KEY UPDATE: one round or AddShards at a time
extern const char kLockDoomed[];      // FOR UPDATE: nothing may refer to it any more
extern const char kUpdateStream[];    // the row is locked already
extern const char kDeleteStream[];    // all rows of the stream, shards by id

// --- Shards -------------------------------------------------------------------
extern const char kSelectShard[];    // no lock; primary key
extern const char kSelectShards[];   // no lock; walks the primary key
extern const char kSelectParents[];  // no lock; primary key
extern const char kSelectKnown[];    // no lock; primary key
extern const char kLockKnown[];      // FOR NO KEY UPDATE by id; primary key
extern const char kInsertShards[];   // locks new rows, and the stream's FOR KEY SHARE
extern const char kInsertParents[];  // locks new rows, and the shards' FOR KEY SHARE
// A group's shards FOR NO KEY UPDATE by id, by primary key; the last row, without
// a shard, is the stream, its clock read after all locks were taken.
extern const char kLockShards[];
// Progress alone, of shards that are locked; primary key. Few columns, because it
// is what an ordinary report writes.
extern const char kUpdateProgress[];
// All that may change of shards that are locked; primary key.
extern const char kUpdateShards[];
extern const char kLockChildren[];    // FOR NO KEY UPDATE by id; shard_parents_by_parent
extern const char kUpdateChildren[];  // the rows are locked already; primary key
extern const char kNotifyFree[];      // a database-wide lock during the commit: only where rare

// --- Sessions and leases ---------------------------------------------------------
extern const char kOpenSessions[];   // locks the callers' rows by id; primary key
extern const char kPruneSessions[];  // locks rows that ended long ago; primary key
extern const char kProbe[];          // no lock; workers_here, shards_free
extern const char kEndSessions[];    // locks expired rows, but none that is locked; workers_here
extern const char kLockEnded[];      // FOR NO KEY UPDATE by id; workers_here, shards_owned
extern const char kMarkGone[];       // locks rows that ended; workers_here
extern const char kLockFree[];       // FOR NO KEY UPDATE SKIP LOCKED by id; shards_free
extern const char kChangeHeld[];     // locks workers' rows by id; primary key
extern const char kTakeLoads[];      // the rows are locked already; primary keys
extern const char kGiveLoads[];      // the rows are locked already; primary keys
extern const char kSetWanted[];      // locks workers' rows by id; primary key
extern const char kReadCensus[];     // no lock; workers_here, shards_free
extern const char kSelectLeases[];   // no lock; shards_owned
extern const char kSelectHeld[];     // no lock; shards_owned
extern const char kRenewSessions[];  // locks the workers' rows by id; primary key
extern const char kSelectSession[];  // no lock; primary key
extern const char kSelectWorkers[];  // no lock; walks the primary key
extern const char kChangeWorker[];   // locks the worker's row; primary key

// --- What workers tell of their shards -------------------------------------------
extern const char kMarkStats[];      // locks the stream's row of shard_stats, where it is new
extern const char kTellStats[];      // locks rows of shard_stats by id; primary keys
extern const char kTellListing[];    // locks the stream's row of shard_stats; primary key
extern const char kReadWorkload[];   // no lock; reads all of the stream's shards and workers
extern const char kSelectUnowned[];  // no lock; shards_free, workers_here

// --- Dead letters and audit ------------------------------------------------------
extern const char kTakeDeadLetterIds[];    // no lock
extern const char kInsertDeadLetters[];    // locks new rows
extern const char kInsertRecords[];        // locks new rows
extern const char kInsertEvents[];         // locks new rows
extern const char kSelectDeadLetters[];    // no lock; primary key
extern const char kSelectDeadLettersOf[];  // no lock; dead_letters_by_shard
extern const char kSelectDeadLetter[];     // no lock; primary key
extern const char kSelectRecords[];        // no lock; primary key
extern const char kSelectEvents[];         // no lock; primary key
extern const char kSelectEventsOf[];       // no lock; shard_events_by_shard
extern const char kPruneEvents[];          // the rows it deletes; by primary key
extern const char kPruneDeadLetters[];     // the rows it deletes; by primary keys

// --- Forwarding dead letters -------------------------------------------------------
extern const char kInsertForwards[];      // locks new rows, and the letters' FOR KEY SHARE
extern const char kSelectOutboxes[];      // no lock; dead_letter_forwards_waiting and _due
extern const char kSelectPolicy[];        // no lock; the unique index on name
extern const char kClaimLetters[];        // FOR UPDATE SKIP LOCKED; dead_letter_forwards_due
extern const char kSelectClaimed[];       // no lock; primary keys
extern const char kSelectFirstRecords[];  // no lock; primary key
extern const char kSettleLetters[];       // locks the letters' rows; primary key

// --- The database itself -----------------------------------------------------------
extern const char kCheckWritable[];
extern const char kReadSettings[];
extern const char kHasMigrations[];
extern const char kSelectMigrations[];
extern const char kCommitAlone[];     // no lock
extern const char kActAsMadeRoles[];  // no lock
extern const char kLockMigrations[];  // an advisory lock, until the transaction's end
extern const char kCreateMigrations[];
extern const char kInsertMigration[];
extern const char kChecksum[];

}  // namespace lowmark::sql

#endif  // LOWMARK_STORE_POSTGRES_QUERIES_H_
