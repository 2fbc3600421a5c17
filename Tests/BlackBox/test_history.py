"""Features beyond memory: older than retention keeps, spilled to PostgreSQL, filled into new views. Every value must be the
one that point_in_time.csv and score_at.csv give, whatever memory holds at the time."""
import contextlib
import subprocess
from decimal import Decimal

import pytest
import yaml

import daemon as daemons
import decisions
import retail
from daemon import eventually
from test_features import now, post, purchase, quiet_customer, text

VIEW = daemons.DEMO_DEFINITIONS / "features" / "customer_purchases.yaml"
# Less than the retail file's events take in memory, and more than the store needs when it holds none of them.
TIGHT_BYTES = 2_400_000


@pytest.fixture(scope="module")
def cluster():
    """A PostgreSQL of this module's own, which may be stopped."""
    made = daemons.Cluster()
    try:
        yield made.start()
    finally:
        made.remove()


def view(name="customer_purchases", **spec):
    """The demo's view under a name, with changes of its spec."""
    made = yaml.safe_load(VIEW.read_text())
    made["name"] = name
    made["spec"].update(spec)
    return made


@pytest.fixture(scope="module")
def short(make_daemon):
    """A daemon whose view keeps 90 days, with the whole file in PostgreSQL and most of it out of memory."""
    made = make_daemon()
    decisions.apply(made, view(retention="90d"))
    retail.load(made.admin)
    decisions.make_patient(made)
    made.wait_shipped()
    oldest = min(retail.rows("data/features/point_in_time.csv"), key=lambda row: row["as_of"])

    def retired():
        retail.served(made.admin, oldest["customer"], oldest["as_of"])
        return usage(made)["history_reads"] > 0
    eventually(retired, "retention to let go of what is old")
    return made


def usage(daemon):
    return daemon.admin.get("/v1/usage").json()


def wrong_rows(session, rows):
    """The rows of point_in_time.csv that are not served as they stand."""
    found = []
    for row in rows:
        values = retail.served(session, row["customer"], row["as_of"])
        differing = retail.differences(values, row, retail.point_in_time_columns(row))
        if differing:
            found.append((row["customer"], row["as_of"], row["kind"], differing))
    return found


@contextlib.contextmanager
def locked(url, table, mode):
    """Holds a lock on a table from another session."""
    session = subprocess.Popen(["psql", "-X", "-q", "-d", url], stdin=subprocess.PIPE, text=True)
    try:
        session.stdin.write(f"BEGIN; LOCK TABLE {table} IN {mode} MODE; \n")
        session.stdin.flush()
        eventually(
            lambda: daemons.sql(url, f"SELECT 1 FROM pg_locks WHERE relation = '{table}'::regclass AND granted AND "
                                f"mode = '{mode.title().replace(' ', '')}Lock'"), f"the lock on {table}")
        yield
    finally:
        session.stdin.close()
        session.wait(timeout=60)


def test_as_of_before_retention(short):
    """What memory has let go of is answered from PostgreSQL, to the last digit."""
    before = usage(short)["history_reads"]
    rows = retail.rows("data/features/point_in_time.csv")[::16]
    assert wrong_rows(short.admin, rows) == []
    assert usage(short)["history_reads"] > before + len(rows) // 2


def test_decide_as_of_before_retention(short):
    """The same for decisions: 36 features from PostgreSQL, one model, one score."""
    before = usage(short)["history_reads"]
    for row in retail.rows("data/features/score_at.csv")[::25]:
        answer = decisions.offer(short.admin, row)
        assert answer["fallback"] is None and answer["score"] == Decimal(row["xgb3_retail_repurchase_pred"])
        stored = decisions.record(short.admin, answer["id"])
        values = stored["features"]["customer_purchases"]["values"]
        assert retail.differences(values, row, retail.score_at_columns(row)) == [], row
    assert usage(short)["history_reads"] > before


def test_known_at_in_history(short):
    """An old event that arrives late is known from its arrival on; before it is shipped the journal has it."""
    customer, when = quiet_customer(0), "2010-12-20T12:00:00Z"
    post(short, purchase("history-1", customer, when, 10.00))
    short.wait_shipped()
    between = text(now())
    with locked(short.database_url, "decisiond.ship_state", "EXCLUSIVE"):
        post(short, purchase("history-2", customer, when, 5.50))
        unshipped = [retail.served(short.admin, customer, when, known_at) for known_at in (between, "latest")]
    short.wait_shipped()
    shipped = [retail.served(short.admin, customer, when, known_at) for known_at in (between, "latest")]
    assert unshipped == shipped
    assert [(values["count_1h"], values["sum_90d"]) for values in shipped] == [
        (1, Decimal("10")), (2, Decimal("15.5"))]
    assert retail.served(short.admin, customer, when, None)["count_90d"] == 0, "nothing was known then"


