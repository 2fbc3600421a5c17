"""Real events in every shape a client may send them: every line's result, and the exact sets that remain."""
import collections
import concurrent.futures
import gzip
import json
import random
import threading
import time
from decimal import Decimal

import pytest
import requests

import daemon as daemons
import retail
from conftest import shared_path

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


class Totals(collections.Counter):
    """Counts of the answers, and each line's result by its index in the file."""

    def __init__(self):
        super().__init__()
        self.results = {}

    def take(self, answer, indices):
        """One answer to the lines with these indices."""
        assert answer.status_code == 200, answer.text[:2000]
        body = answer.json()
        for name in ("accepted", "duplicates", "quarantined", "skipped"):
            self[name] += body[name]
        assert sum(body[name] for name in ("accepted", "duplicates", "quarantined", "skipped")) == len(indices)
        given = [result["index"] for result in body["results"]]
        assert given == sorted(set(given)), "results are in order, one a line"
        for result in body["results"]:
            assert indices[result["index"]] not in self.results
            self.results[indices[result["index"]]] = result


def send_lines(session, lines, size):
    """NDJSON in batches of `size` lines."""
    totals = Totals()
    for start in range(0, len(lines), size):
        part = lines[start:start + size]
        answer = session.post(
            "/v1/events", data=b"".join(line + b"\n" for line in part), headers={"Content-Type": retail.NDJSON})
        totals.take(answer, range(start, start + len(part)))
    return totals


def send_gzip(session, lines):
    """The file as it is."""
    totals = Totals()
    answer = session.post(
        "/v1/events", data=retail.compressed(), headers={"Content-Type": retail.NDJSON, "Content-Encoding": "gzip"})
    totals.take(answer, range(len(lines)))
    return totals


def is_json_value(line):
    """Whether a line can stand in a JSON array: any one JSON value as RFC 8259 has it."""
    try:
        if not line.strip():
            return False
        json.loads(line.decode(), parse_constant=lambda name: 1 / 0)
        return True
    except (ValueError, ZeroDivisionError):
        return False


def send_arrays(session, lines, singles=200, size=500):
    """The first events one by one, the others in JSON arrays; what cannot stand in an array goes alone, in its place."""
    totals = Totals()
    waiting = []
    wrong = {index for index, row in enumerate(retail.labels()) if row["outcome"] in ("reject", "quarantine")}

    def post(body, content_type, indices):
        answer = session.post(
            "/v1/events", data=body, headers={"Content-Type": content_type}, invalid=not wrong.isdisjoint(indices))
        totals.take(answer, indices)

    def flush():
        if waiting:
            post(b"[" + b",\n ".join(lines[index] for index in waiting) + b"]", BATCH, list(waiting))
            waiting.clear()

    for index, line in enumerate(lines):
        if index >= singles and is_json_value(line):
            waiting.append(index)
            if len(waiting) == size:
                flush()
            continue
        flush()
        # There is no single event that is blank; as a line it is one that is skipped.
        post(line if line.strip() else line + b"\n", SINGLE if line.strip() else retail.NDJSON, [index])
    flush()
    return totals


WAYS = {
    "gzip": send_gzip,
    "whole": lambda session, lines: send_lines(session, lines, len(lines)),
    "lines_1000": lambda session, lines: send_lines(session, lines, 1000),
    "lines_7": lambda session, lines: send_lines(session, lines, 7),
    "singles_and_arrays": send_arrays,
}


def wrong_results(totals, labels, is_second=False):
    """Lines whose result is not what their label says: (line, label, result)."""
    wrong = []
    for index, row in enumerate(labels):
        result = totals.results.get(index)
        outcome = row["outcome"]
        if outcome == "skip":
            right = result is None
        elif result is None:
            right = False
        elif outcome == "accept" and not is_second:
            right = result["status"] == "accepted" and result["seq"] > 0
        elif outcome == "accept":
            right = result["status"] == "duplicate" and "code" not in result
        elif outcome == "duplicate":
            differs = "content_differs" if row["label"] == "duplicate_id_conflict" else None
            right = result["status"] == "duplicate" and result.get("code") == differs
        else:
            wanted = "unknown_reference" if outcome == "quarantine" else retail.CLASS_OF[row["violates"]]
            right = (
                result["status"] == "quarantined" and result["class"] == wanted and result["code"] and result["message"]
                and isinstance(result["pointer"], str))
        if not right:
            wrong.append((index + 1, row["label"], result))
    return wrong


