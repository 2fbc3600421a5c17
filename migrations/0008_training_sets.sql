-- Training sets: which rows were made when, from which definitions, with which checksum. The rows themselves are files
-- beside the journal that made them; a deleted set keeps its row here, since models are explained by it.

CREATE TABLE decisiond.training_set (
    number bigint GENERATED ALWAYS AS IDENTITY,
    id uuid PRIMARY KEY,
    name text NOT NULL,
    version int NOT NULL CHECK (version >= 1),
    journal_id uuid NOT NULL,
    job_id uuid NOT NULL,
    views json NOT NULL,
    known_at text NOT NULL,
    position bigint NOT NULL,
    columns json NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    sha256 bytea NOT NULL,
    created_us bigint NOT NULL,
    created_by text NOT NULL,
    deleted_us bigint,
    deleted_by text,
    UNIQUE (name, version)
);
COMMENT ON TABLE decisiond.training_set IS 'Every training set that was made; rows are never changed, only marked deleted';
COMMENT ON COLUMN decisiond.training_set.position IS 'Journal position up to which events count';
COMMENT ON COLUMN decisiond.training_set.sha256 IS 'Of the rows as CSV, as they are served to who may see all columns';
CREATE INDEX training_set_number ON decisiond.training_set (number DESC) WHERE deleted_us IS NULL;
