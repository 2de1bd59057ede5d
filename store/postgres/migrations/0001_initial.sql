-- Streams, shards, sessions, dead letters and the audit.
--
-- Every key begins with stream_id and no statement spans streams, so that streams
-- can be spread over databases later. Text is compared by byte (COLLATE "C"), so
-- that its order depends on no locale.

CREATE TABLE lowmark.streams (
  stream_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- never reused
  name text COLLATE "C" NOT NULL UNIQUE,
  policy jsonb NOT NULL,
  etag text COLLATE "C" NOT NULL,
  create_time timestamptz NOT NULL DEFAULT now(),
  update_time timestamptz NOT NULL DEFAULT now()
);

CREATE TYPE lowmark.position_kind AS ENUM (
  'TRIM_HORIZON', 'LATEST', 'AT_TIMESTAMP', 'AT', 'AFTER', 'SHARD_END');

-- The hot row: the lease and the progress of a shard, which one row lock guards.
-- No index, and no index's predicate, may use a column that a report changes
-- (position .. declared): the updates would be HOT no longer, at half the speed.
CREATE TABLE lowmark.shards (
  stream_id bigint NOT NULL REFERENCES lowmark.streams,
  shard text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL DEFAULT 0,
  owner text COLLATE "C" NOT NULL DEFAULT '',  -- the worker; '' where free
  parents_left integer NOT NULL DEFAULT 0 CHECK (parents_left >= 0),
  numeric_order boolean NOT NULL,              -- as the stream's policy has it
  done boolean NOT NULL DEFAULT false,         -- position = 'SHARD_END'
  position lowmark.position_kind NOT NULL,
  sequence text COLLATE "C" NOT NULL DEFAULT '',  -- of AT and AFTER
  position_time timestamptz,                      -- of AT_TIMESTAMP
  bounds text[] COLLATE "C",                      -- NULL where there are none
  batch_id bigint NOT NULL DEFAULT 0,
  delivery bigint NOT NULL DEFAULT 0,
  attempts integer NOT NULL DEFAULT 0,
  lost_deliveries integer NOT NULL DEFAULT 0,
  not_before timestamptz,                         -- NULL: at once
  outstanding boolean NOT NULL DEFAULT false,
  cause smallint NOT NULL DEFAULT 0,
  declared text[] COLLATE "C",                    -- first, middle, last, count
  leased_at timestamptz,                          -- when the owner last changed
  load double precision NOT NULL DEFAULT 0,       -- as its last owner measured it
  PRIMARY KEY (stream_id, shard),
  CHECK (done = (position = 'SHARD_END')),
  CHECK (parents_left = 0 OR owner = '')
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX shards_free ON lowmark.shards (stream_id, shard)
  WHERE owner = '' AND parents_left = 0 AND NOT done;
CREATE INDEX shards_owned ON lowmark.shards (stream_id, owner, shard)
  WHERE owner <> '' AND NOT done;

-- The last line of defence: refuses what the coordinator's decisions never do. The
-- condition is checked without a function call, for every update of a shard.
CREATE FUNCTION lowmark.refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'lowmark: refused update of shard % of stream %: epoch % to %, delivery % to %, '
    'position % % to % %, owner "%" to "%"', OLD.shard, OLD.stream_id, OLD.epoch, NEW.epoch,
    OLD.delivery, NEW.delivery, OLD.position, OLD.sequence, NEW.position, NEW.sequence,
    OLD.owner, NEW.owner USING ERRCODE = 'LM001';
END
$$;
CREATE TRIGGER guard BEFORE UPDATE ON lowmark.shards FOR EACH ROW WHEN (
  NEW.epoch < OLD.epoch
  OR (NEW.epoch = OLD.epoch AND (
    NEW.delivery < OLD.delivery
    OR (NEW.owner <> OLD.owner AND NEW.owner <> '')
    OR (OLD.done AND NOT NEW.done)
    -- Numeric sequence numbers are canonical: the longer one is the larger.
    OR (OLD.numeric_order AND NOT NEW.done AND OLD.sequence <> '' AND (
      length(NEW.sequence) < length(OLD.sequence)
      OR (length(NEW.sequence) = length(OLD.sequence) AND NEW.sequence < OLD.sequence)
      OR (NEW.position <> OLD.position AND OLD.position = 'AFTER'
          AND NEW.sequence = OLD.sequence))))))
  EXECUTE FUNCTION lowmark.refuse_update();

CREATE TABLE lowmark.shard_parents (
  stream_id bigint NOT NULL,
  shard text COLLATE "C" NOT NULL,
  ordinal integer NOT NULL,
  parent text COLLATE "C" NOT NULL,
  PRIMARY KEY (stream_id, shard, ordinal),
  FOREIGN KEY (stream_id, shard) REFERENCES lowmark.shards
);
CREATE INDEX shard_parents_by_parent ON lowmark.shard_parents (stream_id, parent);

-- Sessions. A heartbeat writes one row here, whatever the worker holds.
-- A session is open, then ended, then gone when all its shards were freed.
CREATE SEQUENCE lowmark.session_ids;
CREATE TABLE lowmark.workers (
  stream_id bigint NOT NULL REFERENCES lowmark.streams,
  worker text COLLATE "C" NOT NULL,
  session bigint NOT NULL,       -- the smallest of a stream is its oldest
  capacity integer NOT NULL,
  ttl interval NOT NULL,
  opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  wanted bigint NOT NULL,        -- shards that it waits for ...
  wants_until timestamptz NOT NULL,  -- ... until then
  -- Shards with this owner that are not done: changed in the transaction that
  -- changes the owner, so that nobody has to count them.
  held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
  -- Where the stream is balanced by load: what each of these shards weighs, and all.
  shard_loads jsonb NOT NULL DEFAULT '{}',
  load double precision NOT NULL DEFAULT 0,
  proven boolean NOT NULL DEFAULT false,    -- a heartbeat came while it held a shard
  cordoned boolean NOT NULL DEFAULT false,
  draining boolean NOT NULL DEFAULT false,
  ended_at timestamptz,          -- set once, for ever
  gone boolean NOT NULL DEFAULT false,  -- ended, and holds nothing any more
  PRIMARY KEY (stream_id, worker)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_threshold = 100);
CREATE INDEX workers_here ON lowmark.workers (stream_id, session) WHERE NOT gone;

CREATE SEQUENCE lowmark.dead_letter_ids;
CREATE TABLE lowmark.dead_letters (
  stream_id bigint NOT NULL,
  id bigint NOT NULL,
  shard text COLLATE "C" NOT NULL,
  first_sequence text COLLATE "C" NOT NULL,
  last_sequence text COLLATE "C" NOT NULL,
  record_count integer NOT NULL,
  condition smallint NOT NULL,
  attempts integer NOT NULL,
  error_type text NOT NULL,
  error_message text NOT NULL,
  epoch bigint NOT NULL,
  delivery bigint NOT NULL,
  batch_id bigint NOT NULL,
  worker text COLLATE "C" NOT NULL,
  create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (stream_id, id)
);
CREATE INDEX dead_letters_by_shard ON lowmark.dead_letters (stream_id, shard, id);

CREATE TABLE lowmark.dead_letter_records (
  stream_id bigint NOT NULL,
  dead_letter bigint NOT NULL,
  ordinal integer NOT NULL,
  sequence text COLLATE "C" NOT NULL,
  arrival_time timestamptz NOT NULL,
  partition_key bytea NOT NULL,
  data bytea NOT NULL,
  headers bytea[] NOT NULL,  -- name, value, name, value, ...
  PRIMARY KEY (stream_id, dead_letter, ordinal)
);

-- The outbox: dead letters on their way to the destination that the stream's policy
-- names, from the transaction that stores them on. A claim is next_try in the
-- future; its number tells it from later ones. Deleting a dead letter ends its way.
CREATE TABLE lowmark.dead_letter_forwards (
  stream_id bigint NOT NULL,
  dead_letter bigint NOT NULL,
  create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
  claim bigint NOT NULL DEFAULT 0,
  tries integer NOT NULL DEFAULT 0,
  error text NOT NULL DEFAULT '',               -- of the last try
  next_try timestamptz NOT NULL DEFAULT clock_timestamp(),
  forward_time timestamptz,                     -- set once, when it was taken
  PRIMARY KEY (stream_id, dead_letter),
  FOREIGN KEY (stream_id, dead_letter) REFERENCES lowmark.dead_letters ON DELETE CASCADE
);
CREATE INDEX dead_letter_forwards_waiting ON lowmark.dead_letter_forwards (stream_id, dead_letter)
  WHERE forward_time IS NULL;
CREATE INDEX dead_letter_forwards_due ON lowmark.dead_letter_forwards (stream_id, next_try)
  WHERE forward_time IS NULL;

CREATE SEQUENCE lowmark.shard_event_ids;
CREATE TABLE lowmark.shard_events (
  stream_id bigint NOT NULL,
  id bigint NOT NULL DEFAULT nextval('lowmark.shard_event_ids'),
  shard text COLLATE "C" NOT NULL,
  time timestamptz NOT NULL DEFAULT clock_timestamp(),
  kind text COLLATE "C" NOT NULL,
  epoch bigint NOT NULL,
  delivery bigint NOT NULL,
  actor text NOT NULL,
  detail text NOT NULL,
  PRIMARY KEY (stream_id, id)
);
CREATE INDEX shard_events_by_shard ON lowmark.shard_events (stream_id, shard, id);

-- Deletes a stream whose row the caller has locked. The application's role may
-- not delete shards otherwise: an epoch, once forgotten, could come back.
CREATE FUNCTION lowmark.delete_stream(doomed bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- In the order in which groups of reports lock them.
  PERFORM 1 FROM lowmark.shards WHERE stream_id = doomed ORDER BY shard FOR UPDATE;
  DELETE FROM lowmark.shard_parents WHERE stream_id = doomed;
  DELETE FROM lowmark.shards WHERE stream_id = doomed;
  DELETE FROM lowmark.workers WHERE stream_id = doomed;
  DELETE FROM lowmark.dead_letter_forwards WHERE stream_id = doomed;
  DELETE FROM lowmark.dead_letter_records WHERE stream_id = doomed;
  DELETE FROM lowmark.dead_letters WHERE stream_id = doomed;
  DELETE FROM lowmark.shard_events WHERE stream_id = doomed;
  DELETE FROM lowmark.streams WHERE stream_id = doomed;
END
$$;
REVOKE ALL ON FUNCTION lowmark.delete_stream(bigint) FROM PUBLIC;

-- Deletes the oldest events of a stream, up to `most`, as far as they are older
-- than `retention`, and tells how many. The application's role may only add to the
-- audit otherwise, and cannot use this to make the last hour unseen. Events get
-- their ids in the order of time, so that the primary key finds the oldest.
CREATE FUNCTION lowmark.prune_events(of_stream bigint, retention interval, most integer)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  deleted integer;
BEGIN
  IF retention < interval '1 hour' THEN
    RAISE EXCEPTION 'lowmark: events are kept for an hour at least, not %', retention
      USING ERRCODE = 'LM002';
  END IF;
  -- Materialized: read once for each row it would find others each time.
  WITH oldest AS MATERIALIZED (
    SELECT id FROM lowmark.shard_events WHERE stream_id = of_stream
    ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED)
  DELETE FROM lowmark.shard_events e USING oldest
  WHERE e.stream_id = of_stream AND e.id = oldest.id AND e.time < clock_timestamp() - retention;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END
$$;
REVOKE ALL ON FUNCTION lowmark.prune_events(bigint, interval, integer) FROM PUBLIC;

-- --- Roles -------------------------------------------------------------------
-- lowmark_owner owns the tables, lowmark_migrate may change them, lowmark_app is
-- what a coordinator needs, lowmark_ro may look. They cannot log in: grant them to
-- users that can. Where the migrating user may not make roles, it owns the tables
-- and is what coordinators log in as.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['lowmark_owner', 'lowmark_migrate', 'lowmark_app', 'lowmark_ro']
  LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = name);
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', name);
      IF name = 'lowmark_migrate' THEN
        GRANT lowmark_owner TO lowmark_migrate;
      ELSIF name = 'lowmark_app' THEN
        -- For users behind a pooler that passes no settings on, who log in as
        -- this role itself.
        ALTER ROLE lowmark_app SET statement_timeout = '3s';
        ALTER ROLE lowmark_app SET lock_timeout = '1s';
        ALTER ROLE lowmark_app SET idle_in_transaction_session_timeout = '2s';
        ALTER ROLE lowmark_app SET random_page_cost = 0.1;
      END IF;
    EXCEPTION
      WHEN insufficient_privilege THEN
        RAISE NOTICE 'lowmark: % may not create the role %; going on without', current_user, name;
      WHEN duplicate_object OR unique_violation THEN
        NULL;  -- another database of this cluster made it at the same time
    END;
  END LOOP;

  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'lowmark_app') THEN
    GRANT USAGE ON SCHEMA lowmark TO lowmark_app;
    GRANT SELECT, INSERT, UPDATE ON lowmark.streams TO lowmark_app;
    GRANT SELECT, INSERT ON lowmark.shards TO lowmark_app;
    GRANT UPDATE (epoch, owner, parents_left, done, position, sequence, position_time, bounds,
                  batch_id, delivery, attempts, lost_deliveries, not_before, outstanding, cause,
                  declared, leased_at, load) ON lowmark.shards TO lowmark_app;
    GRANT SELECT, INSERT ON lowmark.shard_parents, lowmark.shard_events TO lowmark_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON lowmark.workers TO lowmark_app;
    GRANT SELECT, INSERT, DELETE ON lowmark.dead_letters, lowmark.dead_letter_records
      TO lowmark_app;
    GRANT SELECT, INSERT, DELETE ON lowmark.dead_letter_forwards TO lowmark_app;
    GRANT UPDATE (claim, tries, error, next_try, forward_time) ON lowmark.dead_letter_forwards
      TO lowmark_app;
    GRANT SELECT ON lowmark.schema_migrations TO lowmark_app;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA lowmark TO lowmark_app;
    GRANT EXECUTE ON FUNCTION lowmark.delete_stream(bigint) TO lowmark_app;
    GRANT EXECUTE ON FUNCTION lowmark.prune_events(bigint, interval, integer) TO lowmark_app;
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'lowmark_ro') THEN
    GRANT USAGE ON SCHEMA lowmark TO lowmark_ro;
    GRANT SELECT ON ALL TABLES IN SCHEMA lowmark TO lowmark_ro;
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'lowmark_owner')
     AND pg_has_role(current_user, 'lowmark_owner', 'MEMBER') THEN
    ALTER SCHEMA lowmark OWNER TO lowmark_owner;
    FOR name IN
      SELECT format('%s %s', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
                    c.oid::regclass)
      FROM pg_class c
      WHERE relnamespace = 'lowmark'::regnamespace
        AND (relkind = 'r' OR (relkind = 'S' AND NOT EXISTS (  -- identity's follow their table
          SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i')))
    LOOP
      EXECUTE format('ALTER %s OWNER TO lowmark_owner', name);
    END LOOP;
    ALTER TYPE lowmark.position_kind OWNER TO lowmark_owner;
    ALTER FUNCTION lowmark.refuse_update() OWNER TO lowmark_owner;
    ALTER FUNCTION lowmark.delete_stream(bigint) OWNER TO lowmark_owner;
    ALTER FUNCTION lowmark.prune_events(bigint, interval, integer) OWNER TO lowmark_owner;
  END IF;
END
$$;
