-- The streams that journals ship, partitioned by the UTC day of their ingest time, and quarantine.
--
-- Times are whole microseconds since the Unix epoch, exactly as the journal holds them; the operator views show them as
-- timestamptz. Partitioning is by ingest time and never by event time, since late and early events would find no
-- partition. There is no default partition: attaching beside one locks it and scans it.

CREATE FUNCTION decisiond.at(microseconds bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT timestamptz '1970-01-01 00:00:00+00' + interval '1 microsecond' * microseconds
$$;
COMMENT ON FUNCTION decisiond.at IS 'A time in microseconds since the Unix epoch as timestamptz';

CREATE FUNCTION decisiond.us(moment timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (extract(epoch FROM moment) * 1000000)::bigint
$$;
COMMENT ON FUNCTION decisiond.us IS 'A timestamptz in microseconds since the Unix epoch';

CREATE TABLE decisiond.event (
    journal_id uuid NOT NULL,
    seq bigint NOT NULL,
    ingest_us bigint NOT NULL,
    event_us bigint NOT NULL,
    contract text NOT NULL,
    contract_version int NOT NULL,
    source text NOT NULL,
    id text NOT NULL,
    type text NOT NULL,
    subject text,
    corrects text,
    data json,
    extensions json,
    data_subject bytea,
    key_id int,
    principal text,
    traceparent text,
    PRIMARY KEY (journal_id, seq, ingest_us)
) PARTITION BY RANGE (ingest_us);
COMMENT ON TABLE decisiond.event IS 'Accepted events, one row each, in the order of their journal';
COMMENT ON COLUMN decisiond.event.data IS 'The data member as it was sent, byte for byte; null once erased';
COMMENT ON COLUMN decisiond.event.data_subject IS 'Keyed pseudonym of the natural person, under the key key_id';
CREATE INDEX event_ingest_us ON decisiond.event USING brin (ingest_us);
CREATE INDEX event_subject ON decisiond.event (subject, event_us) WHERE subject IS NOT NULL;

CREATE TABLE decisiond.decision_record (
    journal_id uuid NOT NULL,
    seq bigint NOT NULL,
    decided_us bigint NOT NULL,
    id uuid NOT NULL,
    decision text NOT NULL,
    version int NOT NULL,
    entity text,
    outputs json,
    fallback_step int,
    experiment text,
    arm text,
    record text,
    data_subject bytea,
    key_id int,
    principal text,
    PRIMARY KEY (journal_id, seq, decided_us)
) PARTITION BY RANGE (decided_us);
COMMENT ON TABLE decisiond.decision_record IS 'One row an answer; record holds the whole DecisionRecord, byte for byte';
CREATE INDEX decision_record_id ON decisiond.decision_record (id);
CREATE INDEX decision_record_decision ON decisiond.decision_record (decision, decided_us);
CREATE INDEX decision_record_entity ON decisiond.decision_record (entity, decided_us) WHERE entity IS NOT NULL;
CREATE INDEX decision_record_decided_us ON decisiond.decision_record USING brin (decided_us);

CREATE TABLE decisiond.outcome (
    journal_id uuid NOT NULL,
    seq bigint NOT NULL,
    ingest_us bigint NOT NULL,
    event_us bigint NOT NULL,
    source text NOT NULL,
    id text NOT NULL,
    kind text NOT NULL,
    decision_id uuid NOT NULL,
    decision text,
    decided_us bigint,
    value json,
    data_subject bytea,
    key_id int,
    principal text,
    PRIMARY KEY (journal_id, seq, ingest_us)
) PARTITION BY RANGE (ingest_us);
COMMENT ON TABLE decisiond.outcome IS 'What happened later to a decision: outcomes, overrides, annotations';
CREATE INDEX outcome_decision_id ON decisiond.outcome (decision_id);
CREATE INDEX outcome_ingest_us ON decisiond.outcome USING brin (ingest_us);

CREATE TABLE decisiond.access_log (
    journal_id uuid NOT NULL,
    seq bigint NOT NULL,
    at_us bigint NOT NULL,
    principal text NOT NULL,
    action text NOT NULL,
    resource_type text NOT NULL,
    resource_id text,
    effect text NOT NULL CHECK (effect IN ('permit', 'forbid', 'mask')),
    policy text,
    reason text,
    masked json,
    data_subject bytea,
    key_id int,
    request_id text,
    PRIMARY KEY (journal_id, seq, at_us)
) PARTITION BY RANGE (at_us);
COMMENT ON TABLE decisiond.access_log IS 'Who saw or was denied what; a decision record is its own entry and not repeated';
CREATE INDEX access_log_principal ON decisiond.access_log (principal, at_us);
CREATE INDEX access_log_data_subject ON decisiond.access_log (data_subject, at_us) WHERE data_subject IS NOT NULL;
CREATE INDEX access_log_at_us ON decisiond.access_log USING brin (at_us);

CREATE TABLE decisiond.quarantine (
    key bytea PRIMARY KEY,
    code text NOT NULL,
    class text NOT NULL,
    pointer text,
    message text NOT NULL,
    contract text,
    contract_version int,
    source text,
    id text,
    raw bytea,
    count bigint NOT NULL DEFAULT 1 CHECK (count >= 1),
    first_seen_us bigint NOT NULL,
    last_seen_us bigint NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    closed_us bigint,
    closed_by text,
    journal_id uuid NOT NULL,
    seq bigint NOT NULL,
    principal text,
    data_subject bytea,
    key_id int
);
COMMENT ON TABLE decisiond.quarantine IS 'Refused input, kept whole; keyed by the hash of its raw bytes';
CREATE INDEX quarantine_open_entries ON decisiond.quarantine (contract, last_seen_us) WHERE state = 'open';
CREATE INDEX quarantine_identity ON decisiond.quarantine (source, id) WHERE source IS NOT NULL;

-- COPY knows no ON CONFLICT, so a shipper copies into temporary tables of its session and merges from there.
-- To be called once on each new connection.
CREATE FUNCTION decisiond.ship_stage() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('pg_temp.quarantine_stage') IS NULL THEN
        CREATE TEMPORARY TABLE quarantine_stage (LIKE decisiond.quarantine INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
    END IF;
END $$;
COMMENT ON FUNCTION decisiond.ship_stage IS 'Creates this session''s staging tables';

-- Merges the stage: a resend raises the count of its entry and opens it again; the first sight keeps the raw bytes.
CREATE FUNCTION decisiond.quarantine_merge() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    merged bigint;
BEGIN
    WITH ranked AS (
        SELECT s.*, row_number() OVER (PARTITION BY s.key ORDER BY s.seq DESC) AS rank,
            sum(s.count) OVER (PARTITION BY s.key) AS total,
            min(s.first_seen_us) OVER (PARTITION BY s.key) AS earliest
        FROM pg_temp.quarantine_stage s
    )
    INSERT INTO decisiond.quarantine AS q (
        key, code, class, pointer, message, contract, contract_version, source, id, raw, count, first_seen_us,
        last_seen_us, state, closed_us, closed_by, journal_id, seq, principal, data_subject, key_id
    )
    SELECT key, code, class, pointer, message, contract, contract_version, source, id, raw, total, earliest,
        last_seen_us, state, closed_us, closed_by, journal_id, seq, principal, data_subject, key_id
    FROM ranked WHERE rank = 1 ORDER BY key
    ON CONFLICT (key) DO UPDATE SET
        code = excluded.code, class = excluded.class, pointer = excluded.pointer, message = excluded.message,
        contract = excluded.contract, contract_version = excluded.contract_version,
        count = q.count + excluded.count, first_seen_us = least(q.first_seen_us, excluded.first_seen_us),
        last_seen_us = greatest(q.last_seen_us, excluded.last_seen_us), state = excluded.state,
        closed_us = excluded.closed_us, closed_by = excluded.closed_by, journal_id = excluded.journal_id,
        seq = excluded.seq, principal = excluded.principal;
    GET DIAGNOSTICS merged = ROW_COUNT;
    RETURN merged;
END $$;
COMMENT ON FUNCTION decisiond.quarantine_merge IS 'Merges this session''s quarantine_stage by key; returns entries touched';

-- Closes the open entries of accepted identities.
CREATE FUNCTION decisiond.quarantine_close(sources text[], ids text[], at_us bigint, who text) RETURNS bigint
LANGUAGE sql AS $$
    WITH closed AS (
        UPDATE decisiond.quarantine q SET state = 'closed', closed_us = at_us, closed_by = who
        FROM unnest(sources, ids) AS accepted(source, id)
        WHERE q.source = accepted.source AND q.id = accepted.id AND q.state = 'open'
        RETURNING 1
    )
    SELECT count(*) FROM closed
$$;
COMMENT ON FUNCTION decisiond.quarantine_close IS 'Closes open entries whose (source, id) has been accepted';

-- Tables partitioned by day.
CREATE VIEW decisiond.partitioned AS
    SELECT c.oid::regclass AS parent, c.relname::text AS name
    FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
    WHERE c.relnamespace = 'decisiond'::regnamespace;
COMMENT ON VIEW decisiond.partitioned IS 'Tables that are partitioned by UTC day of ingest';

-- Creates the partitions from the day of from_us (default: yesterday) to days_ahead days after today. CREATE ... LIKE and
-- ATTACH lock the parent only against schema changes, so shipping and reading go on; PARTITION OF would stop both.
CREATE FUNCTION decisiond.ensure_partitions(days_ahead int, from_us bigint DEFAULT NULL) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    day_us CONSTANT bigint := 86400000000;
    today bigint := floor(extract(epoch FROM now()) / 86400)::bigint;
    first_day bigint := coalesce(div(from_us::numeric, day_us::numeric)::bigint, today - 1);
    target record;
    day bigint;
    partition text;
    created int := 0;
BEGIN
    IF days_ahead < 0 OR days_ahead > 400 OR today + days_ahead - first_day > 4000 THEN
        RAISE EXCEPTION 'from day % to % days ahead is out of bounds', first_day, days_ahead
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('decisiond.ensure_partitions', 0));
    FOR target IN SELECT parent, name FROM decisiond.partitioned ORDER BY name LOOP
        FOR day IN first_day..(today + days_ahead) LOOP
            partition := format('%s_%s', target.name, to_char(to_timestamp(day * 86400) AT TIME ZONE 'UTC', 'YYYYMMDD'));
            CONTINUE WHEN to_regclass('decisiond.' || quote_ident(partition)) IS NOT NULL;
            EXECUTE format('CREATE TABLE decisiond.%I (LIKE %s INCLUDING ALL)', partition, target.parent);
            EXECUTE format(
                'ALTER TABLE %s ATTACH PARTITION decisiond.%I FOR VALUES FROM (%s) TO (%s)',
                target.parent, partition, day * day_us, (day + 1) * day_us
            );
            created := created + 1;
        END LOOP;
    END LOOP;
    RETURN created;
END $$;
COMMENT ON FUNCTION decisiond.ensure_partitions IS 'Creates missing day partitions of all streams; returns how many';

-- Drops the partitions of one stream that end at or before before_us. Waits at most two seconds for the parent's lock,
-- since every reader would queue behind it.
CREATE FUNCTION decisiond.drop_partitions(stream text, before_us bigint) RETURNS SETOF text
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    target record;
BEGIN
    FOR target IN
        SELECT c.relname::text AS name
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        JOIN decisiond.partitioned p ON p.parent = i.inhparent::regclass
        WHERE p.name = stream
            AND decisiond.us((to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC') <= before_us
        ORDER BY 1
    LOOP
        EXECUTE format('DROP TABLE decisiond.%I', target.name);
        RETURN NEXT target.name;
    END LOOP;
END $$;
COMMENT ON FUNCTION decisiond.drop_partitions IS 'Drops whole days of a stream, for retention; returns their names';

SELECT decisiond.ensure_partitions(14);
