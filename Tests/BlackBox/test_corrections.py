"""Corrections and retractions: features, measures, reference rows and PostgreSQL follow, and what was known stays known."""
import concurrent.futures
import datetime
import json
import random
import time
from decimal import Decimal

import pytest

import daemon as daemons
import retail

SOURCE = "/test/corrections"
CUSTOMERS = [f"cc{number}" for number in range(6)]
AS_OF = "2011-06-01T00:00:00Z"
START = datetime.datetime(2011, 5, 1, tzinfo=datetime.timezone.utc)
MEASURES = """
kind: Measure
name: c_lines
domain: retail
spec: {stream: retail_events, aggregate: count, filter: data.amount > 0, dimensions: [{name: country, expression: data.country}]}
---
kind: Measure
name: c_sum
domain: retail
spec: {stream: retail_events, aggregate: sum, of: data.amount, dimensions: [{name: country, expression: data.country}]}
---
kind: Measure
name: c_min
domain: retail
spec: {stream: retail_events, aggregate: min, of: data.amount, dimensions: [{name: country, expression: data.country}]}
---
kind: Measure
name: c_max
domain: retail
spec: {stream: retail_events, aggregate: max, of: data.amount, dimensions: [{name: country, expression: data.country}]}
---
kind: Measure
name: c_mean
domain: retail
spec: {stream: retail_events, aggregate: mean, of: data.amount, dimensions: [{name: country, expression: data.country}]}
---
kind: Measure
name: c_products
domain: retail
spec: {stream: retail_events, aggregate: distinct, of: data.product, dimensions: [{name: country, expression: data.country}]}
---
kind: Measure
name: c_large
domain: retail
spec: {stream: retail_events, aggregate: ratio, numerator: data.amount > 500, dimensions: [{name: country, expression: data.country}]}
"""
# What a measure is by PostgreSQL's own aggregates over the events that stand.
AGGREGATES = {
    "c_lines": "count(*) FILTER (WHERE amount > 0)", "c_sum": "sum(amount)", "c_min": "min(amount)",
    "c_max": "max(amount)", "c_mean": "avg(amount)::float8", "c_products": "count(DISTINCT product)",
    "c_large": "(count(*) FILTER (WHERE amount > 500))::float8 / count(*)"}
STANDING = """SELECT (data->>'amount')::numeric AS amount, data->>'product' AS product, data->>'country' AS country,
    event_us, source, id, subject, type, (data->>'quantity')::bigint AS quantity FROM {events}
    WHERE contract = 'retail_events'"""


