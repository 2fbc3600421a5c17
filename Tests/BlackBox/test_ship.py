"""Shipping: what PostgreSQL refuses, what it does not answer, who waits for it."""
import concurrent.futures
import os
import random
import time

import pytest
import requests

import daemon as daemons
import decisions
from load import Client, Oracle, events, make_subjects_known
from shipping import CuttingProxy, freeze, metric
from test_survive import (
    CREDIT, check_database, check_features, customer, decide, degraded, moment, ndjson, purchase, send, stored_ids)

SEED = int(os.environ.get("DECISIOND_TEST_SEED") or random.randrange(1 << 30))
CUTS = 400 if os.environ.get("DECISIOND_TEST_LONG") == "1" else 40


@pytest.fixture(scope="module")
def private_cluster():
    made = daemons.Cluster()
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture
def own_cluster(private_cluster):
    """A cluster that the test may stop; it runs when the next one begins."""
    yield private_cluster
    private_cluster.start()


def readiness(daemon):
    return requests.get(daemon.url + "/readyz").json()


def degradation(daemon, code):
    return next((item for item in readiness(daemon)["degraded"] if item["code"] == code), None)


# Rows that PostgreSQL refuses


def refuse_rows(daemon):
    """Makes PostgreSQL refuse what has to do with poison, in each way that it can."""
    daemon.sql("""
        ALTER TABLE decisiond.event ADD CONSTRAINT no_poison CHECK (id NOT LIKE 'poison-%');
        ALTER TABLE decisiond.access_log ADD CONSTRAINT no_poison CHECK (principal <> 'poison');
        ALTER TABLE decisiond.quarantine ADD CONSTRAINT no_poison CHECK (code <> 'type_mismatch');
        CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'not this one' USING ERRCODE = TG_ARGV[0]; END $$;
        CREATE TRIGGER no_poison BEFORE INSERT ON decisiond.decision_record FOR EACH ROW
            WHEN (NEW.entity = 'poison') EXECUTE FUNCTION public.refuse('22P05');
        CREATE TRIGGER no_poison BEFORE INSERT ON decisiond.outcome FOR EACH ROW
            WHEN (NEW.kind = 'poison') EXECUTE FUNCTION public.refuse('23514');""")


def test_refused_rows_go_to_quarantine_and_all_others_ship(make_daemon):
    daemon = make_daemon()
    api = daemon.admin
    send(api, [customer("c0"), customer("poison")])
    reader = daemon.session("admin", name="poison")
    daemon.wait_shipped()
    refuse_rows(daemon)

    ids = [f"poison-{n}" if n % 37 == 5 else f"good-{n}" for n in range(300)]
    assert send(api, [purchase(name) for name in ids])["accepted"] == 300
    records = {name: decide(api, name)["id"] for name in ("c0", "poison")}
    for kind in ("bought", "poison"):
        answer = api.post(f"/v1/decision-records/{records['c0']}/outcomes", json={"name": kind, "value": True})
        assert answer.status_code == 201, answer.text
    assert reader.get(f"/v1/decision-records/{records['c0']}").status_code == 200
    ahead = purchase("ahead") | {"time": moment(-3600)}
    assert send(api, [purchase("bad", amount="much"), ahead])["quarantined"] == 2
    assert send(api, [purchase("last")])["accepted"] == 1
    daemon.wait_shipped()

    poison = [name for name in ids if name.startswith("poison")]
    assert stored_ids(daemon) == sorted(set(ids) - set(poison) | {"last"})
    assert daemon.sql("SELECT entity FROM decisiond.decision_record") == [["c0"]]
    assert daemon.sql("SELECT kind, decision FROM decisiond.outcome") == [["bought", "retention-offer"]]
    assert daemon.sql("SELECT count(*) FROM decisiond.access_log WHERE principal = 'poison'") == [["0"]]
    assert daemon.sql("SELECT count(*) FROM decisiond.access_log WHERE principal <> 'poison'") != [["0"]]
    assert daemon.sql("SELECT count(*) FROM decisiond.quarantine WHERE class <> 'unshippable'") == [["1"]]
    kept = daemon.sql("""
        SELECT code, id, seq, position(convert_to(coalesce(id, 'poison'), 'UTF8') in raw) > 0, journal_id IS NOT NULL,
            message FROM decisiond.quarantine WHERE class = 'unshippable' AND state = 'open' ORDER BY seq""")
    named = [(row[0], row[1]) for row in kept if row[1] is not None]
    assert [name for _, name in named[:len(poison)]] == poison
    assert {code for code, name in named if name in poison} == {"sqlstate_23514"}
    assert ("sqlstate_22p05", records["poison"]) in named
    assert sum(code == "sqlstate_23514" for code, _ in named) == len(poison) + 1, "the outcome, too"
    # The access entry and the line that was in quarantine have no identity of their own.
    assert len(kept) == len(named) + 2
    assert all(row[3] == "t" and row[4] == "t" for row in kept if row[1] in poison)
    assert all("memory keep it" in row[5] for row in kept)

    check_told(daemon, len(kept), records)
    assert metric(daemon, "decisiond_unshippable_rows_total", table="event", code="sqlstate_23514") == len(poison)
    # Memory has them all.
    values = api.get("/v1/features/customer_purchases?customer=c0").json()["values"]
    assert values["count_90d"] == 301
    daemon.restart(kill=True)
    check_told(daemon, len(kept), records)
    daemon.sql("UPDATE decisiond.quarantine SET state = 'closed' WHERE class = 'unshippable'")
    daemons.eventually(lambda: degradation(daemon, "unshippable_rows") is None, "closed entries are no more told")


