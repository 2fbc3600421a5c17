"""KPIs, measure queries and data quality: every figure equals SQL over the raw tables, though no query reads them."""
import csv
import datetime
import gzip
import itertools
import json
import re
from decimal import Decimal

import pytest

import retail
from conftest import shared_path

PURPOSES = ["A43", "A40"]
DECISIONS = 300
NUMBER = re.compile(r"-?\d+(\.\d+)?")
# One row an accepted event: local to the zone {zone}.
EVENTS = """SELECT date_trunc('{grain}', decisiond.at(event_us) AT TIME ZONE '{zone}') AS bucket, data->>'country' AS country,
    (data->>'amount')::numeric AS amount, type, event_us FROM decisiond.event WHERE contract = 'retail_events'"""
RECORDS = """SELECT date_trunc('{grain}', decisiond.at(decided_us) AT TIME ZONE '{zone}') AS bucket, decision,
    record::json->'inputs'->>'purpose' AS purpose,
    (record::json#>>'{{result,outputs,approve}}')::boolean AS approve FROM decisiond.decision_record"""
ROLLUP = """SELECT date_trunc('{grain}', decisiond.at(bucket_us) AT TIME ZONE '{zone}') AS bucket,
    dimensions::json AS d, count, sum, min, max FROM decisiond.rollup WHERE measure = '{measure}'"""
EXTRA = """
kind: Measure
name: lines
domain: retail
spec: {stream: retail_events, aggregate: count, filter: data.amount > 0, dimensions: [{name: country, expression: data.country}]}
---
kind: Measure
name: largest
domain: retail
spec: {stream: retail_events, aggregate: max, of: data.amount, dimensions: [{name: country, expression: data.country}]}
---
kind: Measure
name: average
domain: retail
spec: {stream: retail_events, aggregate: mean, of: data.amount}
---
kind: KPI
name: largest_ever
domain: retail
spec: {measure: largest, grain: year, timezone: UTC, direction: down, target: 100}
---
kind: KPI
name: untargeted
domain: retail
spec: {measure: lines, grain: week}
"""


def applications():
    """Real loan applications for the purposes under test, as inputs."""
    made = []
    with open(shared_path("data/datasets/german_credit.csv"), newline="") as file:
        for row in csv.DictReader(file):
            row.pop("default")
            if row["purpose"] in PURPOSES:
                made.append({
                    key: json.loads(value) if NUMBER.fullmatch(value) else value
                    for key, value in row.items() if value != ""})
    return made[:DECISIONS]


