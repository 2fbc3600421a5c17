"""Input that is wrong: a clear problem with a stable code, never a crash, never a part of an effect."""
import copy
import gzip
import hashlib
import json
import random
import zlib

import pytest
import yaml

import daemon as daemons
from conftest import shared_path

UNKNOWN_ID = "01930000-0000-7000-8000-000000000000"
MODELS = daemons.REPOSITORY / "deploy" / "demo" / "models"
DOCUMENT = {
    "/v1/decide/credit-limit": {"inputs": {
        "checking_status": "A11", "duration_months": 12, "credit_history": "A32", "purpose": "A43", "credit_amount": 1000,
        "savings": "A61", "employment_since": "A73", "age_years": 40}},
    "/v1/decide/retention-offer": {"inputs": {"customer": "c1"}},
    "/v1/measures/query": {"measures": ["revenue"]},
    "/v1/feel/evaluate": {"expression": "amount > 10", "context": {"amount": 12}},
    "/v1/definitions/apply": {"definitions": [], "dry_run": True},
    "/v1/keys": {"name": "a-key", "roles": ["nobody"]},
    "/v1/decision-records/{record}/replay": {},
    "/v1/decision-records/{record}/outcomes": {"name": "repaid", "value": True},
    "/access/v1/evaluation": {"subject": {"type": "user", "id": "x"}, "action": {"name": "a"}, "resource": {"type": "t", "id": "y"}},
    "/access/v1/evaluations": {"evaluations": [
        {"subject": {"type": "user", "id": "x"}, "action": {"name": "a"}, "resource": {"type": "t", "id": "y"}}]},
}
# What has an effect when it is taken.
EFFECTS = {"/v1/keys", "/v1/decision-records/{record}/outcomes", "/v1/decide/credit-limit", "/v1/decide/retention-offer"}


@pytest.fixture(scope="module")
def record(api):
    return api.post("/v1/decide/credit-limit", json=DOCUMENT["/v1/decide/credit-limit"]).json()["id"]


@pytest.fixture
def effectless(daemon, record):
    """Around a test: what exists is the same before and after."""
    before = state(daemon)
    yield
    assert state(daemon) == before


def state(daemon):
    """Everything that a request may change, without the access log and counters of requests."""
    daemon.wait_shipped()
    definitions = daemon.admin.get("/v1/definitions").json()["definitions"]
    return {
        "definitions": sorted((item["kind"], item["name"], item["version"]) for item in definitions),
        "keys": sorted(item["id"] for item in daemon.admin.get("/v1/keys").json()["keys"]),
        "quarantine": daemon.admin.get("/v1/quarantine").json()["total"],
        "events": daemon.sql("SELECT count(*) FROM decisiond.event"),
        "decisions": daemon.sql("SELECT count(*) FROM decisiond.decision_record"),
        "outcomes": daemon.sql("SELECT count(*) FROM decisiond.outcome"),
        "versions": daemon.sql("SELECT count(*) FROM decisiond.definition"),
    }


def check_problem(answer, *statuses):
    """An RFC 9457 problem with a stable code."""
    assert answer.status_code in statuses, f"{answer.status_code}: {answer.text[:500]}"
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["code"] == problem["code"].lower() and problem["code"].replace("_", "").isalnum()
    assert problem["detail"]
    for error in problem.get("errors", []):
        assert error["code"] and error["detail"]
        assert error["pointer"] == "" or error["pointer"].startswith("/")
    return problem


def post(session, path, body, record=UNKNOWN_ID, content_type="application/json", **headers):
    return session.post(path.format(record=record), data=body, invalid=True, headers={"Content-Type": content_type, **headers})


def broken_texts(document):
    """Bodies that are not JSON that the service takes, by name."""
    text = json.dumps(document).encode()
    nested = b"[" * 500 + b"]" * 500
    return {
        "empty": b"", "blank": b" \n", "cut": text[:-1], "cut in a string": text[:text.rindex(b'"')] if b'"' in text else b'{"',
        "cut in a number": b'{"a":1.', "second document": text + text, "trailing comma": text[:-1] + b",}",
        "trailing text": text + b"x", "not UTF-8": b'{"a\xff":1}', "overlong UTF-8": b'{"a":"\xc0\xaf"}',
        "surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}', "NUL": b'{"a":"\x00"}', "escaped NUL": b'{"a":"\\u0000"}',
        "lone surrogate": b'{"a":"\\ud800"}', "raw control": b'{"a":"\x01"}', "duplicate key": b'{"a":1,"a":1}',
        "duplicate by escape": b'{"a":1,"\\u0061":1}', "deep": b'{"a":' + nested + b"}", "deep objects": b'{"a":' * 500 + b"1" + b"}" * 500,
        "NaN": b'{"a":NaN}', "Infinity": b'{"a":-Infinity}', "leading zero": b'{"a":01}', "plus": b'{"a":+1}',
        "single quotes": b"{'a':1}", "comment": b'{"a":1/*x*/}', "bare word": b'{"a":yes}', "UTF-16": json.dumps({"a": 1}).encode("utf-16"),
        "BOM": b"\xef\xbb\xbf" + text, "only an opening": b"{", "unbalanced": b"{]}", "binary": bytes(range(256)),
    }


