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

// With what keeps its shards from being listed, told by a worker that lives.
#define STREAM_WITH_TROUBLE                                                    \
  "SELECT " STREAM_COLUMNS                                                     \
  ", t.trouble, t.message, extract(epoch FROM clock_timestamp() - t.since) "   \
  "FROM lowmark.streams s LEFT JOIN lowmark.shard_stats t "                    \
  "ON t.stream_id = s.stream_id AND t.shard = '' AND t.trouble IS NOT NULL "   \
  "AND EXISTS (SELECT FROM lowmark.workers w WHERE w.stream_id = s.stream_id " \
  "AND w.worker = t.worker AND " IS_LIVE("w.") ") "

const char kShowStream[] = STREAM_WITH_TROUBLE "WHERE name = $1";

const char kSelectStreams[] = STREAM_WITH_TROUBLE "WHERE name > $1 ORDER BY name LIMIT $2";

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

// With what the holder of the lease told of it, looked up for each by itself: for many,
// PostgreSQL would read all of a stream's where it took these for few.
#define SHARD_WITH_STAT \
  "SELECT " SHARD_COLUMNS(                                                        \
      "s.") ", t.idle, extract(epoch FROM t.lag_age), t.backlog, t.trouble, "     \
            "t.message, extract(epoch FROM clock_timestamp() - t.since) "         \
            "FROM lowmark.shards s LEFT JOIN LATERAL ("                           \
            "SELECT t.* FROM lowmark.shard_stats t WHERE t.stream_id = $1 "       \
            "AND t.shard = s.shard AND t.epoch = s.epoch AND s.owner <> '' "      \
            "LIMIT 1) AS t ON true "

const char kSelectShard[] = SHARD_WITH_STAT "WHERE s.stream_id = $1 AND s.shard = $2";

const char kSelectShards[] =
    SHARD_WITH_STAT "WHERE s.stream_id = $1 AND s.shard > $2 ORDER BY s.shard LIMIT $3";

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
// it would be read before the wait for them. Each shard is looked up by itself, so
// that the primary key finds it: for a group of them PostgreSQL would read all of a
// stream's where it took these for few, as those of a new stream.
const char kLockShards[] = R"sql(
WITH stream AS MATERIALIZED (
  SELECT stream_id, etag, CASE WHEN etag = $3 THEN '' ELSE policy::text END AS policy
  FROM lowmark.streams WHERE name = $1
), locked AS MATERIALIZED (
  SELECT s.*
  FROM (SELECT k FROM unnest($2::text[]) AS k ORDER BY k COLLATE "C") AS key (shard)
  CROSS JOIN LATERAL (
    SELECT )sql" SHARD_COLUMNS(
    "s.") R"sql(
    FROM lowmark.shards s
    WHERE s.stream_id = (SELECT stream_id FROM stream) AND s.shard = key.shard
    FOR NO KEY UPDATE OF s) AS s
)
SELECT * FROM locked
UNION ALL
SELECT NULL, stream.stream_id, stream.etag, NULL, NULL, stream.policy, NULL, NULL, NULL, )sql" TIMELINE
          R"sql(, NULL, NULL, extract(epoch FROM clock_timestamp()), NULL, NULL, NULL
FROM stream, (SELECT count(*) FROM locked) AS after_all_locks)sql";

// Rows of these arrays, for the stream $1. Its key is given with each of them: compared
// with $1, PostgreSQL would think of a stream's shards as few where it has not counted
// them, as those of a new stream, and read all of them for a few.
#define KEYED "unnest(array_fill($1::bigint, ARRAY[cardinality($2::text[])]), $2::text[]"
#define LOCKED_SHARD                                                                 \
  "WHERE s.stream_id = v.stream_id AND s.shard = v.shard AND s.epoch = v.old_epoch " \
  "AND s.delivery = v.old_delivery"

const char kUpdateProgress[] = R"sql(
UPDATE lowmark.shards s
SET position = v.position, sequence = v.sequence, batch_id = v.batch_id, delivery = v.delivery
FROM )sql" KEYED R"sql(, $3::bigint[], $4::bigint[], $5::lowmark.position_kind[], $6::text[],
            $7::bigint[], $8::bigint[])
  AS v (stream_id, shard, old_epoch, old_delivery, position, sequence, batch_id, delivery)
)sql" LOCKED_SHARD;

