#include "store/postgres/queries.h"

// The columns of a shard, in the order in which rows.cc reads them.
#define SHARD_COLUMNS(s)                                                                        \
  s "shard, " s "epoch, " s "owner, " s "parents_left, " s "position, " s                       \
    "sequence, "                                                                                \
    "extract(epoch FROM " s "position_time), " s "bounds, " s "batch_id, " s "delivery, " s     \
    "attempts, " s "lost_deliveries, extract(epoch FROM " s "not_before), " s "outstanding, " s \
    "cause, " s "declared"

// The PostgreSQL timeline: it rises with every failover.
#define TIMELINE "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint"

#define STREAM_COLUMNS \
  "name, policy, etag, extract(epoch FROM create_time), extract(epoch FROM update_time)"

#define DEAD_LETTER_COLUMNS                                                                   \
  "id, shard, first_sequence, last_sequence, record_count, condition, attempts, error_type, " \
  "error_message, epoch, delivery, worker, extract(epoch FROM create_time)"

#define EVENT_COLUMNS "id, shard, extract(epoch FROM time), kind, epoch, delivery, actor, detail"

// A session that counts: not ended, not expired.
#define IS_LIVE(w) w "ended_at IS NULL AND " w "expires_at > clock_timestamp()"

namespace lowmark::sql {

// --- Streams -----------------------------------------------------------------

const char kInsertStream[] = R"sql(
INSERT INTO lowmark.streams (name, policy, etag) VALUES ($1, $2::jsonb, $3)
ON CONFLICT (name) DO NOTHING)sql";

const char kSelectStream[] = "SELECT " STREAM_COLUMNS R"sql(, stream_id
FROM lowmark.streams WHERE name = $1)sql";

const char kSelectStreamId[] = "SELECT stream_id FROM lowmark.streams WHERE name = $1";

const char kSelectStreams[] = "SELECT " STREAM_COLUMNS R"sql(
FROM lowmark.streams WHERE name > $1 ORDER BY name LIMIT $2)sql";

const char kLockStream[] = "SELECT " STREAM_COLUMNS R"sql(, stream_id
FROM lowmark.streams WHERE name = $1 FOR NO KEY UPDATE)sql";

const char kLockDoomed[] = R"sql(
SELECT etag, stream_id, set_config('statement_timeout', '300s', true)
FROM lowmark.streams WHERE name = $1 FOR UPDATE)sql";

const char kUpdateStream[] = R"sql(
UPDATE lowmark.streams SET policy = $2::jsonb, etag = $3, update_time = clock_timestamp()
WHERE name = $1 RETURNING )sql" STREAM_COLUMNS;

const char kDeleteStream[] = "SELECT lowmark.delete_stream($1)";

// --- Shards --------------------------------------------------------------------

const char kSelectShard[] = "SELECT " SHARD_COLUMNS("") R"sql(
FROM lowmark.shards WHERE stream_id = $1 AND shard = $2)sql";

const char kSelectShards[] = "SELECT " SHARD_COLUMNS("") R"sql(
FROM lowmark.shards WHERE stream_id = $1 AND shard > $2 ORDER BY shard LIMIT $3)sql";

const char kSelectParents[] = R"sql(
SELECT shard, parent FROM lowmark.shard_parents
WHERE stream_id = $1 AND shard = ANY ($2::text[]) ORDER BY shard, ordinal)sql";

const char kSelectKnown[] = R"sql(
SELECT shard, done FROM lowmark.shards WHERE stream_id = $1 AND shard = ANY ($2::text[]))sql";

const char kLockKnown[] = R"sql(
SELECT shard, done FROM lowmark.shards WHERE stream_id = $1 AND shard = ANY ($2::text[])
ORDER BY shard FOR NO KEY UPDATE)sql";

const char kInsertShards[] = R"sql(
INSERT INTO lowmark.shards (stream_id, numeric_order, shard, parents_left, position, position_time)
SELECT $1, $2, v.* FROM unnest($3::text[], $4::integer[], $5::lowmark.position_kind[],
                               $6::timestamptz[]) AS v)sql";

const char kInsertParents[] = R"sql(
INSERT INTO lowmark.shard_parents (stream_id, shard, ordinal, parent)
SELECT $1, v.* FROM unnest($2::text[], $3::integer[], $4::text[]) AS v)sql";