def check_told(daemon, count, records):
    """Readiness counts the refused rows, quarantine lists them, the record can still be read."""
    told = daemons.eventually(lambda: degradation(daemon, "unshippable_rows"), "refused rows are told")
    assert told["component"] == "postgres" and f" {count} " in told["detail"]
    assert "shipping_stopped" not in {item["code"] for item in readiness(daemon)["degraded"]}
    listed = daemon.admin.get("/v1/quarantine?class=unshippable&limit=1000").json()["entries"]
    # The line that was in quarantine before is listed under its own class.
    assert len(listed) in (count - 1, count)
    assert [entry["seq"] for entry in listed] == sorted(entry["seq"] for entry in listed)
    assert daemon.admin.get(f"/v1/decision-records/{records['poison']}").json()["entity"] == "poison"


def test_acceptance_closes_what_was_refused_before(make_daemon):
    daemon = make_daemon()
    send(daemon.admin, [customer("c0")])
    assert send(daemon.admin, [purchase("x", amount="much")])["quarantined"] == 1
    assert send(daemon.admin, [purchase("x")])["accepted"] == 1
    daemon.wait_shipped()
    assert daemon.sql("SELECT state, closed_by FROM decisiond.quarantine") == [["closed", "accepted"]]


def test_more_refused_rows_than_the_limit_stop_shipping(make_daemon):
    # Only who waits for PostgreSQL wakes the shipper, so that all events go into one transaction.
    daemon = make_daemon(ship_interval_ms=60_000)
    assert post_events(daemon.admin, [customer("c0")], ack="postgres").status_code == 200
    daemon.sql("ALTER TABLE decisiond.event ADD CONSTRAINT nothing CHECK (source = 'nobody') NOT VALID")
    send(daemon.admin, [purchase(n) for n in range(1100)])
    late = post_events(daemon.admin, [customer("c1")], ack="postgres", deadline_ms=100)
    assert (late.status_code, late.json()["code"]) == (503, "not_shipped_in_time")
    told = daemons.eventually(lambda: degradation(daemon, "shipping_stopped"), "that is told")
    assert "23514" in told["detail"] and "nothing" in told["detail"]
    daemon.sql("ALTER TABLE decisiond.event DROP CONSTRAINT nothing")
    daemon.wait_shipped()
    assert stored_ids(daemon) == sorted(str(n) for n in range(1100))
    assert degraded(daemon) == {}


# Faults of the schema


def test_a_fault_of_the_schema_stops_shipping_loudly_and_heals(make_daemon):
    daemon = make_daemon()
    send(daemon.admin, [customer("c0")])
    daemon.wait_shipped()
    daemon.sql("ALTER TABLE decisiond.event RENAME COLUMN subject TO somebody")
    send(daemon.admin, [purchase(n) for n in range(10)])
    told = daemons.eventually(lambda: degradation(daemon, "shipping_stopped"), "that is told")
    assert told["component"] == "postgres" and "SQLSTATE 42703" in told["detail"]
    assert metric(daemon, "decisiond_ship_failures_total", code="42703") >= 1
    assert decide(daemon.admin, "c0")["fallback"] is None
    assert send(daemon.admin, [purchase(n) for n in range(10, 20)])["accepted"] == 10
    daemon.sql("ALTER TABLE decisiond.event RENAME COLUMN somebody TO subject")
    check_database(daemon)
    assert len(stored_ids(daemon)) == 20
    assert degraded(daemon) == {}