def check_quarantine(daemon, lines, labels, times):
    """Entries by the hash of their bytes, each counted as often as it came, the same in memory and in PostgreSQL."""
    refused = [
        (retail.raw_hash(line), line, row) for line, row in zip(lines, labels)
        if row["outcome"] in ("reject", "quarantine")]
    counts = collections.Counter(key for key, _, _ in refused)
    by_key = {key: (line, row) for key, line, row in refused}
    stored = daemon.sql("SELECT encode(key, 'hex'), count, class, encode(raw, 'hex'), state FROM decisiond.quarantine")
    assert {key: int(count) for key, count, *_ in stored} == {key: count * times for key, count in counts.items()}
    for key, _, violation_class, raw, state in stored:
        line, row = by_key[key]
        wanted = "unknown_reference" if row["outcome"] == "quarantine" else retail.CLASS_OF[row["violates"]]
        assert (violation_class, bytes.fromhex(raw), state) == (wanted, line, "open"), row

    seen = {}
    cursor = None
    pages = 0
    while True:
        parameters = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        page = daemon.admin.get("/v1/quarantine", params=parameters).json()
        assert page["total"] == len(counts) and page["arrivals"] == sum(counts.values()) * times
        for entry in page["entries"]:
            assert entry["id"] not in seen, "an entry stands on two pages"
            seen[entry["id"]] = entry
        pages += 1
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["entries"]) == 100
    assert pages >= len(counts) // 100
    assert {key: entry["count"] for key, entry in seen.items()} == {
        key: count * times for key, count in counts.items()}
    for key, entry in seen.items():
        line, row = by_key[key]
        assert entry["size"] == len(line)
        assert entry["raw"] == line.decode("utf-8", "replace"), row
        assert entry["state"] == "open"


def check_database(daemon, manifest):
    """The distinct accepted set, row by row, and its sums."""
    assert retail.stored_events(daemon) == retail.clean_events()
    sums = daemon.sql("""
        SELECT substr(type, 20), count(*), sum((data->>'amount')::numeric) FROM decisiond.event
        WHERE contract = 'retail_events' GROUP BY 1 ORDER BY 1""")
    amounts = {kind: Decimal(str(amount)) for kind, amount in manifest["accepted_amount_sum_gbp"].items()}
    assert [(kind, int(count), Decimal(total)) for kind, count, total in sums] == [
        ("purchase", manifest["accepted_purchases"], amounts["purchase"]),
        ("refund", manifest["accepted_refunds"], amounts["refund"])]


@pytest.mark.parametrize("way", WAYS)
def test_every_line_ends_as_its_label_says(make_daemon, way):
    """Whatever the batch size: each line's result, the manifest's sets, and nothing changes when all is sent again."""
    lines, labels, manifest = retail.lines(), retail.labels(), retail.manifest()
    outcomes = manifest["outcomes"]
    daemon = make_daemon()
    retail.load_customers(daemon.admin)

    first = WAYS[way](daemon.admin, lines)
    assert wrong_results(first, labels) == []
    assert dict(first) == {
        "accepted": outcomes["accept"], "duplicates": outcomes["duplicate"],
        "quarantined": outcomes["quarantine"] + outcomes["reject"], "skipped": outcomes["skip"]}
    seqs = [result["seq"] for result in first.results.values() if result["status"] == "accepted"]
    assert len(set(seqs)) == outcomes["accept"] and seqs == sorted(seqs), "seq is the order of arrival"
    daemon.wait_shipped()
    check_database(daemon, manifest)
    check_quarantine(daemon, lines, labels, times=1)
    stored = daemon.sql("SELECT id, seq FROM decisiond.event WHERE contract = 'retail_events'")
    assert {identity: int(seq) for identity, seq in stored} == {
        labels[index]["id"]: result["seq"] for index, result in first.results.items() if result["status"] == "accepted"}
    before = served_sample(daemon)

    second = WAYS["gzip" if way != "gzip" else "lines_1000"](daemon.admin, lines)
    assert wrong_results(second, labels, is_second=True) == []
    assert second["accepted"] == 0
    daemon.wait_shipped()
    check_database(daemon, manifest)
    check_quarantine(daemon, lines, labels, times=2)
    assert served_sample(daemon) == before
    assert daemon.stop() == 0


def served_sample(daemon, step=17):
    """What memory serves for some rows of point_in_time.csv."""
    return [
        retail.served(daemon.admin, row["customer"], row["as_of"])
        for row in retail.rows("data/features/point_in_time.csv")[::step]]


