"""The command line: what each command prints, and the code it ends with."""
import csv
import gzip
import json
import os
import shutil
import subprocess
from xml.etree import ElementTree

import pytest
import requests
import yaml

import daemon as daemons

DEFINITIONS = daemons.DEMO_DEFINITIONS
CONTRACT = DEFINITIONS / "contracts" / "retail_events.odcs.yaml"


def run(*arguments, timeout=300, **environment):
    """Runs decisiond with nothing of the DECISIOND_ environment but what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DECISIOND_")}
    return subprocess.run(
        [str(daemons.binary()), *map(str, arguments)], env=kept | environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=timeout)


def succeeds(*arguments, **environment):
    done = run(*arguments, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fails(*arguments, **environment):
    """What it says; it ends with a code of its own, not by a signal."""
    done = run(*arguments, **environment)
    assert done.returncode > 0, f"ended with {done.returncode}\n{done.stdout}{done.stderr}"
    assert "Fatal error" not in done.stderr and "Illegal instruction" not in done.stderr
    return done.stdout + done.stderr


def test_version_and_help():
    words = succeeds("version").split()
    assert words[0] == "decisiond" and words[1].count(".") == 2
    assert succeeds("--version").strip() == words[1]
    for command in ("serve", "migrate", "apply", "check", "contract", "model", "journal", "openapi", "test", "eval",
                    "version"):
        assert command in succeeds("--help")
    assert "nonsense" in fails("nonsense")
    fails("check")


# Definitions


def test_check_accepts_the_demo():
    assert "definitions compile" in succeeds("check", DEFINITIONS)
    assert "1 definitions compile" in succeeds("check", CONTRACT.parent / "todo_users.odcs.yaml")


@pytest.mark.parametrize("file, old, new, place, code", [
    ("kpis/kpis.yaml", "measure: revenue", "measure: turnover", "/spec/measure", "unknown_measure"),
    ("kpis/kpis.yaml", "grain: day", "grain: fortnight", "/spec/grain", "value_not_allowed"),
    ("kpis/kpis.yaml", "owner: ann", "ovner: ann", "/ovner", "unknown_field"),
    ("kpis/kpis.yaml", "of: data.amount", "of: data.amunt", "/spec/of", "unknown_name"),
    ("decisions/credit-limit.yaml", '["< 0.2", "<= 24"]', '["< 0.2 and", "<= 24"]', "/when/0", "syntax"),
    ("decisions/credit-limit.yaml", '["< 0.2", "<= 24"]', '["< 0.2"]', "/rules/0", "wrong_width"),
    ("decisions/credit-limit.yaml", "expression: tier.approve", "expression: tier.aprove", "/outputs/0/expression", None),
    ("decisions/credit-limit.yaml", "model: credit-risk,", "model: credit-rsk,", "/model", None),
    ("decisions/retention-offer.yaml", "view: customer_purchases", "view: nothing", "/features/0", None),
    ("features/customer_purchases.yaml", "of: /data/quantity", "of: /data/quantities", "/of", None),
    ("features/customer_purchases.yaml", "[1h, 1d, 7d, 30d, 90d]", "[1h, 1x]", "/windows", None),
    ("models/models.yaml", "{file: ../../models/skl_logistic.json}", '{sha256: "00"}', "/artifact", None),
    ("policies/roles.policy.yaml", "when: resource.properties", "when: ressource.properties", "/when", None),
    ("policies/roles.policy.yaml", "effect: forbid", "effect: maybe", "/effect", None),
    ("contracts/retail_events.odcs.yaml", "multipleOf: 0.01", "multipleOf: -1", "/multipleOf", None),
    ("contracts/retail_events.odcs.yaml", "logicalType: integer", "logicalType: int", "/logicalType", None),
    ("contracts/retail_events.odcs.yaml", "to: customers.customer_id", "to: clients.id", "/properties", "unknown_table"),
])
def test_check_names_file_place_and_code_of_what_is_wrong(tmp_path, file, old, new, place, code):
    demo = tmp_path / "demo"
    shutil.copytree(daemons.REPOSITORY / "deploy" / "demo", demo)
    path = demo / "definitions" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    said = fails("check", demo / "definitions")
    lines = [line for line in said.splitlines() if file in line and place in line]
    assert lines, said
    assert code is None or any(f": {code}: " in line for line in lines), said


def test_check_tells_every_problem_at_once_and_what_cannot_be_read(tmp_path):
    (tmp_path / "a.yaml").write_text("kind: KPI\nname: a\nspec: {measure: nothing}\n---\nkind: Nothing\nname: b\n")
    (tmp_path / "b.json").write_text('{"kind": "KPI", "name": "1b", "spec": {}}')
    said = fails("check", tmp_path)
    assert "a.yaml#1" in said and "a.yaml#2" in said and "b.json" in said
    (tmp_path / "b.json").write_text('{"kind": ')
    assert "b.json" in fails("check", tmp_path)
    (tmp_path / "b.json").unlink()
    (tmp_path / "a.yaml").write_text("kind: KPI\n  name: a\n")
    assert "a.yaml:2" in fails("check", tmp_path)
    (tmp_path / "a.yaml").write_text("a: &a [*a]\n")
    assert "a.yaml" in fails("check", tmp_path)
    (tmp_path / "a.yaml").write_text("kind: Model\nname: m\nspec: {artifact: {file: missing.json}}\n")
    assert "missing.json" in fails("check", tmp_path)
    assert "nowhere" in fails("check", tmp_path / "nowhere")


def test_apply_sends_definitions_and_models_and_is_idempotent(make_daemon, tmp_path):
    daemon = make_daemon(definitions=None)
    daemon.wait_connected()
    arguments = ("apply", DEFINITIONS, "--url", daemon.url)
    said = succeeds(*arguments, "--dry-run", DECISIOND_KEY=daemon.key)
    assert "Decision credit-limit version 1" in said
    assert daemon.admin.get("/v1/definitions").json()["definitions"] == []
    said = succeeds(*arguments, "--key", daemon.key, "--comment", "first")
    assert said.count(": applied") == len(said.splitlines()) >= 18
    again = succeeds(*arguments, DECISIOND_KEY=daemon.key)
    assert again.count(": unchanged") == len(again.splitlines()) == len(said.splitlines())
    versions = daemon.admin.get("/v1/definitions/Decision/credit-limit/versions").json()["versions"]
    assert [(item["version"], item["comment"]) for item in versions] == [(1, "first")]
    answer = daemon.admin.post("/v1/decide/retention-offer", json={"inputs": {"customer": "1"}}).json()
    assert answer["fallback"] is None and answer["model"]["name"] == "retail-repurchase"

    changed = tmp_path / "one.yaml"
    changed.write_text((DEFINITIONS / "kpis" / "kpis.yaml").read_text().replace("target: 9000", "target: 9100"))
    said = succeeds("apply", changed, "--url", daemon.url, DECISIOND_KEY=daemon.key)
    assert "KPI revenue_per_day version 2: applied" in said and said.count("unchanged") == 4
    changed.write_text("kind: KPI\nname: broken\nspec: {measure: nothing}\n")
    said = fails("apply", changed, "--url", daemon.url, DECISIOND_KEY=daemon.key)
    assert "one.yaml: /spec/measure: unknown_measure" in said
    assert daemon.admin.get("/v1/definitions/KPI/broken").status_code == 404
    assert "401" in fails("apply", changed, "--url", daemon.url, "--key", "dk_live_x")
    assert "DECISIOND_KEY" in fails("apply", changed, "--url", daemon.url)
    fails("apply", changed, "--url", f"http://127.0.0.1:{daemons.free_port()}", "--key", "x")


def test_openapi_prints_a_valid_document_offline():
    import openapi_spec_validator

    text = succeeds("openapi", DEFINITIONS)
    document = yaml.safe_load(text)
    openapi_spec_validator.validate(document)
    assert document["openapi"].startswith("3.1")
    assert {"/v1/decide/credit-limit", "/v1/decide/retention-offer"} <= set(document["paths"])


def test_openapi_offline_is_what_the_daemon_serves(make_daemon):
    served = requests.get(make_daemon().url + "/openapi.yaml").text
    assert yaml.safe_load(served) == yaml.safe_load(succeeds("openapi", DEFINITIONS))


def test_openapi_of_bad_definitions_fails(tmp_path):
    (tmp_path / "a.yaml").write_text("kind: KPI\nname: a\nspec: {measure: nothing}\n")
    done = run("openapi", tmp_path)
    assert done.returncode != 0 and done.stdout == "" and "unknown_measure" in done.stderr


# Contracts


def first_labels(shared, count):
    with gzip.open(shared("data/events/labels.csv.gz"), "rt") as file:
        return [row for _, row in zip(range(count), csv.DictReader(file))]


def test_contract_check_counts_what_the_labels_say(shared):
    done = run("contract", "check", CONTRACT, shared("data/events/events_first1500.ndjson"))
    assert done.returncode == 1, done.stderr
    rows = [row for row in first_labels(shared, 1500) if row["outcome"] != "skip"]
    rejected = sum(row["outcome"] == "reject" for row in rows)
    lines = done.stdout.splitlines()
    assert lines[0].split()[:4] == ["events", str(len(rows)), "valid", str(len(rows) - rejected)]
    classes = {"json": "malformed_json", "cloudevents": "invalid_cloudevent", "contract": "contract_violation"}
    for label, name in classes.items():
        counted = sum(int(line.rsplit(": ", 1)[1].split()[0]) for line in lines if line.startswith(f"FAIL {name}:"))
        assert counted == sum(row["violates"] == label for row in rows if row["outcome"] == "reject"), name
    for line in lines:
        assert line.startswith(("events ", "ok ", "FAIL ")), line
    for field in ("id", "subject", "time", "data.product", "data.amount", "data.quantity"):
        assert any(line.startswith(f"ok completeness {field}:") for line in lines), field


def test_contract_check_has_a_line_for_every_rule_of_the_contract(shared, tmp_path):
    good = [
        line for line, row in zip(shared("data/events/events_first1500.ndjson").read_bytes().split(b"\n"),
                                  first_labels(shared, 1500)) if row["label"] == "ok"]
    path = tmp_path / "good.ndjson"
    path.write_bytes(b"\n".join(good) + b"\n")
    said = succeeds("contract", "check", CONTRACT, path)
    assert "FAIL" not in said
    packed = tmp_path / "good.ndjson.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert succeeds("contract", "check", CONTRACT, packed) == said
    assert any(line.startswith("ok ") and "volume" in line for line in said.splitlines()), said
    empty = tmp_path / "empty.ndjson"
    empty.write_bytes(b"")
    assert any(line.startswith("FAIL ") and "volume" in line for line in fails("contract", "check", CONTRACT, empty).splitlines())


def test_contract_check_says_what_it_cannot_read(tmp_path, shared):
    events = shared("data/events/events_first1500.ndjson")
    broken = tmp_path / "c.yaml"
    broken.write_text(CONTRACT.read_text().replace("logicalType: integer", "logicalType: int"))
    done = run("contract", "check", broken, events)
    assert done.returncode == 2 and "logicalType" in done.stderr
    assert run("contract", "check", tmp_path / "none.yaml", events).returncode == 2
    assert run("contract", "check", CONTRACT, tmp_path / "none.ndjson").returncode == 2


# Models


@pytest.mark.parametrize("name", [
    "xgb3_binary_logistic", "xgb17_cat_partition", "xgb21_dart", "lgb4_categorical", "lgb4_multiclass", "skl_logistic",
    "skl_retail_scorecard", "xgb3_early_stop",
])
def test_model_verify_agrees_with_golden_rows(shared, name):
    index = json.loads(shared("data/models/index.json").read_text())
    entries = [entry for entry in index["models"] if entry["name"].startswith(name)]
    assert entries
    for entry in entries:
        for file in entry["files"]:
            said = succeeds("model", "verify", shared(f"data/models/{file}"), shared(f"data/models/{entry['golden']}"))
            assert ": loads: " in said
            assert f"{entry['rows']} of {entry['rows']} golden rows agree" in said


def test_model_verify_shows_rows_that_do_not_agree(shared, tmp_path):
    golden = json.loads(shared("data/models/golden/skl_logistic.json").read_text())
    golden["rows"][3]["pred"] = [0.123 for _ in golden["rows"][3]["pred"]]
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(golden))
    done = run("model", "verify", shared("data/models/sklearn/skl_logistic.json"), path)
    assert done.returncode == 1
    assert f"{len(golden['rows']) - 1} of {len(golden['rows'])} golden rows agree" in done.stdout
    assert "row 3 pred" in done.stdout and "0.123" in done.stdout


def test_model_verify_refuses_every_hostile_file(shared):
    manifest = json.loads(shared("data/models/hostile/manifest.json").read_text())
    assert len(manifest["reject"]) == 39
    for entry in manifest["reject"]:
        done = run("model", "verify", shared(f"data/models/hostile/{entry['file']}"), timeout=20)
        assert done.returncode == 1, (entry["file"], done.returncode, done.stdout, done.stderr)
        assert entry["file"] in done.stderr and ": " in done.stderr and done.stdout == "", entry["file"]
    for entry in manifest["controls"]:
        assert ": loads: " in succeeds("model", "verify", shared(f"data/models/hostile/{entry['file']}")), entry["file"]
    assert "none.json" in fails("model", "verify", "/none.json")


# The journal, the database, the configuration


def test_journal_inspect_and_verify(make_daemon):
    daemon = make_daemon(journal_segment_bytes=65536)
    for number in range(40):
        daemon.session("crm", name=f"key-{number}-" + "x" * 100)
    directory = daemon.data / "journal"
    assert "segment" in succeeds("journal", "inspect", directory), "a running daemon's journal can be looked at"
    daemon.stop()
    said = succeeds("journal", "verify", directory)
    assert "every frame checks" in said
    paths = sorted(directory.glob("*.segment"))
    assert all(path.name in said for path in paths)
    before = {path: path.read_bytes() for path in directory.iterdir()}
    content = bytearray(before[paths[0]])
    content[200] ^= 1
    paths[0].write_bytes(content)
    said = fails("journal", "verify", directory)
    assert "PROBLEM" in said and paths[0].name in said
    paths[0].write_bytes(before[paths[0]])
    assert {path: path.read_bytes() for path in directory.iterdir()} == before, "looking changes nothing"
    assert "/nowhere" in fails("journal", "verify", "/nowhere")
    daemon.start()


def test_migrate_brings_a_database_up_to_date_once(cluster):
    url = cluster.create_database()
    assert succeeds("migrate", DECISIOND_DATABASE_URL=url).startswith("applied 1, 2, 3")
    assert "nothing to do" in succeeds("migrate", DECISIOND_DATABASE_URL=url)
    assert daemons.sql(url, "SELECT count(*) FROM decisiond.event") == [["0"]]
    assert "database_url" in fails("migrate")
    assert fails("migrate", DECISIOND_DATABASE_URL="postgresql:///none?host=/nowhere")


def test_a_changed_migration_is_noticed(cluster):
    url = cluster.create_database()
    succeeds("migrate", DECISIOND_DATABASE_URL=url)
    table = daemons.sql(url, """SELECT table_schema || '.' || table_name, column_name FROM information_schema.columns
        WHERE table_name LIKE '%migration%' AND (column_name LIKE '%checksum%' OR column_name LIKE '%sha%')""")
    assert table, "migrations are not checksummed"
    name, column = table[0]
    kind = daemons.sql(url, f"SELECT pg_typeof({column}) FROM {name} LIMIT 1")[0][0]
    value = "decode(repeat('00', 32), 'hex')" if kind == "bytea" else "repeat('0', 64)"
    daemons.sql(url, f"UPDATE {name} SET {column} = {value} WHERE ctid = (SELECT min(ctid) FROM {name})")
    assert fails("migrate", DECISIOND_DATABASE_URL=url)


def serve(tmp_path, text=None, **environment):
    arguments = ["serve"]
    if text is not None:
        path = tmp_path / "decisiond.yaml"
        path.write_text(text)
        arguments += ["--config", path]
    return fails(*arguments, DECISIOND_DATA_DIRECTORY=str(tmp_path / "data"), timeout=30, **environment)


@pytest.mark.parametrize("text, words", [
    ("surprise: 1\n", ["surprise", "log_level"]), ("listen: [a]\n", ["listen"]), ("log_level: loud\n", ["log_level"]),
    ("http_threads: many\n", ["http_threads"]), ("body_bytes_max: -1\n", ["body_bytes_max"]), ("a: b: c\n", ["decisiond.yaml"]),
    ("listen: nowhere\n", ["listen"]), ("listen: 127.0.0.1:99999\n", ["listen"]), ("journal_segment_bytes: 65537\n", ["segment"]),
    ("zoneinfo_directory: 1\nhttp_threds: 2\n", ["http_threds"]), ("- 1\n", ["decisiond.yaml"]),
])
def test_a_wrong_configuration_is_refused_with_the_key_named(tmp_path, text, words):
    said = serve(tmp_path, text)
    assert all(word in said for word in words), said


def test_a_missing_configuration_file_is_refused(tmp_path):
    assert "none.yaml" in fails("serve", "--config", tmp_path / "none.yaml")


@pytest.mark.parametrize("name, value", [
    ("DECISIOND_LOG_LEVEL", "loud"), ("DECISIOND_BULK_THREADS", "0"), ("DECISIOND_LISTEN", "nowhere"),
    ("DECISIOND_BOOTSTRAP_KEY", "secret"), ("DECISIOND_HEADER_TIMEOUT_MS", "0"),
])
def test_a_wrong_variable_is_refused(tmp_path, name, value):
    said = serve(tmp_path, **{name: value})
    assert name.removeprefix("DECISIOND_").lower().split("_")[0] in said.lower(), said
    assert value != "secret" or "secret" not in said


def test_variables_override_the_file(make_daemon, tmp_path):
    """The file names one port and a small body, the environment another port: each is in force where it is the last word."""
    daemon = make_daemon(start=False, database_url=None, definitions=None)
    port = daemons.free_port()
    config = tmp_path / "decisiond.yaml"
    config.write_text(f"# a comment\nlisten: 127.0.0.1:{port}\nbody_bytes_max: 2048\nlog_level: debug\n")
    wrapper = tmp_path / "serve"
    wrapper.write_text(f'#!/bin/sh\nexec "$1" "$2" --config {config}\n')
    wrapper.chmod(0o755)
    daemon.prefix = [str(wrapper)]
    daemon.start()
    assert daemon.admin.post("/v1/keys", data=b" " * 3000, invalid=True).status_code == 413
    assert '"level":"debug"' in daemon.log
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/healthz", timeout=2)


def test_a_taken_address_is_told(make_daemon, tmp_path):
    daemon = make_daemon(database_url=None, definitions=None)
    assert str(daemon.port) in serve(tmp_path, DECISIOND_LISTEN=f"127.0.0.1:{daemon.port}")


# Rules

MODEL = """<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="urn:m">
  <inputData id="a" name="a"><variable name="a" typeRef="number"/></inputData>
  <decision id="d" name="double"><variable name="double" typeRef="number"/>
    <informationRequirement><requiredInput href="#a"/></informationRequirement>
    <literalExpression><text>a * 2</text></literalExpression></decision>
