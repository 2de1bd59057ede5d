// Dead letters, their way to a destination, and the audit.
#include "store/postgres/queries.h"

// Of dead_letters d and dead_letter_forwards f, whose columns are null where there is
// no row.
#define DEAD_LETTER_COLUMNS                                                         \
  "d.id, d.shard, d.first_sequence, d.last_sequence, d.record_count, d.condition, " \
  "d.attempts, d.error_type, d.error_message, d.epoch, d.delivery, d.worker, "      \
  "extract(epoch FROM d.create_time), d.batch_id, f.tries, f.error, "               \
  "extract(epoch FROM f.next_try), extract(epoch FROM f.forward_time)"

#define DEAD_LETTERS                                                       \
  " FROM lowmark.dead_letters d LEFT JOIN lowmark.dead_letter_forwards f " \
  "ON f.stream_id = d.stream_id AND f.dead_letter = d.id "

#define EVENT_COLUMNS "id, shard, extract(epoch FROM time), kind, epoch, delivery, actor, detail"

namespace lowmark::sql {

const char kTakeDeadLetterIds[] =
    "SELECT nextval('lowmark.dead_letter_ids') FROM generate_series(1, $1::integer)";

const char kInsertDeadLetters[] = R"sql(
INSERT INTO lowmark.dead_letters (stream_id, id, shard, first_sequence, last_sequence,
  record_count, condition, attempts, error_type, error_message, epoch, delivery, worker, batch_id)
SELECT $1, v.* FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::integer[],
  $7::smallint[], $8::integer[], $9::text[], $10::text[], $11::bigint[], $12::bigint[],
  $13::text[], $14::bigint[]) AS v)sql";

const char kInsertRecords[] = R"sql(
INSERT INTO lowmark.dead_letter_records
  (stream_id, dead_letter, ordinal, sequence, arrival_time, partition_key, data,
   headers)
SELECT $1, v.letter, v.ordinal, v.sequence, v.arrival, v.key, v.data, v.headers::bytea[]
FROM unnest($2::bigint[], $3::integer[], $4::text[], $5::timestamptz[], $6::bytea[], $7::bytea[],
  $8::text[]) AS v (letter, ordinal, sequence, arrival, key, data, headers))sql";

const char kInsertEvents[] = R"sql(
INSERT INTO lowmark.shard_events (stream_id, shard, kind, epoch, delivery, actor, detail)
SELECT $1, v.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[],
  $7::text[]) AS v)sql";

const char kSelectDeadLetters[] = "SELECT " DEAD_LETTER_COLUMNS DEAD_LETTERS R"sql(
WHERE d.stream_id = $1 AND d.id > $2 ORDER BY d.id LIMIT $3)sql";

const char kSelectDeadLettersOf[] = "SELECT " DEAD_LETTER_COLUMNS DEAD_LETTERS R"sql(
WHERE d.stream_id = $1 AND d.id > $2 AND d.shard = $4 ORDER BY d.id LIMIT $3)sql";

const char kSelectDeadLetter[] = "SELECT " DEAD_LETTER_COLUMNS DEAD_LETTERS R"sql(
WHERE d.stream_id = $1 AND d.id = $2)sql";

const char kSelectRecords[] = R"sql(
SELECT sequence, extract(epoch FROM arrival_time), partition_key, data, headers
FROM lowmark.dead_letter_records WHERE stream_id = $1 AND dead_letter = $2 ORDER BY ordinal)sql";

const char kSelectEvents[] = "SELECT " EVENT_COLUMNS R"sql(
FROM lowmark.shard_events WHERE stream_id = $1 AND id > $2 ORDER BY id LIMIT $3)sql";

const char kSelectEventsOf[] = "SELECT " EVENT_COLUMNS R"sql(
FROM lowmark.shard_events WHERE stream_id = $1 AND id > $2 AND shard = $4
ORDER BY id LIMIT $3)sql";

// By the primary key, oldest first; what another coordinator prunes is passed over.
const char kPruneEvents[] = "SELECT lowmark.prune_events($1, make_interval(secs => $2), $3)";

// Letters are as old as their ids: the first ones are looked at, of which some may wait.
const char kPruneDeadLetters[] = R"sql(
WITH old AS MATERIALIZED (
  SELECT l.id FROM (
    SELECT id, create_time FROM lowmark.dead_letters
    WHERE stream_id = $1 ORDER BY id LIMIT 10000) l
  WHERE l.create_time < clock_timestamp() - make_interval(secs => $2)
    AND NOT EXISTS (SELECT FROM lowmark.dead_letter_forwards f
      WHERE f.stream_id = $1 AND f.dead_letter = l.id AND f.forward_time IS NULL)
  ORDER BY l.id LIMIT $3
), records AS (
  DELETE FROM lowmark.dead_letter_records r USING old
  WHERE r.stream_id = $1 AND r.dead_letter = old.id
), letters AS (
  DELETE FROM lowmark.dead_letters l USING old WHERE l.stream_id = $1 AND l.id = old.id
  RETURNING l.id
)
SELECT count(*) FROM letters)sql";