def check_memory(daemon, step=17):
    """Memory holds the same events as PostgreSQL: what it serves is what those events give."""
    for row, values in zip(retail.rows("data/features/point_in_time.csv")[::step], served_sample(daemon, step)):
        assert retail.differences(values, row, retail.point_in_time_columns(row)) == [], row


class KilledWhileSending:
    """Sends one batch in a thread and kills the daemon meanwhile; tells whether the batch was acknowledged."""

    def __init__(self, daemon, body, delay):
        self.answer = None

        def send():
            try:
                # Not the shared session: this connection dies with the daemon.
                self.answer = requests.post(
                    daemon.url + "/v1/events", data=body, timeout=120,
                    headers={"Content-Type": retail.NDJSON, "Authorization": f"Bearer {daemon.key}"})
            except requests.RequestException:
                self.answer = None

        sender = threading.Thread(target=send)
        sender.start()
        # Anywhere between "not yet received" and "acknowledged"; every place must give the same sets.
        time.sleep(delay)
        daemon.kill9()
        sender.join()


def test_killed_while_loading(make_daemon):
    """kill -9 in the middle, five times; the client resends what was not acknowledged: the same sets everywhere."""
    lines, manifest = retail.lines(), retail.manifest()
    size = 4000
    batches = [lines[start:start + size] for start in range(0, len(lines), size)]
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    deaths = set(chance.sample(range(len(batches)), 5))
    daemon = make_daemon()
    retail.load_customers(daemon.admin)
    acknowledged = 0
    for number, batch in enumerate(batches):
        body = b"\n".join(batch) + b"\n"
        if number in deaths:
            killed = KilledWhileSending(daemon, body, chance.random() * 0.4)
            daemon.start()
            if killed.answer is not None and killed.answer.status_code == 200:
                acknowledged += killed.answer.json()["accepted"]
                continue
        answer = daemon.admin.post("/v1/events?results=problems", data=body, headers={"Content-Type": retail.NDJSON})
        assert answer.status_code == 200, answer.text
        acknowledged += answer.json()["accepted"]
    # What was durable but not acknowledged comes back as a duplicate, so no event is acknowledged as accepted twice.
    assert acknowledged <= manifest["distinct_accepted"]
    daemon.wait_shipped()
    check_database(daemon, manifest)
    check_memory(daemon)
    daemon.restart(kill=True)
    daemon.wait_shipped()
    check_database(daemon, manifest)
    check_memory(daemon, step=41)
    # And it still knows every identity.
    again = send_gzip(daemon.admin, lines)
    assert again["accepted"] == 0 and wrong_results(again, retail.labels(), is_second=True) == []
    assert daemon.stop() == 0


def test_many_clients_with_the_same_events(make_daemon):
    """Eight clients send the same lines at the same time, cut differently: each event is accepted once, by one of them."""
    first = retail.manifest()["first1500"]["outcomes"]
    lines = shared_path("data/events/events_first1500.ndjson").read_bytes().rstrip(b"\n").split(b"\n")
    assert len(lines) == 1500
    daemon = make_daemon()
    retail.load_customers(daemon.admin)
    key = daemon.key

    def client(size):
        return send_lines(daemons.ApiSession(daemon.url, key, daemon.admin.contract), lines, size)

    sizes = [1500, 500, 100, 50, 37, 20, 300, 700]
    with concurrent.futures.ThreadPoolExecutor(len(sizes)) as pool:
        totals = list(pool.map(client, sizes))
    assert sum(total["accepted"] for total in totals) == first["accept"]
    for total in totals:
        assert total["accepted"] + total["duplicates"] == first["accept"] + first["duplicate"]
        assert total["quarantined"] == first["reject"] + first["quarantine"]
    seqs = [result["seq"] for total in totals for result in total.results.values() if result["status"] == "accepted"]
    assert len(set(seqs)) == first["accept"]
    daemon.wait_shipped()
    accepted = {row["id"] for row in retail.labels()[:1500] if row["outcome"] == "accept"}
    stored = daemon.sql("SELECT id, seq FROM decisiond.event WHERE contract = 'retail_events'")
    assert sorted(identity for identity, _ in stored) == sorted(accepted)
    assert {int(seq) for _, seq in stored} == set(seqs)
    [[counted]] = daemon.sql("SELECT sum(count) FROM decisiond.quarantine")
    assert int(counted) == len(sizes) * (first["reject"] + first["quarantine"])
    assert daemon.stop() == 0