const char kUpdateShards[] = R"sql(
UPDATE lowmark.shards s
SET epoch = v.epoch, owner = v.owner, done = v.position = 'SHARD_END', position = v.position,
    sequence = v.sequence, position_time = v.position_time, bounds = v.bounds::text[],
    batch_id = v.batch_id, delivery = v.delivery, attempts = v.attempts,
    lost_deliveries = v.lost_deliveries, not_before = v.not_before, outstanding = v.outstanding,
    cause = v.cause, declared = v.declared::text[],
    leased_at = CASE WHEN v.owner IN ('', s.owner) THEN s.leased_at ELSE clock_timestamp() END
FROM )sql" KEYED R"sql(, $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
            $7::lowmark.position_kind[], $8::text[], $9::timestamptz[], $10::text[], $11::bigint[],
            $12::bigint[], $13::integer[], $14::integer[], $15::timestamptz[], $16::boolean[],
            $17::smallint[], $18::text[])
  AS v (stream_id, shard, old_epoch, old_delivery, epoch, owner, position, sequence,
        position_time, bounds, batch_id, delivery, attempts, lost_deliveries, not_before,
        outstanding, cause, declared)
)sql" LOCKED_SHARD;

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

#define MICROSECONDS(parameter) parameter "::bigint * interval '1 microsecond'"

const char kOpenSessions[] = R"sql(
INSERT INTO lowmark.workers AS w
  (stream_id, worker, session, capacity, ttl, expires_at, wanted, wants_until)
SELECT s.stream_id, v.worker, nextval('lowmark.session_ids'), v.capacity, )sql" MICROSECONDS(
    "$2") ", clock_timestamp() + " MICROSECONDS("$2") R"sql(,
  v.wanted, clock_timestamp() + v.wait * interval '1 microsecond'
FROM lowmark.streams s,
  unnest($3::text[], $4::integer[], $5::bigint[], $6::bigint[]) AS v (worker, capacity, wanted, wait)
WHERE s.name = $1
ORDER BY v.worker COLLATE "C"
ON CONFLICT (stream_id, worker) DO UPDATE
SET capacity = excluded.capacity, ttl = excluded.ttl, expires_at = excluded.expires_at,
    wanted = excluded.wanted, wants_until = excluded.wants_until
WHERE w.ended_at IS NULL
RETURNING worker, xmax = 0, held)sql";

const char kPruneSessions[] = R"sql(
DELETE FROM lowmark.workers
WHERE stream_id = $1 AND gone AND ended_at < clock_timestamp() - interval '1 day')sql";

// A session that would live far longer than its TTL is one from before the clock
// was set back: it has expired as well.
#define HAS_EXPIRED                                            \
  "w.ended_at IS NULL AND (w.expires_at <= clock_timestamp() " \
  "OR w.expires_at > clock_timestamp() + 2 * w.ttl)"

const char kProbe[] = R"sql(
SELECT s.stream_id, s.etag, CASE WHEN s.etag = $2 THEN '' ELSE s.policy::text END,
  EXISTS (SELECT FROM lowmark.shards f WHERE f.stream_id = s.stream_id
     AND f.owner = '' AND f.parents_left = 0 AND NOT f.done),
  EXISTS (SELECT FROM lowmark.workers w WHERE w.stream_id = s.stream_id AND NOT w.gone
     AND )sql" HAS_EXPIRED R"sql(),
  EXISTS (SELECT FROM lowmark.workers w WHERE w.stream_id = s.stream_id AND NOT w.gone
     AND w.ended_at IS NOT NULL),
  (SELECT w.worker FROM lowmark.workers w WHERE w.stream_id = s.stream_id AND NOT w.gone
     AND )sql" IS_LIVE("w.") R"sql( ORDER BY w.session LIMIT 1),
  (SELECT extract(epoch FROM min(w.expires_at)) FROM lowmark.workers w
     WHERE w.stream_id = s.stream_id AND NOT w.gone AND )sql" IS_LIVE("w.") R"sql(),
  extract(epoch FROM clock_timestamp())
FROM lowmark.streams s WHERE s.name = $1)sql";

// A row that is locked is being renewed, or ended by another.
const char kEndSessions[] = R"sql(
WITH expired AS MATERIALIZED (
  SELECT w.worker FROM lowmark.workers w
  WHERE w.stream_id = $1 AND NOT w.gone AND )sql" HAS_EXPIRED R"sql(
  FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE lowmark.workers w SET ended_at = clock_timestamp(), wanted = 0
FROM expired WHERE w.stream_id = $1 AND w.worker = expired.worker)sql";

