// What workers tell of their shards, and what is read of it.
#include "store/postgres/queries.h"

namespace lowmark::sql {

// A row that another has made since the statement began is seen by the next one.
const char kMarkStats[] = R"sql(
WITH made AS (
  INSERT INTO lowmark.shard_stats (stream_id, shard, token)
  SELECT s.stream_id, '', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
  FROM lowmark.streams s WHERE s.stream_id = $1
  ON CONFLICT (stream_id, shard) DO NOTHING RETURNING token
)
SELECT token FROM made
UNION ALL
SELECT token FROM lowmark.shard_stats WHERE stream_id = $1 AND shard = '')sql";

// Only what the holder of the lease tells. Each shard is looked up by itself, so that the
// primary key finds it however few PostgreSQL takes a stream's shards for. What is as it
// was is not written, and trouble that goes on keeps its beginning.
const char kTellStats[] = R"sql(
INSERT INTO lowmark.shard_stats AS t
  (stream_id, shard, epoch, idle, lag_age, backlog, trouble, message, since)
SELECT DISTINCT ON (v.shard COLLATE "C") $1, v.shard, v.epoch, v.idle,
  v.lag_age * interval '1 microsecond', v.backlog, v.trouble, v.message,
  clock_timestamp() - v.lasted * interval '1 microsecond'
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::boolean[], $6::bigint[], $7::bigint[],
            $8::smallint[], $9::text[], $10::bigint[])
  AS v (worker, shard, epoch, idle, lag_age, backlog, trouble, message, lasted)
CROSS JOIN LATERAL (
  SELECT FROM lowmark.shards s
  WHERE s.stream_id = $1 AND s.shard = v.shard AND s.epoch = v.epoch AND s.owner = v.worker
  LIMIT 1) AS held
ORDER BY v.shard COLLATE "C"
ON CONFLICT (stream_id, shard) DO UPDATE
SET epoch = excluded.epoch, idle = excluded.idle, lag_age = excluded.lag_age,
    backlog = excluded.backlog, trouble = excluded.trouble, message = excluded.message,
    since = CASE WHEN (t.epoch, t.trouble, t.message)
                   IS NOT DISTINCT FROM (excluded.epoch, excluded.trouble, excluded.message)
                 THEN t.since ELSE excluded.since END
WHERE (t.epoch, t.idle, t.lag_age, t.backlog, t.trouble, t.message) IS DISTINCT FROM
  (excluded.epoch, excluded.idle, excluded.lag_age, excluded.backlog, excluded.trouble,
   excluded.message))sql";

const char kTellListing[] = R"sql(
UPDATE lowmark.shard_stats
SET worker = $2, trouble = $3, message = $4,
    since = CASE WHEN (trouble, message) IS NOT DISTINCT FROM ($3::smallint, $4::text) THEN since
                 ELSE clock_timestamp() - $5::bigint * interval '1 microsecond' END
WHERE stream_id = $1 AND shard = ''
  AND (worker, trouble, message) IS DISTINCT FROM ($2::text, $3::smallint, $4::text))sql";

// Whether a shard has work is decided as MemoryStore does it. What was told of each is
// looked up by itself: see kTellStats. Shards that are alike are counted first, so that
// each owner is looked for among the live workers a few times only.
const char kReadWorkload[] = R"sql(
WITH fleet AS MATERIALIZED (
  SELECT w.worker, w.held, w.proven, w.expires_at - w.ttl AS heard_at, w.opened_at,
    w.ended_at IS NULL AND w.expires_at > clock_timestamp() AS live
  FROM lowmark.workers w WHERE w.stream_id = $1
), alike AS MATERIALIZED (
  SELECT s.owner, s.outstanding, coalesce(t.idle, false) AS idle,
    coalesce(t.epoch = s.epoch, false) AS current, count(*) AS shards, max(t.lag_age) AS lag_age
  FROM lowmark.shards s
  LEFT JOIN LATERAL (
    SELECT t.* FROM lowmark.shard_stats t WHERE t.stream_id = $1 AND t.shard = s.shard
    LIMIT 1) AS t ON true
  WHERE s.stream_id = $1 AND NOT s.done AND s.parents_left = 0
  GROUP BY 1, 2, 3, 4
), placed AS MATERIALIZED (
  SELECT alike.*, owner IN (SELECT f.worker FROM fleet f WHERE f.live) AS held FROM alike
), judged AS (
  SELECT placed.*, NOT idle OR (NOT held AND (NOT current OR outstanding)) AS work FROM placed
)
SELECT coalesce(sum(shards), 0), coalesce(sum(shards) FILTER (WHERE work), 0),
  coalesce(sum(shards) FILTER (WHERE NOT work AND held AND NOT current), 0),
  coalesce(sum(shards) FILTER (WHERE NOT work AND NOT held), 0),
  extract(epoch FROM coalesce(max(lag_age) FILTER (WHERE held AND current), '0')),
  (SELECT count(*) FROM fleet WHERE live AND fleet.held > 0),
  (SELECT extract(epoch FROM clock_timestamp() - min(opened_at)) FROM fleet
   WHERE live AND fleet.held > 0),
  (SELECT extract(epoch FROM clock_timestamp() - max(heard_at)) FROM fleet
   WHERE proven OR NOT EXISTS (SELECT FROM alike)),
  (SELECT extract(epoch FROM clock_timestamp() - max(opened_at)) FROM fleet WHERE live)
FROM judged)sql";

// Those of workers that are gone are theirs until another one asks.
const char kSelectUnowned[] = R"sql(
SELECT s.name, sum(u.shards)
FROM (
  SELECT f.stream_id, count(*) AS shards FROM lowmark.shards f
  WHERE f.owner = '' AND f.parents_left = 0 AND NOT f.done GROUP BY f.stream_id
  UNION ALL
  SELECT w.stream_id, w.held FROM lowmark.workers w
  WHERE NOT w.gone AND w.held > 0
    AND (w.ended_at IS NOT NULL OR w.expires_at <= clock_timestamp())
) u JOIN lowmark.streams s USING (stream_id)
WHERE NOT coalesce((s.policy ->> 'paused')::boolean, false)
GROUP BY s.name)sql";

}  // namespace lowmark::sql