// The aggregate takes all of `locked` before the clock is read: beside the locks
// it would be read before the wait for them.
const char kLockShards[] = R"sql(
WITH stream AS MATERIALIZED (
  SELECT stream_id, etag, CASE WHEN etag = $3 THEN '' ELSE policy::text END AS policy
  FROM lowmark.streams WHERE name = $1
), locked AS MATERIALIZED (
  SELECT )sql" SHARD_COLUMNS(
    "s.") R"sql(
  FROM lowmark.shards s
  WHERE s.stream_id = (SELECT stream_id FROM stream) AND s.shard = ANY ($2::text[])
  ORDER BY s.shard FOR NO KEY UPDATE OF s
)
SELECT * FROM locked
UNION ALL
SELECT NULL, stream.stream_id, stream.etag, NULL, NULL, stream.policy, NULL, NULL, NULL, )sql" TIMELINE
          R"sql(, NULL, NULL, extract(epoch FROM clock_timestamp()), NULL, NULL, NULL
FROM stream, (SELECT count(*) FROM locked) AS after_all_locks)sql";

const char kUpdateProgress[] = R"sql(
UPDATE lowmark.shards s
SET position = v.position, sequence = v.sequence, batch_id = v.batch_id, delivery = v.delivery
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::lowmark.position_kind[], $6::text[],
            $7::bigint[], $8::bigint[])
  AS v (shard, epoch, old_delivery, position, sequence, batch_id, delivery)
WHERE s.stream_id = $1 AND s.shard = v.shard AND s.epoch = v.epoch
  AND s.delivery = v.old_delivery)sql";

const char kUpdateShards[] = R"sql(
UPDATE lowmark.shards s
SET epoch = v.epoch, owner = v.owner, done = v.position = 'SHARD_END', position = v.position,
    sequence = v.sequence, position_time = v.position_time, bounds = v.bounds::text[],
    batch_id = v.batch_id, delivery = v.delivery, attempts = v.attempts,
    lost_deliveries = v.lost_deliveries, not_before = v.not_before, outstanding = v.outstanding,
    cause = v.cause, declared = v.declared::text[]
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
            $7::lowmark.position_kind[], $8::text[], $9::timestamptz[], $10::text[], $11::bigint[],
            $12::bigint[], $13::integer[], $14::integer[], $15::timestamptz[], $16::boolean[],
            $17::smallint[], $18::text[])
  AS v (shard, old_epoch, old_delivery, epoch, owner, position, sequence, position_time, bounds,
        batch_id, delivery, attempts, lost_deliveries, not_before, outstanding, cause, declared)
WHERE s.stream_id = $1 AND s.shard = v.shard AND s.epoch = v.old_epoch
  AND s.delivery = v.old_delivery)sql";

const char kLockChildren[] = R"sql(
SELECT s.shard, s.parents_left, c.ended, s.owner = '' AND NOT s.done
FROM lowmark.shards s
JOIN (SELECT shard, count(*) AS ended FROM lowmark.shard_parents
      WHERE stream_id = $1 AND parent = ANY ($2::text[]) GROUP BY shard) c ON c.shard = s.shard
WHERE s.stream_id = $1 ORDER BY s.shard FOR NO KEY UPDATE OF s)sql";

const char kUpdateChildren[] = R"sql(
UPDATE lowmark.shards s SET parents_left = v.parents_left
FROM unnest($2::text[], $3::integer[]) AS v (shard, parents_left)
WHERE s.stream_id = $1 AND s.shard = v.shard)sql";

const char kNotifyFree[] = "SELECT pg_notify('lowmark_free', $1)";

// --- Sessions and leases -----------------------------------------------------------

const char kOpenSession[] = R"sql(
INSERT INTO lowmark.workers AS w
  (stream_id, worker, session, capacity, ttl, expires_at, wanted, wants_until)
SELECT stream_id, $2, nextval('lowmark.session_ids'), $3, $4::bigint * interval '1 microsecond',
       clock_timestamp() + $4::bigint * interval '1 microsecond', $5,
       clock_timestamp() + $6::bigint * interval '1 microsecond'
FROM lowmark.streams WHERE name = $1
ON CONFLICT (stream_id, worker) DO UPDATE
SET capacity = excluded.capacity,
    ttl = CASE WHEN $7 THEN excluded.ttl ELSE w.ttl END,
    expires_at = CASE WHEN $7 THEN excluded.expires_at ELSE w.expires_at END,
    wanted = excluded.wanted, wants_until = excluded.wants_until
WHERE w.ended_at IS NULL
RETURNING xmax = 0)sql";

const char kPruneSessions[] = R"sql(
DELETE FROM lowmark.workers
WHERE stream_id = $1 AND ended_at < clock_timestamp() - interval '1 day')sql";