def test_missing_partitions_are_made(make_daemon):
    daemon = make_daemon()
    send(daemon.admin, [customer("c0")])
    daemon.wait_shipped()
    for stream in ("event", "decision_record"):
        daemon.sql(f"SELECT decisiond.drop_partitions('{stream}', 4102444800000000)")
    send(daemon.admin, [purchase(n) for n in range(10)])
    decide(daemon.admin, "c0")
    daemon.wait_shipped()
    assert len(stored_ids(daemon)) == 10
    assert daemon.sql("SELECT count(*) FROM decisiond.decision_record") == [["1"]]
    assert degraded(daemon) == {}


# A server that does not answer


def test_a_frozen_server_is_noticed_and_nobody_waits_for_it(make_daemon, own_cluster):
    daemon = make_daemon(database_url=own_cluster.create_database(), drain_timeout_ms=1000)
    send(daemon.admin, [customer("c0")])
    daemon.wait_shipped()
    thaw = freeze(own_cluster)
    try:
        for number in range(20):
            assert send(daemon.admin, [purchase(number)])["accepted"] == 1
            decide(daemon.admin, "c0")
        daemons.eventually(lambda: degraded(daemon).get("postgres") == "unavailable", "told that it does not answer")
        assert send(daemon.admin, [purchase(20)])["accepted"] == 1
        decide(daemon.admin, "c0")
    finally:
        thaw()
    daemon.wait_connected()
    check_database(daemon)
    assert len(stored_ids(daemon)) == 21
    assert daemon.sql("SELECT count(*) FROM decisiond.decision_record") == [["21"]]


