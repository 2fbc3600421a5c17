"""What must hold when PostgreSQL, the process or the disk fails: nothing acknowledged is lost, nothing happens twice."""
import http.client
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import threading
import time

import pytest
import requests

import daemon as daemons

SOURCE = "/test/survive"
SEED = int(os.environ.get("DECISIOND_TEST_SEED") or random.randrange(1 << 30))
KILLS = 50
CREDIT = {
    "checking_status": "A11", "duration_months": 12, "credit_history": "A32", "purpose": "A43", "credit_amount": 1000,
    "savings": "A61", "employment_since": "A73", "age_years": 40,
}


def moment(seconds_ago=60):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds_ago))


def customer(key):
    return {
        "specversion": "1.0", "id": key, "source": "/crm", "type": "com.example.retail.customer", "subject": key,
        "time": "2026-01-01T00:00:00Z", "data": {"customer_id": key, "country": "France"},
    }


def purchase(number, subject="c0", amount=1.25):
    return {
        "specversion": "1.0", "id": str(number), "source": SOURCE, "type": "com.example.retail.purchase",
        "subject": subject, "time": moment(),
        "data": {"invoice": "i", "product": f"p{number}", "quantity": 1, "amount": amount, "country": "France"},
    }


def ndjson(events):
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def send(session, events):
    answer = session.post("/v1/events", data=ndjson(events), headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def decide(session, customer, key=None):
    headers = {"Idempotency-Key": key} if key else {}
    answer = session.post("/v1/decide/retention-offer", json={"inputs": {"customer": customer}}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def degraded(daemon):
    return {item["component"]: item["code"] for item in requests.get(daemon.url + "/readyz").json()["degraded"]}


def stored_ids(daemon, source=SOURCE):
    """Ids of stored events of a source, sorted, each as often as it is there."""
    return [row[0] for row in daemon.sql(f"SELECT id FROM decisiond.event WHERE source = '{source}' ORDER BY id")]


def check_database(daemon):
    """Positions, sequences and aggregates agree with the rows, for every journal."""
    daemon.wait_shipped()
    assert daemon.sql("""
        SELECT 'twice', source, id FROM decisiond.event GROUP BY source, id HAVING count(*) > 1
        UNION ALL SELECT 'twice', 'decision', id::text FROM decisiond.decision_record GROUP BY id HAVING count(*) > 1
        UNION ALL SELECT 'twice', 'outcome', id FROM decisiond.outcome GROUP BY id HAVING count(*) > 1""") == []
    assert daemon.sql("""
        WITH rows AS (
            SELECT journal_id, seq FROM decisiond.event UNION ALL SELECT journal_id, seq FROM decisiond.decision_record
            UNION ALL SELECT journal_id, seq FROM decisiond.outcome UNION ALL SELECT journal_id, seq FROM decisiond.access_log)
        SELECT journal_id, seq, count(*) FROM rows GROUP BY 1, 2 HAVING count(*) > 1""") == [], "a position was used twice"
    assert daemon.sql("""
        SELECT s.journal_id FROM decisiond.ship_state s JOIN decisiond.event e USING (journal_id)
        WHERE e.seq >= s.next_seq LIMIT 1""") == [], "a row beyond the stored position"
    totals = """SELECT count(*), coalesce(sum((data->>'amount')::numeric), 0) FROM decisiond.event
        WHERE contract = 'retail_events'"""
    rollup = """SELECT coalesce(sum(count), 0), coalesce(sum(sum), 0) FROM decisiond.rollup WHERE measure = 'revenue'"""
    assert [[float(cell) for cell in row] for row in daemon.sql(totals)] == [
        [float(cell) for cell in row] for row in daemon.sql(rollup)]
    assert daemon.sql("SELECT count(*) FROM decisiond.decision_record") == daemon.sql(
        "SELECT coalesce(sum(count), 0) FROM decisiond.rollup WHERE measure = 'decisions'")


def check_features(daemon, subjects):
    """What memory serves equals SQL over what is stored."""
    stored = {row[0]: (int(row[1]), float(row[2])) for row in daemon.sql(
        f"SELECT subject, count(*), sum((data->>'amount')::numeric) FROM decisiond.event WHERE source = '{SOURCE}' GROUP BY 1")}
    for subject in subjects:
        values = daemon.admin.get("/v1/features/customer_purchases", params={"customer": subject}).json()["values"]
        assert (values["count_90d"], values["sum_90d"]) == stored.get(subject, (0, 0)), subject


# PostgreSQL away


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


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgres_stops_and_comes_back(make_daemon, own_cluster, mode):
    daemon = make_daemon(database_url=own_cluster.create_database())
    api = daemon.admin
    send(api, [customer("c0"), customer("c1")])
    sent = send(api, [purchase(n) for n in range(100)])["accepted"]
    before = [decide(api, "c0", f"before-{n}")["id"] for n in range(20)]
    daemon.wait_shipped()
    own_cluster.stop(mode)
    daemons.eventually(
        lambda: degraded(daemon).get("postgres") == "unavailable", "told that PostgreSQL is away", timeout=30)
    assert requests.get(daemon.url + "/readyz").json()["status"] == "degraded"

    for number in range(100, 300, 10):
        sent += send(api, [purchase(n, f"c{n % 2}") for n in range(number, number + 10)])["accepted"]
    assert sent == 300
    assert send(api, [purchase(250, "c0")])["duplicates"] == 1
    during = [decide(api, f"c{n % 2}", f"during-{n}")["id"] for n in range(50)]
    assert decide(api, "c1", "during-49")["id"] == during[49]
    answer = api.get(f"/v1/decision-records/{during[0]}")
    assert (answer.status_code, answer.json()["shipped"]) == (200, False)
    assert api.post(f"/v1/decision-records/{during[0]}/replay", json={}).json()["identical"] is True
    outcome = api.post(f"/v1/decision-records/{during[1]}/outcomes", json={"name": "bought", "value": True})
    assert outcome.status_code == 201, outcome.text
    values = api.get("/v1/features/customer_purchases?customer=c0").json()["values"]
    assert values["count_90d"] == 200
    for path in ("/v1/kpis", "/v1/quality/retail_events", "/v1/quarantine", "/v1/definitions", "/metrics", "/v1/access-log"):
        assert api.get(path).status_code == 200, path
    total = api.post("/v1/measures/query", json={"measures": ["revenue"]}).json()["data"]
    assert [row["revenue"] for row in total] == [375]

    kpi = {"kind": "KPI", "name": "fresh", "spec": {"measure": "revenue"}}
    refused = api.post("/v1/definitions/apply", json={"definitions": [kpi]})
    assert (refused.status_code, refused.json()["code"]) == (503, "postgres_unavailable")
    assert "Retry-After" in refused.headers
    assert api.get("/v1/kpis/fresh").status_code == 404
    assert api.delete("/v1/definitions/KPI/loan_approval_rate").status_code == 503
    assert api.get("/v1/kpis/loan_approval_rate").status_code == 200
    assert api.get("/v1/decision-records").status_code == 503

    own_cluster.start()
    daemon.wait_connected()
    check_database(daemon)
    assert stored_ids(daemon) == sorted(str(n) for n in range(300))
    stored = {row[0] for row in daemon.sql("SELECT id FROM decisiond.decision_record")}
    assert stored == set(before + during)
    assert daemon.sql("SELECT count(*) FROM decisiond.outcome") == [["1"]]
    check_features(daemon, ["c0", "c1"])
    assert api.post("/v1/definitions/apply", json={"definitions": [kpi]}).status_code == 200
    assert api.get(f"/v1/decision-records/{during[0]}").json()["shipped"] is True
    assert degraded(daemon) == {}


def test_starting_without_postgres(make_daemon, own_cluster):
    daemon = make_daemon(database_url=own_cluster.create_database())
    send(daemon.admin, [customer("c0")] + [purchase(n) for n in range(50)])
    first = decide(daemon.admin, "c0", "key-1")
    daemon.restart()  # A second life, so that its journal has more than one segment.
    decided = decide(daemon.admin, "c0", "key-2")
    daemon.wait_shipped()
    daemon.kill9()
    own_cluster.stop()
    try:
        daemon.start(wait=False)
        daemon.wait_ready()
        assert degraded(daemon).get("postgres") == "unavailable"
        names = {item["name"] for item in daemon.admin.get("/v1/definitions").json()["definitions"]}
        assert {"retention-offer", "customer_purchases", "retail_events", "revenue_per_day"} <= names
        assert send(daemon.admin, [purchase(n) for n in range(40, 60)]) | {"results": []} == {
            "accepted": 10, "duplicates": 10, "quarantined": 0, "skipped": 0, "results": []}
        again = decide(daemon.admin, "c0", "key-2")
        assert again["id"] == decided["id"]
        assert decide(daemon.admin, "c0", "key-1")["id"] == first["id"]
        fresh = decide(daemon.admin, "c0")
        assert fresh["fallback"] is None and fresh["model"]["name"] == "retail-repurchase"
        assert daemon.admin.get("/v1/features/customer_purchases?customer=c0").json()["values"]["count_90d"] == 60
        assert daemon.admin.get(f"/v1/decision-records/{fresh['id']}").status_code == 200
    finally:
        own_cluster.start()
    daemon.wait_connected()
    check_database(daemon)
    assert stored_ids(daemon) == sorted(str(n) for n in range(60))
    assert len(daemon.sql("SELECT id FROM decisiond.decision_record")) == 3


def test_a_stop_without_postgres_loses_nothing(make_daemon, own_cluster):
    daemon = make_daemon(database_url=own_cluster.create_database(), drain_timeout_ms=1000)
    send(daemon.admin, [customer("c0")])
    daemon.wait_shipped()
    own_cluster.stop()
    try:
        send(daemon.admin, [purchase(n) for n in range(30)])
        begun = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - begun < 30
    finally:
        own_cluster.start()
    daemon.start()
    check_database(daemon)
    assert len(stored_ids(daemon)) == 30


def test_shipping_survives_severed_connections(make_daemon, own_cluster):
    """Connections cut at random while rows are shipped: a commit whose answer is lost is not repeated."""
    daemon = make_daemon(database_url=own_cluster.create_database(), ship_interval_ms=5, ship_batch_frames_max=50)
    send(daemon.admin, [customer("c0")])
    stop = threading.Event()

    def sever():
        while not stop.is_set():
            daemon.sql("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()""")
            time.sleep(0.05)

    thread = threading.Thread(target=sever)
    thread.start()
    try:
        for number in range(0, 3000, 50):
            send(daemon.admin, [purchase(n) for n in range(number, number + 50)])
            time.sleep(0.03)
    finally:
        stop.set()
        thread.join()
    check_database(daemon)
    assert stored_ids(daemon) == sorted(str(n) for n in range(3000))


# kill -9


class Writer(threading.Thread):
    """Sends events and asks for decisions on one connection after another, remembering what was acknowledged."""

    def __init__(self, daemon, number, stop):
        super().__init__()
        self.daemon, self.number, self.stop = daemon, number, stop
        self.headers = {"Authorization": f"Bearer {daemon.key}"}
        self.random = random.Random(SEED * 1000 + number)
        self.connection = None
        self.tried, self.acknowledged = set(), set()
        self.keys, self.records = set(), {}
        self.wrong = []
        self.count = 0

    def run(self):
        while not self.stop.is_set():
            self.count += 1
            name = f"{self.number}-{self.count}"
            if self.count % 3:
                events = [purchase(f"{name}-{part}", f"c{self.number}") for part in range(self.random.randint(1, 6))]
                body, path, headers = ndjson(events), "/v1/events", {"Content-Type": "application/x-ndjson"}
                self.tried |= {event["id"] for event in events}
            else:
                body = json.dumps({"inputs": {"customer": name}}).encode()
                path = "/v1/decide/retention-offer"
                headers = {"Content-Type": "application/json", "Idempotency-Key": name}
                self.keys.add(name)
            # What was not acknowledged is sent again, or given up: both must be safe.
            for _ in range(self.random.choice([1, 3, 30])):
                answer = self.ask(path, body, headers)
                if answer is not None or self.stop.is_set():
                    break
            if answer is None:
                continue
            status, document = answer
            if status != 200:
                self.wrong.append((status, document))
            elif path == "/v1/events":
                if document["accepted"] + document["duplicates"] != len(events):
                    self.wrong.append(document)
                self.acknowledged |= {event["id"] for event in events}
            else:
                self.records[name] = document["id"]

    def ask(self, path, body, headers):
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=30)
            self.connection.request("POST", path, body, {**self.headers, **headers})
            response = self.connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException):
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            time.sleep(0.02)
            return None