const char kLockEnded[] = "SELECT " SHARD_COLUMNS("s.") R"sql(
FROM lowmark.shards s
WHERE s.stream_id = $1 AND s.owner <> '' AND NOT s.done AND s.owner = ANY (ARRAY(
  SELECT w.worker FROM lowmark.workers w
  WHERE w.stream_id = $1 AND NOT w.gone AND w.ended_at IS NOT NULL))
ORDER BY s.shard LIMIT $2 FOR NO KEY UPDATE OF s)sql";

const char kMarkGone[] = R"sql(
UPDATE lowmark.workers w SET gone = true
WHERE w.stream_id = $1 AND NOT w.gone AND w.ended_at IS NOT NULL AND w.held = 0)sql";

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

// The workers' rows of a statement, locked by id.
#define LOCKED_WORKERS                                                        \
  "locked AS MATERIALIZED (SELECT w.worker FROM lowmark.workers w "           \
  "WHERE w.stream_id = $1 AND w.worker = ANY ($2::text[]) ORDER BY w.worker " \
  "FOR NO KEY UPDATE)"

const char kChangeHeld[] = "WITH " LOCKED_WORKERS R"sql(
UPDATE lowmark.workers w SET held = w.held + v.change
FROM unnest($2::text[], $3::bigint[]) AS v (worker, change), locked
WHERE w.stream_id = $1 AND w.worker = locked.worker AND w.worker = v.worker
  AND (v.change < 0 OR w.ended_at IS NULL))sql";

const char kSetWanted[] = "WITH " LOCKED_WORKERS R"sql(
UPDATE lowmark.workers w SET wanted = v.wanted
FROM unnest($2::text[], $3::bigint[]) AS v (worker, wanted), locked
WHERE w.stream_id = $1 AND w.worker = locked.worker AND w.worker = v.worker)sql";

// A shard's load goes with it: from its former owner to its own row ...
const char kTakeLoads[] = R"sql(
WITH given AS MATERIALIZED (
  SELECT * FROM unnest($2::text[], $3::text[]) AS v (shard, worker)
), known AS MATERIALIZED (
  -- Each worker's object is taken apart once: looking a key up reads all of it.
  SELECT w.worker, each.key AS shard, each.value::double precision AS load
  FROM lowmark.workers w CROSS JOIN LATERAL jsonb_each_text(w.shard_loads) AS each
  WHERE w.stream_id = $1 AND w.worker IN (SELECT worker FROM given)
), v AS MATERIALIZED (
  SELECT given.shard, given.worker, coalesce(known.load, 0) AS load
  FROM given JOIN lowmark.workers w ON w.stream_id = $1 AND w.worker = given.worker
  LEFT JOIN known ON known.worker = given.worker AND known.shard = given.shard
), kept AS (
  UPDATE lowmark.shards s SET load = v.load FROM v WHERE s.stream_id = $1 AND s.shard = v.shard
)
UPDATE lowmark.workers w
SET load = greatest(0, w.load - taken.load), shard_loads = w.shard_loads - taken.shards
FROM (SELECT worker, sum(load) AS load, array_agg(shard) AS shards FROM v GROUP BY worker) taken
WHERE w.stream_id = $1 AND w.worker = taken.worker)sql";

// ... and from there to its new one.
const char kGiveLoads[] = R"sql(
UPDATE lowmark.workers w
SET load = w.load + given.load, shard_loads = w.shard_loads || given.loads
FROM (SELECT v.worker, sum(s.load) AS load, jsonb_object_agg(s.shard, s.load) AS loads
      FROM unnest($2::text[], $3::text[]) AS v (shard, worker)
      JOIN lowmark.shards s ON s.stream_id = $1 AND s.shard = v.shard
      GROUP BY v.worker) given
WHERE w.stream_id = $1 AND w.worker = given.worker)sql";

#define WORKER_COLUMNS                                                                          \
  "w.worker, w.capacity, w.held, "                                                              \
  "CASE WHEN w.wants_until > clock_timestamp() THEN w.wanted ELSE 0 END, "                      \
  "w.proven, w.cordoned, w.draining, w.ended_at IS NOT NULL, extract(epoch FROM w.opened_at), " \
  "extract(epoch FROM w.expires_at), w.expires_at > clock_timestamp(), w.load"

const char kReadCensus[] = "SELECT " WORKER_COLUMNS R"sql(, f.free,
  extract(epoch FROM clock_timestamp() - w.opened_at)
FROM (SELECT count(*) AS free FROM lowmark.shards
      WHERE stream_id = $1 AND owner = '' AND parents_left = 0 AND NOT done) f
