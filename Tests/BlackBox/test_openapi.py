"""The contract of the API: valid, complete, typed for each decision, kept by the server; and the metrics' format."""
import json
import os
import re
import shutil
import subprocess
import sys
import uuid

import openapi_spec_validator
import pytest
import requests
import yaml

import daemon as daemons

OPERATIONS = daemons.REPOSITORY / "Sources" / "Service" / "HTTP" / "Operation.swift"
METHODS = ("get", "put", "post", "delete", "patch")
CREDIT = {
    "checking_status": "A11", "duration_months": 12, "credit_history": "A32", "purpose": "A43", "credit_amount": 1000,
    "savings": "A61", "employment_since": "A73", "age_years": 40,
}


@pytest.fixture(scope="module")
def document(daemon):
    answer = requests.get(daemon.url + "/openapi.yaml")
    assert answer.status_code == 200 and "yaml" in answer.headers["Content-Type"]
    return yaml.safe_load(answer.text)


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, method, operation


def schemas(node, at="#"):
    """Every schema of a document, with its place."""
    if isinstance(node, dict):
        if isinstance(node.get("schema"), dict):
            yield from nested(node["schema"], at + "/schema")
        for key, value in node.items():
            if at == "#/components" and key == "schemas":
                for name, schema in value.items():
                    yield from nested(schema, f"{at}/schemas/{name}")
            elif key not in ("schema", "example", "examples"):
                yield from schemas(value, f"{at}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from schemas(value, f"{at}/{index}")


def nested(schema, at):
    if not isinstance(schema, dict):
        return
    yield at, schema
    for key in ("properties", "$defs", "patternProperties"):
        for name, inner in schema.get(key, {}).items():
            yield from nested(inner, f"{at}/{key}/{name}")
    for key in ("items", "additionalProperties", "not", "propertyNames", "unevaluatedProperties", "contains"):
        yield from nested(schema.get(key), f"{at}/{key}")
    for key in ("oneOf", "anyOf", "allOf", "prefixItems"):
        for index, inner in enumerate(schema.get(key, [])):
            yield from nested(inner, f"{at}/{key}/{index}")


def test_the_document_is_valid(document):
    assert document["openapi"].startswith("3.1")
    openapi_spec_validator.validate(document)


def test_operations_of_the_code_and_of_the_document_are_the_same(document):
    """Routes as the code lists them, both ways."""
    code = dict(re.findall(r"case \.(\w+): (\(\.\w+, \"[^\"]+\"\))", OPERATIONS.read_text()))
    routes = {
        operation: tuple(re.match(r'\(\.(\w+), "([^"]+)"\)', route).groups()) for operation, route in code.items()}
    assert len(routes) >= 30
    served = {
        operation["operationId"]: (method, path) for path, method, operation in operations(document)
        if not {"x-decision-version", "x-model-version"} & set(operation)}
    assert served == routes


def test_every_operation_is_reached_as_described(daemon, document):
    """No described path is unknown to the router."""
    for path, method, operation in operations(document):
        concrete = path.replace("{id}", str(uuid.UUID(int=0))).replace("{sha256}", "0" * 64).replace("{kind}", "KPI")
        concrete = re.sub(r"{\w+}", "nothing", concrete)
        answer = requests.request(method, daemon.url + concrete)
        assert answer.status_code not in (404, 405, 501), (method, path, answer.text)
        answer = requests.options(daemon.url + concrete)
        assert method.upper() in answer.headers["Allow"], (method, path)


def test_every_operation_is_described_in_full(document):
    seen = set()
    for path, method, operation in operations(document):
        assert operation["operationId"] not in seen
        seen.add(operation["operationId"])
        assert operation["summary"] and operation["tags"], path
        assert "default" not in operation["responses"], f"{path}: a catch-all response"
        assert not [status for status in operation["responses"] if not re.fullmatch(r"[1-5]\d\d", str(status))], path
        names = {parameter_of(document, parameter)["name"] for parameter in operation.get("parameters", [])
                 if parameter_of(document, parameter)["in"] == "path"}
        shared = document["paths"][path].get("parameters", [])
        names |= {parameter_of(document, parameter)["name"] for parameter in shared}
        assert names >= set(re.findall(r"{(\w+)}", path)), path
        if operation.get("security") != []:
            assert {"401", "403"} & set(map(str, operation["responses"])) >= {"401"}, path


def parameter_of(document, parameter):
    while "$ref" in parameter:
        node = document
        for key in parameter["$ref"][2:].split("/"):
            node = node[key]
        parameter = node
    return parameter


def test_no_object_is_untyped(document):
    untyped = []
    for at, schema in schemas(document):
        if schema == {} or schema is True:
            untyped.append(at)
        kinds = schema.get("type", [])
        if "object" in ([kinds] if isinstance(kinds, str) else kinds):
            if not any(key in schema for key in ("properties", "additionalProperties", "patternProperties", "allOf", "oneOf", "$ref")):
                untyped.append(at)
            if schema.get("additionalProperties") is True:
                untyped.append(at)
        if "oneOf" in schema and "discriminator" not in schema and any("$ref" in branch for branch in schema["oneOf"]):
            untyped.append(at)
    assert not untyped, untyped


def resolve(document, node):
    return parameter_of(document, node)


def test_each_decision_has_a_typed_path(document):
    for name, version in (("credit-limit", 1), ("retention-offer", 1)):
        operation = document["paths"][f"/v1/decide/{name}"]["post"]
        assert operation["x-decision-version"] == version
        body = resolve(document, operation["requestBody"]["content"]["application/json"]["schema"])
        inputs = resolve(document, body["properties"]["inputs"])
        answer = resolve(document, operation["responses"]["200"]["content"]["application/json"]["schema"])
        outputs = resolve(document, answer["properties"]["outputs"])
        if name == "credit-limit":
            assert set(CREDIT) == set(inputs["required"])
            assert resolve(document, inputs["properties"]["purpose"])["enum"][:2] == ["A40", "A41"]
            assert inputs["properties"]["age_years"]["minimum"] == 18
            assert inputs["additionalProperties"] is False
            assert set(outputs["properties"]) == {"approve", "limit", "flags"}
            text = json.dumps(answer) + json.dumps([
                schema for at, schema in schemas(document) if "CreditLimit" in at and "Reason" in at])
            assert all(code in text for code in ("LOW_RISK", "HIGH_RISK", "OVERDRAWN"))
        else:
            assert inputs["required"] == ["customer"]
            assert "voucher" in json.dumps(outputs)


def test_typed_paths_follow_the_definitions(make_daemon):
    daemon = make_daemon()
    definition = yaml.safe_load((daemons.DEMO_DEFINITIONS / "decisions" / "credit-limit.yaml").read_text())
    definition["spec"]["inputs"].append({"name": "branch", "type": "string", "values": ["north", "south"]})
    assert daemon.admin.post("/v1/definitions/apply", json={"definitions": [definition]}).status_code == 200
    document = yaml.safe_load(requests.get(daemon.url + "/openapi.yaml").text)
    openapi_spec_validator.validate(document)
    assert document["paths"]["/v1/decide/credit-limit"]["post"]["x-decision-version"] == 2
    assert '"north"' in json.dumps(document)
    assert daemon.admin.delete("/v1/definitions/Decision/retention-offer").status_code == 200
    document = yaml.safe_load(requests.get(daemon.url + "/openapi.yaml").text)
    assert "/v1/decide/retention-offer" not in document["paths"]


# 503 is an answer by name, such as a deadline of one millisecond that has passed; anything else from 500 on is a fault.
# TRACE is implemented nowhere: 501.
SCHEMATHESIS = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]