@pytest.fixture(scope="module")
def corrected(make_daemon):
    """A daemon with a measure of each kind and a few customers; small segments, so that targets lie in several."""
    daemon = make_daemon(journal_segment_bytes=1 << 20)
    answer = daemon.admin.post(
        "/v1/definitions/apply", data=MEASURES, headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 200, answer.text
    send(daemon, *[customer(name) for name in CUSTOMERS])
    return daemon


def customer(name, identity=None, **attributes):
    return {
        "specversion": "1.0", "id": identity or name, "source": "/crm/corrections", "subject": name,
        "type": "com.example.retail.customer", "time": "2010-01-01T00:00:00Z",
        "data": {"customer_id": name, "country": "France"}, **attributes}


def purchase(identity, subject, amount, at=0, product="P1", country="France", kind="purchase", **attributes):
    """A line; `at` in minutes after the start."""
    return {
        "specversion": "1.0", "id": identity, "source": SOURCE, "type": f"com.example.retail.{kind}",
        "subject": subject, "time": (START + datetime.timedelta(minutes=at)).isoformat().replace("+00:00", "Z"),
        "data": {"invoice": "I", "product": product, "quantity": 2, "amount": amount, "country": country}, **attributes}


def retraction(identity, target, **attributes):
    return {
        "specversion": "1.0", "id": identity, "source": SOURCE, "type": "com.example.retail.purchase",
        "corrects": target, **attributes}


def send(daemon, *events):
    """Sends the events in one request; the results."""
    body = "\n".join(json.dumps(event) for event in events)
    answer = daemon.admin.post("/v1/events", data=body, headers={"Content-Type": retail.NDJSON})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def accepted(results):
    assert all(result["status"] == "accepted" for result in results), results
    return results


def values(daemon, subject, known_at="latest"):
    return retail.served(daemon.admin, subject, AS_OF, known_at)


def summary(daemon, subject, known_at="latest"):
    found = values(daemon, subject, known_at)
    return found["count_90d"], found["sum_90d"], found["last_90d"], found["max_90d"]


def moment():
    """An instant between what was sent and what will be."""
    time.sleep(0.005)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    time.sleep(0.005)
    return now


def test_replace_replace_again_retract_and_bring_back(corrected):
    """One event through all its versions, each kept for who asks what was known; also after kill -9 between them."""
    subject = CUSTOMERS[0]
    versions = [
        (purchase("v0", subject, 10), (1, 10, 10, 10)),
        (purchase("v1", subject, 12.5, corrects="v0"), (1, Decimal("12.5"), Decimal("12.5"), Decimal("12.5"))),
        (purchase("v2", subject, 8, corrects="v0"), (1, 8, 8, 8)),
        # A correction can be named as well as what it corrects.
        (retraction("v3", "v2"), (0, 0, None, None)),
        (purchase("v4", subject, 7, corrects="v0", at=30), (1, 7, 7, 7)),
    ]
    seen, before = [], None
    for event, expected in versions:
        result = accepted(send(corrected, event))[0]
        assert result.get("corrects_seq") == before, result
        before = result["seq"]
        assert summary(corrected, subject) == expected, event
        seen.append((moment(), expected))
        if event["id"] in ("v1", "v3"):
            corrected.restart(kill=True)
    for event, _ in versions:
        assert send(corrected, event)[0]["status"] == "duplicate"
    changed = send(corrected, purchase("v1", subject, 99, corrects="v0"))[0]
    assert (changed["status"], changed["code"]) == ("duplicate", "content_differs")
    for when, expected in seen:
        assert summary(corrected, subject, when) == expected, when


def test_within_one_request(corrected):
    """A correction before and after what it corrects, twice, and a retraction of a correction, all in one request."""
    subject = CUSTOMERS[1]
    results = accepted(send(
        corrected, purchase("b1", subject, 2, corrects="b0"), purchase("b0", subject, 1),
        purchase("b2", subject, 3, corrects="b0"), purchase("other", subject, 100, at=-1),
        retraction("b3", "b2"), purchase("b4", subject, 5, corrects="b3")))
    seqs = [result["seq"] for result in results]
    assert [result.get("corrects_seq") for result in results] == [
        seqs[1], None, seqs[0], None, seqs[2], seqs[4]]
    assert summary(corrected, subject) == (2, 105, 5, 100)
    again = send(corrected, purchase("b1", subject, 2, corrects="b0"), purchase("b0", subject, 1), retraction("b3", "b2"))
    assert [result["status"] for result in again] == ["duplicate"] * 3
    # To another customer, and to a type that the view does not take.
    moved = accepted(send(
        corrected, purchase("b5", CUSTOMERS[2], 5, corrects="b4"),
        purchase("b6", subject, -100, corrects="other", kind="refund")))
    assert moved[0]["corrects_seq"] == seqs[5]
    assert summary(corrected, subject)[:2] == (0, 0)
    assert summary(corrected, CUSTOMERS[2])[:2] == (1, 5)


@pytest.mark.parametrize("event, code, pointer", [
    (retraction("q1", "never-seen"), "corrects_unknown", "/corrects"),
    (purchase("q2", "cc0", 1, corrects="q2"), "corrects_unknown", "/corrects"),
    # The identity is of the same source only.
    (retraction("q3", "cc0"), "corrects_unknown", "/corrects"),
    (customer("cc9", "q4", source=SOURCE, corrects="q0"), "corrects_other_contract", "/corrects"),
    (purchase("q5", "cc0", "much", corrects="q0"), "type_mismatch", "/data/amount"),
    (purchase("q6", "nobody", 1, corrects="q0"), "unknown_reference", "/subject"),
    (retraction("q7", 5), "type_mismatch", "/corrects"),
    (retraction("q8", "x" * 600), "too_long", "/corrects"),
])
def test_refused(corrected, event, code, pointer):
    send(corrected, purchase("q0", CUSTOMERS[3], 1))
    known = summary(corrected, CUSTOMERS[3])
    body = json.dumps(event)
    answer = corrected.admin.post(
        "/v1/events", data=body, headers={"Content-Type": "application/cloudevents+json"}, invalid=code == "type_mismatch")
    result = answer.json()["results"][0]
    assert (result["status"], result["code"], result["pointer"]) == ("quarantined", code, pointer), result
    page = corrected.admin.get("/v1/quarantine", params={"code": code}).json()
    assert any(entry["pointer"] == pointer for entry in page["entries"])
    assert summary(corrected, CUSTOMERS[3]) == known


def test_a_refused_correction_is_taken_once_its_event_is_there(corrected):
    event = retraction("late-correction", "late")
    assert send(corrected, event)[0]["code"] == "corrects_unknown"
    accepted(send(corrected, purchase("late", CUSTOMERS[3], 1)))
    accepted(send(corrected, event))
    page = corrected.admin.get("/v1/quarantine", params={"code": "corrects_unknown", "limit": 1000}).json()
    states = {entry["event_id"]: entry["state"] for entry in page["entries"]}
    assert states.get("late-correction", "closed") == "closed"


def test_reference_rows(corrected):
    """A row is replaced or removed by its key; what refers to a removed one is refused."""
    accepted(send(corrected, customer("gone"), purchase("r0", "gone", 1)))
    accepted(send(corrected, {
        "specversion": "1.0", "id": "gone-2", "source": "/crm/corrections", "type": "com.example.retail.customer",
        "corrects": "gone", "data": {}}))
    for _ in range(2):
        assert send(corrected, purchase("r1", "gone", 1))[0]["code"] == "unknown_reference"
        corrected.restart(kill=True)
    accepted(send(corrected, customer("renamed", "gone-3", corrects="gone")))
    accepted(send(corrected, purchase("r2", "renamed", 1)))


def test_at_the_same_time(corrected):
    """Corrections from several connections, of events that are on their way: each version is superseded at most once."""
    def both(number):
        session = daemons.ApiSession(corrected.url, corrected.key)
        identity = f"p{number // 4}"
        event = purchase(identity, CUSTOMERS[3], 1, at=-number)
        if number % 4:
            event = {**purchase(f"{identity}-{number % 4}", CUSTOMERS[3], number, at=-number), "corrects": identity}
        while True:
            answer = session.post("/v1/events", json=event)
            assert answer.status_code == 200, answer.text
            result = answer.json()["results"][0]
            if result["status"] == "accepted":
                return identity, result["seq"], result.get("corrects_seq"), number if number % 4 else 1
            assert result["code"] == "corrects_unknown", result

    before = summary(corrected, CUSTOMERS[3])[:2]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(both, range(160)))
    standing = {}
    for identity, seq, superseded, amount in sorted(results, key=lambda each: each[1]):
        assert superseded == standing.get(identity, (None,))[0]
        standing[identity] = (seq, amount)
    assert len(standing) == 40
    after = summary(corrected, CUSTOMERS[3])[:2]
    assert after == (before[0] + 40, before[1] + sum(amount for _, amount in standing.values()))


