"""online == historical == SQL: every aggregate and every on-demand feature, exact and tiled, of the retail events and of
generated ones (10 % late, 5 % sent twice, 1 % corrected), also across restart, correction, re-drive, spill and back-fill.

`decisiond features verify` does the comparing: it reads through HTTP and computes again both ways. A short run compares about
a thousand (entity, time) points; the long one more than 10,000, and keeps a ledger of them."""
import csv
import datetime
import io
import json
import os
import random
import re
import subprocess

import pytest

import daemon as daemons
import decisions
import retail
from daemon import eventually
from ledger import Ledger
from test_feature_vocabulary import contract, field, view
from test_historical import CSV, wait

LONG = os.environ.get("DECISIOND_TEST_LONG") == "1"
START = datetime.datetime(2011, 3, 1, tzinfo=datetime.timezone.utc)
DAYS, ENTITIES, EVENTS = 20, 12, 1500
# A little more than the store needs when it holds no events.
TIGHT_BYTES = 2_600_000
# Points of each moment and view, and how many are compared in one go.
POINTS, UNIT = (750, 250) if LONG else (70, 70)

MEASUREMENTS = contract("parity_events", ["parity.measured"], [
    field("id", "string", required=True), field("source", "string", required=True),
    field("type", "string", required=True), field("subject", "string", required=True),
    field("time", "timestamp", required=True),
    field("data", "object", required=True, properties=[
        field("amount", "number", logicalTypeOptions={"multipleOf": 0.01}), field("count", "integer"),
        field("weight", "number"), field("name", "string"), field("flag", "boolean"), field("day", "date"),
        field("at", "timestamp")])])

KINDS = {"amount": "number", "count": "number", "weight": "double", "name": "string", "flag": "boolean", "day": "date",
         "at": "time"}


def features():
    """Every aggregate over every kind of column that it takes, within a window and over all history."""
    made = [
        {"name": "n_{window}", "aggregate": "count", "windows": ["6h", "3d"]}, {"name": "n", "aggregate": "count"},
        {"name": "first_seen", "aggregate": "first_time"}, {"name": "last_seen", "aggregate": "last_time", "windows": ["3d"]},
        {"name": "since_d", "aggregate": "time_since_last"}, {"name": "since_s", "aggregate": "time_since_last", "unit": "s"},
        {"name": "ratio_{window}", "aggregate": "ratio", "of": "/data/amount", "denominator": "/data/count", "windows": ["3d"]}]
    for column, kind in KINDS.items():
        of = {"of": f"/data/{column}"}
        for aggregate in ["count", "first", "last", "distinct", "first_time", "last_time"]:
            made.append({"name": f"{aggregate}_{column}_{{window}}", "aggregate": aggregate, "windows": ["6h", "3d"], **of})
        made.append({"name": f"now_{column}", "aggregate": "attribute", **of})
        if kind not in ("string", "boolean"):
            for aggregate in ("min", "max"):
                made.append({"name": f"{aggregate}_{column}_{{window}}", "aggregate": aggregate, "windows": ["6h", "3d"], **of})
        if kind in ("number", "double"):
            made += [
                {"name": f"sum_{column}_{{window}}", "aggregate": "sum", "windows": ["6h", "3d"], **of},
                {"name": f"mean_{column}_{{window}}", "aggregate": "mean", "windows": ["6h", "3d"], **of},
                {"name": f"sum_{column}", "aggregate": "sum", **of},
                {"name": f"median_{column}_{{window}}", "aggregate": "quantile", "q": 0.5, "windows": ["6h", "3d"], **of},
                {"name": f"p95_{column}", "aggregate": "quantile", "q": 0.95, **of},
                {"name": f"decayed_{column}", "aggregate": "decayed_sum", "half_life": "6h", **of},
                {"name": f"decayed_{column}_3d", "aggregate": "decayed_sum", "half_life": "1d", "windows": ["3d"], **of},
                {"name": f"level_{column}", "aggregate": "ewma", "half_life": "6h", **of}]
        if kind == "number":
            for aggregate in ("variance", "stddev"):
                made.append({"name": f"{aggregate}_{column}_{{window}}", "aggregate": aggregate, "windows": ["6h", "3d"], **of})
    for column in ("name", "count"):
        made.append({"name": f"top_{column}_{{window}}", "aggregate": "top_k", "k": 3, "of": f"/data/{column}",
                     "windows": ["6h", "3d"]})
    return made