# Requests that are not lines of events. One daemon for all.

def event(identity, **changes):
    made = {
        "specversion": "1.0", "id": identity, "source": "/test", "type": "com.example.retail.purchase",
        "subject": "C1", "time": "2011-01-01T10:00:00Z", "datacontenttype": "application/json",
        "data": {"invoice": "1", "product": "P", "quantity": 1, "unit_price": 1.5, "amount": 1.5, "currency": "GBP",
                 "country": "France"}}
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


@pytest.fixture(scope="module")
def shop(make_daemon):
    """A daemon that knows one customer."""
    daemon = make_daemon()
    answer = daemon.admin.post("/v1/events", json=event(
        "C1", type="com.example.retail.customer", source="/crm", data={"customer_id": "C1", "country": "France"}),
        headers={"Content-Type": SINGLE})
    assert answer.status_code == 200 and answer.json()["accepted"] == 1, answer.text
    return daemon


def counts(answer):
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["accepted"], body["duplicates"], body["quarantined"], body["skipped"]


def post(daemon, body, content_type, **headers):
    return daemon.admin.post(
        "/v1/events", data=body, headers={"Content-Type": content_type, **headers}, invalid=True)


def test_blank_lines_and_line_ends(shop):
    """Blank lines are skipped and keep their index; CRLF is a line end; the last line needs none."""
    body = b"\n \t\n" + json.dumps(event("crlf-1")).encode() + b"\r\n\r\n" + json.dumps(event("crlf-2")).encode()
    answer = post(shop, body, retail.NDJSON)
    assert counts(answer) == (2, 0, 0, 3)
    assert [result["index"] for result in answer.json()["results"]] == [2, 4]


def test_gzip_of_several_members(shop):
    """RFC 1952: a gzip body may be several members one after the other; none may be dropped."""
    members = [gzip.compress(json.dumps(event(f"member-{number}")).encode() + b"\n") for number in range(3)]
    answer = shop.admin.post(
        "/v1/events", data=b"".join(members), headers={"Content-Type": retail.NDJSON, "Content-Encoding": "gzip"})
    assert counts(answer) == (3, 0, 0, 0)


def test_results_problems_leaves_accepted_out(shop):
    body = json.dumps(event("p-1")).encode() + b"\n{}\n" + json.dumps(event("p-1")).encode()
    answer = shop.admin.post("/v1/events?results=problems", data=body, headers={"Content-Type": retail.NDJSON})
    assert counts(answer) == (1, 1, 1, 0)
    assert [(result["index"], result["status"]) for result in answer.json()["results"]] == [
        (1, "quarantined"), (2, "duplicate")]


def test_duplicates_within_one_request(shop):
    """The first of a request wins, also within it; other content is told."""
    first, other = event("w-1"), event("w-1", data=event("x")["data"] | {"amount": 9.0})
    answer = post(shop, json.dumps([first, first, other]), BATCH)
    assert counts(answer) == (1, 2, 0, 0)
    assert [result.get("code") for result in answer.json()["results"]] == [None, None, "content_differs"]
    shop.wait_shipped()
    assert shop.sql("SELECT data->>'amount' FROM decisiond.event WHERE source = '/test' AND id = 'w-1'") == [["1.5"]]


def test_acceptance_closes_the_quarantine_entry(shop):
    """An event that was refused and then sent rightly closes its entry; a resend of the wrong bytes raises the count."""
    wrong = json.dumps(event("q-1", subject="nobody")).encode()
    assert counts(post(shop, wrong, SINGLE)) == (0, 0, 1, 0)
    assert counts(post(shop, wrong, SINGLE)) == (0, 0, 1, 0)

    def entry(state):
        page = shop.admin.get("/v1/quarantine", params={"state": state, "limit": 1000}).json()
        return [item for item in page["entries"] if item["id"] == retail.raw_hash(wrong)]

    [open_entry] = entry("open")
    assert (open_entry["count"], open_entry["class"], open_entry["source"], open_entry["event_id"]) == (
        2, "unknown_reference", "/test", "q-1")
    assert open_entry["pointer"] == "/subject"
    assert counts(post(shop, json.dumps(event("q-1")), SINGLE)) == (1, 0, 0, 0)
    assert entry("open") == []
    [closed] = entry("closed")
    assert (closed["count"], closed["state"]) == (2, "closed")
    shop.wait_shipped()
    [[count, state, closed_us]] = shop.sql(
        f"SELECT count, state, closed_us FROM decisiond.quarantine WHERE key = '\\x{retail.raw_hash(wrong)}'")
    assert (count, state) == ("2", "closed") and int(closed_us) > 0


