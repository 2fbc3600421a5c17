"""Snapshots of memory and recycled segments: a restart replays the tail only, and everything still answers."""
import json
import os
import random
import re
import subprocess
import threading
import time

import pytest

import daemon as daemons

SOURCE = "/test/snapshot"
SEED = int(os.environ.get("DECISIOND_TEST_SEED") or random.randrange(1 << 30))
KILLS = 40 if os.environ.get("DECISIOND_TEST_LONG") == "1" else 8
NAMES = [f"c{number}" for number in range(20)]


def moment(seconds_ago):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds_ago))


def customer(key):
    return {
        "specversion": "1.0", "id": key, "source": "/crm", "type": "com.example.retail.customer", "subject": key,
        "time": "2026-01-01T00:00:00Z", "data": {"customer_id": key, "country": "France"},
    }


def purchase(number):
    return {
        "specversion": "1.0", "id": str(number), "source": SOURCE, "type": "com.example.retail.purchase",
        "subject": NAMES[number % len(NAMES)], "time": moment(3600 + number % 900),
        "data": {"invoice": "i", "product": f"p{number % 50}", "quantity": 1, "amount": 1.25, "country": "France"},
    }


class Sender:
    """Sends numbered purchases and remembers them, word for word."""

    def __init__(self):
        self.events = []

    def send(self, session, count):
        fresh = [purchase(len(self.events) + number) for number in range(count)]
        self.events += fresh
        return post(session, fresh)