ON_DEMAND = [
    {"name": "share", "expression": "if n = 0 then null else n_6h / n"},
    {"name": "age", "expression": "now() - last_seen < duration(\"PT12H\")"},
    {"name": "busy", "expression": "share > 0.1 and n_6h > 1"},
    {"name": "day", "expression": "if n_3d = 0 then null else now_day"},
    {"name": "spread", "expression": "max_amount_3d - min_amount_3d"},
    {"name": "label", "expression": "if now_name = null then \"?\" else now_name + \"!\""},
    {"name": "favourite", "expression": "if top_name_3d = null then null else top_name_3d[1].value"}]
METER = {"name": "meter", "path": "/subject"}


def parity_view(name, **more):
    return view(name, "parity_events", METER, features(), on_demand=ON_DEMAND, **more)


VIEWS = {
    "parity_exact": parity_view("parity_exact"),
    "parity_tiled": parity_view("parity_tiled", aggregation_interval="1h"),
    # Values expire, and most windows of a busy meter reach past what memory keeps.
    "parity_short": view(
        "parity_short", "parity_events", METER, [
            {"name": "n", "aggregate": "count"}, {"name": "n_{window}", "aggregate": "count", "windows": ["2h", "3d"]},
            {"name": "last", "aggregate": "last", "of": "/data/weight", "windows": ["3d"]},
            {"name": "sum_{window}", "aggregate": "sum", "of": "/data/weight", "windows": ["2h", "3d"]}],
        ttl="12h", entity_events_max=20,
        on_demand=[{"name": "twice", "expression": "if n = null then 0 else n * 2"}])}

# Binary64 numbers that rounding, signs and ranges could go wrong with.
WEIGHTS = [0.1, -0.2, 0.3, 1e16, -1e16, 1.0, 5e-324, -5e-324, 1e-310, 2.2250738585072014e-308, 1e300, -1e300, 1.5e308, 0.0,
           -0.0, 4503599627370497.5, 1 / 3, 123456789.125]
NAMES = ["a", "b", "B", "ä", "z", "", "it's", "\"q\"", "\\", "日本", "a b"]
TIMES = ["2011-03-01T00:00:00Z", "2011-03-01t01:30:00.1234567+01:30", "1969-12-31T23:59:59.999999-00:00",
         "2012-02-29T12:00:00.5Z", "2010-12-31T23:59:60Z", "2011-02-28T23:59:59+14:00", "0001-01-01T00:00:00Z",
         "9999-12-31T23:59:59.999999Z"]
DATES = ["2011-03-01", "1969-12-31", "2012-02-29", "0001-01-01", "9999-12-31", "1970-01-01"]


class Generator:
    """Events with the wanted share of late, repeated and corrected ones; the same ones for the same seed."""

    def __init__(self, seed, entities=ENTITIES):
        self.chance, self.entities = random.Random(seed), entities
        self.count = 0
        self.known = []

    def data(self):
        chance = self.chance
        data = {
            "amount": chance.randrange(-10**6, 10**6) / 100, "count": chance.choice([0, 1, 2, 3, 10**12, -5]),
            "weight": chance.choice(WEIGHTS) if chance.random() < 0.5 else chance.uniform(-1e3, 1e3),
            "name": chance.choice(NAMES), "flag": chance.random() < 0.5, "day": chance.choice(DATES),
            "at": chance.choice(TIMES)}
        return {name: value for name, value in data.items() if chance.random() < 0.85}

    def event(self, time):
        self.count += 1
        return {
            "specversion": "1.0", "id": f"e{self.count}", "source": f"/parity/{self.chance.randrange(3)}",
            "type": "parity.measured", "subject": f"m{self.chance.randrange(self.entities)}",
            "time": time.isoformat().replace("+00:00", "Z"), "data": self.data()}

    def batches(self, count, size=50):
        """Lists of lines to send; about one event in five shares its time with another."""
        lines, clock = [], START + datetime.timedelta(hours=self.count * 24 * DAYS / EVENTS)
        for _ in range(count):
            clock += datetime.timedelta(seconds=self.chance.choice([0, 60, 1200, 3600, 0.000001]))
            late = datetime.timedelta(hours=self.chance.uniform(0, 48)) if self.chance.random() < 0.10 else datetime.timedelta(0)
            event = self.event(clock - late)
            draw = self.chance.random()
            if draw < 0.01 and self.known:
                target = self.chance.choice(self.known[-200:])
                event.update(source=target["source"], corrects=target["id"])
                if self.chance.random() < 0.4:
                    del event["data"], event["subject"], event["time"]
            lines.append(event)
            if draw < 0.06 and draw >= 0.01:
                lines.append(event)
            if "corrects" not in event:
                self.known.append(event)
        return [lines[start:start + size] for start in range(0, len(lines), size)]


