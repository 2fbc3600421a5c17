-- What users define, the files they upload, and who may call.

CREATE TABLE decisiond.definition (
    kind text NOT NULL,
    name text NOT NULL,
    version int NOT NULL CHECK (version >= 1),
    domain text,
    owner text,
    description text,
    spec json NOT NULL,
    source text,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    comment text,
    retired_at timestamptz,
    retired_by text,
    PRIMARY KEY (kind, name, version)
);
COMMENT ON TABLE decisiond.definition IS 'Every version of every definition; rows are never changed, only retired';
COMMENT ON COLUMN decisiond.definition.spec IS 'The compiled-from document as JSON, byte for byte';
COMMENT ON COLUMN decisiond.definition.source IS 'The document as its author wrote it (YAML, DMN XML), where that is not JSON';

CREATE VIEW decisiond.definition_current AS
    SELECT DISTINCT ON (kind, name) *
    FROM decisiond.definition
    ORDER BY kind, name, version DESC;
COMMENT ON VIEW decisiond.definition_current IS 'The latest version of each definition, retired ones included';

CREATE TABLE decisiond.artifact (
    sha256 bytea PRIMARY KEY,
    bytes bytea NOT NULL,
    media_type text,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text,
    CONSTRAINT artifact_is_its_hash CHECK (sha256 = sha256(bytes))
);
ALTER TABLE decisiond.artifact ALTER COLUMN bytes SET STORAGE EXTERNAL;
COMMENT ON TABLE decisiond.artifact IS 'Model files and other bytes, named by their SHA-256';

CREATE TABLE decisiond.api_key (
    id text PRIMARY KEY,
    name text NOT NULL,
    hash bytea NOT NULL,
    roles text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
COMMENT ON TABLE decisiond.api_key IS 'Keys of callers; only a hash is stored';
