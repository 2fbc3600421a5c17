-- Views for people with psql. The daemon does not read them.

CREATE VIEW decisiond.event_flat AS
    SELECT decisiond.at(event_us) AS event_time, decisiond.at(ingest_us) AS ingest_time, contract, contract_version,
        source, id, type, subject, corrects, data, journal_id, seq, ingest_us, event_us
    FROM decisiond.event;
COMMENT ON VIEW decisiond.event_flat IS 'Events with readable times; filter by ingest_us to touch few partitions';

CREATE VIEW decisiond.decision_flat AS
    SELECT decisiond.at(decided_us) AS decided_at, id, decision, version, entity, outputs, fallback_step, experiment,
        arm, principal, journal_id, seq, decided_us
    FROM decisiond.decision_record;
COMMENT ON VIEW decisiond.decision_flat IS 'Decisions with readable times, without the whole record';

CREATE VIEW decisiond.quarantine_open AS
    SELECT contract, code, count(*) AS entries, sum(count) AS arrivals, sum(octet_length(raw)) AS bytes,
        decisiond.at(min(first_seen_us)) AS first_seen, decisiond.at(max(last_seen_us)) AS last_seen
    FROM decisiond.quarantine WHERE state = 'open'
    GROUP BY contract, code;
COMMENT ON VIEW decisiond.quarantine_open IS 'Open quarantine by contract and code';

CREATE VIEW decisiond.ship_status AS
    SELECT journal_id, owner, epoch, next_seq, updated_at, now() - updated_at AS idle_for
    FROM decisiond.ship_state;
COMMENT ON VIEW decisiond.ship_status IS 'How far each journal has been shipped, and when last';

CREATE VIEW decisiond.partition_status AS
    SELECT p.name AS stream, c.relname::text AS partition, to_date(right(c.relname, 8), 'YYYYMMDD') AS day,
        c.reltuples::bigint AS rows_estimated, pg_total_relation_size(c.oid) AS bytes
    FROM decisiond.partitioned p
    JOIN pg_inherits i ON i.inhparent = p.parent
    JOIN pg_class c ON c.oid = i.inhrelid;
COMMENT ON VIEW decisiond.partition_status IS 'Day partitions with their sizes';
