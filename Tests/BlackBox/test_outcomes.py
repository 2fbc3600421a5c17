"""Outcomes of decisions that memory has let go, while PostgreSQL is away: accepted, resolved when shipped, counted once."""
import contextlib
import uuid

import pytest

import daemon as daemons
import decisions
import moments

REPAID = {
    "kind": "Measure", "name": "repaid", "owner": "risk",
    "spec": {
        "stream": "outcomes", "aggregate": "sum", "of": "value.number", "filter": 'name = "repaid"',
        "dimensions": [{"name": "decision", "expression": "decision"}]}}


@pytest.fixture(scope="module")
def own_cluster():
    made = daemons.Cluster()
    try:
        yield made.start()
    finally:
        made.remove()


@contextlib.contextmanager
def away(cluster, daemon):
    """PostgreSQL is down while the block runs, and the daemon knows it."""
    cluster.stop("fast")
    try:
        daemons.eventually(
            lambda: any(item["component"] == "postgres" for item in daemon.wait_ready()["degraded"]), "PostgreSQL is away")
        yield
    finally:
        cluster.start()


def post(session, record, value, key=None, **options):
    headers = {"Idempotency-Key": key} if key else {}
    return session.post(
        f"/v1/decision-records/{record}/outcomes", json={"name": "repaid", "value": value}, headers=headers, **options)


def counted(daemon):
    """The measure as memory has it."""
    answer = daemon.admin.post("/v1/measures/query", json={
        "measures": ["repaid"], "dimensions": ["decision"], "timeDimensions": [{"granularity": "15m"}]})
    assert answer.status_code == 200, answer.text
    return {(row["time.15m"], row["decision"]): row["repaid"] for row in answer.json()["data"]}


def stored(daemon):
    """The measure as PostgreSQL has it, by bucket [microseconds]."""
    rows = daemon.sql("SELECT bucket_us, sum, count FROM decisiond.rollup WHERE measure = 'repaid' ORDER BY bucket_us")
    return [(int(bucket), float(total), int(count)) for bucket, total, count in rows]


def entries(daemon):
    return [
        (row["code"], row["class"], row["pointer"]) for row in daemon.admin.get("/v1/quarantine").json()["entries"]]


def prepare(daemon):
    """A measure over outcomes, and the ids of shipped decisions."""
    answer = daemon.admin.post("/v1/definitions/apply", json={"definitions": [REPAID]})
    assert answer.status_code == 200, answer.text
    decisions.make_patient(daemon)
    made = [
        decisions.decide(daemon.admin, decisions.OFFER, {"customer": str(number)})["id"] for number in range(4)]
    daemon.wait_shipped()
    return made


def check(daemon, made, total, count):
    """What must be there in the end, in memory and in PostgreSQL."""
    daemon.wait_connected()
    daemons.eventually(lambda: stored(daemon) and stored(daemon)[0][2] == count, "the outcomes count")
    daemon.wait_shipped()
    (decided,), = daemon.sql(
        f"SELECT decided_us / 900000000 * 900000000 FROM decisiond.decision_record WHERE id = '{made[0]}'")
    assert stored(daemon) == [(int(decided), total, count)]
    memory = counted(daemon)
    assert list(memory.values()) == [total] and {key[1] for key in memory} == {"retention-offer"}
    assert entries(daemon) == [("unknown_decision", "unknown_reference", "/decision_id")]
    assert daemon.sql("""
        SELECT count(*), count(*) FILTER (WHERE decision = 'retention-offer' AND decided_us IS NOT NULL)
        FROM decisiond.outcome""") == [[str(count), str(count)]]
    assert daemon.sql("SELECT code, class, count, state FROM decisiond.quarantine") == [
        ["unknown_decision", "unknown_reference", "1", "open"]]


def test_outcomes_while_postgres_is_away(make_daemon, own_cluster):
    daemon = make_daemon(database_url=own_cluster.create_database(), ship_interval_ms=5)
    made = prepare(daemon)
    assert post(daemon.admin, made[0], 1).status_code == 201
    assert post(daemon.admin, str(uuid.uuid4()), 7).status_code == 404, "PostgreSQL says that there is none"
    analyst = daemon.session("analyst")
    unknown = str(uuid.uuid4())
    with away(own_cluster, daemon):
        first = post(daemon.admin, made[1], 10, key="k1")
        assert first.status_code == 202 and first.json()["decision_id"] == made[1], first.text
        again = post(daemon.admin, made[1], 10, key="k1")
        assert (again.status_code, again.json()) == (202, first.json())
        assert post(daemon.admin, unknown, 100, key="k2").status_code == 202
        assert post(analyst, made[1], 1000).status_code == 403, "who may not, may not"
        daemon.restart(kill=True)
        assert post(daemon.admin, made[2], 20).status_code in (201, 202)
        assert post(daemon.admin, made[1], 10, key="k1").json() == first.json()
    check(daemon, made, 31, 3)
    shown = daemon.admin.get(f"/v1/decision-records/{made[1]}").json()["outcomes"]
    assert [outcome["value"] for outcome in shown] == [10]
    assert daemon.admin.get(f"/v1/decision-records/{unknown}").status_code == 404
    for kill in (True, False):
        daemon.restart(kill=kill)
        check(daemon, made, 31, 3)
    assert daemon.stop() == 0


@pytest.mark.skipif(moments.instrumented(), reason="a sanitizer's library must come first")
@pytest.mark.parametrize("moment", ["before_commit", "commit_sent", "before_write", "after_sync"])
def test_killed_between_the_outcome_and_its_verdict(make_daemon, own_cluster, moment):
    """The transaction that stores the outcome and the frame that counts it are two: dying between them changes nothing."""
    daemon = make_daemon(start=False, database_url=own_cluster.create_database(), ship_interval_ms=5)
    chosen = moments.Moments(daemon)
    daemon.start()
    made = prepare(daemon)
    with away(own_cluster, daemon):
        for number, record in enumerate(made[:3]):
            assert post(daemon.admin, record, 10 ** number).status_code == 202
        assert post(daemon.admin, str(uuid.uuid4()), 9).status_code == 202
        chosen.arm(moment, 1)
    daemons.eventually(lambda: daemon.process.poll() is not None, f"killed at {moment}")
    chosen.disarm()
    daemon.process = None
    daemon.start()
    check(daemon, made, 111, 3)
    daemon.restart(kill=True)
    check(daemon, made, 111, 3)
    assert daemon.stop() == 0