def test_kill_nine_under_load_fifty_times(make_daemon):
    chance = random.Random(SEED)
    # Small segments and batches, so that kills also hit their changes.
    daemon = make_daemon(journal_segment_bytes=262144, ship_interval_ms=20)
    send(daemon.admin, [customer(f"c{number}") for number in range(4)])
    stop = threading.Event()
    writers = [Writer(daemon, number, stop) for number in range(4)]
    for writer in writers:
        writer.start()
    try:
        for kill in range(KILLS):
            time.sleep(chance.choice([0.01, 0.1, 0.3]) * chance.random() + 0.02)
            daemon.kill9()
            daemon.start(wait=False)
            # Sometimes it is killed again while it still recovers.
            if chance.random() < 0.8:
                daemon.wait_ready()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    print(f"seed {SEED}")
    daemon.wait_ready()
    daemon.wait_connected()
    check_database(daemon)
    stored = stored_ids(daemon)
    assert len(stored) == len(set(stored)), "an event is there twice"
    tried = set().union(*(writer.tried for writer in writers))
    acknowledged = set().union(*(writer.acknowledged for writer in writers))
    assert not [writer.wrong[:3] for writer in writers if writer.wrong], f"seed {SEED}"
    assert acknowledged - set(stored) == set(), f"acknowledged and lost, seed {SEED}"
    assert set(stored) <= tried
    assert len(acknowledged) > 100, "the load was too small to say anything"
    check_features(daemon, [f"c{number}" for number in range(4)])

    rows = daemon.sql("SELECT entity, id FROM decisiond.decision_record")
    by_key = {}
    for entity, record in rows:
        by_key.setdefault(entity, []).append(record)
    assert all(len(found) == 1 for found in by_key.values()), "a key was decided twice"
    answered = {}
    for writer in writers:
        answered |= writer.records
    assert {key: [record] for key, record in answered.items()}.items() <= by_key.items(), f"seed {SEED}"
    # Memory knows the same: a resend changes nothing, a key gives the same record.
    sample = chance.sample(sorted(acknowledged), 100)
    total = len(stored)
    again = send(daemon.admin, [purchase(name, f"c{name[0]}") for name in sample])
    assert (again["accepted"], again["duplicates"]) == (0, 100)
    for key in chance.sample(sorted(answered), min(30, len(answered))):
        assert decide(daemon.admin, key, key)["id"] == answered[key]
    check_database(daemon)
    assert len(stored_ids(daemon)) == total
    verified = run("journal", "verify", str(daemon.data / "journal"))
    assert verified.returncode == 0, verified.stdout