def test_corrections_in_history(short):
    """A correction of an old event: what stands is served, and what was known before it, shipped or not."""
    customer, when = quiet_customer(2), "2010-12-21T12:00:00Z"
    post(short, purchase("history-3", customer, when, 10.00))
    between = text(now())
    with locked(short.database_url, "decisiond.ship_state", "EXCLUSIVE"):
        post(short, {**purchase("history-4", customer, when, 4.25), "corrects": "history-3"})
        unshipped = [retail.served(short.admin, customer, when, known_at) for known_at in (between, "latest")]
    short.wait_shipped()
    shipped = [retail.served(short.admin, customer, when, known_at) for known_at in (between, "latest")]
    assert unshipped == shipped
    assert [(values["count_1h"], values["sum_90d"]) for values in shipped] == [(1, Decimal("10")), (1, Decimal("4.25"))]


def test_full_entity(make_daemon):
    """Past entity_events_max a window is null with its reason, and complete with `complete=true`."""
    made = make_daemon()
    retail.load_customers(made.admin)
    decisions.apply(made, view("few", entity_events_max=3))
    customer = quiet_customer(0)
    for number in range(6):
        post(made, purchase(f"full-{number}", customer, f"2011-01-0{number + 1}T00:00:00Z", 1 + number))
    ask = {"customer": customer, "as_of": "2011-01-10T00:00:00Z", "known_at": "latest"}
    body = made.admin.get("/v1/features/few", params=ask).json()
    assert body["null_reasons"]["count_30d"] == "window_truncated" and body["values"]["last_30d"] == 6
    body = made.admin.get("/v1/features/few", params={**ask, "complete": "true"}).json()
    assert (body["values"]["count_30d"], body["values"]["sum_30d"]) == (6, 21)
    assert body["null_reasons"].get("count_30d") is None
    answer = made.admin.get("/v1/features/few", params={**ask, "complete": "perhaps"}, invalid=True)
    assert answer.status_code == 422


def test_spilled_and_fetched_back(make_daemon, cluster):
    """A memory too small for the file: entities go, come back when read, and no value is ever wrong; also after kill -9.
    Without PostgreSQL a spilled entity is null with its reason, and decisions answer."""
    made = make_daemon(features_memory_bytes_max=TIGHT_BYTES, ship_interval_ms=20)
    retail.load(made.admin)
    decisions.make_patient(made)
    made.wait_shipped()
    eventually(lambda: usage(made)["feature_entities_spilled"] > 0, f"something to be spilled: {usage(made)}")
    rows = retail.rows("data/features/point_in_time.csv")
    assert wrong_rows(made.admin, rows[::16]) == []
    assert usage(made)["feature_entities_fetched"] > 0
    for row in retail.rows("data/features/score_at.csv")[::25]:
        assert decisions.offer(made.admin, row)["score"] == Decimal(row["xgb3_retail_repurchase_pred"])
    made.restart(kill=True)
    made.wait_connected()
    eventually(lambda: usage(made)["feature_entities_spilled"] > 0, "something to be spilled after the restart")
    assert wrong_rows(made.admin, rows[5::16]) == []

    cluster.stop("immediate")
    try:
        eventually(
            lambda: any(item["component"] == "postgres" for item in made.wait_ready()["degraded"]), "degraded")
        spilled, whole = 0, 0
        for row in rows[::16]:
            ask = {"customer": row["customer"], "as_of": row["as_of"], "known_at": "latest"}
            body = retail.exact(made.admin.get(retail.VIEW, params=ask))
            if set(body["null_reasons"].values()) == {"feature_unavailable"} and len(body["null_reasons"]) == 39:
                spilled += 1
                answer = decisions.offer(made.admin, {"customer": row["customer"], "as_of": row["as_of"]})
                assert answer["outputs"]["offer"] is not None
            else:
                whole += 1
                assert retail.differences(body["values"], row, retail.point_in_time_columns(row)) == []
        assert spilled > 0 and whole > 0
    finally:
        cluster.start()
    made.wait_connected()
    assert wrong_rows(made.admin, rows[::64]) == []