@pytest.fixture(scope="module")
def measured(make_daemon):
    """A daemon with the first 1500 lines and 300 decisions, everything shipped."""
    daemon = make_daemon()
    api = daemon.admin
    answer = api.post("/v1/definitions/apply", data=EXTRA, headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 200, answer.text
    retail.load_customers(api)
    body = shared_path("data/events/events_first1500.ndjson").read_bytes()
    answer = api.post("/v1/events?results=problems", data=body, headers={"Content-Type": retail.NDJSON})
    assert answer.status_code == 200, answer.text
    daemon.decided = []
    for inputs in applications():
        answer = api.post("/v1/decide/credit-limit", json={"inputs": inputs})
        assert answer.status_code == 200, answer.text
        daemon.decided.append((inputs["purpose"], answer.json()))
    assert len(daemon.decided) == DECISIONS and {purpose for purpose, _ in daemon.decided} == set(PURPOSES)
    daemon.wait_shipped()
    return daemon


def query(daemon, **body):
    answer = daemon.admin.post("/v1/measures/query", json=body)
    assert answer.status_code == 200, answer.text
    return retail.exact(answer)


def label(text):
    """PostgreSQL's timestamp as the service writes it."""
    return text.replace(" ", "T")


def rows(daemon, statement, *kinds):
    """SQL rows with typed cells: str, Decimal, label."""
    return [
        tuple(None if cell is None else kind(cell) for kind, cell in zip(kinds, row)) for row in daemon.sql(statement)]


def time(grain):
    return [{"dimension": "time", "granularity": grain}]


# Events


def test_revenue_by_day_and_country(measured):
    data = query(measured, measures=["revenue"], dimensions=["country"], timeDimensions=time("day"))["data"]
    found = sorted((row["time.day"], row["country"], row["revenue"]) for row in data)
    raw = rows(measured, "SELECT bucket, country, sum(amount) FROM ({}) e GROUP BY 1, 2 ORDER BY 1, 2".format(
        EVENTS.format(grain="day", zone="UTC")), label, str, Decimal)
    rollup = rows(measured, "SELECT bucket, d->>'country', sum(sum) FROM ({}) r GROUP BY 1, 2 ORDER BY 1, 2".format(
        ROLLUP.format(grain="day", zone="UTC", measure="revenue")), label, str, Decimal)
    assert len(found) >= 5
    assert found == sorted(raw) == sorted(rollup)


@pytest.mark.parametrize("grain", ["hour", "day", "week", "month", "quarter", "year"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_every_grain_in_every_zone(measured, grain, zone):
    result = query(measured, measures=["revenue", "lines", "largest"], timeDimensions=time(grain), timezone=zone)
    found = sorted((row[f"time.{grain}"], row["revenue"], row["lines"], row["largest"]) for row in result["data"])
    raw = rows(measured, """SELECT bucket, sum(amount), count(*) FILTER (WHERE amount > 0), max(amount)
        FROM ({}) e GROUP BY 1""".format(EVENTS.format(grain=grain, zone=zone)), label, Decimal, Decimal, Decimal)
    # A bucket without a positive line is 0 lines in SQL, and none or null for the measure.
    assert [(bucket, revenue, count or 0, largest) for bucket, revenue, count, largest in found] == sorted(raw)


def test_filters(measured):
    countries = {row[0]: row[1] for row in rows(
        measured, "SELECT country, sum(amount) FROM ({}) e GROUP BY 1".format(EVENTS.format(grain="day", zone="UTC")), str,
        Decimal)}
    tests = [
        ("equals", ["Norway"], lambda name: name == "Norway"), ("equals", ["Norway", "EIRE"], lambda name: name in ("Norway", "EIRE")),
        ("notEquals", ["United Kingdom"], lambda name: name != "United Kingdom"), ("contains", ["an"], lambda name: "an" in name.lower()),
        ("notContains", ["an"], lambda name: "an" not in name.lower()), ("startsWith", ["A"], lambda name: name.startswith("A")),
        ("endsWith", ["y"], lambda name: name.endswith("y")), ("set", [], lambda name: True), ("notSet", [], lambda name: False),
        ("equals", ["Nowhere"], lambda name: False),
    ]
    for operator, values, keeps in tests:
        filters = [{"member": "country", "operator": operator, **({"values": values} if values else {})}]
        data = query(measured, measures=["revenue"], dimensions=["country"], filters=filters)["data"]
        assert {row["country"]: row["revenue"] for row in data} == {
            name: total for name, total in countries.items() if keeps(name)}, (operator, values)
    either = [{"or": [
        {"member": "country", "operator": "equals", "values": ["Norway"]},
        {"and": [{"member": "country", "operator": "startsWith", "values": ["A"]},
                 {"member": "country", "operator": "notEquals", "values": ["Austria"]}]}]}]
    data = query(measured, measures=["revenue"], dimensions=["country"], filters=either)["data"]
    assert {row["country"] for row in data} == {
        name for name in countries if name == "Norway" or name.startswith("A") and name != "Austria"}
    over = [{"member": "revenue", "operator": "gt", "values": [1000]}]
    data = query(measured, measures=["revenue"], dimensions=["country"], filters=over)["data"]
    assert {row["country"] for row in data} == {name for name, total in countries.items() if total > 1000}


def test_date_ranges_include_both_days(measured):
    days = {row[0]: row[1] for row in rows(
        measured, "SELECT bucket, sum(amount) FROM ({}) e GROUP BY 1".format(EVENTS.format(grain="day", zone="UTC")),
        label, Decimal)}
    first, last = min(days)[:10], max(days)[:10]
    assert first != last
    for start, end in ((first, first), (first, last), (last, last), ("2010-01-01", "2010-06-01")):
        dimension = [{"dimension": "time", "granularity": "day", "dateRange": [start, end]}]
        data = query(measured, measures=["revenue"], timeDimensions=dimension)["data"]
        assert {row["time.day"]: row["revenue"] for row in data} == {
            day: total for day, total in days.items() if start <= day[:10] <= end}, (start, end)


def test_missing_dates_are_filled_when_asked(measured):
    dimension = [{"dimension": "time", "granularity": "day", "dateRange": ["2010-11-29", "2010-12-03"]}]
    filled = query(measured, measures=["lines"], timeDimensions=[{**dimension[0], "fillMissingDates": True}])["data"]
    assert [row["time.day"][:10] for row in filled] == [
        "2010-11-29", "2010-11-30", "2010-12-01", "2010-12-02", "2010-12-03"]
    assert not filled[0]["lines"]


def test_order_limit_and_offset(measured):
    whole = query(measured, measures=["revenue"], dimensions=["country"], order=[["revenue", "desc"]])
    values = [row["revenue"] for row in whole["data"]]
    assert values == sorted(values, reverse=True) and whole["total"] == len(values) >= 4
    page = query(measured, measures=["revenue"], dimensions=["country"], order=[["revenue", "desc"]], limit=2, offset=1)
    assert page["data"] == whole["data"][1:3] and page["total"] == len(values)
    names = query(measured, measures=["revenue"], dimensions=["country"], order=[["country", "asc"]])["data"]
    assert [row["country"] for row in names] == sorted(row["country"] for row in names)
    both = query(measured, measures=["lines"], dimensions=["country"], timeDimensions=time("hour"),
                 order=[["country", "desc"], ["time", "asc"]])["data"]
    keys = [(row["country"], row["time.hour"]) for row in both]
    assert keys == sorted(sorted(keys, key=lambda key: key[1]), key=lambda key: key[0], reverse=True)


def test_a_mean_is_exact(measured):
    found = query(measured, measures=["average"])["data"][0]["average"]
    total, count = measured.sql("SELECT sum(amount), count(*) FROM ({}) e".format(EVENTS.format(grain="day", zone="UTC")))[0]
    assert abs(found - Decimal(total) / int(count)) < Decimal("1e-9")


@pytest.mark.parametrize("body, pointer", [
    ({}, "/measures"), ({"measures": []}, "/measures"), ({"measures": ["nothing"]}, "/measures"),
    ({"measures": "revenue"}, "/measures"), ({"measures": ["revenue"], "dimensions": ["purpose"]}, "/dimensions"),
    ({"measures": ["revenue"], "limit": 0}, "/limit"), ({"measures": ["revenue"], "limit": 10**9}, "/limit"),
    ({"measures": ["revenue"], "surprise": 1}, "/surprise"), ({"measures": ["revenue"], "timezone": "Mars/Base"}, "/timezone"),
    ({"measures": ["revenue"], "timezone": "../../etc/passwd"}, "/timezone"),
    ({"measures": ["revenue"], "order": [["revenue", "up"]]}, "/order/0"), ({"measures": ["revenue"], "order": [["x", "asc"]]}, "/order"),
    ({"measures": ["revenue"], "filters": [{"member": "country", "operator": "like"}]}, "/filters/0/operator"),
    ({"measures": ["revenue"], "filters": [{"member": "nothing", "operator": "set"}]}, "/filters/0"),
    ({"measures": ["revenue"], "timeDimensions": [{"granularity": "fortnight"}]}, "/timeDimensions/0/granularity"),
    ({"measures": ["revenue"], "timeDimensions": [{"dateRange": ["2010-13-01", "2010-12-02"]}]}, "/timeDimensions/0/dateRange"),
])
def test_a_wrong_query_is_refused_with_its_place(measured, body, pointer):
    answer = measured.admin.post("/v1/measures/query", json=body, invalid=True)
    assert answer.status_code == 422, answer.text
    assert any(error["pointer"].startswith(pointer) for error in answer.json()["errors"]), answer.text


# Decisions


def test_approval_rate_by_hour_and_purpose(measured):
    data = query(measured, measures=["approval_rate"], dimensions=["purpose"], timeDimensions=time("hour"))["data"]
    found = {(row["time.hour"], row["purpose"]): row["approval_rate"] for row in data}
    raw = {(bucket, purpose): (int(approved), int(count)) for bucket, purpose, approved, count in rows(
        measured, "SELECT bucket, purpose, count(*) FILTER (WHERE approve), count(*) FROM ({}) d GROUP BY 1, 2".format(
            RECORDS.format(grain="hour", zone="UTC")), label, str, str, str)}
    rollup = {(bucket, purpose): (int(approved), int(count)) for bucket, purpose, approved, count in rows(
        measured, "SELECT bucket, d->>'purpose', sum(sum), sum(count) FROM ({}) r GROUP BY 1, 2".format(
            ROLLUP.format(grain="hour", zone="UTC", measure="approval_rate")), label, str, str, str)}
    assert raw == rollup
    assert found.keys() == raw.keys()
    for key, (approved, count) in raw.items():
        assert abs(found[key] - Decimal(approved) / count) < Decimal("1e-12"), key
    # And the rows are what the callers were told.
    for purpose in PURPOSES:
        told = [answer["outputs"]["approve"] for each, answer in measured.decided if each == purpose]
        stored = [counts for (_, each), counts in raw.items() if each == purpose]
        assert (sum(told), len(told)) == tuple(map(sum, zip(*stored)))
        assert 0 < sum(told) < len(told)


def test_number_of_decisions(measured):
    data = query(measured, measures=["decisions"], dimensions=["decision", "fallback"])["data"]
    assert sum(row["decisions"] for row in data) == DECISIONS
    assert {row["decision"] for row in data} == {"credit-limit"}


# KPIs


def test_kpi_of_events(measured):
    for name in ("/v1/kpis/revenue_per_day", "/v1/kpis/revenue_per_day?periods=400"):
        kpi = retail.exact(measured.admin.get(name))
        raw = rows(measured, "SELECT bucket, sum(amount) FROM ({}) e GROUP BY 1 ORDER BY 1".format(
            EVENTS.format(grain="day", zone="Europe/London")), label, Decimal)
        assert [(row["period"], row["value"]) for row in kpi["history"]] == raw
        assert (kpi["period"], kpi["value"]) == raw[-1]
    assert kpi["target"] == 9000 and kpi["unit"] == "GBP" and kpi["owner"] == "ann" and kpi["direction"] == "up"
    expected = "on_track" if raw[-1][1] >= 9000 else "at_risk" if raw[-1][1] >= 7000 else "off_track"
    assert kpi["status"] == expected
    assert abs(kpi["change"] - (raw[-1][1] - raw[-2][1]) / raw[-2][1]) < Decimal("1e-9")
    assert kpi["trend"] == ("improving" if raw[-1][1] > raw[-2][1] else "worsening")
    assert str(raw[-1][1]) in kpi["summary"]
    one = retail.exact(measured.admin.get("/v1/kpis/revenue_per_day?periods=1"))
    assert [(row["period"], row["value"]) for row in one["history"]] == raw[-1:]


def test_kpi_of_decisions(measured):
    kpi = retail.exact(measured.admin.get("/v1/kpis/loan_approval_rate"))
    bucket, approved, count = rows(
        measured, "SELECT bucket, count(*) FILTER (WHERE approve), count(*) FROM ({}) d GROUP BY 1 ORDER BY 1 DESC".format(
            RECORDS.format(grain="hour", zone="UTC")), label, Decimal, Decimal)[0]
    assert kpi["period"] == bucket
    assert abs(kpi["value"] - approved / count) < Decimal("1e-12")


def test_kpi_without_target_and_kpi_that_should_fall(measured):
    kpi = measured.admin.get("/v1/kpis/largest_ever").json()
    largest = measured.sql("SELECT max(amount) FROM ({}) e".format(EVENTS.format(grain="day", zone="UTC")))[0][0]
    assert kpi["value"] == float(largest) > 100 and kpi["status"] == "off_track"
    kpi = measured.admin.get("/v1/kpis/untargeted").json()
    assert (kpi["target"], kpi["status"]) == (None, "no_target") and kpi["value"] is not None
    listed = measured.admin.get("/v1/kpis").json()["kpis"]
    assert [item["name"] for item in listed] == ["largest_ever", "loan_approval_rate", "revenue_per_day", "untargeted"]
    for name, status in (("nothing", 404),):
        assert measured.admin.get(f"/v1/kpis/{name}").status_code == status
    for periods in ("0", "401", "x", "-1", ""):
        assert measured.admin.get(f"/v1/kpis/untargeted?periods={periods}", invalid=True).status_code == 422, periods


def test_a_kpi_without_data_says_so(make_daemon):
    daemon = make_daemon()
    kpi = daemon.admin.get("/v1/kpis/revenue_per_day").json()
    assert (kpi["value"], kpi["period"], kpi["status"], kpi["history"]) == (None, None, "no_data", [])
    assert daemon.admin.post("/v1/measures/query", json={"measures": ["revenue"], "dimensions": ["country"]}).json()["data"] == []


# What the queries read


QUERIES = [
    {"measures": ["revenue"], "dimensions": ["country"], "timeDimensions": time("day"), "explain": True},
    {"measures": ["approval_rate"], "dimensions": ["purpose"], "timeDimensions": time("hour"), "explain": True},
    {"measures": ["revenue", "lines"], "filters": [{"member": "country", "operator": "equals", "values": ["EIRE"]}], "explain": True},
]


def ask_all(daemon):
    answers = [query(daemon, **body) for body in QUERIES]
    return answers + [retail.exact(daemon.admin.get(path)) for path in (
        "/v1/kpis", "/v1/kpis/revenue_per_day", "/v1/kpis/loan_approval_rate?periods=400")]


def test_queries_read_no_raw_table(measured):
    """explain says so, and so does PostgreSQL: its statistics of statements and of tables."""
    measured.wait_shipped()
    scans = """SELECT coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0) FROM pg_stat_user_tables
        WHERE schemaname = 'decisiond' AND (relname LIKE 'event%' OR relname LIKE 'decision_record%')"""
    # Counters of other connections reach the statistics when these are idle.
    measured.sql("SELECT pg_stat_force_next_flush()")
    before = measured.sql(scans)
    measured.sql("SELECT pg_stat_statements_reset()")
    for _ in range(3):
        answers = ask_all(measured)
    seen = [row[0] for row in measured.sql("""SELECT query FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
        WHERE d.datname = current_database() AND query !~ 'pg_stat'""")]
    assert not [text for text in seen if re.search(r"decisiond\"?\.\"?(event|decision_record)\b", text)], seen
    assert measured.sql(scans) == before
    for answer in answers[:3]:
        for part in answer["explain"]:
            assert part["source"] == "rollup" and part["raw_tables_read"] == [] and part["rollup_rows"] > 0


def test_figures_are_the_same_after_a_restart(measured):
    before, quality = ask_all(measured), measured.admin.get("/v1/quality/retail_events").json()
    measured.restart(kill=True)
    measured.wait_connected()
    assert ask_all(measured) == before
    after = measured.admin.get("/v1/quality/retail_events").json()
    for document in (quality, after):
        document.pop("freshness_s")
    assert after == quality


def test_figures_follow_what_is_not_shipped_yet(make_daemon):
    """The head in memory and the rollups in the database are one figure, at every moment."""
    daemon = make_daemon(ship_interval_ms=60000)
    customer = {"specversion": "1.0", "id": "c", "source": "/crm", "type": "com.example.retail.customer", "subject": "c",
                "time": "2026-01-01T00:00:00Z", "data": {"customer_id": "c"}}
    assert daemon.admin.post("/v1/events", json=customer).json()["accepted"] == 1
    for number in range(1, 30):
        event = {"specversion": "1.0", "id": str(number), "source": "/t", "type": "com.example.retail.purchase", "subject": "c",
                 "time": "2026-01-0%dT12:00:00Z" % (number % 3 + 1),
                 "data": {"product": "p", "quantity": 1, "amount": 0.1, "country": "France"}}
        assert daemon.admin.post("/v1/events", json=event).json()["accepted"] == 1
        if number == 15:
            daemon.restart()
        assert query(daemon, measures=["revenue"])["data"] == [{"revenue": Decimal(number) / 10}]


def test_late_events_change_their_own_bucket(measured):
    body = {"measures": ["revenue"], "timeDimensions": time("day")}
    before = {row["time.day"]: row["revenue"] for row in query(measured, **body)["data"]}
    subject = measured.sql("SELECT min(subject) FROM decisiond.event WHERE contract = 'retail_events'")[0][0]
    event = {"specversion": "1.0", "id": "late-1", "source": "/t", "type": "com.example.retail.purchase", "subject": subject,
             "time": "2010-12-01T00:00:00.000001Z",
             "data": {"product": "p", "quantity": 1, "amount": 0.07, "country": "France"}}
    assert measured.admin.post("/v1/events", json=event).json()["accepted"] == 1
    assert measured.admin.post("/v1/events", json=event).json()["duplicates"] == 1
    measured.wait_shipped()
    after = {row["time.day"]: row["revenue"] for row in query(measured, **body)["data"]}
    assert after == {**before, "2010-12-01T00:00:00": before["2010-12-01T00:00:00"] + Decimal("0.07")}
    raw = rows(measured, "SELECT bucket, sum(amount) FROM ({}) e GROUP BY 1".format(EVENTS.format(grain="day", zone="UTC")),
               label, Decimal)
    assert after == dict(raw)


def test_values_past_the_cardinality_limit_are_flagged(make_daemon):
    daemon = make_daemon()
    measure = {"kind": "Measure", "name": "people", "spec": {
        "stream": "retail_events", "aggregate": "count", "dimensions": [{"name": "country", "expression": "data.country"}]}}
    answer = daemon.admin.post("/v1/definitions/apply", json={"definitions": [measure]})
    assert answer.status_code == 200, answer.text
    customer = {"specversion": "1.0", "id": "c", "source": "/crm", "type": "com.example.retail.customer", "subject": "c",
                "time": "2026-01-01T00:00:00Z", "data": {"customer_id": "c"}}
    assert daemon.admin.post("/v1/events", json=customer).json()["accepted"] == 1
    purchase = {**customer, "type": "com.example.retail.purchase"}
    for start in range(0, 12000, 3000):
        body = "\n".join(json.dumps({
            **purchase, "source": "/p", "id": str(number), "data": {"product": "p", "quantity": 1, "amount": 1, "country": f"country {number}"},
        }) for number in range(start, start + 3000))
        answer = daemon.admin.post("/v1/events?results=problems", data=body, headers={"Content-Type": retail.NDJSON})
        assert answer.json()["accepted"] == 3000, answer.text[:500]
    result = query(daemon, measures=["people"], dimensions=["country"], limit=50000)
    values = {row["country"]: row["people"] for row in result["data"]}
    assert sum(values.values()) == 12000, "nothing is dropped"
    assert len(values) <= 10001 and values["__other__"] == 12000 - (len(values) - 1)
    assert result["other_included"] is True


# Quality


def labels():
    with gzip.open(shared_path("data/events/labels.csv.gz"), "rt", newline="") as file:
        return list(itertools.islice(csv.DictReader(file), 1500))


@pytest.fixture(scope="module")
def checked(make_daemon):
    """A daemon that got the first 1500 lines and nothing else."""
    daemon = make_daemon()
    retail.load_customers(daemon.admin)
    body = shared_path("data/events/events_first1500.ndjson").read_bytes()
    daemon.admin.post("/v1/events?results=problems", data=body, headers={"Content-Type": retail.NDJSON})
    return daemon


def test_quality_counts_what_the_labels_say(checked):
    quality = checked.admin.get("/v1/quality/retail_events").json()
    by_outcome = {}
    for row in labels():
        by_outcome[row["outcome"]] = by_outcome.get(row["outcome"], 0) + 1
    # What is no event of a known type belongs to no contract.
    broken = sum(row["violates"] == "contract" for row in labels())
    accepted, duplicates = by_outcome["accept"], by_outcome["duplicate"]
    assert quality["accepted"] == accepted
    assert quality["duplicates"] == duplicates
    assert quality["volume"] == accepted + duplicates + broken
    assert quality["validity"] == pytest.approx((accepted + duplicates) / (accepted + duplicates + broken), abs=0.001)
    assert quality["uniqueness"] == pytest.approx(accepted / (accepted + duplicates), abs=0.001)
    failed = {rule["rule"]: rule["failed"] for rule in quality["rules"]}
    assert sum(count for rule, count in failed.items() if rule.startswith("validity:")) == broken
    assert failed["validity:unknown_reference"] == by_outcome["quarantine"]
    assert failed["validity:type_mismatch"] == sum(row["label"].startswith("type_") for row in labels())
    assert failed["validity:null_value"] == sum(row["label"].startswith("null_") for row in labels())
    for rule in quality["rules"]:
        assert rule["passed"] >= 0 and rule["failed"] >= 0
    everything = checked.admin.get("/v1/quality").json()
    outside = sum(everything["unattributed"]["quarantined"].values())
    assert outside == sum(row["violates"] in ("json", "cloudevents") and row["outcome"] == "reject" for row in labels())
    named = {item["contract"]: item for item in everything["contracts"]}
    assert named["customers"]["accepted"] == len(retail.customer_events())


def test_completeness_counts_missing_fields(checked):
    quality = checked.admin.get("/v1/quality/retail_events").json()
    checked.wait_shipped()
    for field, expression in (("data.description", "data->>'description'"), ("data.invoice", "data->>'invoice'"),
                              ("data.amount", "data->>'amount'"), ("subject", "subject"), ("data.country", "data->>'country'")):
        stored, present = map(int, checked.sql(
            f"SELECT count(*), count({expression}) FROM decisiond.event WHERE contract = 'retail_events'")[0])
        rule = next(rule for rule in quality["rules"] if rule["rule"] == f"completeness:{field}")
        assert (rule["passed"], rule["failed"]) == (present, stored - present), field


def test_quality_by_hour_adds_up(checked):
    quality = checked.admin.get("/v1/quality/retail_events?hours=48").json()
    for field in ("accepted", "duplicates"):
        assert sum(hour[field] for hour in quality["hours"]) == quality[field]
    refused = sum(sum(hour["quarantined"].values()) for hour in quality["hours"])
    assert quality["volume"] == quality["accepted"] + quality["duplicates"] + refused
    for hours in ("0", "x", "-1", "1000000"):
        assert checked.admin.get(f"/v1/quality/retail_events?hours={hours}", invalid=True).status_code == 422, hours


def test_freshness_is_the_age_of_the_newest_event(checked):
    quality = checked.admin.get("/v1/quality/retail_events").json()
    newest = int(checked.sql("SELECT max(event_us) FROM decisiond.event WHERE contract = 'retail_events'")[0][0])
    told = datetime.datetime.fromisoformat(quality["last_event_time"].replace("Z", "+00:00"))
    assert round(told.timestamp() * 1e6) == newest
    age = datetime.datetime.now(datetime.timezone.utc) - told
    assert 0 <= age.total_seconds() - quality["freshness_s"] < 60


def test_quality_sees_fields_that_are_null(checked):
    before = next(rule for rule in checked.admin.get("/v1/quality/retail_events").json()["rules"]
                  if rule["rule"] == "completeness:data.country")
    subject = retail.rows("data/events/customers.csv")[0]["customer_id"]
    for number, data in enumerate(({}, {"country": None}, {"country": "France"})):
        event = {"specversion": "1.0", "id": f"null-{number}", "source": "/t", "type": "com.example.retail.purchase",
                 "subject": subject, "time": "2011-01-01T00:00:00Z", "data": {"product": "p", "quantity": 1, "amount": 1, **data}}
        assert checked.admin.post("/v1/events", json=event).json()["accepted"] == 1
    after = next(rule for rule in checked.admin.get("/v1/quality/retail_events").json()["rules"]
                 if rule["rule"] == "completeness:data.country")
    assert (after["passed"], after["failed"]) == (before["passed"] + 1, before["failed"] + 2)
