"""Training sets: historical features against expected results, row by row, and what a job of them promises."""
import csv
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import time

import pytest

import daemon as daemons
import retail

VIEW = "customer_purchases"
CSV = {"Content-Type": "text/csv"}
NDJSON = {"Content-Type": retail.NDJSON}
LONG = bool(os.environ.get("DECISIOND_TEST_LONG"))


@pytest.fixture(scope="module")
def loaded(daemon):
    """The daemon with the whole retail file, shipped."""
    retail.load(daemon.admin)
    daemon.wait_shipped()
    return daemon


def wait(api, path, state="done"):
    """The job once it has ended, which must be in this state."""
    def ended():
        job = api.get(path).json()
        return job if job["state"] in ("done", "failed", "cancelled") else None
    job = daemons.eventually(ended, f"{path} ends")
    assert job["state"] == state, job
    return job


def post(api, body, headers, invalid=False, **parameters):
    return api.post("/v1/features/historical", params={"view": VIEW, **parameters}, data=body, headers=headers, invalid=invalid)


def make(api, body, headers, **parameters):
    """Makes a training set and returns what is known of it."""
    answer = post(api, body, headers, **parameters)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == answer.json()["links"]["self"]
    job = wait(api, answer.headers["Location"])
    found = api.get(job["links"]["result"]).json()
    assert found["rows"] == job["result"]["rows"] == job["progress"]["done"] == job["progress"]["total"]
    return found


def as_csv(rows, columns):
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def expected_rows():
    return retail.rows("data/features/point_in_time.csv")


def check_rows(found, rows, columns_of):
    """Every cell of every feature column that is expected, to the last digit."""
    assert len(found) == len(rows)
    wrong = []
    for served, row in zip(found, rows):
        values = {name: json.loads(text, parse_float=retail.Decimal, parse_int=retail.Decimal) if text != "" else None
                  for name, text in served.items() if name not in ("customer", "as_of", "kind")}
        differences = retail.differences(values, row, columns_of(row))
        if differences or (served["customer"], served["as_of"]) != (row["customer"], row["as_of"]):
            wrong.append((row["customer"], row["as_of"], differences))
    assert wrong == [], f"{len(wrong)} rows differ: {wrong[:3]}"


def test_every_row_of_point_in_time_as_csv(loaded):
    rows = expected_rows()
    assert len(rows) == 2030
    body = as_csv(rows, ["kind", "customer", "as_of"])
    made = make(loaded.admin, body, CSV, known_at="latest", name="point_in_time")
    data = loaded.admin.get(made["links"]["data"], headers={"Accept-Encoding": "identity"})
    assert data.headers["Content-Type"].startswith("text/csv")
    assert hashlib.sha256(data.content).hexdigest() == made["sha256"] and len(data.content) == made["bytes"]
    found = list(csv.DictReader(io.StringIO(data.text)))
    assert list(found[0])[:3] == ["customer", "as_of", "kind"] and len(found[0]) == 3 + 39
    assert [row["kind"] for row in found] == [row["kind"] for row in rows]
    check_rows(found, rows, retail.point_in_time_columns)