@pytest.mark.usefixtures("effectless")
@pytest.mark.parametrize("path", DOCUMENT)
def test_what_is_not_json_is_refused(daemon, record, path):
    for name, body in broken_texts(DOCUMENT[path]).items():
        if name in ("empty", "blank") and path.endswith("/replay"):
            continue  # No body is no override.
        answer = post(daemon.admin, path, body, record)
        problem = check_problem(answer, 400)
        assert problem["code"] in ("malformed_json", "not_an_object", "malformed_request"), (name, problem)


WRONG = [None, True, 0, -1, 1.5, 1e300, "", "x", "\U0001f600" * 50, [], {}, [None], [[]], {"x": None}, {"": {}}, "a" * 70000]


@pytest.mark.usefixtures("effectless")
@pytest.mark.parametrize("path", DOCUMENT)
def test_wrong_types_everywhere(daemon, record, path):
    """Every member of every document in turn gets every wrong value; what is taken all the same has a right to be."""
    chance = random.Random(path)

    def places(node, at=()):
        yield at
        if isinstance(node, dict):
            for key in node:
                yield from places(node[key], (*at, key))
        elif isinstance(node, list):
            for index in range(len(node)):
                yield from places(node[index], (*at, index))

    def changed(document, at, value):
        if not at:
            return value
        document = copy.deepcopy(document)
        node = document
        for key in at[:-1]:
            node = node[key]
        node[at[-1]] = value
        return document

    refused = 0
    for at in places(DOCUMENT[path]):
        for value in WRONG if len(at) < 2 else chance.sample(WRONG, 6):
            body = changed(DOCUMENT[path], at, value)
            if path in EFFECTS and not wrong_for(path, at, value):
                continue
            answer = post(daemon.admin, path, json.dumps(body), record)
            assert answer.status_code < 500, (at, value, answer.text)
            if answer.status_code >= 400:
                check_problem(answer, 400, 413, 422)
                refused += 1
            else:
                assert path not in EFFECTS, (at, value, answer.text)
    assert refused > 10


def wrong_for(path, at, value):
    """Whether a value at a place of a request with an effect must be refused."""
    if value is None:
        return at in ((), ("inputs",), ("name",), ("roles",), ("inputs", "customer"), ("inputs", "age_years"))
    if path == "/v1/keys":
        return at != ("name",) and at[:1] != ("roles",) or not isinstance(value, str) or value in ("", "a" * 70000)
    if path.endswith("/outcomes"):
        return at == () or at == ("name",) and (not isinstance(value, str) or value in ("", "a" * 70000))
    if path.endswith("retention-offer"):
        return at != ("inputs", "customer") or not isinstance(value, str)
    # No text of the list is one of the allowed ones, and no number lies in the allowed ranges but 1.5.
    return value != 1.5 or at in ((), ("inputs",))