def test_history_without_postgres(short, cluster):
    """`as_of` that memory does not cover: refused by name while PostgreSQL is away, answered again when it is back."""
    row = min(retail.rows("data/features/point_in_time.csv"), key=lambda row: row["as_of"])
    ask = {"customer": row["customer"], "as_of": row["as_of"], "known_at": "latest"}
    cluster.stop("immediate")
    try:
        eventually(
            lambda: any(item["component"] == "postgres" for item in short.wait_ready()["degraded"]), "degraded")
        answer = short.admin.get(retail.VIEW, params=ask)
        assert (answer.status_code, answer.json()["code"]) == (503, "history_unavailable")
        assert answer.headers["Retry-After"]
        answer = short.admin.post(decisions.OFFER, json={
            "inputs": {"customer": row["customer"]}, "as_of": row["as_of"], "known_at": "latest"})
        assert (answer.status_code, answer.json()["code"]) == (503, "history_unavailable")
        assert short.admin.get(retail.VIEW, params={"customer": row["customer"]}).status_code == 200
    finally:
        cluster.start()
    short.wait_connected()
    assert wrong_rows(short.admin, [row]) == []


def fill(daemon, name):
    return daemon.admin.get(f"/v1/definitions/FeatureView/{name}").json()["fill"]


def test_new_and_changed_view_are_filled(make_daemon):
    """A view published over stored events: not served before it is complete, then equal to one that was there from the
    start. Of a changed view the version before answers meanwhile, for features and for decisions. kill -9 in the middle
    starts the filling again; once complete it is so after every restart, also with PostgreSQL away."""
    made = make_daemon()
    retail.load(made.admin)
    decisions.make_patient(made)
    made.wait_shipped()
    rows = retail.rows("data/features/point_in_time.csv")[::40]
    score = retail.rows("data/features/score_at.csv")[7]
    changed = view()
    changed["spec"]["features"].append({"name": "first_30d", "aggregate": "first", "of": "/data/amount",
                                        "windows": ["30d"]})
    with locked(made.database_url, "decisiond.event", "ACCESS EXCLUSIVE"):
        decisions.apply(made, view("again"), changed)
        for _ in range(2):
            answer = made.admin.get("/v1/features/again", params={"customer": "1"})
            assert (answer.status_code, answer.json()["code"]) == (503, "view_building")
            assert fill(made, "again")["state"] == "building"
            assert fill(made, "customer_purchases")["state"] == "building"
            body = made.admin.get(retail.VIEW, params={"customer": "1"}).json()
            assert body["version"] == 1 and "first_30d" not in body["values"]
            assert wrong_rows(made.admin, rows[:5]) == []
            assert decisions.offer(made.admin, score)["score"] == Decimal(score["xgb3_retail_repurchase_pred"])
            made.restart(kill=True)
    # Live events go into both while they are filled.
    customer = quiet_customer(1)
    post(made, purchase("live", customer, text(now()), 7.25))
    for name in ("again", "customer_purchases"):
        eventually(lambda: fill(made, name)["state"] == "ready", f"{name} to be filled: {fill(made, name)}")
    check_filled(made, rows, customer)
    assert fill(made, "again")["events"] > 40_000
    made.restart(kill=True)
    check_filled(made, rows, customer)
    assert decisions.offer(made.admin, score)["score"] == Decimal(score["xgb3_retail_repurchase_pred"])


def check_filled(daemon, rows, customer):
    """Both views answer as the file says, and to the same digits."""
    assert daemon.admin.get(retail.VIEW, params={"customer": customer}).json()["version"] == 2
    assert wrong_rows(daemon.admin, rows) == []
    for row in [*rows[:10], {"customer": customer, "as_of": text(now())}]:
        ask = {"customer": row["customer"], "as_of": row["as_of"], "known_at": "latest"}
        one, other = (
            retail.exact(daemon.admin.get(path, params=ask))["values"] for path in ("/v1/features/again", retail.VIEW))
        assert one == {name: value for name, value in other.items() if name != "first_30d"}
        assert other["count_30d"] == 0 or other["first_30d"] is not None
    values = retail.exact(daemon.admin.get("/v1/features/again", params={"customer": customer}))["values"]
    assert (values["count_1h"], values["sum_1h"]) == (1, Decimal("7.25"))


def test_new_view_without_events_is_served_at_once(make_daemon):
    made = make_daemon()
    decisions.apply(made, view("fresh"))
    assert made.admin.get("/v1/features/fresh", params={"customer": "1"}).status_code == 200
    assert fill(made, "fresh") == {
        "state": "ready", "events": 0, **{key: fill(made, "fresh")["through"] for key in ("position", "through")}}


def jobs_of(daemon, name):
    """The back-fill jobs of a view, newest first."""
    found = daemon.admin.get("/v1/jobs").json()["jobs"]
    return [job for job in found if job["kind"] == "view_back_fill" and job["subject"]["name"] == name]