// --- Forwarding ----------------------------------------------------------------

// From each stream that has letters waiting to the next one, whatever lies between,
// by the index dead_letter_forwards_waiting.
const char kSelectOutboxes[] = R"sql(
WITH RECURSIVE streams AS (
  (SELECT f.stream_id FROM lowmark.dead_letter_forwards f
   WHERE f.forward_time IS NULL AND f.stream_id > $1 ORDER BY f.stream_id LIMIT 1)
  UNION ALL
  SELECT (SELECT f.stream_id FROM lowmark.dead_letter_forwards f
          WHERE f.forward_time IS NULL AND f.stream_id > previous.stream_id
          ORDER BY f.stream_id LIMIT 1)
  FROM streams previous WHERE previous.stream_id IS NOT NULL
)
SELECT s.stream_id, s.name, w.waiting, extract(epoch FROM w.oldest),
  coalesce(s.policy -> 'on_failure' ?| ARRAY['http', 'kafka', 'directory'], false)
    AND EXISTS (SELECT FROM lowmark.dead_letter_forwards f
                WHERE f.stream_id = s.stream_id AND f.forward_time IS NULL
                  AND f.next_try <= (SELECT clock_timestamp())),
  extract(epoch FROM clock_timestamp())
FROM (SELECT stream_id FROM streams WHERE stream_id IS NOT NULL LIMIT $2) AS each
JOIN lowmark.streams s USING (stream_id)
CROSS JOIN LATERAL (
  SELECT count(*) AS waiting, min(counted.create_time) AS oldest FROM (
    SELECT f.create_time FROM lowmark.dead_letter_forwards f
    WHERE f.stream_id = s.stream_id AND f.forward_time IS NULL
    ORDER BY f.dead_letter LIMIT $3) counted) w
ORDER BY s.stream_id)sql";

const char kSelectPolicy[] = "SELECT stream_id, policy FROM lowmark.streams WHERE name = $1";

const char kClaimLetters[] = R"sql(
WITH due AS MATERIALIZED (
  SELECT f.dead_letter FROM lowmark.dead_letter_forwards f
  WHERE f.stream_id = $1 AND f.forward_time IS NULL
    AND f.next_try <= (SELECT clock_timestamp())
  ORDER BY f.next_try, f.dead_letter LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE lowmark.dead_letter_forwards f
SET claim = f.claim + 1, next_try = clock_timestamp() + $3::bigint * interval '1 microsecond'
FROM due WHERE f.stream_id = $1 AND f.dead_letter = due.dead_letter
RETURNING f.dead_letter, f.claim)sql";

const char kSelectClaimed[] = "SELECT " DEAD_LETTER_COLUMNS R"sql(, f.claim,
  (SELECT extract(epoch FROM r.arrival_time) FROM lowmark.dead_letter_records r
   WHERE r.stream_id = d.stream_id AND r.dead_letter = d.id AND r.sequence = d.first_sequence
   ORDER BY r.ordinal LIMIT 1),
  (SELECT extract(epoch FROM r.arrival_time) FROM lowmark.dead_letter_records r
   WHERE r.stream_id = d.stream_id AND r.dead_letter = d.id AND r.sequence = d.last_sequence
   ORDER BY r.ordinal DESC LIMIT 1))sql" DEAD_LETTERS R"sql(
WHERE d.stream_id = $1 AND d.id = ANY ($2::bigint[]) ORDER BY d.id)sql";

const char kSelectFirstRecords[] = R"sql(
SELECT dead_letter, sequence, extract(epoch FROM arrival_time), partition_key, data, headers FROM (
  SELECT r.*, sum(octet_length(r.data) + octet_length(r.partition_key))
    OVER (PARTITION BY r.dead_letter ORDER BY r.ordinal) AS bytes
  FROM lowmark.dead_letter_records r
  WHERE r.stream_id = $1 AND r.dead_letter = ANY ($2::bigint[])) counted
WHERE bytes <= $3 ORDER BY dead_letter, ordinal)sql";

const char kInsertForwards[] = R"sql(
INSERT INTO lowmark.dead_letter_forwards (stream_id, dead_letter)
SELECT $1, v.id FROM unnest($2::bigint[]) AS v (id))sql";

const char kSettleLetters[] = R"sql(
UPDATE lowmark.dead_letter_forwards f
SET tries = f.tries + v.tries, error = CASE WHEN v.tries > 0 THEN v.error ELSE f.error END,
  next_try = clock_timestamp() + v.pause * interval '1 microsecond',
  forward_time = CASE WHEN v.forwarded THEN clock_timestamp() END
FROM unnest($2::bigint[], $3::bigint[], $4::boolean[], $5::integer[], $6::text[], $7::bigint[])
  AS v (id, claim, forwarded, tries, error, pause)
WHERE f.stream_id = $1 AND f.dead_letter = v.id AND f.forward_time IS NULL
  AND (v.forwarded OR f.claim = v.claim))sql";

}  // namespace lowmark::sql