@pytest.mark.usefixtures("effectless")
@pytest.mark.parametrize("path, body, pointer, code", [
    ("/v1/decide/credit-limit", {}, "/inputs", "missing_field"),
    ("/v1/decide/credit-limit", {"inputs": {}}, "/inputs/checking_status", None),
    ("/v1/decide/credit-limit", {"inputs": {}, "surprise": 1}, "/surprise", "unknown_field"),
    ("/v1/decide/credit-limit", {"inputs": {**DOCUMENT["/v1/decide/credit-limit"]["inputs"], "purpose": "A99"}}, "/inputs/purpose", None),
    ("/v1/decide/credit-limit", {"inputs": {**DOCUMENT["/v1/decide/credit-limit"]["inputs"], "age_years": 17}}, "/inputs/age_years", None),
    ("/v1/decide/credit-limit", {"inputs": {**DOCUMENT["/v1/decide/credit-limit"]["inputs"], "age_years": "40"}}, "/inputs/age_years", None),
    ("/v1/decide/credit-limit", {"inputs": {**DOCUMENT["/v1/decide/credit-limit"]["inputs"], "ages": 1}}, "/inputs/ages", None),
    ("/v1/decide/retention-offer", {"inputs": {"customer": "c"}, "as_of": "yesterday"}, "/as_of", "invalid_time"),
    ("/v1/decide/retention-offer", {"inputs": {"customer": "c"}, "as_of": "2999-01-01T00:00:00Z"}, "/as_of", "in_the_future"),
    ("/v1/decide/retention-offer", {"inputs": {"customer": "c"}, "deadline_ms": 0}, "/deadline_ms", "out_of_range"),
    ("/v1/decide/retention-offer", {"inputs": {"customer": "c"}, "known_at": 5}, "/known_at", "type_mismatch"),
    ("/v1/keys", {"name": "x"}, "/roles", "missing_field"), ("/v1/keys", {"name": "1x", "roles": ["a"]}, "/name", "invalid_name"),
    ("/v1/keys", {"name": "x", "roles": []}, "/roles", None), ("/v1/keys", {"name": "x", "roles": ["a"], "admin": True}, "/admin", "unknown_field"),
    ("/v1/keys", {"name": "x", "roles": ["a"], "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at", None),
    ("/v1/decision-records/{record}/outcomes", {"value": 1}, "/name", "missing_field"),
    ("/v1/decision-records/{record}/outcomes", {"name": "a", "occurred_at": "x"}, "/occurred_at", "invalid_time"),
    ("/v1/decision-records/{record}/outcomes", {"name": "a", "valeu": 1}, "/valeu", "unknown_field"),
    ("/v1/decision-records/{record}/replay", {"surprise": 1}, "/surprise", None),
    ("/v1/definitions/apply", {"definitions": {}}, "/definitions", None), ("/v1/definitions/apply", {"definition": []}, "/definition", None),
    ("/v1/definitions/apply", {"definitions": [1]}, "/definitions/0", None),
])
def test_every_wrong_field_is_named(daemon, record, path, body, pointer, code):
    problem = check_problem(post(daemon.admin, path, json.dumps(body), record), 422)
    found = [error for error in problem["errors"] if error["pointer"] == pointer]
    assert found, problem
    assert code is None or code in [error["code"] for error in found]


@pytest.mark.usefixtures("effectless")
def test_the_wrong_content_type_is_refused(daemon, record):
    for path, document in DOCUMENT.items():
        for content_type in ("text/plain", "application/xml", "multipart/form-data", "application/json-patch+json", "json", "*/*"):
            answer = post(daemon.admin, path, json.dumps(document), record, content_type)
            check_problem(answer, 400 if path.startswith("/access/") else 415)
    for content_type in ("text/plain", "text/csv", "application/xml", "application/x-yaml"):
        check_problem(post(daemon.admin, "/v1/events", b"{}", content_type=content_type), 415)
    check_problem(post(daemon.admin, "/v1/events", b"{}", **{"Content-Encoding": "br"}), 415)
    check_problem(post(daemon.admin, "/v1/measures/query", b"{}", **{"Content-Encoding": "zstd"}), 415)


@pytest.mark.usefixtures("effectless")
def test_a_body_past_the_limit_is_refused(daemon, record):
    for path in DOCUMENT:
        limit = 16 << 20 if path.endswith("/apply") else 1 << 20
        check_problem(post(daemon.admin, path, b" " * (limit + 1), record), 413)
        packed = gzip.compress(b" " * (limit + 1))
        check_problem(post(daemon.admin, path, packed, record, **{"Content-Encoding": "gzip"}), 413)


@pytest.mark.usefixtures("effectless")
def test_gzip_bombs_are_refused(daemon, record):
    bomb = gzip.compress(b" " * (200 << 20))
    assert len(bomb) < 1 << 20
    for path in ("/v1/events", "/v1/decide/credit-limit", "/v1/definitions/apply"):
        check_problem(post(daemon.admin, path, bomb, record, **{"Content-Encoding": "gzip"}), 413)
    nested = gzip.compress(gzip.compress(b" " * 1000))
    check_problem(post(daemon.admin, "/v1/decide/credit-limit", nested, record, **{"Content-Encoding": "gzip"}), 400)
    for broken in (bomb[:-1], bomb[:10], b"\x1f\x8b", b"plain", zlib.compress(b"{}"), gzip.compress(b"{}")[:-8] + b"\0" * 8,
                   gzip.compress(b"{}") + b"rest"):
        for path in ("/v1/decide/credit-limit", "/v1/events"):
            # A cut bomb may be found out by its size first.
            check_problem(post(daemon.admin, path, broken, record, **{"Content-Encoding": "gzip"}), 400, 413)
    with open(f"/proc/{daemon.process.pid}/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert peak < 900 * 1024, f"the bomb was inflated: {peak} KiB"


@pytest.mark.usefixtures("effectless")
def test_events_that_cannot_be_read_as_a_request(daemon, record):
    batch = "application/cloudevents-batch+json"
    for body in (b"", b"{}", b"[", b"[}", b"[1,", b"[{}] x", b"nonsense", b'["\xff"]'):
        check_problem(post(daemon.admin, "/v1/events", body, content_type=batch), 400)
    answer = post(daemon.admin, "/v1/events", b" \n\n", content_type="application/x-ndjson")
    assert (answer.status_code, answer.json()["skipped"]) == (200, 2)


def test_hostile_lines_are_quarantined_one_by_one(daemon):
    """Around each one a good event is accepted."""
    good = [{
        "specversion": "1.0", "id": f"good-{number}", "source": "/t", "type": "com.example.retail.customer", "subject": "s",
        "time": "2026-01-01T00:00:00Z", "data": {"customer_id": f"s{number}"}} for number in range(100)]
    texts = [text for name, text in broken_texts(good[0]).items() if b"\n" not in text and text.strip() and name != "UTF-16"]
    texts += [
        b"null", b"1", b'"x"', b"[]", b"{}", b'{"specversion":"1.0"}', b"[" * 100000, b'{"a":"' + b"x" * (2 << 20) + b'"}',
        json.dumps({**good[0], "id": None}).encode(),
        json.dumps({**good[0], "id": 5}).encode(), json.dumps({**good[0], "data": 5}).encode(),
        json.dumps({**good[0], "data_base64": "!"}).encode(), json.dumps({**good[0], "time": "2026-01-01"}).encode(),
        json.dumps({**good[0], "Upper": 1}).encode(), json.dumps({**good[0], "data": {"customer_id": 5}}).encode(),
        b'{"specversion":"1.0","id":"x","source":"/t","type":"com.example.retail.customer","time":"2026-01-01T00:00:00Z",'
        b'"data":{"customer_id":1e400}}',
    ]
    lines = []
    for index, text in enumerate(texts):
        lines += [text, json.dumps(good[index]).encode()]
    answer = post(daemon.admin, "/v1/events", b"\n".join(lines), content_type="application/x-ndjson")
    assert answer.status_code == 200, answer.text[:500]
    results = {result["index"]: result for result in answer.json()["results"]}
    for index, text in enumerate(texts):
        assert results[2 * index + 1]["status"] == "accepted", (text[:80], results[2 * index + 1])
        result = results[2 * index]
        assert result["status"] == "quarantined", (text[:80], result)
        assert result["class"] and result["code"] and result["message"]


def test_oversized_keys_do_not_stop_what_comes_behind_them(make_daemon):
    """Texts that PostgreSQL cannot put into an index: refused, or stored; never in the way."""
    daemon = make_daemon()
    chance = random.Random(7)

    def long(size):
        return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=size))

    customer = {"specversion": "1.0", "id": "1", "source": "/t", "type": "com.example.retail.customer", "subject": "s",
                "time": "2026-01-01T00:00:00Z", "data": {"customer_id": "s"}}
    size = 9000
    bad = {"specversion": "0.3"}
    lines = [
        {**customer, "id": long(size)}, {**customer, "source": "/" + long(size)}, {**customer, "id": "2", "subject": long(size)},
        {**customer, "id": "3", "data": {"customer_id": long(size)}}, {**customer, **bad, "id": long(size)},
        {**customer, **bad, "source": "/" + long(size)}, {**customer, "type": long(size)},
        {**customer, "id": "4", "data": {"customer_id": "x", "country": long(size)}},
        {**customer, "id": "5", long(200).replace("0", "a"): "x"}, {**customer, "id": "6", "traceparent": long(size)},
    ]
    for line in lines:
        answer = post(daemon.admin, "/v1/events", json.dumps(line), content_type="application/cloudevents+json")
        assert answer.status_code == 200, answer.text[:500]
    answer = post(daemon.admin, "/v1/decide/retention-offer", json.dumps({"inputs": {"customer": long(size)}}))
    assert answer.status_code in (200, 413, 422), answer.text[:500]
    answer = post(daemon.admin, "/v1/decide/retention-offer", json.dumps({"inputs": {"customer": "c", "contact_note": long(size)}}))
    assert answer.status_code in (200, 413, 422), answer.text[:500]
    answer = post(daemon.admin, "/v1/keys", json.dumps({"name": "x" * 128, "roles": ["r" * 128] * 32}))
    assert answer.status_code in (201, 422), answer.text[:500]
    daemon.admin.get(f"/v1/quality/{long(4000)}", invalid=True)
    daemon.session("nobody").get(f"/v1/quality/{long(4000)}", invalid=True)
    good = post(daemon.admin, "/v1/events", json.dumps({**customer, "id": "last"}), content_type="application/cloudevents+json")
    assert good.json()["accepted"] == 1
    daemons.eventually(
        lambda: daemon.sql("SELECT id FROM decisiond.event WHERE id = 'last'") == [["last"]],
        f"shipped: {daemon.log[-1500:]}", timeout=20)
    assert daemon.admin.get("/readyz").json()["status"] == "ready"


