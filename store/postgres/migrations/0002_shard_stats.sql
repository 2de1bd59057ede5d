-- What workers tell of the shards they hold, for operators and autoscalers.
--
-- Not logged: nothing that is delivered depends on it, and workers tell all again when
-- it is lost, as by a crash of PostgreSQL or a failover. So it costs no flush of the
-- log, and a replica has none of it.
CREATE UNLOGGED TABLE lowmark.shard_stats (
  stream_id bigint NOT NULL,
  shard text COLLATE "C" NOT NULL,        -- '' for the stream itself
  epoch bigint NOT NULL DEFAULT 0,        -- of the lease under which it was told
  idle boolean NOT NULL DEFAULT false,
  lag_age interval,                       -- NULL where that is not known
  backlog bigint,                         -- NULL where that is not known
  trouble smallint,                       -- its kind; NULL where there is none
  message text NOT NULL DEFAULT '',
  since timestamptz,
  -- Of the stream's row alone:
  worker text COLLATE "C" NOT NULL DEFAULT '',  -- who told of its trouble
  token bigint,                           -- another each time that the table was lost
  PRIMARY KEY (stream_id, shard)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE OR REPLACE FUNCTION lowmark.delete_stream(doomed bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- In the order in which groups of reports lock them.
  PERFORM 1 FROM lowmark.shards WHERE stream_id = doomed ORDER BY shard FOR UPDATE;
  DELETE FROM lowmark.shard_parents WHERE stream_id = doomed;
  DELETE FROM lowmark.shards WHERE stream_id = doomed;
  DELETE FROM lowmark.shard_stats WHERE stream_id = doomed;
  DELETE FROM lowmark.workers WHERE stream_id = doomed;
  DELETE FROM lowmark.dead_letter_forwards WHERE stream_id = doomed;
  DELETE FROM lowmark.dead_letter_records WHERE stream_id = doomed;
  DELETE FROM lowmark.dead_letters WHERE stream_id = doomed;
  DELETE FROM lowmark.shard_events WHERE stream_id = doomed;
  DELETE FROM lowmark.streams WHERE stream_id = doomed;
END
$$;

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'lowmark_app') THEN
    GRANT SELECT, INSERT, UPDATE ON lowmark.shard_stats TO lowmark_app;
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'lowmark_ro') THEN
    GRANT SELECT ON lowmark.shard_stats TO lowmark_ro;
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'lowmark_owner')
     AND pg_has_role(current_user, 'lowmark_owner', 'MEMBER') THEN
    ALTER TABLE lowmark.shard_stats OWNER TO lowmark_owner;
  END IF;
END
$$;