LEFT JOIN lowmark.workers w ON w.stream_id = $1 AND NOT w.gone
ORDER BY w.session)sql";

const char kSelectLeases[] = "SELECT " SHARD_COLUMNS("") ", " TIMELINE R"sql( AS timeline
FROM lowmark.shards
WHERE stream_id = $1 AND owner = $2 AND owner <> '' AND NOT done
ORDER BY leased_at DESC, shard LIMIT $3)sql";

const char kSelectHeld[] = R"sql(
SELECT s.shard, s.epoch, extract(epoch FROM coalesce(s.leased_at, 'epoch')),
  extract(epoch FROM clock_timestamp()),
  coalesce(l.load, 0)
FROM lowmark.shards s
LEFT JOIN (
  SELECT each.key AS shard, each.value::double precision AS load
  FROM lowmark.workers w CROSS JOIN LATERAL jsonb_each_text(w.shard_loads) AS each
  WHERE w.stream_id = $1 AND w.worker = $2) l ON l.shard = s.shard
WHERE s.stream_id = $1 AND s.owner = $2 AND s.owner <> '' AND NOT s.done ORDER BY s.shard)sql";

const char kRenewSessions[] = R"sql(
WITH locked AS MATERIALIZED (
  SELECT w.stream_id, w.worker FROM lowmark.workers w JOIN lowmark.streams s USING (stream_id)
  WHERE s.name = $1 AND w.worker = ANY ($2::text[]) AND w.ended_at IS NULL
  ORDER BY w.worker FOR NO KEY UPDATE OF w
), measured AS (
  -- A shard that was not measured yet weighs what it did before.
  SELECT w.worker, coalesce(sum(l.load), 0) AS load,
    coalesce(jsonb_object_agg(l.shard, l.load) FILTER (WHERE l.shard IS NOT NULL), '{}') AS loads
  FROM unnest($2::text[], $4::text[]) AS v (worker, loads)
  JOIN lowmark.workers w ON w.stream_id = (SELECT stream_id FROM locked LIMIT 1)
    AND w.worker = v.worker
  LEFT JOIN LATERAL (
    SELECT each.key AS shard,
      coalesce(each.value, w.shard_loads ->> each.key, '0')::double precision AS load
    FROM jsonb_each_text(v.loads::jsonb) AS each) l ON true
  WHERE v.loads IS NOT NULL GROUP BY w.worker
), renewed AS (
  UPDATE lowmark.workers w
  SET ttl = )sql" MICROSECONDS("$3") ", expires_at = clock_timestamp() + " MICROSECONDS(
    "$3") R"sql(,
      proven = w.proven OR w.held > 0, load = coalesce(m.load, w.load),
      shard_loads = coalesce(m.loads, w.shard_loads)
  FROM locked LEFT JOIN measured m USING (worker)
  WHERE w.stream_id = locked.stream_id AND w.worker = locked.worker AND w.ended_at IS NULL
  RETURNING w.worker, w.session
), place AS MATERIALIZED (
  SELECT s.stream_id, (SELECT min(w.session) FROM lowmark.workers w
    WHERE w.stream_id = s.stream_id AND NOT w.gone AND )sql" IS_LIVE("w.") R"sql() AS oldest,
    (SELECT t.token FROM lowmark.shard_stats t
     WHERE t.stream_id = s.stream_id AND t.shard = '') AS token
  FROM lowmark.streams s WHERE s.name = $1
)
SELECT r.worker, r.session, coalesce(p.oldest, (SELECT min(session) FROM renewed)), p.stream_id,
  p.token
FROM place p LEFT JOIN renewed r ON true)sql";

const char kSelectSession[] = R"sql(
SELECT EXISTS (SELECT FROM lowmark.workers w
  WHERE w.stream_id = s.stream_id AND w.worker = $2 AND w.ended_at IS NULL)
FROM lowmark.streams s WHERE s.name = $1)sql";

const char kSelectWorkers[] = "SELECT " WORKER_COLUMNS R"sql(, extract(epoch FROM clock_timestamp())
FROM lowmark.workers w WHERE w.stream_id = $1 AND w.worker > $2 ORDER BY w.worker LIMIT $3)sql";

const char kChangeWorker[] = R"sql(
UPDATE lowmark.workers w
SET cordoned = coalesce($3, w.cordoned), draining = coalesce($4, w.draining)
WHERE w.stream_id = $1 AND w.worker = $2 AND w.ended_at IS NULL
RETURNING )sql" WORKER_COLUMNS ", extract(epoch FROM clock_timestamp())";

}  // namespace lowmark::sql