@pytest.mark.usefixtures("effectless")
def test_unknown_names_are_404_with_a_code(daemon, record):
    api = daemon.admin
    body = json.dumps(DOCUMENT["/v1/decide/credit-limit"])
    for method, path, code in (
        ("POST", "/v1/decide/nothing", "unknown_decision"), ("GET", "/v1/decide/nothing/health", "unknown_decision"),
        ("GET", "/v1/features/nothing?customer=1", "unknown_view"), ("GET", "/v1/kpis/nothing", "unknown_kpi"),
        ("GET", "/v1/quality/nothing", "unknown_contract"), ("GET", "/v1/definitions/KPI/nothing", "unknown_definition"),
        ("GET", "/v1/definitions/Model/nothing", "unknown_definition"), ("GET", "/v1/definitions/Nothing/x", "unknown_kind"),
        ("GET", "/v1/definitions/KPI/nothing/versions", "unknown_definition"), ("DELETE", "/v1/definitions/KPI/nothing", "unknown_definition"),
        ("GET", f"/v1/decision-records/{UNKNOWN_ID}", "unknown_record"), ("GET", "/v1/decision-records/x", "unknown_record"),
        ("POST", f"/v1/decision-records/{UNKNOWN_ID}/replay", "unknown_record"), ("DELETE", "/v1/keys/x", "unknown_key"),
        ("POST", f"/v1/decision-records/{UNKNOWN_ID}/outcomes", "unknown_record"), ("GET", "/nothing", "unknown_path"),
        ("GET", "/v1/decide/credit-limit/health/more", "unknown_path"), ("GET", "/v1/definitions//x", "unknown_path"),
    ):
        data = {"replay": "{}", "outcomes": '{"name":"a"}'}.get(path.rsplit("/")[-1], body) if method == "POST" else None
        headers = {"Content-Type": "application/json"} if data else {}
        problem = check_problem(api.request(method, path, data=data, headers=headers, invalid=True), 404)
        assert problem["code"] == code or path == "/v1/definitions//x", (path, problem)