def history(seed, count):
    """Events, three in ten of them corrections, as lists to send together."""
    chance = random.Random(seed)
    batches, batch, known = [], [], []
    for number in range(count):
        identity = f"h{seed}-{number}"
        event = purchase(
            identity, chance.choice(CUSTOMERS[4:]), chance.randrange(1, 100000) / 100, chance.randrange(90),
            f"P{chance.randrange(5)}", chance.choice(["France", "Spain"]),
            chance.choice(["purchase", "purchase", "refund"]))
        if known and chance.random() < 0.3:
            target = chance.choice(known[-20:])
            event = retraction(identity, target) if chance.random() < 0.4 else {**event, "corrects": target}
        known.append(identity)
        batch.append(event)
        if chance.random() < 0.1:
            batches.append(batch)
            batch = []
    return [batch for batch in [*batches, batch] if batch]


def test_random_histories_agree_with_sql(corrected):
    """Features now and at earlier moments, measures and stored rollups are what SQL says of the events that stand."""
    moments = []
    for number, batch in enumerate(history(1, 350) + history(2, 350)):
        accepted(send(corrected, *batch))
        if number % 12 == 5:
            moments.append(moment())
        if number % 40 == 30:
            corrected.restart(kill=True)
    corrected.wait_shipped()
    everything = corrected.sql("""
        SELECT count(*), max(seq) - min(seq) + 1 >= count(*), count(corrects_seq) = count(DISTINCT corrects_seq),
            count(*) FILTER (WHERE retracts) FROM decisiond.event""")[0]
    assert everything[1:3] == ["t", "t"] and int(everything[3]) > 50
    assert len(moments) > 3
    for subject in CUSTOMERS:
        check_features(corrected, subject, "latest", "decisiond.event_alive")
        for when in moments:
            check_features(corrected, subject, when, f"""(
                SELECT * FROM decisiond.event e WHERE ingest_us <= decisiond.us('{when}') AND retracts IS NOT TRUE
                AND NOT EXISTS (SELECT FROM decisiond.event c WHERE c.journal_id = e.journal_id AND c.corrects_seq = e.seq
                    AND c.ingest_us <= decisiond.us('{when}'))) e""")
    position = corrected.sql("SELECT journal_id, (max(seq) * 2 / 3)::bigint FROM decisiond.event GROUP BY 1")[0]
    at = corrected.sql("""SELECT count(*), count(*) FILTER (WHERE EXISTS (
            SELECT FROM decisiond.event c WHERE c.corrects_seq = a.seq)) FROM decisiond.event_alive_at('{}', {}) a""".format(
        *position))[0]
    assert int(at[0]) > int(at[1]) > 0
    check_measures(corrected)
    corrected.restart(kill=True)
    check_measures(corrected)


