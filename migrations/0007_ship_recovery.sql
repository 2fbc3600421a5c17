-- What shipping needs to recover by itself: a fingerprint of the last frame stored, so that a journal that was put back to
-- an older state is told from the one that shipped; and a way to find the rows that PostgreSQL refused.

ALTER TABLE decisiond.ship_state ADD COLUMN last_fingerprint bigint;
COMMENT ON COLUMN decisiond.ship_state.last_fingerprint IS 'Hash of the frame next_seq - 1 of this journal; null: not known';

DROP FUNCTION decisiond.ship_advance(uuid, bigint, bigint, bigint);

-- Moves a journal from from_seq to just after to_seq. Raises ZD001 when the stored position is not from_seq, ZD002 when
-- the journal has been claimed with another epoch. The first use of a journal must start at 1 and creates its row.
-- The row lock makes a second shipper wait for the first one's outcome.
CREATE FUNCTION decisiond.ship_advance(
    journal uuid, from_seq bigint, to_seq bigint, expected_epoch bigint DEFAULT NULL, fingerprint bigint DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    stored decisiond.ship_state%ROWTYPE;
BEGIN
    IF from_seq IS NULL OR to_seq IS NULL OR from_seq < 1 OR to_seq < from_seq THEN
        RAISE EXCEPTION 'range % to % is not a range of sequence numbers', from_seq, to_seq USING ERRCODE = 'ZD001';
    END IF;
    IF from_seq = 1 THEN
        INSERT INTO decisiond.ship_state (journal_id, next_seq) VALUES (journal, 1) ON CONFLICT DO NOTHING;
    END IF;
    SELECT * INTO stored FROM decisiond.ship_state s WHERE s.journal_id = journal FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'journal % has no position and cannot start at %', journal, from_seq USING ERRCODE = 'ZD001';
    END IF;
    IF expected_epoch IS NOT NULL AND stored.epoch <> expected_epoch THEN
        RAISE EXCEPTION 'journal % is at epoch %, not %', journal, stored.epoch, expected_epoch USING ERRCODE = 'ZD002';
    END IF;
    IF stored.next_seq <> from_seq THEN
        RAISE EXCEPTION 'journal % is at %, not at %', journal, stored.next_seq, from_seq USING ERRCODE = 'ZD001';
    END IF;
    UPDATE decisiond.ship_state s SET next_seq = to_seq + 1, last_fingerprint = fingerprint, updated_at = now()
    WHERE s.journal_id = journal;
    RETURN to_seq + 1;
END $$;
COMMENT ON FUNCTION decisiond.ship_advance IS 'Moves a journal''s position or raises ZD001 / ZD002; returns the new next_seq';

CREATE INDEX quarantine_unshippable ON decisiond.quarantine (journal_id, seq) WHERE class = 'unshippable';

-- Closes the open entries of the events that a journal stored in a range of positions. The times bound the partitions.
-- Without nested loops, since a partition without statistics would be read once for every open entry.
CREATE FUNCTION decisiond.quarantine_close_range(
    journal uuid, from_seq bigint, to_seq bigint, from_us bigint, to_us bigint, at_us bigint, who text
) RETURNS bigint LANGUAGE sql SET enable_nestloop = off AS $$
    WITH closed AS (
        UPDATE decisiond.quarantine q SET state = 'closed', closed_us = at_us, closed_by = who
        FROM decisiond.event e
        WHERE e.journal_id = journal AND e.seq BETWEEN from_seq AND to_seq AND e.ingest_us BETWEEN from_us AND to_us
            AND q.source = e.source AND q.id = e.id AND q.state = 'open'
        RETURNING 1
    )
    SELECT count(*) FROM closed
$$;
COMMENT ON FUNCTION decisiond.quarantine_close_range IS 'Closes open entries whose (source, id) was stored in a range';