@pytest.mark.usefixtures("effectless")
@pytest.mark.parametrize("path", [
    "/v1/features/customer_purchases", "/v1/features/customer_purchases?client=1", "/v1/features/customer_purchases?customer=1&x=1",
    "/v1/features/customer_purchases?customer=1&as_of=yesterday", "/v1/features/customer_purchases?customer=1&known_at=soon",
    "/v1/quarantine?limit=0", "/v1/quarantine?limit=1001", "/v1/quarantine?limit=x", "/v1/quarantine?cursor=x",
    "/v1/quarantine?cursor=-1", "/v1/quarantine?surprise=1", "/v1/access-log?limit=1.5", "/v1/access-log?cursor=99999999999999999999",
    "/v1/decision-records?limit=-5", "/v1/decision-records?since=1", "/v1/definitions?kind=Nothing",
    "/v1/features/customer_purchases?customer=1&customer=2",
])
def test_wrong_parameters_are_named(daemon, record, path):
    problem = check_problem(daemon.admin.get(path, invalid=True), 422)
    assert all(error["pointer"].startswith("/query") for error in problem["errors"])


# Definitions


def demo(path, index=0):
    text = (daemons.DEMO_DEFINITIONS / path).read_text()
    return [document for document in yaml.safe_load_all(text) if document][index]


def at(document, *keys, value):
    """A copy with another value at a place; Ellipsis takes the member away."""
    document = copy.deepcopy(document)
    node = document
    for key in keys[:-1]:
        node = node[key]
    if value is ...:
        del node[keys[-1]]
    else:
        node[keys[-1]] = value
    return document