def check_features(daemon, subject, known_at, events):
    row = daemon.sql(f"""
        WITH e AS (SELECT * FROM ({STANDING.format(events=events)}) s WHERE subject = '{subject}'
            AND type = 'com.example.retail.purchase' AND event_us <= decisiond.us('{AS_OF}')
            AND event_us > decisiond.us('{AS_OF}'::timestamptz - interval '90 days'))
        SELECT count(*), coalesce(sum(amount), 0), min(amount), max(amount), count(DISTINCT product), sum(quantity),
            (array_agg(amount ORDER BY event_us DESC, source COLLATE "C" DESC, id COLLATE "C" DESC))[1] FROM e""")[0]
    found = values(daemon, subject, known_at)
    names = [
        "count_90d", "sum_90d", "min_90d", "max_90d", "distinct_products_90d", "sum_quantity_90d", "last_90d"]
    expected = [None if cell is None else Decimal(cell) for cell in row]
    expected[5] = expected[5] or 0
    assert [found[name] for name in names] == expected, (subject, known_at)


def check_measures(daemon):
    answer = daemon.admin.post("/v1/measures/query", json={
        "measures": list(AGGREGATES), "dimensions": ["country"],
        "timeDimensions": [{"dimension": "time", "granularity": "hour"}]})
    assert answer.status_code == 200, answer.text
    served = {(row["time.hour"], row["country"]): row for row in retail.exact(answer)["data"]}
    names = ", ".join(AGGREGATES.values())
    raw = daemon.sql(f"""SELECT date_trunc('hour', decisiond.at(event_us) AT TIME ZONE 'UTC'), country, {names}
        FROM ({STANDING.format(events="decisiond.event_alive")}) e GROUP BY 1, 2""")
    expected = {(hour.replace(" ", "T"), country): cells for hour, country, *cells in raw}
    assert set(served) == set(expected)
    for key, cells in expected.items():
        for name, cell in zip(AGGREGATES, cells):
            value = served[key][name]
            if name in ("c_mean", "c_large"):
                assert float(value) == float(cell), (key, name)
            else:
                assert (value or 0) == Decimal(cell), (key, name)
    stored = daemon.sql("""
        SELECT measure, bucket_us, dimensions::json->>'country', count, sum, min, max FROM decisiond.rollup
        WHERE measure IN ('c_sum', 'c_min', 'c_max') ORDER BY 1, 2, 3""")
    buckets = daemon.sql(f"""SELECT event_us / 900000000 * 900000000, country, count(*), sum(amount), min(amount), max(amount)
        FROM ({STANDING.format(events="decisiond.event_alive")}) e GROUP BY 1, 2 ORDER BY 1, 2""")
    for name, place in [("c_sum", 1), ("c_min", 2), ("c_max", 3)]:
        found = [(row[1], row[2], row[3], Decimal(row[3 + place])) for row in stored if row[0] == name]
        assert found == [(row[0], row[1], row[2], Decimal(row[2 + place])) for row in buckets], name