def send(daemon, lines):
    body = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()

    def sent():
        # Where memory is short, PostgreSQL may not have taken enough yet to spill more.
        answer = daemon.admin.post("/v1/events", data=body, headers={"Content-Type": retail.NDJSON})
        return answer if answer.status_code != 503 or answer.json()["code"] != "features_memory" else None
    answer = eventually(sent, "the events to be taken", interval=0.1)
    assert answer.status_code == 200, answer.text
    statuses = {result["status"] for result in answer.json()["results"]}
    assert statuses <= {"accepted", "duplicate"}, answer.text[:3000]


def verify(daemon, name, points, seed, *more):
    """Values compared with history, with SQL, and those of them that differ within the bound; nothing may differ more."""
    done = subprocess.run(
        [str(daemons.binary()), "features", "verify", name, "--url", daemon.url, "--key", daemon.key, "--database-url",
         daemon.database_url, "--sample", str(points), "--seed", str(seed), *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=3000)
    said = done.stdout
    assert done.returncode == 0, f"{name}, seed {seed}:\n{said[:6000]}\n{done.stderr[:6000]}"
    history, within = re.search(r"history: (\d+) values compared; PostgreSQL: (\d+) ", said).groups()
    found = re.search(rf"{points} points, (\d+) values compared, (\d+) limited, 0 mismatches", said)
    assert found, said[-1000:]
    return {"historical": int(history), "sql": int(found[1]), "limited": int(found[2]), "within": int(within)}, said


def check(daemon, moment, names=None):
    """Compares points of each view, as many as the ledger does not have of this moment."""
    ledger = Ledger("parity")
    for name in names or VIEWS:
        for number in range(POINTS // UNIT):
            unit = f"{moment} {name}"
            if ledger.has(unit, number):
                continue
            figures, _ = verify(daemon, name, UNIT, number)
            assert figures["historical"] > 0
            ledger.add(unit, number, "passed", points=UNIT, **figures)


@pytest.fixture(scope="module")
def meters(make_daemon):
    """A daemon with the views and the first half of the generated events."""
    made = make_daemon(parity_sample_per_minute=600, ship_interval_ms=50)
    decisions.apply(made, MEASUREMENTS, *VIEWS.values())
    made.generator = Generator(3)
    for batch in made.generator.batches(EVENTS // 2):
        send(made, batch)
    return made


def test_as_events_come(meters):
    check(meters, "ingest")


def test_only_what_cannot_be_exact_is_not(meters):
    """What the command says of every feature: sketches and decays within their bound, on-demand features not in SQL."""
    figures, said = verify(meters, "parity_exact", 5, 1, "--show-sql")
    remarks = re.findall(r"^(within|not in SQL): (\w+) \(", said, re.MULTILINE)
    assert {name for kind, name in remarks if kind == "not in SQL"} == {item["name"] for item in ON_DEMAND}
    inexact = {name for kind, name in remarks if kind == "within"}
    assert all(re.match("median|p95|decayed|level", name) for name in inexact) and len(inexact) == 3 * 6
    assert figures["limited"] == 0


def test_after_restart(meters):
    meters.restart(kill=True)
    check(meters, "restart", ["parity_exact", "parity_short"])


def test_after_corrections_and_late_events(meters):
    for batch in meters.generator.batches(EVENTS // 2):
        send(meters, batch)
    everything = meters.sql("""
        SELECT count(corrects_seq), count(*) FILTER (WHERE retracts) FROM decisiond.event WHERE contract = 'parity_events'""")
    meters.wait_shipped()
    assert int(everything[0][0]) > 3
    check(meters, "correction")


def test_after_redrive(meters):
    """Refused for a wrong type, put right and sent again."""
    bad = meters.generator.event(START + datetime.timedelta(days=3))
    bad["data"]["count"] = "two"
    answer = meters.admin.post("/v1/events", json=bad, headers={"Content-Type": "application/cloudevents+json"}, invalid=True)
    assert answer.json()["results"][0]["status"] == "quarantined"
    entry = next(item for item in meters.admin.get("/v1/quarantine", params={"limit": 1000}).json()["entries"]
                 if item["event_id"] == bad["id"])
    bad["data"]["count"] = 2
    answer = meters.admin.post("/v1/events", json=bad, headers={"Content-Type": "application/cloudevents+json"})
    assert answer.json()["results"][0]["status"] == "accepted", answer.text
    assert entry["state"] == "open"
    check(meters, "redrive", ["parity_exact"])


def test_after_back_fill(meters):
    """The same views under other names, filled from PostgreSQL."""
    names = {f"{name}_filled": dict(VIEWS[name], name=f"{name}_filled") for name in ("parity_exact", "parity_tiled")}
    decisions.apply(meters, *names.values())
    for name in names:
        eventually(lambda: meters.admin.get(f"/v1/definitions/FeatureView/{name}").json()["fill"]["state"] != "building",
                   f"{name} is filled")
    check(meters, "back-fill", list(names))


def test_across_spill(make_daemon):
    """Memory holds few of the entities: those asked for are fetched back."""
    made = make_daemon(features_memory_bytes_max=TIGHT_BYTES, ship_interval_ms=20, parity_sample_per_minute=0)
    decisions.apply(made, MEASUREMENTS, *VIEWS.values())

    def spilled():
        return made.admin.get("/v1/usage").json()["feature_entities_spilled"]
    for batch in Generator(4, entities=60).batches(30 * EVENTS, size=500):
        send(made, batch)
        if spilled() > 30:
            break
    made.wait_shipped()
    eventually(lambda: spilled() > 0, "something to be spilled")
    check(made, "spill", ["parity_exact", "parity_tiled"])
    assert made.admin.get("/v1/usage").json()["feature_entities_fetched"] > 0


def test_sketches_stay_within_their_error(meters):
    """A meter with more values than quantiles keep one by one."""
    chance, name = random.Random(8), "parity_big"
    decisions.apply(meters, view(name, "parity_events", METER, [
        {"name": f"{aggregate}_{column}_{q}", "aggregate": "quantile", "q": q, "of": f"/data/{column}"}
        for aggregate, column in (("q", "amount"), ("q", "weight")) for q in (0.01, 0.5, 0.99)] + [
        {"name": "decayed", "aggregate": "decayed_sum", "half_life": "1h", "of": "/data/weight"},
        {"name": "top", "aggregate": "top_k", "k": 20, "of": "/data/count"}]))
    eventually(lambda: meters.admin.get(f"/v1/definitions/FeatureView/{name}").json()["fill"]["state"] != "building",
               "the view is filled")
    lines = [{
        "specversion": "1.0", "id": f"big{number}", "source": "/parity/big", "type": "parity.measured", "subject": "big",
        "time": (START + datetime.timedelta(seconds=number)).isoformat().replace("+00:00", "Z"),
        "data": {"amount": chance.randrange(-10**6, 10**6) / 100, "count": chance.randrange(30),
                 "weight": chance.lognormvariate(0, 5) * chance.choice([-1, 1])}} for number in range(6000)]
    for start in range(0, len(lines), 500):
        send(meters, lines[start:start + 500])
    figures, _ = verify(meters, name, 40, 5)
    assert figures["within"] > 40 and figures["limited"] == 0


def test_training_sets_have_what_is_served(meters):
    """Every feature of every view, on-demand ones too, at the same points, text for text."""
    chance = random.Random(9)
    rows = [{"meter": f"m{chance.randrange(ENTITIES)}", "as_of": (START + datetime.timedelta(
        seconds=chance.randrange(DAYS * 86400))).isoformat().replace("+00:00", "Z")} for _ in range(POINTS)]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["meter", "as_of"])
    writer.writeheader()
    writer.writerows(rows)
    for name, definition in VIEWS.items():
        answer = meters.admin.post(
            "/v1/features/historical", params={"view": name, "known_at": "latest", "null_reasons": "true"},
            data=text.getvalue().encode(), headers=CSV)
        assert answer.status_code == 202, answer.text
        path = wait(meters.admin, answer.headers["Location"])["links"]["result"]
        about = meters.admin.get(path).json()
        data = meters.admin.get(about["links"]["data"], params={"format": "ndjson"}).text.splitlines()
        on_demand = {item["name"] for item in definition["spec"]["on_demand"]}
        assert on_demand <= {column["name"] for column in about["columns"] if column["role"] == "feature"}
        for row, line in zip(rows, data, strict=True):
            served = retail.exact(meters.admin.get(f"/v1/features/{name}", params={**row, "known_at": "latest", "complete": "true"}))
            made = retail.exact_text(line)
            assert {key: made[key] for key in served["values"]} == served["values"], (name, row)
            assert made["null_reasons"] == served["null_reasons"], (name, row)
    # Some features only, and an on-demand feature without what it is made from.
    answer = meters.admin.post(
        "/v1/features/historical", params={"view": "parity_exact", "features": "busy,n", "known_at": "latest"},
        data=text.getvalue().encode(), headers=CSV)
    path = wait(meters.admin, answer.headers["Location"])["links"]["result"]
    found = list(csv.DictReader(io.StringIO(meters.admin.get(path + "/data").text)))
    assert list(found[0]) == ["meter", "as_of", "n", "busy"]
    assert {row["busy"] for row in found} <= {"true", "false", ""} and "true" in {row["busy"] for row in found}


def test_retail(make_daemon):
    """The shared file: 36 purchases features and more at random points."""
    made = make_daemon()
    retail.load(made.admin)
    made.wait_shipped()
    check(made, "retail", ["customer_purchases"])
    made.restart(kill=True)
    check(made, "retail restart", ["customer_purchases"])


def measure(daemon, name, *dimensions):
    answer = daemon.admin.post("/v1/measures/query", json={"measures": [name], "dimensions": list(dimensions)})
    assert answer.status_code == 200, answer.text
    return {tuple(row[dimension] for dimension in dimensions): row[name] for row in answer.json()["data"]}


def test_samples_are_measures(meters):
    """What is served is compared all the time; KPIs can be defined over the result, which survives a restart."""
    kpi = {"kind": "KPI", "name": "parity", "domain": "parity", "owner": "ann", "spec": {
        "measure": "feature_parity", "grain": "day", "target": 1, "direction": "up"}}
    own = {"kind": "Measure", "name": "parity_of_decisions", "domain": "parity", "spec": {
        "stream": "feature_parity", "aggregate": "count", "filter": "origin = \"decision\""}}
    decisions.apply(meters, kpi, own)
    ask = {"meter": "m1", "as_of": "2011-03-10T00:00:00Z", "known_at": "latest"}

    def sampled():
        meters.admin.get("/v1/features/parity_exact", params=ask)
        return measure(meters, "feature_parity_points", "view", "origin").get(("parity_exact", "features"), 0) >= 3
    eventually(sampled, "vectors are compared", interval=0.2)
    assert measure(meters, "feature_mismatches", "view", "feature", "against") == {}
    assert measure(meters, "feature_parity", "view")[("parity_exact",)] == 1
    assert measure(meters, "feature_parity_values", "view")[("parity_exact",)] >= 3 * len(features())
    body = meters.admin.get("/v1/kpis/parity").json()
    assert (body["value"], body["status"]) == (1, "on_track")
    before = measure(meters, "feature_parity_points", "view", "origin")
    meters.restart(kill=True)
    after = measure(meters, "feature_parity_points", "view", "origin")
    assert all(after[key] >= count for key, count in before.items())
    meters.wait_shipped()
    stored = int(meters.sql("SELECT sum(count) FROM decisiond.rollup WHERE measure = 'feature_parity_points'")[0][0])
    assert stored >= sum(before.values())


def test_a_mismatch_is_measured_by_feature(meters):
    """One stored value is changed behind the daemon's back."""
    row = meters.sql("""SELECT seq, subject, decisiond.at(event_us) FROM decisiond.event_alive
        WHERE contract = 'parity_events' AND (data->>'flag') = 'true' ORDER BY event_us DESC, source DESC, id DESC LIMIT 1""")[0]
    meters.sql(f"""UPDATE decisiond.event SET data = replace(data::text, '"flag": true', '"flag": false')::json
        WHERE seq = {row[0]}""")
    ask = {"meter": row[1], "as_of": row[2].replace(" ", "T").replace("+00", "Z"), "known_at": "latest"}

    def found():
        meters.admin.get("/v1/features/parity_tiled", params=ask)
        return measure(meters, "feature_mismatches", "view", "feature", "against")
    eventually(lambda: ("parity_tiled", "now_flag", "sql") in found(), "the mismatch is measured", interval=0.2)
    kinds = {key[1:] for key in found() if key[0] == "parity_tiled"}
    assert {("now_flag", "historical"), ("last_flag_3d", "sql")} <= kinds
    assert all("flag" in feature for feature, _ in kinds)
    assert measure(meters, "feature_parity", "view")[("parity_tiled",)] < 1
    metrics = meters.admin.get("/metrics").text
    assert 'decisiond_parity_feature_mismatch_total{view="parity_tiled",feature="now_flag",against="sql"}' in metrics
    answer = meters.admin.post("/v1/features/parity_tiled/verify", json={"sample": 60, "seed": 1})
    result = wait(meters.admin, answer.headers["Location"])["result"]
    assert result["mismatches"] == result["sql"]["different"] + result["historical"]["different"]
    assert result["points"] == 60 and result["sql"]["absent"] == 60 * len(ON_DEMAND)
    assert {item["sql"] for item in result["features"]} == {"exact", "within", "none"}


def test_known_at_of_decisions_is_kept(make_daemon):
    """A decision that was made from what was known then is compared with what was known then."""
    made = make_daemon(parity_sample_per_minute=600)
    retail.load(made.admin, ["12748"])
    decisions.make_patient(made)
    for known_at in ("2011-01-01T00:00:00Z", "latest"):
        body = decisions.decide(
            made.admin, decisions.OFFER, {"customer": "12748"}, as_of="2011-02-01T00:00:00Z", known_at=known_at)
        record = decisions.record(made.admin, body["id"])
        assert record["known_at"] == (known_at if known_at == "latest" else "2011-01-01T00:00:00.000Z")
        assert decisions.replay(made.admin, body["id"])["identical"] is True
        points = measure(made, "feature_parity_points", "origin").get(("decision",), 0)
        eventually(lambda: measure(made, "feature_parity_points", "origin").get(("decision",), 0) > points, "it is compared")
    assert measure(made, "feature_mismatches") in ({}, {(): 0})
    assert "parity_mismatch" not in str(made.wait_ready())


@pytest.mark.parametrize("name", ["feature_parity", "feature_mismatches"])
def test_built_in_names_are_taken(meters, name):
    definition = {"kind": "Measure", "name": name, "domain": "parity", "spec": {"stream": "decisions", "aggregate": "count"}}
    answer = meters.admin.post("/v1/definitions/apply", json={"definitions": [definition]}, invalid=True)
    assert answer.status_code == 422 and answer.json()["errors"][0]["code"] == "reserved_name", answer.text