DECISION, VIEW = "decisions/credit-limit.yaml", "features/customer_purchases.yaml"
CONTRACT, POLICY = "contracts/retail_events.odcs.yaml", "policies/roles.policy.yaml"
BAD_DEFINITIONS = {
    "unknown kind": (lambda: at(demo(VIEW), "kind", value="Views"), "/kind"),
    "bad name": (lambda: at(demo(VIEW), "name", value="a b"), "/name"),
    "long name": (lambda: at(demo(VIEW), "name", value="a" * 129), "/name"),
    "unknown envelope field": (lambda: at(demo(VIEW), "colour", value=1), "/colour"),
    "no spec": (lambda: at(demo(VIEW), "spec", value=...), "/spec"),
    "unknown field of a view": (lambda: at(demo(VIEW), "spec", "surprise", value=1), "/spec/surprise"),
    "unknown aggregate": (lambda: at(demo(VIEW), "spec", "features", 0, "aggregate", value="mode"), "/spec/features/0"),
    "window too long": (lambda: at(demo(VIEW), "spec", "features", 0, "windows", value=["99999999d"]), "/spec/features/0"),
    "two features of one name": (lambda: at(demo(VIEW), "spec", "features", 1, "name", value="count_{window}"), "/spec/features"),
    "unknown contract": (lambda: at(demo(VIEW), "spec", "contract", value="nothing"), "/spec/contract"),
    "unknown field of a decision": (lambda: at(demo(DECISION), "spec", "surprise", value=1), "/spec/surprise"),
    "unknown field of a node": (lambda: at(demo(DECISION), "spec", "nodes", 1, "table", "surprise", value=1), "/spec/nodes/1/table/surprise"),
    "unknown hit policy": (lambda: at(demo(DECISION), "spec", "nodes", 1, "table", "hit_policy", value="LAST"), "/spec/nodes/1/table/hit_policy"),
    "unknown name in a cell": (lambda: at(demo(DECISION), "spec", "nodes", 1, "table", "rules", 0, "when", value=["< nothing", "-"]),
                               "/spec/nodes/1/table/rules/0"),
    "wrong type in a cell": (lambda: at(demo(DECISION), "spec", "nodes", 1, "table", "rules", 0, "when", value=['< "x"', "-"]),
                             "/spec/nodes/1/table/rules/0"),
    "wrong type of an output": (lambda: at(demo(DECISION), "spec", "outputs", 0, "type", value="number"), "/spec/outputs/0"),
    "output from nowhere": (lambda: at(demo(DECISION), "spec", "outputs", 0, "expression", value="nothing.approve"), "/spec/outputs/0/expression"),
    "reason code without text": (lambda: at(demo(DECISION), "spec", "reasons", "codes", "HIGH_RISK", value=...), "/spec"),
    "unknown model": (lambda: at(demo(DECISION), "spec", "nodes", 0, "model", "steps", 0, "model", value="nothing"), "/spec/nodes/0/model/steps/0"),
    "no model": (lambda: at(demo(DECISION), "spec", "nodes", 0, "model", "steps", value=[]), "/spec/nodes/0/model/steps"),
    "node of itself": (lambda: at(demo(DECISION), "spec", "nodes", 1, "table", "inputs", 0, "expression", value="tier.share"), "/spec/nodes/1"),
    "negative deadline": (lambda: at(demo(DECISION), "spec", "deadline_ms", value=-1), "/spec/deadline_ms"),
    "model input missing": (lambda: at(demo(DECISION), "spec", "inputs", 4, value=...), "/spec"),
    "unknown field of a policy": (lambda: at(demo(POLICY), "spec", "rules", 0, "surprise", value=1), "/spec/rules/0"),
    "condition that does not parse": (lambda: at(demo(POLICY), "spec", "rules", 0, "when", value="subject. ="), "/spec/rules/0/when"),
    "two rules of one id": (lambda: at(demo(POLICY), "spec", "rules", 1, "id", value="operator-runs-the-service"), "/spec/rules/1"),
    "unknown type of a contract": (lambda: at(demo(CONTRACT), "schema", 0, "properties", 4, "logicalType", value="moment"), "/schema/0/properties/4"),
    "required with a text": (lambda: at(demo(CONTRACT), "schema", 0, "properties", 0, "required", value="yes"), "/schema/0/properties/0"),
    "KPI of nothing": (lambda: at(demo("kpis/kpis.yaml", 3), "spec", "measure", value="nothing"), "/spec/measure"),
    "KPI in no zone": (lambda: at(demo("kpis/kpis.yaml", 3), "spec", "timezone", value="Mars/Base"), "/spec/timezone"),
    "measure of a text": (lambda: at(demo("kpis/kpis.yaml"), "spec", "of", value="data.country"), "/spec/of"),
    "measure without of": (lambda: at(demo("kpis/kpis.yaml"), "spec", "of", value=...), "/spec/of"),
    "measure over nothing": (lambda: at(demo("kpis/kpis.yaml"), "spec", "stream", value="nothing"), "/spec/stream"),
    "model that is not there": (lambda: {"kind": "Model", "name": "m", "spec": {"artifact": {"sha256": "0" * 64}}}, "/spec/artifact"),
    "model with a short hash": (lambda: {"kind": "Model", "name": "m", "spec": {"artifact": {"sha256": "00"}}}, "/spec/artifact"),
    "model by file": (lambda: {"kind": "Model", "name": "m", "spec": {"artifact": {"file": "/etc/passwd"}}}, "/spec/artifact"),
}