def test_commits_without_an_answer(make_daemon, cluster):
    """The connection is cut at every moment of a transaction, after COMMIT above all: the stored position decides."""
    url = cluster.create_database()
    proxy = CuttingProxy(url, SEED)
    daemon = make_daemon(database_url=proxy.url, ship_interval_ms=5, ship_batch_frames_max=200)
    daemon.database_url = url
    # A batch has one event of each, so that none gets more than memory keeps (`entity_events_max`), however long it takes.
    subjects = [f"c{n}" for n in range(20)]
    send(daemon.admin, [customer(subject) for subject in subjects])
    daemon.wait_shipped()
    proxy.armed = True
    total = 0
    end = time.monotonic() + daemons.PATIENCE_S * (CUTS / 40)
    while min(proxy.cuts.values()) < CUTS // 4 and time.monotonic() < end:
        send(daemon.admin, [purchase(total + n, subject) for n, subject in enumerate(subjects)])
        decide(daemon.admin, "c0")
        total += 20
        time.sleep(0.02)
    proxy.armed = False
    assert min(proxy.cuts.values()) >= CUTS // 4, f"seed {SEED}: {proxy.cuts}"
    check_database(daemon)
    assert stored_ids(daemon) == sorted(str(n) for n in range(total)), f"seed {SEED}"
    assert daemon.sql("SELECT count(*) FROM decisiond.decision_record") == [[str(total // 20)]]
    check_features(daemon, subjects)
    daemon.stop()
    daemon.process = None
    proxy.close()


# ack=postgres


def post_events(session, events, invalid=False, **query):
    return session.post(
        "/v1/events", data=ndjson(events), params=query, headers={"Content-Type": "application/x-ndjson"},
        invalid=invalid)


def test_ack_postgres_answers_when_it_is_there(make_daemon):
    # Nobody who waits has to sit out the interval.
    daemon = make_daemon(ship_interval_ms=60_000)
    api = daemon.admin
    for number in range(5):
        assert post_events(api, [customer(f"c{number}")], ack="postgres").json()["accepted"] == 1
        assert daemon.sql(f"SELECT 1 FROM decisiond.event WHERE id = 'c{number}'") == [["1"]]
    events = [customer(f"many-{n}") for n in range(3000)]
    assert post_events(api, events, ack="postgres", results="problems").json()["accepted"] == 3000
    assert daemon.sql("SELECT count(*) FROM decisiond.event WHERE id LIKE 'many-%'") == [["3000"]]
    assert post_events(api, events[:2], ack="postgres").json()["duplicates"] == 2

    body = {"inputs": {"customer": "c0"}, "deadline_ms": 60_000}
    for key in ({}, {"Idempotency-Key": "one"}, {"Idempotency-Key": "one"}):
        answer = api.post("/v1/decide/retention-offer?ack=postgres", json=body, headers=key)
        assert answer.status_code == 200, answer.text
        stored = daemon.sql(f"SELECT seq FROM decisiond.decision_record WHERE id = '{answer.json()['id']}'")
        assert stored == [[str(answer.json()["seq"])]]
    assert daemon.sql("SELECT count(*) FROM decisiond.decision_record") == [["2"]]
    outcome = api.post(
        f"/v1/decision-records/{answer.json()['id']}/outcomes?ack=postgres", json={"name": "bought", "value": True})
    assert outcome.status_code == 201, outcome.text
    assert daemon.sql("SELECT id FROM decisiond.outcome") == [[outcome.json()["id"]]]


def test_ack_is_refused_where_it_cannot_be_kept(make_daemon, daemon):
    answer = post_events(daemon.admin, [customer("c0")], ack="soon", invalid=True)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/ack")
    for value in ("0", "60001", "x"):
        answer = post_events(daemon.admin, [customer("c0")], deadline_ms=value, invalid=True)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/deadline_ms")
    alone = make_daemon(database_url=None, definitions=None)
    answer = post_events(alone.admin, [customer("c0")], ack="postgres")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "not_configured")


def test_ack_postgres_while_postgres_is_away(make_daemon, own_cluster):
    daemon = make_daemon(database_url=own_cluster.create_database(), drain_timeout_ms=1000)
    api = daemon.admin
    send(api, [customer("c0")])
    record = decide(api, "c0")["id"]
    daemon.wait_shipped()
    own_cluster.stop("immediate")
    late = post_events(api, [purchase("late")], ack="postgres", deadline_ms=300)
    assert (late.status_code, late.json()["code"]) == (503, "not_shipped_in_time")
    assert post_events(api, [purchase("late")]).json()["duplicates"] == 1, "the journal has it"
    body = {"inputs": {"customer": "c0"}, "deadline_ms": 300}
    late = api.post("/v1/decide/retention-offer?ack=postgres", json=body, headers={"Idempotency-Key": "late"})
    assert (late.status_code, late.json()["code"], "Retry-After" in late.headers) == (503, "not_shipped_in_time", True)

    # Forty callers wait; nobody else does.
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        waiting = [
            pool.submit(
                requests.post, f"{daemon.url}/v1/events?ack=postgres&deadline_ms=60000", data=ndjson([purchase(n)]),
                headers={"Authorization": f"Bearer {daemon.key}", "Content-Type": "application/x-ndjson"})
            for n in range(40)]
        daemons.eventually(lambda: api.get("/v1/features/customer_purchases?customer=c0").json()["values"][
            "count_90d"] == 41, "all are in memory")
        for _ in range(10):
            decide(api, "c0")
            assert api.post("/v1/decide/credit-limit", json={"inputs": CREDIT}).status_code == 200
        assert not any(each.done() for each in waiting)
        own_cluster.start()
        answers = [each.result() for each in waiting]
    assert {answer.status_code for answer in answers} == {200}
    stored = set(stored_ids(daemon))
    assert stored == {"late", *map(str, range(40))}
    again = api.post(
        "/v1/decide/retention-offer?ack=postgres", json=body, headers={"Idempotency-Key": "late"})
    assert again.status_code == 200 and again.json()["id"] != record
    assert daemon.sql(f"SELECT 1 FROM decisiond.decision_record WHERE id = '{again.json()['id']}'") == [["1"]]
    check_database(daemon)


def test_a_superseded_measure_is_shipped_after_a_restart(make_daemon):
    """Frames that wait while a measure changes, and while the process dies, count by the version that covers them."""
    daemon = make_daemon(ship_interval_ms=5)
    measure = {
        "kind": "Measure", "name": "counted", "owner": "sales",
        "spec": {"stream": "retail_events", "aggregate": "max", "of": "data.amount"}}
    decisions.apply(daemon, measure)
    make_subjects_known(daemon)
    daemon.wait_shipped()
    client, oracle, chance = Client(daemon), Oracle(), random.Random(3)
    with daemons.held_lock(daemon.database_url, "decisiond.event"):
        for version in (1, 2):
            for number in range(5):
                operation = events(f"v{version}-{number}", 10, chance)
                assert oracle.told(operation, client.send(operation))
            if version == 1:
                decisions.apply(daemon, {**measure, "spec": {**measure["spec"], "aggregate": "min"}})
        daemon.restart(kill=True)
    daemon.wait_shipped()
    cents = {version: [money for name, (_, money) in oracle.events.items() if name.startswith(f"v{version}-")]
             for version in (1, 2)}
    rows = daemon.sql("""
        SELECT version, sum(count), max(max), min(min) FROM decisiond.rollup WHERE measure = 'counted'
        GROUP BY version ORDER BY version""")
    assert [(row[0], int(row[1])) for row in rows] == [("1", 50), ("2", 50)]
    assert round(float(rows[0][2]) * 100) == max(cents[1]) and round(float(rows[1][3]) * 100) == min(cents[2])