# The journal's files


def run(*arguments):
    return subprocess.run(
        [str(daemons.binary()), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)


def segments(daemon):
    return sorted((daemon.data / "journal").glob("*.segment"))


def frames(content):
    """(offset, length) of every frame of a segment; the last one ends where the blanks begin."""
    found, offset = [], 64
    while offset + 24 <= len(content):
        length, _, seq = struct.unpack_from("<IIQ", content, offset)
        if seq == 0:
            break
        total = (24 + length + 7) & ~7
        found.append((offset, total))
        offset += total
    return found


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.fixture(scope="module")
def ended(make_daemon):
    """A daemon that was killed, with a journal of several segments."""
    daemon = make_daemon(journal_segment_bytes=65536)
    send(daemon.admin, [customer("c0")])
    for start in range(0, 300, 20):
        send(daemon.admin, [purchase(n) for n in range(start, start + 20)])
    daemon.wait_shipped()
    daemon.kill9()
    assert len(segments(daemon)) >= 3
    return daemon


def copy_of(ended, make_daemon):
    daemon = make_daemon(start=False, database_url=None, journal_segment_bytes=65536)
    shutil.copytree(ended.data, daemon.data)
    return daemon


def refuses_to_start(daemon, path):
    daemon.start(wait=False)
    assert daemon._end() != 0
    assert path.name in daemon.log, daemon.log[-2000:]


@pytest.mark.parametrize("tail", [
    pytest.param(lambda frame: os.urandom(512), id="noise"),
    pytest.param(lambda frame: os.urandom(9), id="a few bytes"),
    pytest.param(lambda frame: frame[:len(frame) // 2], id="half a frame"),
    pytest.param(lambda frame: frame[:8] + struct.pack("<Q", struct.unpack_from("<Q", frame, 8)[0] + 1) + frame[16:],
                 id="a frame with another number"),
])
def test_a_torn_tail_is_cut(ended, make_daemon, tail):
    daemon = copy_of(ended, make_daemon)
    last = segments(daemon)[-1]
    content = last.read_bytes()
    offset, length = frames(content)[-1]
    overwrite(last, offset + length, tail(content[offset:offset + length]))
    verified = run("journal", "verify", str(daemon.data / "journal"))
    assert "torn" in verified.stdout, verified.stdout
    daemon.start()
    assert send(daemon.admin, [purchase(n) for n in range(290, 310)])["accepted"] == 10
    daemon.restart(kill=True)
    assert daemon.admin.get("/v1/features/customer_purchases?customer=c0").json()["values"]["count_90d"] == 310
    daemon.kill9()


@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_damage_is_refused_with_the_file_named(ended, make_daemon, which):
    daemon = copy_of(ended, make_daemon)
    paths = segments(daemon)
    path = {"first": paths[0], "middle": paths[len(paths) // 2], "last": paths[-1]}[which]
    content = path.read_bytes()
    found = frames(content)
    # In the last segment a frame that others of a later write follow: no crash leaves that.
    offset, length = found[0 if which == "last" else len(found) // 2]
    place = offset + length // 2
    overwrite(path, place, bytes([content[place] ^ 0x10]))
    verified = run("journal", "verify", str(daemon.data / "journal"))
    assert verified.returncode != 0 and path.name in verified.stdout
    refuses_to_start(daemon, path)
    # It left everything as it was: with the byte put back it starts.
    overwrite(path, place, content[place:place + 1])
    assert path.read_bytes() == content
    daemon.start()
    assert daemon.admin.get("/v1/features/customer_purchases?customer=c0").json()["values"]["count_90d"] == 300
    daemon.kill9()


@pytest.mark.parametrize("damage", ["header", "missing", "cut", "foreign"])
def test_a_damaged_set_of_segments_is_refused(ended, make_daemon, damage):
    daemon = copy_of(ended, make_daemon)
    paths = segments(daemon)
    path = paths[1]
    if damage == "header":
        overwrite(path, 20, b"\xff")
    elif damage == "missing":
        path.unlink()
        path = paths[2]
    elif damage == "cut":
        offset, length = frames(path.read_bytes())[-1]
        os.truncate(path, offset + length // 2)
    else:
        other = copy_of(ended, make_daemon)
        shutil.rmtree(other.data)
        other.start(wait=False)
        other.wait_ready()
        requests.post(other.url + "/v1/events", data=b"{\n", headers={"Authorization": f"Bearer {other.key}"})
        other.kill9()
        path.write_bytes(segments(other)[0].read_bytes())
    refuses_to_start(daemon, path)


def test_two_daemons_cannot_share_a_directory(make_daemon):
    one = make_daemon(database_url=None, definitions=None)
    two = make_daemon(start=False, database_url=None, definitions=None)
    two.data = one.data
    two.start(wait=False)
    assert two._end() != 0
    assert "journal" in two.log
    assert one.admin.get("/v1/usage").status_code == 200


def test_a_full_journal_is_told_and_reads_go_on(make_daemon):
    daemon = make_daemon(journal_segment_bytes=1 << 20, journal_bytes_max=2 << 20)
    # Without a database nothing is shipped; the definitions are in the journal by now.
    daemon.database_url = None
    daemon.restart()
    api = daemon.admin
    codes, accepted = set(), 0
    for number in range(0, 20000, 200):
        events = ndjson([customer(f"full-{n}") for n in range(number, number + 200)])
        answer = api.post("/v1/events", data=events, headers={"Content-Type": "application/x-ndjson"})
        if answer.status_code != 200:
            codes.add((answer.status_code, answer.json()["code"], "Retry-After" in answer.headers))
            break
        accepted += answer.json()["accepted"]
    assert codes == {(503, "journal_full", True)}
    assert degraded(daemon)["journal"] == "journal_full"
    refused = api.post("/v1/keys", json={"name": "x", "roles": ["crm"]})
    assert (refused.status_code, refused.json()["code"]) == (503, "journal_full")
    assert api.get("/v1/usage").status_code == 200
    assert api.get("/v1/definitions").status_code == 200
    assert accepted > 0
    daemon.settings["journal_bytes_max"] = 8 << 20
    daemon.restart(kill=True)
    again = send(daemon.admin, [customer(f"full-{n}") for n in range(accepted + 10)])
    assert (again["duplicates"], again["accepted"]) == (accepted, 10), "what was refused had no effect"


# SIGTERM


class Client(threading.Thread):
    """One kept-alive connection that is never idle; it ends when the server says that it closes."""

    def __init__(self, daemon, number):
        super().__init__()
        self.daemon, self.number = daemon, number
        self.answered, self.failed = [], []

    def run(self):
        headers = {"Authorization": f"Bearer {self.daemon.key}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=30)
        for count in range(1_000_000):
            name = f"drain-{self.number}-{count}"
            if count % 2:
                path, body = "/v1/decide/credit-limit", json.dumps({"inputs": CREDIT})
            else:
                path, body = "/v1/events", json.dumps(customer(name))
            try:
                connection.request("POST", path, body, headers)
                response = connection.getresponse()
                document = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failed.append((name, repr(error)))
                return
            if response.status != 200:
                self.failed.append((name, response.status, document))
                return
            self.answered.append(name if path == "/v1/events" else document["id"])
            if response.headers.get("Connection") == "close":
                return


def test_sigterm_answers_every_request_in_flight(make_daemon):
    daemon = make_daemon()
    answered = set()
    for life in range(5):
        clients = [Client(daemon, f"{life}-{number}") for number in range(8)]
        for client in clients:
            client.start()
        time.sleep(0.2 + 0.1 * random.random())
        assert daemon.stop() == 0
        for client in clients:
            client.join()
        assert not [client.failed for client in clients if client.failed]
        assert all(client.answered for client in clients)
        answered |= {name for client in clients for name in client.answered}
        daemon.start()
    check_database(daemon)
    stored = {row[0] for row in daemon.sql(
        "SELECT id FROM decisiond.event UNION ALL SELECT id::text FROM decisiond.decision_record")}
    assert answered == stored


def test_sigterm_waits_for_a_body_that_is_on_its_way(make_daemon):
    daemon = make_daemon()
    body = json.dumps(customer("slow")).encode()
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    connection.putrequest("POST", "/v1/events")
    for name, value in (("Authorization", f"Bearer {daemon.key}"), ("Content-Type", "application/json"),
                        ("Content-Length", str(len(body)))):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body[:10])
    time.sleep(0.3)
    daemon.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    connection.send(body[10:])
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["accepted"]) == (200, 1)
    assert response.headers["Connection"] == "close"
    assert daemon._end() == 0
    with pytest.raises(OSError):
        requests.get(daemon.url + "/healthz", timeout=2)


def test_a_second_sigterm_ends_at_once(make_daemon):
    daemon = make_daemon(drain_timeout_ms=60000)
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    connection.putrequest("POST", "/v1/events")
    connection.putheader("Authorization", f"Bearer {daemon.key}")
    connection.putheader("Content-Length", "1000")
    connection.endheaders()
    time.sleep(0.3)
    daemon.process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert daemon.is_running()
    daemon.process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    daemon._end()
    assert time.monotonic() - begun < 10


# The order of system calls


def test_no_answer_leaves_before_its_fdatasync(make_daemon, tmp_path):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    probe = subprocess.run(["strace", "-f", "-o", os.devnull, "true"], stderr=subprocess.PIPE)
    if probe.returncode != 0:
        pytest.skip(f"strace cannot attach here: {probe.stderr.decode()[:200]}")
    trace = tmp_path / "trace"
    daemon = make_daemon(start=False)
    daemon.prefix = [
        "strace", "-f", "-y", "-s", "100000", "-e",
        "trace=fdatasync,fsync,write,pwrite64,pwritev,pwritev2,writev,sendmsg,sendto", "-o", str(trace)]
    daemon.start()
    try:
        words = traced_requests(daemon.admin)
    finally:
        # The traced daemon is strace's only child; strace ends with it.
        with open(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children") as children:
            os.kill(int(children.read().split()[0]), signal.SIGTERM)
        daemon._end()
    check_order(trace.read_text(errors="replace").splitlines(), words)


def traced_requests(session):
    """Sends 51 requests one by one; the word that stands in the frame of each."""
    words = []
    for number in range(25):
        words.append(f"traced-event-{number}.")
        assert send(session, [customer(words[-1])])["accepted"] == 1
        words.append(f"traced-decision-{number}.")
        decide(session, words[-1])
    words.append(f"traced-key-{os.getpid()}.")
    assert session.post("/v1/keys", json={"name": words[-1], "roles": ["crm"]}).status_code == 201
    return words


SYNC = re.compile(r"^(\d+) +fdatasync\(\d+<[^>]*\.segment>(?:\) += 0$| <unfinished)")
SYNC_ENDS = re.compile(r"^(\d+) +<\.\.\. fdatasync resumed>\) += 0$")
WRITE = re.compile(r"^\d+ +(?:pwrite64|pwritev2?|write|writev)\(\d+<[^>]*\.segment>")
ANSWER = re.compile(r'^\d+ +(?:sendmsg|sendto|write|writev)\(\d+<(?:socket|TCP)[^>]*>.*?"HTTP/1\.1 20[01] ')


def check_order(lines, words):
    """Walks the trace: the frame with a request's word is written, then a sync begins and ends, then the answer leaves."""
    remaining = list(words)
    written = durable = False
    syncing = set()
    for line in lines:
        if not remaining:
            break
        if WRITE.match(line):
            if remaining[0] in line:
                written, durable = True, False
                # A sync that is under way may not cover what is written now.
                syncing.clear()
        elif sync := SYNC.match(line):
            if line.endswith(" = 0"):
                durable = durable or written
            else:
                syncing.add(sync[1])
        elif sync := SYNC_ENDS.match(line):
            durable = durable or (written and sync[1] in syncing)
            syncing.discard(sync[1])
        elif ANSWER.match(line) and answers(line):
            assert durable, f"an answer left before the frame of {remaining[0]} was durable:\n{line[:300]}"
            remaining.pop(0)
            written = durable = False
    assert not remaining, f"not seen in the trace: {remaining[:3]}"


def answers(line):
    """Whether an answer is one to the traced requests, not to a probe of readiness or definitions."""
    return any(mark in line for mark in ('\\"accepted\\"', '\\"matched_rules\\"', '\\"created_at\\"')) and (
        '\\"keys\\"' not in line and '\\"kind\\"' not in line)