@pytest.mark.usefixtures("effectless")
@pytest.mark.parametrize("name", BAD_DEFINITIONS)
def test_a_bad_definition_is_refused_and_nothing_of_its_request_applied(daemon, record, name):
    make, pointer = BAD_DEFINITIONS[name]
    bad = make()
    if bad["name"] in ("credit-limit", "customer_purchases", "revenue", "loan_approval_rate", "roles"):
        # Taken by mistake, it would not stand in the way of the tests behind this one.
        bad["name"] = f"bad-{list(BAD_DEFINITIONS).index(name)}"
    innocent = f"innocent-{list(BAD_DEFINITIONS).index(name)}"
    good = {"kind": "KPI", "name": innocent, "spec": {"measure": "revenue"}}
    body = json.dumps({"definitions": [good, bad, {**good, "name": innocent + "b"}]})
    answer = daemon.admin.post("/v1/definitions/apply", data=body, headers={"Content-Type": "application/json"}, invalid=True)
    problem = check_problem(answer, 422)
    assert any(error["pointer"].startswith("/definitions/1" + pointer) for error in problem["errors"]), problem
    assert daemon.admin.get(f"/v1/kpis/{innocent}").status_code == 404


@pytest.mark.usefixtures("effectless")
def test_yaml_that_is_not_taken(daemon, record):
    for text in ("kind: KPI\n  name: x\n", "a: [1\n", 'a: "x\n', "a: 1\na: 2\n", "&a a: *a\n", "a: &a [*a]\n", "a: !!python/object:x {}\n",
                 "\tkind: x\n", "%YAML 9.9\n---\na: 1\n", "? [a]\n: b\n", "{" * 2000,
                 "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
                     f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9))):
        answer = post(daemon.admin, "/v1/definitions/apply", text.encode(), content_type="application/yaml")
        check_problem(answer, 400, 422)
    check_problem(post(daemon.admin, "/v1/definitions/apply", b"kind: \xff\n", content_type="application/yaml"), 400, 422)


@pytest.mark.usefixtures("effectless")
def test_the_same_name_twice_and_versions_that_moved(daemon, record):
    kpi = {"kind": "KPI", "name": "twice", "spec": {"measure": "revenue"}}
    problem = check_problem(post(daemon.admin, "/v1/definitions/apply", json.dumps({"definitions": [kpi, kpi]})), 422)
    assert problem["errors"][0]["code"] == "duplicate_definition"
    for name, version in (("revenue_per_day", 7), ("twice", 1)):
        body = {"definitions": [kpi], "expected_versions": [{"kind": "KPI", "name": name, "version": version}]}
        assert check_problem(post(daemon.admin, "/v1/definitions/apply", json.dumps(body)), 412)["code"] == "version_conflict"
    many = {"definitions": [{**kpi, "name": f"k{number}"} for number in range(1001)]}
    check_problem(post(daemon.admin, "/v1/definitions/apply", json.dumps(many)), 413, 422)


@pytest.mark.usefixtures("effectless")
def test_what_others_use_cannot_be_retired(daemon, record):
    for kind, name in (("Measure", "revenue"), ("FeatureView", "customer_purchases"), ("DataContract", "retail_events")):
        problem = check_problem(daemon.admin.delete(f"/v1/definitions/{kind}/{name}"), 409)
        assert problem["code"] == "in_use"


# Models


def upload(session, content):
    digest = hashlib.sha256(content).hexdigest()
    return digest, session.put(
        f"/v1/artifacts/{digest}", data=content, headers={"Content-Type": "application/octet-stream"}, invalid=True)