def test_while_postgres_is_down(make_daemon):
    """What is corrected is found in the journal; PostgreSQL gets all of it later."""
    cluster = daemons.Cluster().start()
    daemon = None
    try:
        daemon = make_daemon(database_url=cluster.create_database())
        send(daemon, customer("down"))
        accepted(send(daemon, *[purchase(f"d{number}", "down", number + 1) for number in range(600)]))
        daemon.wait_shipped()
        cluster.stop()
        result = accepted(send(daemon, purchase("d-new", "down", 1000, corrects="d3")))[0]
        assert summary(daemon, "down")[:2] == (600, 600 * 601 // 2 - 4 + 1000)
        daemon.restart(kill=True)
        accepted(send(daemon, retraction("d-gone", "d-new")))
        assert summary(daemon, "down")[:2] == (599, 600 * 601 // 2 - 4)
        cluster.start()
        daemon.wait_connected()
        daemon.wait_shipped()
        rows = daemon.sql("SELECT corrects, corrects_seq, retracts, data::text IS NULL FROM decisiond.event"
                          " WHERE corrects IS NOT NULL ORDER BY seq")
        assert rows[0][0] == "d3" and rows[1][:2] == ["d-new", str(result["seq"])]
        assert [row[2:] for row in rows] == [["f", "f"], ["t", "t"]]
        alive = daemon.sql("SELECT count(*), sum((data->>'amount')::numeric) FROM decisiond.event_alive"
                           " WHERE contract = 'retail_events'")[0]
        assert alive == ["599", str(600 * 601 // 2 - 4)]
    finally:
        if daemon is not None:
            daemon.stop()
        cluster.remove()


def test_quality_counts_corrections_apart(corrected):
    before = corrected.admin.get("/v1/quality/retail_events").json()
    accepted(send(
        corrected, purchase("k0", CUSTOMERS[0], 1), purchase("k1", CUSTOMERS[0], 2, corrects="k0"),
        retraction("k2", "k0", data=None), retraction("k3", "k2", data={})))
    after = corrected.admin.get("/v1/quality/retail_events").json()
    grown = {name: after[name] - before[name] for name in ("accepted", "corrections", "retractions", "volume")}
    assert grown == {"accepted": 4, "corrections": 3, "retractions": 2, "volume": 4}
    # A retraction has no fields that could be missing.
    rules = {rule["rule"]: rule["passed"] + rule["failed"] for rule in after["rules"]}
    assert rules["completeness:data.amount"] == after["accepted"] - after["retractions"]
    assert next(rule["failed"] for rule in after["rules"] if rule["rule"] == "completeness:data.amount") == 0
