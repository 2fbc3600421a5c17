-- Aggregates of measures, per journal; readers merge the journals.

CREATE TABLE decisiond.rollup (
    measure text NOT NULL,
    version int NOT NULL,
    bucket_us bigint NOT NULL,
    dimensions text NOT NULL CHECK (octet_length(dimensions) <= 2000),
    journal_id uuid NOT NULL,
    count bigint NOT NULL DEFAULT 0,
    sum numeric,
    min numeric,
    max numeric,
    state bytea,
    through_seq bigint NOT NULL,
    PRIMARY KEY (measure, version, bucket_us, dimensions, journal_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE decisiond.rollup IS 'Measures by bucket and dimensions, one row a journal; kept in the ship transaction';
COMMENT ON COLUMN decisiond.rollup.dimensions IS 'Canonical JSON object of dimension values; text, since it is a key';
COMMENT ON COLUMN decisiond.rollup.bucket_us IS 'Start of the bucket, microseconds since the Unix epoch, UTC';
COMMENT ON COLUMN decisiond.rollup.state IS 'State of aggregates that are not numbers, such as sketches';
COMMENT ON COLUMN decisiond.rollup.through_seq IS 'Journal position up to which the row is complete';

CREATE OR REPLACE FUNCTION decisiond.ship_stage() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('pg_temp.quarantine_stage') IS NULL THEN
        CREATE TEMPORARY TABLE quarantine_stage (LIKE decisiond.quarantine INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
    END IF;
    IF to_regclass('pg_temp.rollup_stage') IS NULL THEN
        CREATE TEMPORARY TABLE rollup_stage (LIKE decisiond.rollup INCLUDING DEFAULTS, is_absolute boolean NOT NULL)
            ON COMMIT DELETE ROWS;
    END IF;
END $$;

-- Merges the stage. An absolute row replaces (the journal holds the whole bucket in memory); a relative one is added
-- (late events for buckets that memory has let go). A key appears at most once in a stage. The caller takes states that
-- are not numbers as absolute.
CREATE FUNCTION decisiond.rollup_merge() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    merged bigint;
    added bigint;
BEGIN
    INSERT INTO decisiond.rollup AS r (
        measure, version, bucket_us, dimensions, journal_id, count, sum, min, max, state, through_seq
    )
    SELECT measure, version, bucket_us, dimensions, journal_id, count, sum, min, max, state, through_seq
    FROM pg_temp.rollup_stage WHERE is_absolute
    ORDER BY measure, version, bucket_us, dimensions, journal_id
    ON CONFLICT (measure, version, bucket_us, dimensions, journal_id) DO UPDATE SET
        count = excluded.count, sum = excluded.sum, min = excluded.min, max = excluded.max, state = excluded.state,
        through_seq = excluded.through_seq;
    GET DIAGNOSTICS merged = ROW_COUNT;
    INSERT INTO decisiond.rollup AS r (
        measure, version, bucket_us, dimensions, journal_id, count, sum, min, max, state, through_seq
    )
    SELECT measure, version, bucket_us, dimensions, journal_id, count, sum, min, max, state, through_seq
    FROM pg_temp.rollup_stage WHERE NOT is_absolute
    ORDER BY measure, version, bucket_us, dimensions, journal_id
    ON CONFLICT (measure, version, bucket_us, dimensions, journal_id) DO UPDATE SET
        count = r.count + excluded.count,
        sum = CASE WHEN r.sum IS NULL THEN excluded.sum ELSE r.sum + coalesce(excluded.sum, 0) END,
        min = least(r.min, excluded.min), max = greatest(r.max, excluded.max),
        state = coalesce(excluded.state, r.state), through_seq = greatest(r.through_seq, excluded.through_seq);
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN merged + added;
END $$;
COMMENT ON FUNCTION decisiond.rollup_merge IS 'Merges this session''s rollup_stage; returns rows touched';