</definitions>"""
CASES = """<testCases xmlns="http://www.omg.org/spec/DMN/20160719/testcase"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
  <modelName>m.dmn</modelName>
  <testCase id="right"><inputNode name="a"><value xsi:type="xsd:decimal">2</value></inputNode>
    <resultNode name="double"><expected><value xsi:type="xsd:decimal">4</value></expected></resultNode></testCase>
  <testCase id="other"><inputNode name="a"><value xsi:type="xsd:decimal">2</value></inputNode>
    <resultNode name="double"><expected><value xsi:type="xsd:decimal">EXPECTED</value></expected></resultNode></testCase>
</testCases>"""


def test_test_runs_the_cases_beside_a_model(tmp_path):
    folder = tmp_path / "suite" / "deeper"
    folder.mkdir(parents=True)
    (folder / "m.dmn").write_text(MODEL)
    cases = folder / "m-test-01.xml"
    cases.write_text(CASES.replace("EXPECTED", "4"))
    junit = tmp_path / "junit.xml"
    lines = succeeds("test", tmp_path / "suite", "--junit", junit).splitlines()
    assert lines[0] == "deeper/m-test-01.xml: 2 passed, 0 failed" and lines[-1] == "2 passed, 0 failed"
    assert "2 passed (100.0 %)" in lines[-2]
    root = ElementTree.parse(junit).getroot()
    assert root.get("tests") == "2" and root.get("failures") == "0"
    assert [case.get("name") for case in root.iter("testcase")] == ["right", "other"]

    cases.write_text(CASES.replace("EXPECTED", "5"))
    done = run("test", tmp_path / "suite", "--junit", junit)
    assert done.returncode == 1
    assert "case other: double: expected 5, got 4" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 passed, 1 failed"
    assert ElementTree.parse(junit).getroot().find(".//failure").get("message").startswith("double: expected 5")


def test_test_says_what_it_cannot_run(tmp_path):
    assert "no *-test-*.xml" in fails("test", tmp_path)
    cases = tmp_path / "m-test-01.xml"
    cases.write_text(CASES)
    assert "m.dmn" in fails("test", tmp_path)
    (tmp_path / "m.dmn").write_text("<!DOCTYPE d [<!ENTITY a 'b'>]>" + MODEL)
    assert "doctype_refused" in fails("test", tmp_path)
    (tmp_path / "m.dmn").write_text(MODEL.replace("</decision>", ""))
    assert "malformed_xml" in fails("test", tmp_path)


def test_eval_prints_value_type_and_reasons(tmp_path):
    assert succeeds("eval", "0.1 + 0.2").splitlines() == ["0.3", "type: number"]
    context = tmp_path / "context.json"
    context.write_text(json.dumps({"monthly income": 1000.5, "tags": ["a", "b"]}))
    assert succeeds("eval", "{x: monthly income * 2, n: count(tags)}", "--context", context).splitlines()[0] \
        == '{"x":2001,"n":2}'
    assert succeeds("eval", "now()", "--at", "2026-01-31T12:00:00Z").splitlines()[0] == '"2026-01-31T12:00:00Z"'
    lines = succeeds("eval", "missing + 1").splitlines()
    assert lines[:2] == ["null", "type: Null"] and lines[2] == "null: missing at 1:1: missing"
    assert "2:3: syntax" in fails("eval", "1 +\n  * 2")
    assert "--at" in fails("eval", "1", "--at", "tomorrow")
    context.write_text("[1]")
    assert "JSON object" in fails("eval", "1", "--context", context)
