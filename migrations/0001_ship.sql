-- Positions of journals, and the functions that move them.
--
-- A journal ships its frames in order of a dense sequence number. Its stored position moves in the transaction that
-- stores the rows, so the two can never disagree: that is what makes shipping exactly-once.

COMMENT ON SCHEMA decisiond IS 'decisiond: events, decisions, measures and definitions';

CREATE TABLE decisiond.ship_state (
    journal_id uuid PRIMARY KEY,
    next_seq bigint NOT NULL CHECK (next_seq >= 1),
    epoch bigint NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    owner text,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE decisiond.ship_state IS 'One row a journal: frames below next_seq are stored here';
COMMENT ON COLUMN decisiond.ship_state.epoch IS 'Raised by ship_claim; a shipper with a lower epoch is fenced off';

-- Moves a journal from from_seq to just after to_seq. Raises ZD001 when the stored position is not from_seq, ZD002 when
-- the journal has been claimed with another epoch. The first use of a journal must start at 1 and creates its row.
-- The row lock makes a second shipper wait for the first one's outcome.
CREATE FUNCTION decisiond.ship_advance(
    journal uuid, from_seq bigint, to_seq bigint, expected_epoch bigint DEFAULT NULL
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
    UPDATE decisiond.ship_state s SET next_seq = to_seq + 1, updated_at = now() WHERE s.journal_id = journal;
    RETURN to_seq + 1;
END $$;
COMMENT ON FUNCTION decisiond.ship_advance IS 'Moves a journal''s position or raises ZD001 / ZD002; returns the new next_seq';

-- Takes a journal over: raises its epoch, so that an earlier owner's next ship_advance fails.
CREATE FUNCTION decisiond.ship_claim(journal uuid, new_owner text, OUT next_seq bigint, OUT epoch bigint)
LANGUAGE sql AS $$
    INSERT INTO decisiond.ship_state AS s (journal_id, next_seq, epoch, owner) VALUES (journal, 1, 1, new_owner)
    ON CONFLICT (journal_id) DO UPDATE SET epoch = s.epoch + 1, owner = new_owner, updated_at = now()
    RETURNING s.next_seq, s.epoch
$$;
COMMENT ON FUNCTION decisiond.ship_claim IS 'Raises the epoch of a journal for a new owner and returns where to go on';

-- Reads a position and waits for a transaction that is moving it, which resolves a COMMIT without an answer: the result
-- is either the old or the new position, and final. The row of a journal that never shipped is made first, because only
-- a unique key makes us wait for a first transaction that is still in flight.
CREATE FUNCTION decisiond.ship_position(journal uuid) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO decisiond.ship_state (journal_id, next_seq) VALUES (journal, 1) ON CONFLICT DO NOTHING;
    RETURN (SELECT s.next_seq FROM decisiond.ship_state s WHERE s.journal_id = journal FOR UPDATE);
END $$;
COMMENT ON FUNCTION decisiond.ship_position IS 'The settled next_seq of a journal, after any transaction in flight';