def test_hostile_models_are_refused_and_controls_load(daemon):
    manifest = json.loads(shared_path("data/models/hostile/manifest.json").read_text())
    before = daemon.admin.get("/v1/definitions").json()
    codes = {}
    for entry in manifest["reject"]:
        content = shared_path(f"data/models/hostile/{entry['file']}").read_bytes()
        digest, answer = upload(daemon.admin, content)
        assert answer.status_code < 500, (entry["file"], answer.text)
        if answer.status_code == 200:
            model = {"kind": "Model", "name": "hostile", "spec": {"artifact": {"sha256": digest}}}
            answer = post(daemon.admin, "/v1/definitions/apply", json.dumps({"definitions": [model]}))
        problem = check_problem(answer, 400, 413, 422)
        errors = problem.get("errors") or [problem]
        codes[entry["file"]] = errors[0]["code"]
        assert errors[0]["detail"]
    assert len(set(codes.values())) > 8, "each fault has a name of its own"
    assert daemon.admin.get("/v1/definitions").json() == before
    for number, entry in enumerate(manifest["controls"]):
        digest, answer = upload(daemon.admin, shared_path(f"data/models/hostile/{entry['file']}").read_bytes())
        assert answer.status_code == 200, (entry["file"], answer.text)
        model = {"kind": "Model", "name": f"control-{number}", "spec": {"artifact": {"sha256": digest}}}
        answer = post(daemon.admin, "/v1/definitions/apply", json.dumps({"definitions": [model]}))
        assert answer.status_code == 200, (entry["file"], answer.text)


@pytest.mark.usefixtures("effectless")
def test_an_artifact_must_have_its_hash(daemon, record):
    headers = {"Content-Type": "application/octet-stream"}
    wrong = daemon.admin.put("/v1/artifacts/" + "0" * 64, data=b"x", headers=headers)
    assert check_problem(wrong, 422)["code"] == "hash_mismatch"
    for name in ("x", "0" * 63, "g" * 64):
        check_problem(daemon.admin.put(f"/v1/artifacts/{name}", data=b"x", headers=headers, invalid=True), 404, 422)


def test_a_model_is_not_taken_twice_by_another_name_of_its_hash(daemon):
    content = (MODELS / "skl_logistic.json").read_bytes()
    for spelled in (str.lower, str.upper):
        digest = spelled(hashlib.sha256(content).hexdigest())
        answer = daemon.admin.put(
            f"/v1/artifacts/{digest}", data=content, headers={"Content-Type": "application/octet-stream"}, invalid=True)
        assert answer.status_code in (200, 404, 422)


# Keys of requests


@pytest.mark.usefixtures("effectless")
def test_wrong_idempotency_keys(daemon, record):
    body = json.dumps(DOCUMENT["/v1/decide/credit-limit"])
    for key in ("", "k" * 257):
        answer = post(daemon.admin, "/v1/decide/credit-limit", body, **{"Idempotency-Key": key})
        check_problem(answer, 400)


def test_an_idempotency_key_holds_for_one_payload_of_one_principal(daemon):
    one, two = daemon.session("crm"), daemon.session("crm")
    body = DOCUMENT["/v1/decide/credit-limit"]
    first = one.post("/v1/decide/credit-limit", json=body, headers={"Idempotency-Key": "k1"}).json()
    assert one.post("/v1/decide/credit-limit", json=body, headers={"Idempotency-Key": "k1"}).json()["id"] == first["id"]
    other = {"inputs": {**body["inputs"], "age_years": 41}}
    refused = one.post("/v1/decide/credit-limit", json=other, headers={"Idempotency-Key": "k1"})
    assert check_problem(refused, 422)["code"] == "idempotency_key_reused"
    assert two.post("/v1/decide/credit-limit", json=other, headers={"Idempotency-Key": "k1"}).json()["id"] != first["id"]
    # A request that was refused has not used its key.
    assert post(one, "/v1/decide/credit-limit", "{}", **{"Idempotency-Key": "k2"}).status_code == 422
    assert one.post("/v1/decide/credit-limit", json=body, headers={"Idempotency-Key": "k2"}).status_code == 200


def test_the_daemon_still_stands(daemon):
    """After everything above: one process, one life, and it answers."""
    assert daemon.is_running()
    assert daemon.log.count('"phase":"ready"') == 1
    assert daemon.admin.get("/readyz").json()["status"] == "ready"
    answer = daemon.admin.post("/v1/decide/credit-limit", json=DOCUMENT["/v1/decide/credit-limit"])
    assert answer.status_code == 200