[phases.coverage]
unexpected-methods = ["GET", "PUT", "POST", "DELETE", "PATCH"]
"""


def test_schemathesis_finds_no_difference(make_daemon, tmp_path):
    """Generated requests, good and bad, to every operation: no 5xx, and every answer as described."""
    daemon = make_daemon()
    answer = daemon.admin.post("/v1/decide/credit-limit", json={"inputs": CREDIT})
    assert answer.status_code == 200
    program = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    if not os.path.exists(program):
        program = shutil.which("schemathesis") or pytest.skip("schemathesis is not installed")
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    # The coverage phase walks through thousands of boundary values, which takes minutes.
    is_long = bool(os.environ.get("DECISIOND_TEST_LONG"))
    examples, phases = ("100", "examples,coverage,fuzzing") if is_long else ("15", "examples,fuzzing")
    (tmp_path / "schemathesis.toml").write_text(SCHEMATHESIS)
    done = subprocess.run(
        [program, "run", daemon.url + "/openapi.yaml", "--url", daemon.url, "--checks", checks, "--max-examples", examples,
         "--seed", "7", "--generation-database", "none", "--phases", phases, "--no-color",
         "-H", f"Authorization: Bearer {daemon.key}", "--request-timeout", "60", "--workers", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=3600, cwd=tmp_path)
    assert daemon.is_running()
    assert done.returncode == 0, done.stdout[-12000:]
    assert requests.get(daemon.url + "/healthz").status_code == 200


# Metrics


SAMPLE = re.compile(
    r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[0-9.eE+-]+|[+-]Inf|NaN)$')


def check_exposition(text):
    """Prometheus' text format: families are one piece, typed, without duplicates; histograms are whole."""
    families, seen, closed, current = {}, set(), set(), None
    histograms = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in families, f"{name} is typed twice"
            families[name] = kind
            current = name
            continue
        if line.startswith("#") or not line:
            continue
        match = SAMPLE.match(line)
        assert match, line
        name, labels, value = match.groups()
        family = name if name in families else re.sub(r"_(bucket|sum|count|total|created|info)$", "", name)
        assert family in families or name in families, f"{name} has no type"
        family = family if family in families else name
        if family != current:
            assert family not in closed, f"{family} stands in two places"
            closed.add(current)
            current = family
        assert (name, labels) not in seen, f"{name}{labels} stands twice"
        seen.add((name, labels))
        if families[family] == "histogram" and name.endswith("_bucket"):
            without = re.sub(r'le="[^"]*",?', "", labels)
            histograms.setdefault((family, without.rstrip(",}")), []).append(float(value))
    for key, buckets in histograms.items():
        assert buckets == sorted(buckets), f"{key} is not cumulative"
    return families


