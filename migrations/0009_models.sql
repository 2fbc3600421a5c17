-- Which version of a model had which stage when, by whom and why. Champions are here too, beside their activation.

CREATE TABLE decisiond.model_stage (
    journal_id uuid NOT NULL,
    seq bigint NOT NULL,
    name text NOT NULL,
    version int NOT NULL CHECK (version >= 1),
    stage text NOT NULL CHECK (stage IN ('candidate', 'champion', 'challenger', 'shadow', 'retired')),
    at_us bigint NOT NULL,
    principal text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (journal_id, seq)
);
COMMENT ON TABLE decisiond.model_stage IS 'Every change of the stage of a model version; rows are never changed';
CREATE INDEX model_stage_name ON decisiond.model_stage (name, version, seq);

-- What models scored, hour by hour, against the reference distributions of their cards. A run of the daemon writes its own
-- rows over and over with all that it counted in the hour; the hour is the sum over journals and runs.

CREATE TABLE decisiond.model_drift (
    name text NOT NULL,
    version int NOT NULL CHECK (version >= 1),
    hour bigint NOT NULL,
    feature text NOT NULL,
    journal_id uuid NOT NULL,
    run uuid NOT NULL,
    fingerprint bigint NOT NULL,
    rows bigint NOT NULL,
    counts bytea NOT NULL,
    PRIMARY KEY (name, version, hour, feature, journal_id, run)
);
COMMENT ON TABLE decisiond.model_drift IS 'Counts of scored values per model version, hour (since the Unix epoch) and input; the empty feature is the score';
COMMENT ON COLUMN decisiond.model_drift.fingerprint IS 'Of the reference distribution that the counts belong to';