// A session that would live far longer than its TTL is one from before the clock
// was set back: it has expired as well.
#define HAS_EXPIRED(w)                                                 \
  w "ended_at IS NULL AND (" w "expires_at <= clock_timestamp() OR " w \
    "expires_at > clock_timestamp() + 2 * " w "ttl)"

const char kProbe[] = R"sql(
SELECT s.stream_id, s.etag, CASE WHEN s.etag = $3 THEN '' ELSE s.policy::text END,
  (SELECT count(*) FROM (SELECT FROM lowmark.shards h WHERE h.stream_id = s.stream_id
     AND h.owner = $2 AND h.owner <> '' AND NOT h.done LIMIT $4::bigint + 1) AS held),
  EXISTS (SELECT FROM lowmark.shards f WHERE f.stream_id = s.stream_id
     AND f.owner = '' AND f.parents_left = 0 AND NOT f.done),
  EXISTS (SELECT FROM lowmark.workers w WHERE w.stream_id = s.stream_id AND w.worker <> $2
     AND )sql" HAS_EXPIRED("w.") R"sql(),
  NOT EXISTS (SELECT FROM lowmark.workers w WHERE w.stream_id = s.stream_id
     AND )sql" IS_LIVE("w.") R"sql( AND w.session < (SELECT o.session FROM lowmark.workers o
       WHERE o.stream_id = s.stream_id AND o.worker = $2)),
  extract(epoch FROM clock_timestamp())
FROM lowmark.streams s WHERE s.name = $1)sql";

// A row that is locked is being renewed, or ended by another.
const char kEndSessions[] = R"sql(
WITH expired AS MATERIALIZED (
  SELECT w.worker FROM lowmark.workers w
  WHERE w.stream_id = $1 AND w.worker <> $2 AND )sql" HAS_EXPIRED("w.") R"sql(
  FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE lowmark.workers w SET ended_at = clock_timestamp()
FROM expired WHERE w.stream_id = $1 AND w.worker = expired.worker
RETURNING w.worker)sql";

const char kLockLeases[] = "SELECT " SHARD_COLUMNS("") R"sql(
FROM lowmark.shards
WHERE stream_id = $1 AND owner = ANY ($2::text[]) AND owner <> '' AND NOT done
ORDER BY shard FOR NO KEY UPDATE)sql";

const char kLockFree[] = R"sql(
WITH locked AS MATERIALIZED (
  SELECT )sql" SHARD_COLUMNS("") R"sql(
  FROM lowmark.shards
  WHERE stream_id = $1 AND owner = '' AND parents_left = 0 AND NOT done
  ORDER BY shard LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
)
SELECT * FROM locked
UNION ALL
SELECT NULL, $1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, )sql" TIMELINE R"sql(, NULL, NULL,
  extract(epoch FROM clock_timestamp()), NULL, NULL, NULL
FROM (SELECT count(*) FROM locked) AS after_all_locks)sql";

const char kSetWanted[] =
    "UPDATE lowmark.workers SET wanted = $3 WHERE stream_id = $1 AND worker = $2";

const char kReadCensus[] = R"sql(
WITH held AS MATERIALIZED (
  SELECT owner, count(*) AS shards FROM lowmark.shards
  WHERE stream_id = $1 AND parents_left = 0 AND NOT done GROUP BY owner
)
SELECT w.worker, w.capacity, coalesce(held.shards, 0),
  CASE WHEN w.wants_until > clock_timestamp() THEN w.wanted ELSE 0 END
FROM lowmark.workers w LEFT JOIN held ON held.owner = w.worker
WHERE w.stream_id = $1 AND )sql" IS_LIVE("w.") R"sql(
UNION ALL
SELECT NULL, NULL, coalesce(sum(shards), 0), NULL FROM held)sql";

const char kSelectLeases[] = "SELECT " SHARD_COLUMNS("") R"sql(
FROM lowmark.shards
WHERE stream_id = $1 AND owner = $2 AND owner <> '' AND NOT done ORDER BY shard LIMIT $3)sql";

const char kRenewSession[] = R"sql(
WITH renewed AS (
  UPDATE lowmark.workers w
  SET ttl = $3::bigint * interval '1 microsecond',
      expires_at = clock_timestamp() + $3::bigint * interval '1 microsecond'
  FROM lowmark.streams s
  WHERE s.name = $1 AND w.stream_id = s.stream_id AND w.worker = $2 AND w.ended_at IS NULL
  RETURNING w.stream_id, w.session
)
SELECT r.session IS NOT NULL,
  NOT EXISTS (SELECT FROM lowmark.workers w WHERE w.stream_id = s.stream_id
     AND )sql" IS_LIVE("w.") R"sql( AND w.session < r.session)