def test_a_back_fill_is_a_job(make_daemon):
    """Progress, result, cancel and retry; a restart in the middle says so and fills anew."""
    made = make_daemon()
    retail.load(made.admin)
    made.wait_shipped()
    rows = retail.rows("data/features/point_in_time.csv")[::40]
    with locked(made.database_url, "decisiond.event", "ACCESS EXCLUSIVE"):
        decisions.apply(made, view("again"), view("other"))
        eventually(lambda: jobs_of(made, "again") and jobs_of(made, "other"), "two jobs")
        job, = jobs_of(made, "again")
        assert job["subject"] == {"kind": "FeatureView", "name": "again", "version": 1}
        assert job["state"] in ("queued", "running") and job["progress"]["unit"] == "journal_positions"
        assert job["progress"]["total"] > 40_000 and job["principal"]
        # kill -9: the first job says that it did not end, and a new one begins.
        made.restart(kill=True)
        eventually(lambda: len(jobs_of(made, "again")) == 2, "a second job")
        fresh, first = jobs_of(made, "again")
        assert (first["id"], first["state"], first["error"]["code"]) == (job["id"], "failed", "interrupted")
        assert "new job" in first["error"]["detail"] and fresh["state"] in ("queued", "running")
        # Cancelled, it waits; the other view is filled all the same.
        assert made.admin.delete(f"/v1/jobs/{fresh['id']}").status_code == 200
    eventually(lambda: jobs_of(made, "again")[0]["state"] == "cancelled", "cancelled")
    eventually(lambda: fill(made, "other")["state"] == "ready", "the other view is filled")
    done = jobs_of(made, "other")[0]
    assert done["state"] == "done" and done["progress"]["done"] == done["progress"]["total"]
    assert done["result"] == {"kind": "view_back_fill", "view": "other", "version": 1, "events": done["result"]["events"]}
    assert done["result"]["events"] == fill(made, "other")["events"] > 40_000
    assert made.admin.get(done["links"]["result"], params={"customer": "1"}).status_code == 200
    answer = made.admin.get("/v1/features/again", params={"customer": "1"})
    assert (answer.status_code, answer.json()["code"]) == (503, "view_building")
    assert f"/v1/jobs/{fresh['id']}/retry" in answer.json()["detail"]
    assert {"component": "FeatureView/again", "code": "back_fill_cancelled"}.items() <= next(
        item for item in made.wait_ready()["degraded"] if item["component"] == "FeatureView/again").items()
    # Events go into it meanwhile.
    customer = quiet_customer(2)
    post(made, purchase("meanwhile", customer, text(now()), 7.25))
    finished = made.admin.post(f"/v1/jobs/{done['id']}/retry")
    assert (finished.status_code, finished.json()["code"]) == (409, "nothing_to_retry")
    retried = made.admin.post(f"/v1/jobs/{fresh['id']}/retry")
    assert retried.status_code == 202, retried.text
    assert retried.headers["Location"] == f"/v1/jobs/{retried.json()['id']}"
    eventually(lambda: fill(made, "again")["state"] == "ready", "the view is filled")
    assert made.admin.get(retried.headers["Location"]).json()["state"] == "done"
    for row in [*rows, {"customer": customer, "as_of": text(now())}]:
        ask = {"customer": row["customer"], "as_of": row["as_of"], "known_at": "latest"}
        one, other = (
            retail.exact(made.admin.get(f"/v1/features/{name}", params=ask))["values"] for name in ("again", "other"))
        assert one == other


def test_a_cancelled_back_fill_across_a_snapshot(make_daemon):
    """Snapshots go on while a cancelled view waits; the restart after one fills the view, with what came meanwhile."""
    made = make_daemon(snapshot_frames=300, snapshot_interval_s=1)
    retail.load(made.admin)
    made.wait_shipped()
    customer = quiet_customer(3)
    with locked(made.database_url, "decisiond.event", "ACCESS EXCLUSIVE"):
        decisions.apply(made, view("again"))
        eventually(lambda: jobs_of(made, "again"), "a job")
        assert made.admin.delete(f"/v1/jobs/{jobs_of(made, 'again')[0]['id']}").status_code == 200
    eventually(lambda: jobs_of(made, "again")[0]["state"] == "cancelled", "cancelled")
    before = usage(made)["journal"]["durable_seq"]
    for number in range(400):
        post(made, purchase(f"meanwhile-{number}", customer, text(now()), 1))
    eventually(lambda: last_snapshot(made) > before, "a snapshot")
    made.restart(kill=True)
    eventually(lambda: fill(made, "again")["state"] == "ready", "the view is filled")
    ask = {"customer": customer}
    one, other = (
        retail.exact(made.admin.get(path, params=ask))["values"] for path in ("/v1/features/again", retail.VIEW))
    assert one["count_1h"] == other["count_1h"] == 400


def last_snapshot(daemon):
    return max((int(path.stem) for path in (daemon.data / "journal").glob("*.snapshot")), default=0)