def test_ndjson_and_gzip_give_the_same(loaded):
    rows = expected_rows()
    body = b"".join(json.dumps({"customer": row["customer"], "as_of": row["as_of"], "n": index}).encode() + b"\n"
                    for index, row in enumerate(rows))
    packed = make(loaded.admin, gzip.compress(body), {**NDJSON, "Content-Encoding": "gzip"}, known_at="latest", null_reasons="true")
    path = packed["links"]["data"]
    plain = loaded.admin.get(path, headers={"Accept-Encoding": "identity", "Accept": retail.NDJSON})
    zipped = loaded.admin.get(path, params={"format": "ndjson"}, headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["Content-Encoding"] == "gzip" and zipped.content == plain.content
    zipped = loaded.admin.get(path, headers={"Accept-Encoding": "gzip"})
    assert hashlib.sha256(zipped.content).hexdigest() == packed["sha256"]
    lines = [json.loads(line, parse_float=retail.Decimal, parse_int=retail.Decimal) for line in plain.text.splitlines()]
    assert [line["n"] for line in lines] == list(range(len(rows)))
    for line, row in zip(lines, rows):
        assert retail.differences(line, row, retail.point_in_time_columns(row)) == [], row
        nulls = {name for name, value in line.items() if value is None}
        assert set(line["null_reasons"]) == nulls
    again = make(loaded.admin, as_csv(rows, ["customer", "as_of"]), CSV, known_at="latest")
    assert [each["version"] for each in loaded.admin.get("/v1/training-sets", params={"name": VIEW}).json()["training_sets"]][:2] == [2, 1]
    data = loaded.admin.get(again["links"]["data"]).text
    check_rows(list(csv.DictReader(io.StringIO(data))), rows, retail.point_in_time_columns)


def test_score_at_pairs_with_some_features(loaded):
    rows = retail.rows("data/features/score_at.csv")
    wanted = ["count_30d", "mean_90d", "days_since_last"]
    made = make(loaded.admin, as_csv(rows, ["customer", "as_of"]), CSV, known_at="latest", features=",".join(wanted))
    found = list(csv.DictReader(io.StringIO(loaded.admin.get(made["links"]["data"]).text)))
    assert list(found[0]) == ["customer", "as_of", *wanted]
    check_rows(found, rows, lambda row: {name: name for name in wanted})


def test_equal_to_a_live_read_also_as_known_then(loaded):
    """Every digit of every value and every reason, for all three meanings of known_at."""
    rows = random.Random(5).sample(expected_rows(), 40)
    between = loaded.sql("SELECT decisiond.at((min(ingest_us) + max(ingest_us)) / 2) FROM decisiond.event")[0][0]
    between = between.replace(" ", "T").replace("+00", "Z")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for known_at, live in (("as_of", None), ("latest", "latest"), (between, between)):
        for row in rows:
            row["as_of"] = now if known_at == "as_of" and int(row["customer"]) % 2 else row["as_of"]
        made = make(loaded.admin, as_csv(rows, ["customer", "as_of"]), CSV, known_at=known_at, null_reasons="true")
        data = loaded.admin.get(made["links"]["data"], params={"format": "ndjson"}).text
        for line, row in zip(data.splitlines(), rows):
            query = {"customer": row["customer"], "as_of": row["as_of"], **({"known_at": live} if live else {})}
            body = loaded.admin.get(retail.VIEW, params=query).text
            served, found = retail.exact_text(body), retail.exact_text(line)
            assert served["values"] == {name: found[name] for name in served["values"]}, (known_at, row)
            assert served["null_reasons"] == found["null_reasons"]


def resident_bytes(daemon):
    for line in open(f"/proc/{daemon.process.pid}/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def test_many_rows_in_bounded_memory(loaded):
    """100,000 rows (fewer in the short run): memory grows by far less than what is read and written."""
    count = 100_000 if LONG else 10_000
    pick = random.Random(7)
    customers = [row["customer_id"] for row in retail.rows("data/events/customers.csv")]
    lines = ["customer,as_of,note"]
    for number in range(count):
        when = f"2011-0{pick.randint(1, 3)}-{pick.randint(1, 28):02}T{pick.randint(0, 23):02}:00:00Z"
        lines.append(f'{pick.choice(customers)},{when},"note, {number}"')
    before = resident_bytes(loaded)
    made = make(loaded.admin, "\n".join(lines).encode(), CSV, known_at="latest", features="count_30d,sum_90d,mean_90d,last_90d,days_since_last")
    data = loaded.admin.get(made["links"]["data"], headers={"Accept-Encoding": "identity"})
    assert hashlib.sha256(data.content).hexdigest() == made["sha256"]
    packed = loaded.admin.get(made["links"]["data"], params={"format": "ndjson"})
    assert len(packed.content) > 150 * count
    assert resident_bytes(loaded) - before < 40_000_000
    found = list(csv.DictReader(io.StringIO(data.text)))
    assert [row["note"] for row in found] == [f"note, {number}" for number in range(count)]
    for row in pick.sample(found, 25):
        values = retail.served(loaded.admin, row["customer"], row["as_of"])
        assert {name: str(values[name]) if values[name] is not None else "" for name in list(row)[3:]} == dict(list(row.items())[3:])


@pytest.mark.parametrize("body, code, pointer", [
    (b"customer,when\n1,2011-01-01T00:00:00Z\n", "missing_column", "/lines/1/as_of"),
    (b"as_of\n2011-01-01T00:00:00Z\n", "missing_column", "/lines/1/customer"),
    (b"customer,as_of,a,a\n", "duplicate_column", "/lines/1/a"),
    (b"customer,as_of\n1,yesterday\n", "invalid_time", "/lines/2/as_of"),
    (b"customer,as_of\n\n1,2011-01-01T00:00:00Z\n2,2999-01-01T00:00:00Z\n", "in_the_future", "/lines/4/as_of"),
    (b"customer,as_of\n1,2011-01-01T00:00:00Z,3\n", "wrong_column_count", "/lines/2"),
    (b"customer,as_of\n,2011-01-01T00:00:00Z\n", "invalid_key", "/lines/2/customer"),
    (b'customer,as_of\n"1"x,2011-01-01T00:00:00Z\n', "text_after_quote", "/lines/2"),
    (b'customer,as_of\n1,"2011', "unterminated_quote", "/lines/2"),
    (b"customer,as_of,count_1h\n1,2011-01-01T00:00:00Z,3\n", "duplicate_column", "/lines/1/count_1h"),
    (b"customer,as_of\n", "no_rows", ""),
])
def test_wrong_rows_are_named_by_line(loaded, body, code, pointer):
    answer = post(loaded.admin, body, CSV)
    assert answer.status_code == 422, answer.text
    assert (code, pointer) in [(error["code"], error["pointer"]) for error in answer.json()["errors"]]


def test_wrong_rows_far_down_fail_the_job(loaded):
    good = b"1,2011-01-01T00:00:00Z\n" * 20_000
    answer = post(loaded.admin, b"customer,as_of\n" + good + b"1,soon\n" * 300, CSV)
    assert answer.status_code == 202
    job = wait(loaded.admin, answer.headers["Location"], "failed")
    assert job["error"]["code"] == "invalid_rows" and len(job["error"]["errors"]) == 100
    assert job["error"]["errors"][0]["pointer"] == "/lines/20002/as_of" and job["result"] is None


@pytest.mark.parametrize("parameters, headers, status, code", [
    ({"view": "nothing"}, CSV, 404, "unknown_view"),
    ({"features": "count_1h,nothing"}, CSV, 422, "invalid_request"),
    ({"known_at": "soon"}, CSV, 422, "invalid_request"),
    ({"name": "no spaces"}, CSV, 422, "invalid_request"),
    ({}, {"Content-Type": "application/json"}, 415, "unsupported_media_type"),
    ({}, {**CSV, "Content-Encoding": "br"}, 415, "unsupported_encoding"),
    ({}, {**CSV, "Content-Encoding": "gzip"}, 400, "content_encoding_invalid"),
])
def test_refusals(loaded, parameters, headers, status, code):
    answer = post(loaded.admin, b"customer,as_of\n1,2011-01-01T00:00:00Z\n", headers, invalid=True, **parameters)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_rights_and_deletion(loaded):
    made = make(loaded.admin, b"customer,as_of\n16791,2011-01-11T15:42:01.300Z\n", CSV, known_at="latest", name="gone")
    path = made["links"]["self"]
    crm = loaded.session("crm")
    assert post(crm, b"customer,as_of\n1,2011-01-01T00:00:00Z\n", CSV).status_code == 403
    assert crm.get(path).status_code == crm.get(path + "/data").status_code == crm.delete(path).status_code == 403
    assert loaded.admin.delete(path).status_code == 204
    for answer in (loaded.admin.get(path), loaded.admin.get(path + "/data"), loaded.admin.delete(path)):
        assert answer.status_code == 404 and answer.json()["code"] == "unknown_training_set"
    assert not (loaded.data / "training" / f"{made['id']}.csv").exists()
    assert loaded.sql(f"SELECT rows, deleted_us IS NULL FROM decisiond.training_set WHERE id = '{made['id']}'") == [["1", "f"]]
    again = make(loaded.admin, b"customer,as_of\n16791,2011-01-11T15:42:01.300Z\n", CSV, known_at="latest", name="gone")
    assert again["version"] == 2 and again["sha256"] == made["sha256"]


def test_a_job_that_waits_for_shipping_is_cancelled_or_interrupted(make_daemon):
    """Nothing is shipped while the shipper's lock is held by somebody else."""
    daemon = make_daemon(job_threads=1)
    daemon.admin.post("/v1/keys", json={"name": "a", "roles": ["crm"]})
    daemon.wait_shipped()
    with daemons.held_lock(daemon.database_url, "decisiond.ship_state"):
        daemon.admin.post("/v1/keys", json={"name": "b", "roles": ["crm"]})
        body = b"customer,as_of\n1,2011-01-01T00:00:00Z\n"
        first, second, third = (post(daemon.admin, body, CSV).headers["Location"] for _ in range(3))
        daemons.eventually(lambda: daemon.admin.get(first).json()["state"] == "running", "the first job runs")
        assert daemon.admin.get(second).json()["state"] == "queued"
        assert daemon.admin.delete(second).json()["state"] == "cancelled"
        daemon.admin.delete(first)
        wait(daemon.admin, first, "cancelled")
        assert daemon.admin.delete(first).status_code == 409
        daemons.eventually(lambda: daemon.admin.get(third).json()["state"] == "running", "the third job runs")
        states = {job["id"]: job["state"] for job in daemon.admin.get("/v1/jobs").json()["jobs"]}
        assert sorted(states.values()) == ["cancelled", "cancelled", "running"]
        daemon.restart(kill=True, wait=False)
        daemon.wait_ready()
    job = wait(daemon.admin, third, "failed")
    assert job["error"]["code"] == "interrupted"
    assert daemon.admin.get(first).json()["state"] == "cancelled"
    assert list((daemon.data / "training").iterdir()) == []
    daemon.wait_shipped()
    make(daemon.admin, body, CSV)


def test_masks_hold_and_reads_are_logged(make_daemon, tmp_path):
    """A classified field's features are null for who may not see them, whoever made the set."""
    shutil.copytree(daemons.DEMO_DEFINITIONS.parent, tmp_path / "demo")
    contract = tmp_path / "demo" / "definitions" / "contracts" / "retail_events.odcs.yaml"
    plain = "name: amount, logicalType: number,"
    assert plain in contract.read_text()
    contract.write_text(contract.read_text().replace(plain, plain + " classification: personal,"))
    daemon = make_daemon(definitions=tmp_path / "demo" / "definitions")
    retail.load(daemon.admin)
    row = next(row for row in expected_rows() if int(row["count_1h"]) > 3)
    body = as_csv([row], ["customer", "as_of"])
    made = make(daemon.admin, body, CSV, known_at="latest", null_reasons="true")
    data = next(csv.DictReader(io.StringIO(daemon.admin.get(made["links"]["data"]).text)))
    assert data["last_90d"] and data["sum_90d"]
    blind = daemon.session("analyst")
    hidden = next(csv.DictReader(io.StringIO(blind.get(made["links"]["data"]).text)))
    assert hidden["last_90d"] == "" and hidden["sum_90d"] == data["sum_90d"]
    assert json.loads(hidden["null_reasons"])["last_90d"] == "masked"
    line = json.loads(blind.get(made["links"]["data"], params={"format": "ndjson"}).text)
    assert line["last_90d"] is None and line["null_reasons"]["max_1h"] == "masked"
    own = make(blind, body, CSV, known_at="latest")
    seen = next(csv.DictReader(io.StringIO(daemon.admin.get(own["links"]["data"]).text)))
    assert seen["last_90d"] == "" and seen["sum_90d"] == data["sum_90d"]
    entries = daemon.admin.get("/v1/access-log", params={"action": "training_sets.read"}).json()["entries"]
    assert {(entry["principal"], entry["resource_id"]) for entry in entries} >= {
        ("bootstrap", made["id"]), (blind.key_name, made["id"])}
    assert any("last_90d" in entry["details"]["masked"] for entry in entries)


def test_the_disk_has_a_bound(make_daemon):
    daemon = make_daemon(training_bytes_max=20_000)
    body = b"customer,as_of\n" + b"1,2011-01-01T00:00:00Z\n" * 200
    answer = post(daemon.admin, body, CSV)
    assert answer.status_code == 202, answer.text
    assert wait(daemon.admin, answer.headers["Location"], "failed")["error"]["code"] == "training_bytes_max"
    assert post(daemon.admin, body * 10, CSV, invalid=True).status_code == 413
    assert list((daemon.data / "training").iterdir()) == []


# Parity on demand


def verify_by_command(daemon, *arguments):
    done = subprocess.run(
        [str(daemons.binary()), "features", "verify", VIEW, "--url", daemon.url, "--key", daemon.key,
         "--database-url", daemon.database_url, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=1200)
    return done.returncode, done.stdout, done.stderr


def test_verify_agrees_at_thousands_of_random_points(loaded):
    """online == SQL, bit for bit, through HTTP; the statement is printed."""
    points = 2_000 if LONG else 500
    code, said, complaint = verify_by_command(loaded, "--sample", str(points), "--seed", "42", "--show-sql")
    assert code == 0, said[-2000:] + complaint
    assert f"seed 42, {points} points, {points * 39} values compared, 0 limited, 0 mismatches" in said
    assert "FROM decisiond.event" in said and 'AS "count_1h"' in said
    # It is what any client of PostgreSQL can run.
    statement = said[:said.index("history: ")]
    row = next(row for row in expected_rows() if int(row["count_1h"]) > 3)
    micros = loaded.sql(f"SELECT decisiond.us('{row['as_of']}')")[0][0]
    journal = loaded.sql("SELECT journal_id FROM decisiond.ship_state")[0][0]
    found = loaded.sql(
        f"PREPARE v (uuid, bigint, bigint, bigint, text) AS {statement}; "
        f"EXECUTE v ('{journal}', {micros}, NULL, 9000000000, '{row['customer']}')")[0]
    assert found[0] == row["count_1h"]


def test_verify_finds_one_changed_row(make_daemon):
    """One stored amount is changed behind the daemon's back: the command and the API both say where."""
    daemon = make_daemon(parity_sample_per_minute=600)
    customers = ["12748", "16791", "17850"]
    retail.load(daemon.admin, customers)
    daemon.wait_shipped()
    answer = daemon.admin.post(f"/v1/features/{VIEW}/verify", json={"sample": 60, "seed": 1})
    assert answer.status_code == 202
    result = wait(daemon.admin, answer.headers["Location"])["result"]
    assert (result["points"], result["mismatches"], result["examples"]) == (60, 0, [])
    equal = {"equal": 60 * 39, "within": 0, "different": 0, "limited": 0, "absent": 0}
    assert result["sql"] == result["historical"] == equal
    assert {item["sql"] for item in result["features"]} == {"exact"}
    last = daemon.sql("SELECT subject, decisiond.at(max(event_us)) FROM decisiond.event WHERE contract = 'retail_events' "
                      "AND type LIKE '%purchase' GROUP BY 1 ORDER BY 2 DESC LIMIT 1")[0]
    as_of = last[1].replace(" ", "T").replace("+00", "Z")
    query = {"customer": last[0], "as_of": as_of, "known_at": "latest"}

    def counts():
        text = daemon.admin.get("/metrics").text
        return [sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"decisiond_parity_{name}_total{{"))
                for name in ("checked", "mismatch")]

    daemon.admin.get(retail.VIEW, params=query)
    daemons.eventually(lambda: counts()[0] >= 39, "a served vector is computed again")
    assert counts()[1] == 0 and "parity_mismatch" not in str(daemon.wait_ready())
    daemon.sql("UPDATE decisiond.event SET data = replace(data::text, '\"amount\":', '\"amount\":1')::json "
               f"WHERE subject = '{last[0]}' AND event_us = decisiond.us('{last[1]}')")
    code, said, complaint = verify_by_command(daemon, "--sample", "60", "--seed", "1")
    assert code == 1 and complaint == ""
    mismatches = [line for line in said.splitlines() if line.startswith("MISMATCH")]
    assert mismatches and all(f"customer={last[0]}" in line for line in mismatches)
    answer = daemon.admin.post(f"/v1/features/{VIEW}/verify", json={"sample": 60, "seed": 1})
    result = wait(daemon.admin, answer.headers["Location"])["result"]
    assert result["mismatches"] == int(said.split(" mismatches")[0].split()[-1]) > 0
    assert last[0] not in json.dumps(result["examples"]) and result["examples"]

    def sampled():
        daemon.admin.get(retail.VIEW, params=query)
        return counts()[1] > 0
    daemons.eventually(sampled, "the sampler finds it, too", interval=0.2)
    assert ("FeatureView/" + VIEW, "parity_mismatch") in [
        (item["component"], item["code"]) for item in daemon.wait_ready()["degraded"]]


def test_decisions_are_sampled_from_their_records(make_daemon):
    daemon = make_daemon(parity_sample_per_minute=600)
    retail.load(daemon.admin, ["12748"])
    answer = daemon.admin.post("/v1/decide/retention-offer", json={"inputs": {"customer": "12748"}})
    assert answer.status_code == 200
    daemons.eventually(lambda: f'decisiond_parity_checked_total{{view="{VIEW}"}}' in daemon.admin.get("/metrics").text,
                       "the decision's features are computed again")
    assert "parity_mismatch" not in str(daemon.wait_ready())


def test_verify_says_what_it_needs(loaded):
    code, _, complaint = verify_by_command(loaded, "--sample", "0")
    assert code != 0 and "--sample" in complaint
    done = subprocess.run([str(daemons.binary()), "features", "verify", "nothing", "--url", loaded.url, "--key", loaded.key,
                           "--database-url", loaded.database_url], stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2 and "404" in done.stderr
