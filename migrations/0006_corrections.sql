-- Corrections: which event a row supersedes, and which events stand.

ALTER TABLE decisiond.event ADD COLUMN corrects_seq bigint, ADD COLUMN retracts boolean;
COMMENT ON COLUMN decisiond.event.corrects IS 'For a correction: the id that it names, of an earlier event of its source';
COMMENT ON COLUMN decisiond.event.corrects_seq IS
    'For a correction: position in the same journal of the event that it supersedes; each is superseded at most once';
COMMENT ON COLUMN decisiond.event.retracts IS 'For a correction: true when nothing stands in the place of what it supersedes';
CREATE INDEX event_corrects_seq ON decisiond.event (journal_id, corrects_seq) WHERE corrects_seq IS NOT NULL;

CREATE VIEW decisiond.event_alive AS
    SELECT decisiond.at(event_us) AS event_time, decisiond.at(ingest_us) AS ingest_time, contract, contract_version,
        source, id, type, subject, corrects, data, extensions, journal_id, seq, ingest_us, event_us
    FROM decisiond.event e
    WHERE retracts IS NOT TRUE
        AND NOT EXISTS (
            SELECT FROM decisiond.event c WHERE c.journal_id = e.journal_id AND c.corrects_seq = e.seq
        );
COMMENT ON VIEW decisiond.event_alive IS 'Events that stand: neither replaced nor retracted; with readable times';

-- A correction counts from its own position on, so an earlier position still sees what it supersedes.
CREATE FUNCTION decisiond.event_alive_at(journal uuid, at_seq bigint) RETURNS SETOF decisiond.event
LANGUAGE sql STABLE AS $$
    SELECT e.* FROM decisiond.event e
    WHERE e.journal_id = journal AND e.seq <= at_seq AND e.retracts IS NOT TRUE
        AND NOT EXISTS (
            SELECT FROM decisiond.event c
            WHERE c.journal_id = journal AND c.corrects_seq = e.seq AND c.seq <= at_seq
        )
$$;
COMMENT ON FUNCTION decisiond.event_alive_at IS 'Events of one journal that stood at one of its positions';

-- A row of a rollup that a correction touched brings its whole smallest and largest value instead of more to compare.
CREATE OR REPLACE FUNCTION decisiond.ship_stage() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('pg_temp.quarantine_stage') IS NULL THEN
        CREATE TEMPORARY TABLE quarantine_stage (LIKE decisiond.quarantine INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
    END IF;
    IF to_regclass('pg_temp.rollup_stage') IS NULL THEN
        CREATE TEMPORARY TABLE rollup_stage (
            LIKE decisiond.rollup INCLUDING DEFAULTS, is_absolute boolean NOT NULL,
            is_corrected boolean NOT NULL DEFAULT false
        ) ON COMMIT DELETE ROWS;
    END IF;
END $$;

ALTER FUNCTION decisiond.rollup_merge() RENAME TO rollup_merge_additive;
COMMENT ON FUNCTION decisiond.rollup_merge_additive IS 'The part of rollup_merge that adds and replaces; returns rows touched';

-- The additive merge, then what it cannot express: extremes that went, and rows whose last item went.
CREATE FUNCTION decisiond.rollup_merge() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    merged bigint := decisiond.rollup_merge_additive();
BEGIN
    IF EXISTS (SELECT FROM pg_temp.rollup_stage WHERE is_corrected) THEN
        UPDATE decisiond.rollup r SET min = s.min, max = s.max
        FROM pg_temp.rollup_stage s
        WHERE s.is_corrected AND NOT s.is_absolute
            AND (r.measure, r.version, r.bucket_us, r.dimensions, r.journal_id)
                = (s.measure, s.version, s.bucket_us, s.dimensions, s.journal_id);
        DELETE FROM decisiond.rollup r USING pg_temp.rollup_stage s
        WHERE s.is_corrected AND r.count = 0
            AND (r.measure, r.version, r.bucket_us, r.dimensions, r.journal_id)
                = (s.measure, s.version, s.bucket_us, s.dimensions, s.journal_id);
    END IF;
    RETURN merged;
END $$;
COMMENT ON FUNCTION decisiond.rollup_merge IS 'Merges this session''s rollup_stage; returns rows touched';