def post(session, events):
    answer = session.post(
        "/v1/events?results=problems", data="\n".join(json.dumps(event) for event in events).encode(),
        headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 200, answer.text
    return {key: value for key, value in answer.json().items() if key != "results"}


def correct(session, identity, target):
    """Takes an event back to another amount; the result of the one event."""
    event = dict(purchase(int(target)), id=identity, corrects=target)
    event["data"] = dict(event["data"], amount=2.5)
    answer = session.post("/v1/events", json=event, headers={"Content-Type": "application/cloudevents+json"})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"][0]


def logged(daemon, message):
    """The log's lines with this message."""
    lines = [json.loads(line) for line in daemon.log.splitlines() if line.startswith("{")]
    return [line for line in lines if message in line.values()]


def snapshots(daemon):
    return sorted((daemon.data / "journal").glob("*.snapshot"))


def wait_snapshots(daemon, count):
    daemons.eventually(lambda: len(logged(daemon, "snapshot taken")) >= count, f"{count} snapshots\n{daemon.log[-1500:]}")


def told(session):
    """What everybody can ask for; the same after a restart."""
    views = [session.get(f"/v1/features/customer_purchases?customer={name}&as_of={moment(0)}&known_at=latest") for name in NAMES]
    values = []
    for answer in views:
        assert answer.status_code == 200, answer.text
        values.append({name: value for name, value in answer.json()["values"].items() if name.startswith(("count_", "sum"))})
    revenue = session.post("/v1/measures/query", json={"measures": ["revenue"]}).json()["data"]
    quality = session.get("/v1/quality/retail_events").json()
    quarantine = session.get("/v1/quarantine").json()["entries"]
    definitions = session.get("/v1/definitions").json()["definitions"]
    return {
        "values": values, "revenue": revenue, "volume": quality.get("volume"), "definitions": definitions,
        "quarantine": [(entry["code"], entry.get("count")) for entry in quarantine],
    }


def decide(session, name, key=None):
    answer = session.post("/v1/decide/retention-offer", json={"inputs": {"customer": name}},
                          headers={"Idempotency-Key": key} if key else {})
    assert answer.status_code == 200, answer.text
    return answer.json()


def degraded(daemon):
    return {item["component"]: item["code"] for item in daemon._readiness()["degraded"]}


def recovered(daemon):
    return logged(daemon, "recovered")[-1]


@pytest.fixture
def sender():
    return Sender()


def test_a_restart_replays_the_tail_only(make_daemon, sender):
    daemon = make_daemon(snapshot_frames=300, snapshot_interval_s=1)
    post(daemon.admin, [customer(name) for name in NAMES])
    bad = dict(purchase(0), id="bad", data={"invoice": 1})
    assert post(daemon.admin, [bad])["quarantined"] == 1
    first = decide(daemon.admin, "c1", "before")
    sender.send(daemon.admin, 700)
    assert correct(daemon.admin, "first", "0")["status"] == "accepted"
    sender.send(daemon.admin, 300)
    wait_snapshots(daemon, 1)
    second = correct(daemon.admin, "second", "0")
    sender.send(daemon.admin, 40)
    late = decide(daemon.admin, "c2", "after")
    before = told(daemon.admin)
    daemon.kill9()
    daemon.start()
    line = recovered(daemon)
    durable = daemon.admin.get("/v1/usage").json()["journal"]["durable_seq"]
    assert line["snapshot_seq"] > 300 and line["frames_replayed"] < durable - 300, line
    assert told(daemon.admin) == before
    assert post(daemon.admin, sender.events)["duplicates"] == 1040
    # What stands in the place of a corrected event is known whether its correction came with the snapshot or the tail.
    assert correct(daemon.admin, "third", "0")["corrects_seq"] == second["seq"]
    assert correct(daemon.admin, "other", "1")["status"] == "accepted"
    assert post(daemon.admin, [customer(name) for name in NAMES])["duplicates"] == len(NAMES)
    assert decide(daemon.admin, "c1", "before")["id"] == first["id"]
    assert decide(daemon.admin, "c2", "after")["id"] == late["id"]
    for identity in (first["id"], late["id"]):
        replayed = daemon.admin.post(f"/v1/decision-records/{identity}/replay")
        assert replayed.status_code == 200 and replayed.json()["identical"] is True, replayed.text
    metrics = daemon.admin.get("/metrics").text
    for name in ("snapshot_seq", "snapshot_age_seconds", "journal_segments", "recovery_frames_total"):
        assert re.search(rf"^decisiond_{name}\S* \d", metrics, re.M), name
    # A clean stop with enough new frames leaves almost nothing to replay.
    sender.send(daemon.admin, 500)
    daemon.restart()
    assert recovered(daemon)["frames_replayed"] < 50


def test_killed_while_a_snapshot_is_written(make_daemon, sender):
    daemon = make_daemon(snapshot_frames=20, snapshot_interval_s=1, ship_interval_ms=20)
    chance = random.Random(SEED)
    post(daemon.admin, [customer(name) for name in NAMES])
    for _ in range(KILLS):
        stop = threading.Event()
        sent = []

        def feed():
            while not stop.is_set():
                fresh = [purchase(len(sender.events) + number) for number in range(10)]
                try:
                    post(daemon.admin, fresh)
                except Exception:  # noqa: BLE001 - the daemon is gone; what was not answered is sent again below
                    sent.extend(fresh)
                    return
                sender.events.extend(fresh)

        thread = threading.Thread(target=feed)
        thread.start()
        time.sleep(1 + chance.random())
        daemon.kill9()
        stop.set()
        thread.join()
        daemon.start(wait=False)
        daemon.wait_ready()
        assert "snapshot" not in degraded(daemon)
        assert post(daemon.admin, sender.events)["duplicates"] == len(sender.events)
        if sent:
            post(daemon.admin, sent)
            sender.events.extend(sent)
    daemon.wait_shipped()
    stored = daemon.sql(f"SELECT id FROM decisiond.event WHERE source = '{SOURCE}'")
    assert sorted(row[0] for row in stored) == sorted(event["id"] for event in sender.events)
    counts = [values["count_90d"] for values in told(daemon.admin)["values"]]
    assert sum(counts) == len(sender.events)
    assert not list((daemon.data / "journal").glob("*-unfinished")) or daemon.is_running()


@pytest.fixture
def own_cluster():
    cluster = daemons.Cluster().start()
    yield cluster
    cluster.remove()


def test_everything_answers_when_segments_are_gone(make_daemon, own_cluster, sender):
    daemon = make_daemon(
        database_url=own_cluster.create_database(), snapshot_frames=500, snapshot_interval_s=1, journal_retention_hours=0,
        journal_segment_bytes=131072, ship_interval_ms=20)
    post(daemon.admin, [customer(name) for name in NAMES])
    first = decide(daemon.admin, "c1", "old")
    shown = daemon.admin.get(f"/v1/decision-records/{first['id']}").json()
    outcome = {"name": "accepted", "value": True, "occurred_at": "2026-01-01T00:00:00Z"}
    path = f"/v1/decision-records/{first['id']}/outcomes"
    told_once = daemon.admin.post(path, json=outcome, headers={"Idempotency-Key": "o1"})
    assert told_once.status_code == 201

    def recycled():
        sender.send(daemon.admin, 200)
        return logged(daemon, "segments recycled")
    daemons.eventually(recycled, f"recycled segments\n{daemon.log[-1500:]}", interval=0.3)
    segments = sorted((daemon.data / "journal").glob("*.segment"))
    assert int(segments[0].stem) > 1
    assert daemon.admin.get("/v1/usage").json()["journal"]["first_seq"] == int(segments[0].stem)

    def check(session):
        assert decide(session, "c1", "old")["id"] == first["id"]
        assert session.post(path, json=outcome, headers={"Idempotency-Key": "o1"}).json() == told_once.json()
        again = session.get(f"/v1/decision-records/{first['id']}").json()
        assert again["shipped"] is True
        assert {name: again[name] for name in ("inputs", "features", "result", "seq")} == {
            name: shown[name] for name in ("inputs", "features", "result", "seq")}
        replayed = session.post(f"/v1/decision-records/{first['id']}/replay").json()
        assert replayed["identical"] is True
        assert post(session, sender.events[:300])["duplicates"] == 300

    check(daemon.admin)
    before = told(daemon.admin)
    daemon.restart(kill=True)
    assert recovered(daemon)["snapshot_seq"] > 0
    assert told(daemon.admin) == before
    check(daemon.admin)
    verify = subprocess.run(
        [str(daemons.binary()), "journal", "verify", str(daemon.data / "journal")], capture_output=True, text=True)
    assert ".snapshot seq" in verify.stdout and "part dedupe" in verify.stdout, verify.stdout

    # Without PostgreSQL too, but for what only PostgreSQL has.
    daemon.wait_shipped()
    before = told(daemon.admin)
    daemon.kill9()
    own_cluster.stop()
    try:
        daemon.start(wait=False)
        daemon.wait_ready()
        found = degraded(daemon)
        assert found.get("postgres") == "unavailable" and "snapshot" not in found
        assert told(daemon.admin) == before
        assert post(daemon.admin, sender.events[:300])["duplicates"] == 300
        assert decide(daemon.admin, "c3")["outputs"]
        gone = daemon.admin.post(
            "/v1/decide/retention-offer", json={"inputs": {"customer": "c1"}}, headers={"Idempotency-Key": "old"})
        assert (gone.status_code, gone.json()["code"]) == (503, "postgres_unavailable"), gone.text
    finally:
        own_cluster.start()
    daemon.wait_connected()
    check(daemon.admin)


def test_postgres_behind_the_journal_is_told(make_daemon, sender):
    """PostgreSQL went back further than the journal reaches: said loudly, and nothing is skipped."""
    daemon = make_daemon(
        snapshot_frames=500, snapshot_interval_s=1, journal_retention_hours=0, journal_segment_bytes=131072,
        ship_interval_ms=20)
    post(daemon.admin, [customer(name) for name in NAMES])

    def recycled():
        sender.send(daemon.admin, 200)
        return logged(daemon, "segments recycled")
    daemons.eventually(recycled, "recycled segments", interval=0.3)
    daemon.wait_shipped()
    daemon.kill9()
    daemon.sql("UPDATE decisiond.ship_state SET next_seq = 2")
    daemon.start(wait=False)
    daemon.wait_ready()
    daemons.eventually(lambda: degraded(daemon).get("postgres") == "behind_journal", "said in /readyz", interval=0.2)
    assert daemon.sql("SELECT next_seq FROM decisiond.ship_state") == [["2"]]


def test_a_damaged_snapshot_is_named_and_passed_over(make_daemon, sender):
    daemon = make_daemon(snapshot_frames=200, snapshot_interval_s=1)
    post(daemon.admin, [customer(name) for name in NAMES])
    while len(snapshots(daemon)) < 2:
        sender.send(daemon.admin, 250)
        time.sleep(0.5)
    before = told(daemon.admin)
    daemon.kill9()
    older, newest = snapshots(daemon)
    content = bytearray(newest.read_bytes())
    content[random.Random(SEED).randrange(64, len(content))] ^= 0x20
    newest.write_bytes(content)
    verify = subprocess.run(
        [str(daemons.binary()), "journal", "verify", str(daemon.data / "journal")], capture_output=True, text=True)
    assert verify.returncode == 1 and f"{newest.name}@" in verify.stdout and "part " in verify.stdout, verify.stdout
    daemon.start(wait=False)
    daemon.wait_ready()
    assert recovered(daemon)["snapshot_seq"] == int(older.stem)
    assert [line["seq"] for line in logged(daemon, "snapshot passed over")] == [int(newest.stem)]
    assert degraded(daemon)["snapshot"] == "passed_over"
    assert told(daemon.admin) == before
    # Once two that check are there again, the damaged one goes and all is well.
    def healed():
        sender.send(daemon.admin, 250)
        return "snapshot" not in degraded(daemon)
    daemons.eventually(healed, "healed", interval=0.5)
    assert newest not in snapshots(daemon)


def crc32c(state, content):
    for byte in content:
        state = CRC_TABLE[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state


def crc_table():
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return table


CRC_TABLE = crc_table()


def make_rows_foreign(path, view):
    """Changes the saved rows of a view into those of another definition, with checksums that hold."""
    content = bytearray(path.read_bytes())
    seed = crc32c(0xFFFFFFFF, content[40:48])
    name = len(view).to_bytes(4, "little") + view.encode()
    offset, part, changed = 64, b"", 0
    while offset < len(content):
        size = int.from_bytes(content[offset:offset + 4], "little")
        total = (24 + size + 7) & ~7
        payload = offset + 24
        if content[offset + 16] == 1:
            part = bytes(content[payload:payload + size])
        place = content.find(name, payload, payload + size) if part.startswith(b"features/") else -1
        if place >= 0:
            content[place + len(name)] ^= 1
            whole = crc32c(crc32c(seed, content[offset:offset + 4]), content[offset + 8:offset + total])
            content[offset + 4:offset + 8] = (whole ^ 0xFFFFFFFF).to_bytes(4, "little")
            changed += 1
        offset += total
    path.write_bytes(content)
    return changed


def test_a_view_that_no_snapshot_holds_is_filled_again(make_daemon, own_cluster, sender):
    """Its saved rows are of another make and the journal does not reach back: PostgreSQL answers for it, and it is filled
    from there beside, with what arrives meanwhile."""
    daemon = make_daemon(
        database_url=own_cluster.create_database(), snapshot_frames=500, snapshot_interval_s=1, journal_retention_hours=0,
        journal_segment_bytes=131072, ship_interval_ms=20)
    post(daemon.admin, [customer(name) for name in NAMES])

    def recycled():
        sender.send(daemon.admin, 200)
        return logged(daemon, "segments recycled") and len(snapshots(daemon)) == 2
    daemons.eventually(recycled, f"recycled segments\n{daemon.log[-1500:]}", interval=0.3)
    sender.send(daemon.admin, 50)
    assert correct(daemon.admin, "first", "3")["status"] == "accepted"
    daemon.wait_shipped()
    daemon.kill9()
    for path in snapshots(daemon):
        assert make_rows_foreign(path, "customer_purchases") > 100
    with daemons.held_lock(daemon.database_url, "decisiond.event"):
        daemon.start(wait=False)
        daemon.wait_ready()
        assert degraded(daemon).get("FeatureView/customer_purchases") == "not_restored"
        job, = [job for job in daemons.eventually(
            lambda: daemon.admin.get("/v1/jobs").json()["jobs"], "a job") if job["state"] in ("queued", "running")]
        assert (job["kind"], job["subject"]["name"]) == ("view_back_fill", "customer_purchases")
        # Live events go into the new table, and a correction of what it has not got yet and the journal still has.
        sender.send(daemon.admin, 20)
        assert correct(daemon.admin, "second", str(len(sender.events) - 40))["status"] == "accepted"
    daemons.eventually(
        lambda: daemon.admin.get(f"/v1/jobs/{job['id']}").json()["state"] == "done", "filled again")
    assert "FeatureView/customer_purchases" not in degraded(daemon)
    counts = [values["count_90d"] for values in told(daemon.admin)["values"]]
    assert sum(counts) == len(sender.events)
    after = told(daemon.admin)
    amounts = [round(values["sum_90d"] * 100) for values in after["values"]]
    assert sum(amounts) == 125 * len(sender.events) + 2 * 125, "each correction stands once"
    # From memory, not from PostgreSQL; and so after the next restart.
    reads = daemon.admin.get("/v1/usage").json()["history_reads"]
    told(daemon.admin)
    assert daemon.admin.get("/v1/usage").json()["history_reads"] == reads
    daemon.restart(kill=True)
    daemons.eventually(lambda: "FeatureView/customer_purchases" not in degraded(daemon), "filled")
    assert [round(values["sum_90d"] * 100) for values in told(daemon.admin)["values"]] == amounts