@pytest.mark.parametrize("changes, violation_class, pointer", [
    ({"subject": "nobody"}, "unknown_reference", "/subject"),
    ({"subject": None}, "contract_violation", "/subject"),
    ({"time": None}, "contract_violation", "/time"),
    ({"time": "2099-01-01T00:00:00Z"}, "contract_violation", "/time"),
    ({"time": "2011-02-30T00:00:00Z"}, "invalid_cloudevent", "/time"),
    ({"time": "2011-01-01T00:00:00"}, "invalid_cloudevent", "/time"),
    ({"specversion": "0.3"}, "invalid_cloudevent", "/specversion"),
    ({"specversion": None}, "invalid_cloudevent", "/specversion"),
    ({"id": ""}, "invalid_cloudevent", "/id"),
    ({"source": None}, "invalid_cloudevent", "/source"),
    ({"type": "com.example.nothing"}, "contract_violation", "/type"),
    ({"data": None}, "contract_violation", "/data"),
    ({"data": "text"}, "contract_violation", "/data"),
    ({"data": {"product": "P", "quantity": 1, "amount": 1.234}}, "contract_violation", "/data/amount"),
    ({"data": {"product": "P", "quantity": 1.5, "amount": 1}}, "contract_violation", "/data/quantity"),
    ({"data": {"product": "", "quantity": 1, "amount": 1}}, "contract_violation", "/data/product"),
    ({"data": {"product": "P", "quantity": 1}}, "contract_violation", "/data/amount"),
])
def test_refused_with_class_and_pointer(shop, changes, violation_class, pointer):
    answer = post(shop, json.dumps(event("refused", **changes)), SINGLE)
    assert counts(answer) == (0, 0, 1, 0)
    [result] = answer.json()["results"]
    assert (result["class"], result["pointer"]) == (violation_class, pointer), result
    assert result["code"] and result["message"]


@pytest.mark.parametrize("body, headers, status, code", [
    (b"{}", {"Content-Type": "text/csv"}, 415, "unsupported_media_type"),
    (b"{}", {"Content-Type": retail.NDJSON, "Content-Encoding": "br"}, 415, "unsupported_encoding"),
    (b"not gzip", {"Content-Type": retail.NDJSON, "Content-Encoding": "gzip"}, 400, None),
    (gzip.compress(b"{}\n" * 1000)[:-9], {"Content-Type": retail.NDJSON, "Content-Encoding": "gzip"}, 400, None),
    (b'[{"id":1},', {"Content-Type": BATCH}, 400, "malformed_json"),
    (b'{"id":1}', {"Content-Type": BATCH}, 400, "not_an_array"),
    (gzip.compress(b" " * (200 << 20)), {"Content-Type": retail.NDJSON, "Content-Encoding": "gzip"}, 413, None),
], ids=["media_type", "encoding", "not_gzip", "gzip_cut", "array_cut", "no_array", "gzip_bomb"])
def test_unreadable_requests(shop, body, headers, status, code):
    """What cannot be read at all is a problem, and nothing of it happens."""
    before = shop.admin.get("/v1/usage").json()["journal"]["durable_seq"]
    answer = shop.admin.post("/v1/events", data=body, headers=headers, invalid=True)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert code is None or answer.json()["code"] == code
    assert shop.admin.get("/v1/usage").json()["journal"]["durable_seq"] == before


def test_quarantine_filters(shop):
    """Class and contract select; a cursor or a parameter that is none is refused."""
    assert counts(post(shop, b"{nonsense", SINGLE)) == (0, 0, 1, 0)
    page = shop.admin.get("/v1/quarantine", params={"class": "malformed_json"}).json()
    assert page["entries"] and {entry["class"] for entry in page["entries"]} == {"malformed_json"}
    assert retail.raw_hash(b"{nonsense") in {entry["id"] for entry in page["entries"]}
    page = shop.admin.get("/v1/quarantine", params={"contract": "customers"}).json()
    assert page["entries"] == []
    for parameters in ({"cursor": "x"}, {"limit": "0"}, {"limit": "1001"}, {"limit": ["5", "6"]}, {"colour": "red"},
                       {"state": "half"}, {"class": "none"}):
        answer = shop.admin.get("/v1/quarantine", params=parameters, invalid=True)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), parameters