@pytest.fixture(scope="module")
def metrics(daemon):
    daemon.admin.post("/v1/decide/credit-limit", json={"inputs": CREDIT})
    daemon.admin.post("/v1/decide/nothing", json={}, invalid=True)
    daemon.admin.post("/v1/events", data=b'{"a"\n', headers={"Content-Type": "application/x-ndjson"})
    daemon.anonymous().get("/v1/usage")
    daemon.wait_shipped()
    return daemon.admin.get("/metrics").text


def test_metrics_are_in_prometheus_format(metrics):
    families = check_exposition(metrics)
    assert len(families) > 10
    assert all(name.startswith(("decisiond_", "process_")) for name in families)
    for kind, suffix in (("counter", "_total"),):
        assert all(name.endswith(suffix) for name, each in families.items() if each == kind)


def test_promtool_accepts_the_metrics(metrics):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run([promtool, "check", "metrics"], input=metrics, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def test_openmetrics_on_request(daemon, metrics):
    answer = requests.get(daemon.url + "/metrics", headers={
        "Authorization": f"Bearer {daemon.key}", "Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    plain = requests.get(daemon.url + "/metrics", headers={"Authorization": f"Bearer {daemon.key}"})
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")


def test_metrics_count_what_happened(make_daemon):
    daemon = make_daemon()

    def value(pattern):
        text = daemon.admin.get("/metrics").text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(pattern, line))

    before = value(r'decisiond_http_requests_total\{.*route="/v1/decide/\{decision\}",status="200"')
    for _ in range(5):
        assert daemon.admin.post("/v1/decide/credit-limit", json={"inputs": CREDIT}).status_code == 200
    assert value(r'decisiond_http_requests_total\{.*route="/v1/decide/\{decision\}",status="200"') == before + 5
    for _ in range(3):
        requests.get(daemon.url + "/v1/usage")
    assert value(r'decisiond_http_requests_total\{.*status="401"') == 3
    lines = b'{"a"\n{"b"\n'
    daemon.admin.post("/v1/events", data=lines, headers={"Content-Type": "application/x-ndjson"})
    assert value(r'decisiond_events.*quarantined') == 2
    # A stranger chooses neither names nor values of labels.
    for number in range(50):
        requests.get(daemon.url + f"/made-up-{number}", headers={"X-Made-Up": "made-up"})
        daemon.admin.get(f"/v1/kpis/made-up-{number}")
    assert "made-up" not in daemon.admin.get("/metrics").text