FROM lowmark.streams s LEFT JOIN renewed r ON r.stream_id = s.stream_id WHERE s.name = $1)sql";

const char kSelectSession[] = R"sql(
SELECT EXISTS (SELECT FROM lowmark.workers w
  WHERE w.stream_id = s.stream_id AND w.worker = $2 AND w.ended_at IS NULL)
FROM lowmark.streams s WHERE s.name = $1)sql";

// --- Dead letters and audit --------------------------------------------------------

const char kTakeDeadLetterIds[] =
    "SELECT nextval('lowmark.dead_letter_ids') FROM generate_series(1, $1::integer)";

const char kInsertDeadLetters[] = R"sql(
INSERT INTO lowmark.dead_letters (stream_id, id, shard, first_sequence, last_sequence,
  record_count, condition, attempts, error_type, error_message, epoch, delivery, worker)
SELECT $1, v.* FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::integer[],
  $7::smallint[], $8::integer[], $9::text[], $10::text[], $11::bigint[], $12::bigint[],
  $13::text[]) AS v)sql";

const char kInsertRecords[] = R"sql(
INSERT INTO lowmark.dead_letter_records
  (stream_id, dead_letter, ordinal, sequence, arrival_time, partition_key, data)
SELECT $1, v.* FROM unnest($2::bigint[], $3::integer[], $4::text[], $5::timestamptz[],
  $6::bytea[], $7::bytea[]) AS v)sql";

const char kInsertEvents[] = R"sql(
INSERT INTO lowmark.shard_events (stream_id, shard, kind, epoch, delivery, actor, detail)
SELECT $1, v.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[],
  $7::text[]) AS v)sql";

const char kSelectDeadLetters[] = "SELECT " DEAD_LETTER_COLUMNS R"sql(
FROM lowmark.dead_letters WHERE stream_id = $1 AND id > $2 ORDER BY id LIMIT $3)sql";

const char kSelectDeadLettersOf[] = "SELECT " DEAD_LETTER_COLUMNS R"sql(
FROM lowmark.dead_letters WHERE stream_id = $1 AND id > $2 AND shard = $4
ORDER BY id LIMIT $3)sql";

const char kSelectDeadLetter[] = "SELECT " DEAD_LETTER_COLUMNS R"sql(
FROM lowmark.dead_letters WHERE stream_id = $1 AND id = $2)sql";

const char kSelectRecords[] = R"sql(
SELECT sequence, extract(epoch FROM arrival_time), partition_key, data
FROM lowmark.dead_letter_records WHERE stream_id = $1 AND dead_letter = $2 ORDER BY ordinal)sql";

const char kSelectEvents[] = "SELECT " EVENT_COLUMNS R"sql(
FROM lowmark.shard_events WHERE stream_id = $1 AND id > $2 ORDER BY id LIMIT $3)sql";

const char kSelectEventsOf[] = "SELECT " EVENT_COLUMNS R"sql(
FROM lowmark.shard_events WHERE stream_id = $1 AND id > $2 AND shard = $4
ORDER BY id LIMIT $3)sql";

// By the primary key, oldest first; what another coordinator prunes is passed over.
const char kPruneEvents[] = "SELECT lowmark.prune_events($1, make_interval(secs => $2), $3)";

// --- The database itself -------------------------------------------------------------

const char kCheckWritable[] =
    "SELECT current_setting('transaction_read_only') = 'off', max(version) "
    "FROM lowmark.schema_migrations";

const char kReadSettings[] = R"sql(
SELECT current_setting('fsync'), current_setting('full_page_writes'),
  current_setting('synchronous_commit'), current_setting('server_encoding'),
  current_setting('server_version_num')::integer, current_setting('transaction_read_only'))sql";

const char kHasMigrations[] = "SELECT to_regclass('lowmark.schema_migrations') IS NOT NULL";

const char kSelectMigrations[] =
    "SELECT version, checksum FROM lowmark.schema_migrations ORDER BY version";

// The number is "lowmark" read as base 36; it is this program's alone.
const char kLockMigrations[] = "SELECT pg_advisory_xact_lock(47218405376)";

const char kCreateMigrations[] = R"sql(
CREATE SCHEMA IF NOT EXISTS lowmark;
CREATE TABLE IF NOT EXISTS lowmark.schema_migrations (
  version integer PRIMARY KEY,
  name text NOT NULL,
  checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
))sql";

const char kInsertMigration[] =
    "INSERT INTO lowmark.schema_migrations (version, name, checksum) VALUES ($1, $2, $3)";

const char kChecksum[] = "SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')";

}  // namespace lowmark::sql
