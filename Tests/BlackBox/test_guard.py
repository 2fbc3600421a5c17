"""Who may do what, and who sees what: the matrix of operations and roles, keys at rest, masks, the access log, AuthZEN."""
import gzip
import json
import secrets
import subprocess
import time

import pytest
import requests
import yaml

import daemon as daemons

DEMO_DATA = daemons.REPOSITORY / "deploy" / "demo" / "data"
UNKNOWN_ID = "01930000-0000-7000-8000-000000000000"
CREDIT = {
    "checking_status": "A11", "duration_months": 12, "credit_history": "A32", "purpose": "A43", "credit_amount": 1000,
    "savings": "A61", "employment_since": "A73", "age_years": 40,
}
QUESTION = {
    "subject": {"type": "user", "id": "x"}, "action": {"name": "can_read_user"}, "resource": {"type": "user", "id": "y"},
}
TENSOR = {"name": "age_years", "datatype": "FP64", "shape": [1], "data": [40]}
INFER = {"json": {"inputs": [TENSOR]}}
INVOKE = {"json": {"dataframe_records": [{"age_years": 40}]}}
SCORES = {"analyst", "crm", "scientist", "risk"}
READS_MODELS = SCORES | {"operator"}
ROLES = ["operator", "crm", "ingest", "analyst", "steward", "auditor", "scientist", "risk", "nobody"]
PUBLIC = {"getHealth", "getReadiness", "getOpenAPI", "getAuthzenConfiguration"}

# operationId: request, roles besides admin that are let in. A refusal of what is asked (404, 422) is being let in.
OPERATIONS = {
    "getMetrics": (("GET", "/metrics"), {"operator"}),
    "getUsage": (("GET", "/v1/usage"), {"operator"}),
    "postEvents": (("POST", "/v1/events", {"data": b" \n", "headers": {"Content-Type": "application/x-ndjson"}}),
                   {"ingest", "steward"}),
    "listQuarantine": (("GET", "/v1/quarantine"), {"steward"}),
    "getFeatures": (("GET", "/v1/features/customer_purchases?customer=nobody"), {"crm"}),
    "queryFeatures": (("POST", "/v1/features/query",
                       {"json": {"views": ["customer_purchases"], "entities": [{"customer": "nobody"}]}}), {"crm"}),
    "getFeatureStatistics": (("GET", "/v1/features/customer_purchases/statistics"), {"crm"}),
    "postHistoricalFeatures": (("POST", "/v1/features/historical?view=customer_purchases",
                                {"data": b"customer,as_of\n", "headers": {"Content-Type": "text/csv"}}), {"analyst"}),
    "verifyFeatures": (("POST", "/v1/features/customer_purchases/verify", {"json": {"sample": 1}}), {"analyst"}),
    "listTrainingSets": (("GET", "/v1/training-sets"), {"analyst"}),
    "getTrainingSet": (("GET", "/v1/training-sets/" + UNKNOWN_ID), {"analyst"}),
    "getTrainingSetData": (("GET", "/v1/training-sets/" + UNKNOWN_ID + "/data"), {"analyst"}),
    "deleteTrainingSet": (("DELETE", "/v1/training-sets/" + UNKNOWN_ID), set()),
    "listJobs": (("GET", "/v1/jobs"), set()),
    "getJob": (("GET", "/v1/jobs/" + UNKNOWN_ID), set()),
    "cancelJob": (("DELETE", "/v1/jobs/" + UNKNOWN_ID), set()),
    "retryJob": (("POST", "/v1/jobs/" + UNKNOWN_ID + "/retry"), set()),
    "listSources": (("GET", "/v1/sources"), {"operator"}),
    "postDecision": (("POST", "/v1/decide/credit-limit", {"json": {"inputs": CREDIT}}), {"crm"}),
    "getDecisionHealth": (("GET", "/v1/decide/credit-limit/health"), {"operator"}),
    "listDecisionRecords": (("GET", "/v1/decision-records"), {"auditor"}),
    "getDecisionRecord": (("GET", "/v1/decision-records/{record}"), {"auditor"}),
    "replayDecisionRecord": (("POST", "/v1/decision-records/{record}/replay", {"json": {}}), {"auditor"}),
    "postOutcome": (("POST", "/v1/decision-records/{record}/outcomes", {"json": {"name": "repaid", "value": True}}),
                    {"crm"}),
    "listKPIs": (("GET", "/v1/kpis"), {"operator", "analyst"}),
    "getKPI": (("GET", "/v1/kpis/revenue_per_day"), {"operator", "analyst"}),
    "queryMeasures": (("POST", "/v1/measures/query", {"json": {"measures": ["revenue"]}}), {"analyst"}),
    "evaluateFEEL": (("POST", "/v1/feel/evaluate", {"json": {"expression": "1 + 1"}}), {"analyst", "steward"}),
    "listQuality": (("GET", "/v1/quality"), {"operator", "analyst", "steward"}),
    "getQuality": (("GET", "/v1/quality/retail_events"), {"operator", "analyst", "steward"}),
    "listDefinitions": (("GET", "/v1/definitions"), {"operator", "analyst", "steward", "auditor"}),
    "getDefinition": (("GET", "/v1/definitions/KPI/revenue_per_day"), {"operator", "analyst", "steward", "auditor"}),
    "listDefinitionVersions": (("GET", "/v1/definitions/KPI/revenue_per_day/versions"),
                               {"operator", "analyst", "steward", "auditor"}),
    "applyDefinitions": (("POST", "/v1/definitions/apply", {"json": {"definitions": [], "dry_run": True}}), set()),
    "retireDefinition": (("DELETE", "/v1/definitions/KPI/nothing"), set()),
    "putArtifact": (("PUT", "/v1/artifacts/" + "0" * 64,
                     {"data": b"x", "headers": {"Content-Type": "application/octet-stream"}}), {"scientist"}),
    "listModels": (("GET", "/v1/models"), READS_MODELS),
    "getModel": (("GET", "/v1/models/credit-risk"), READS_MODELS),
    "getModelVersion": (("GET", "/v1/models/credit-risk/versions/1"), READS_MODELS),
    "getModelCard": (("GET", "/v1/models/credit-risk/card"), READS_MODELS),
    "getModelDrift": (("GET", "/v1/models/credit-risk/drift"), READS_MODELS),
    "scoreModel": (("POST", "/v1/models/credit-risk/score", {"json": {"record": {"age_years": 40}}}), SCORES),
    "postModelVersion": (("POST", "/v1/models/credit-risk/versions", {"json": {"artifact": {"sha256": "0" * 64}}}),
                         {"scientist"}),
    "promoteModel": (("POST", "/v1/models/nothing/promote",
                      {"json": {"version": 1, "stage": "champion", "reason": "none"}}), {"risk"}),
    "rollbackModel": (("POST", "/v1/models/nothing/rollback", {"json": {"reason": "none"}}), {"risk"}),
    "listKeys": (("GET", "/v1/keys"), {"operator"}),
    "createKey": (("POST", "/v1/keys", {"json": {"name": "made-by-a-test", "roles": ["nobody"]}}), set()),
    "revokeKey": (("DELETE", "/v1/keys/000000000000"), set()),
    "listAccessLog": (("GET", "/v1/access-log"), {"auditor"}),
    "evaluateAccess": (("POST", "/access/v1/evaluation", {"json": QUESTION}), {"crm"}),
    "evaluateAccessBatch": (("POST", "/access/v1/evaluations", {"json": {"evaluations": [QUESTION]}}), {"crm"}),
    "getInferenceServer": (("GET", "/v2"), READS_MODELS),
    "getInferenceLiveness": (("GET", "/v2/health/live"), READS_MODELS),
    "getInferenceReadiness": (("GET", "/v2/health/ready"), READS_MODELS),
    "listInferenceModels": (("POST", "/v2/repository/index"), READS_MODELS),
    "getInferenceModel": (("GET", "/v2/models/credit-risk"), READS_MODELS),
    "getInferenceModelReadiness": (("GET", "/v2/models/credit-risk/ready"), READS_MODELS),
    "getInferenceModelVersion": (("GET", "/v2/models/credit-risk/versions/1"), READS_MODELS),
    "getInferenceModelVersionReadiness": (("GET", "/v2/models/credit-risk/versions/1/ready"), READS_MODELS),
    "inferModel": (("POST", "/v2/models/credit-risk/infer", INFER), SCORES),
    "inferModelVersion": (("POST", "/v2/models/credit-risk/versions/1/infer", INFER), SCORES),
    "postInvocations": (("POST", "/invocations?model=credit-risk", INVOKE), SCORES),
    "postModelInvocations": (("POST", "/v1/models/credit-risk/invocations", INVOKE), SCORES),
    "getScoringPing": (("GET", "/ping"), READS_MODELS),
    "getScoringHealth": (("GET", "/health"), READS_MODELS),
    "getScoringVersion": (("GET", "/version"), READS_MODELS),
}


def refusal_code(operation, answer):
    """The code of a refusal; protocols that others have made tell it in shapes of their own."""
    path = OPERATIONS[operation][0][1].split("?")[0]
    if path.startswith("/v2"):
        assert answer.headers["Content-Type"] == "application/json"
        return {"Send": "unauthenticated", "No": "forbidden"}[answer.json()["error"].split()[0]]
    if path.endswith("/invocations") or path in ("/ping", "/health", "/version"):
        assert answer.headers["Content-Type"] == "application/json"
        return {"UNAUTHENTICATED": "unauthenticated", "PERMISSION_DENIED": "forbidden"}[answer.json()["error_code"]]
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.json()["code"]


@pytest.fixture(scope="module")
def sessions(daemon):
    return {role: daemon.session(role) for role in ROLES} | {"admin": daemon.admin}


@pytest.fixture(scope="module")
def record(api):
    """A decision that the administrator asked for."""
    answer = api.post("/v1/decide/credit-limit", json={"inputs": CREDIT})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def ask(session, operation, record=UNKNOWN_ID):
    (method, path, *options), _ = OPERATIONS[operation]
    return session.request(method, path.format(record=record), **(options[0] if options else {}))


def served_operations(daemon):
    """operationId: (method, path) of the served contract, without the typed paths of single decisions and models."""
    document = yaml.safe_load(daemon.anonymous().get("/openapi.yaml").text)
    return {
        operation["operationId"]: (method, path)
        for path, item in document["paths"].items() for method, operation in item.items()
        if method in ("get", "put", "post", "delete", "patch") and not {"x-decision-version", "x-model-version"} & set(operation)
    }


def test_the_matrix_covers_every_operation(daemon):
    assert set(served_operations(daemon)) == set(OPERATIONS) | PUBLIC


@pytest.mark.parametrize("operation", OPERATIONS)
def test_matrix(sessions, record, operation):
    """Every operation with every role: let in exactly as the table says."""
    _, allowed = OPERATIONS[operation]
    let_in = set()
    for role, session in sessions.items():
        answer = ask(session, operation, record)
        assert answer.status_code < 500, (role, answer.text)
        assert answer.status_code != 401, role
        if answer.status_code == 403:
            assert refusal_code(operation, answer) == "forbidden"
        else:
            let_in.add(role)
    assert let_in == allowed | {"admin"}


def wrong_credentials(daemon):
    key = daemon.key
    other = key[:-8] + ("0" if key[-8] != "0" else "1") + key[-7:]
    revoked = daemon.session("admin")
    assert daemon.admin.delete(f"/v1/keys/{revoked.key_id}").status_code == 200
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    expired = daemon.admin.post("/v1/keys", json={"name": "short", "roles": ["admin"], "expires_at": soon}).json()["key"]
    while time.time() < time.mktime(time.strptime(soon, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone + 0.05:
        time.sleep(0.05)
    return {
        "none": None, "empty": "", "no key": "Bearer", "not a key": "Bearer x", "damaged": f"Bearer {other}",
        "cut": f"Bearer {key[:-1]}", "longer": f"Bearer {key}0", "two keys": f"Bearer {key}, Bearer {key}",
        "basic": f"Basic {key}", "bare": key, "revoked": revoked.headers["Authorization"], "expired": f"Bearer {expired}",
        "never issued": "Bearer dk_live_000000000000_00000000000000000000000000000000" + "0000000",
        "other id": f"Bearer {key[:8]}{'0' * 12}{key[20:]}", "capitals": f"Bearer {key.upper()}",
    }


def test_no_operation_without_a_live_key(daemon):
    for name, value in wrong_credentials(daemon).items():
        session = daemon.anonymous()
        if value is not None:
            session.headers["Authorization"] = value
        for operation in OPERATIONS if name in ("none", "revoked", "expired") else ["listKeys", "postDecision"]:
            answer = ask(session, operation)
            assert answer.status_code == 401, (name, operation, answer.text)
            assert refusal_code(operation, answer) == "unauthenticated", (name, operation)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer"), (name, operation)


def test_a_key_is_taken_from_nowhere_else(daemon):
    session = daemon.anonymous()
    for options in ({"headers": {"X-API-Key": daemon.key}}, {"cookies": {"key": daemon.key}}):
        assert session.get("/v1/usage", **options).status_code == 401
    for name in ("key", "access_token"):
        assert session.get(f"/v1/usage?{name}={daemon.key}", invalid=True).status_code in (401, 422)


def test_public_operations_need_no_key(daemon):
    for path in ("/healthz", "/readyz", "/openapi.yaml", "/.well-known/authzen-configuration"):
        assert daemon.anonymous().get(path).status_code == 200, path


def test_unknown_paths_and_methods_tell_a_stranger_nothing(daemon):
    session = daemon.anonymous()
    assert session.get("/v1/nothing", invalid=True).status_code == 404
    assert session.get("/v1/decide/credit-limit", invalid=True).status_code == 405
    there = session.post("/v1/decide/credit-limit", json={}, invalid=True)
    not_there = session.post("/v1/decide/no-such-decision", json={}, invalid=True)
    assert (there.status_code, there.content) == (not_there.status_code, not_there.content)


def test_a_revoked_key_stays_revoked_after_a_restart(make_daemon):
    daemon = make_daemon()
    revoked, kept = daemon.session("operator"), daemon.session("operator")
    assert revoked.get("/v1/usage").status_code == 200
    assert daemon.admin.delete(f"/v1/keys/{revoked.key_id}").json()["revoked_at"] is not None
    assert revoked.get("/v1/usage").status_code == 401
    daemon.restart(kill=True)
    assert revoked.get("/v1/usage").status_code == 401
    assert kept.get("/v1/usage").status_code == 200


def base32(text):
    """Crockford's base 32, as the keys use it, as bytes."""
    value = 0
    for digit in text:
        value = value * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(digit)
    return value.to_bytes(len(text) * 5 // 8, "big")


def dump(daemon):
    """The whole database as SQL."""
    return subprocess.run(["pg_dump", "-d", daemon.database_url], check=True, stdout=subprocess.PIPE).stdout


def test_keys_are_stored_hashed_only(make_daemon):
    daemon = make_daemon(log_level="debug")
    made = daemon.session("crm").headers["Authorization"].split()[1]
    for key in (daemon.key, made):
        assert requests.get(daemon.url + "/v1/kpis", headers={"Authorization": f"Bearer {key}"}).status_code in (200, 403)
    assert requests.get(daemon.url + "/v1/kpis", headers={"Authorization": f"Bearer {made}x"}).status_code == 401
    daemon.wait_shipped()
    assert daemon.log.count(daemon.key) == 1, "the first key is printed once"
    first_life = len(daemon.log)
    bootstrap = daemon.key
    daemon.restart()
    daemon.wait_shipped()
    places = {"log": daemon.log_path.read_bytes(), "restarted log": daemon.log[first_life:].encode(), "database": dump(daemon)}
    places |= {str(path): path.read_bytes() for path in daemon.data.rglob("*") if path.is_file()}
    key_file = daemon.data / "bootstrap.key"
    assert key_file.stat().st_mode & 0o7777 == 0o600
    assert daemon.data.stat().st_mode & 0o077 == 0
    for key in (bootstrap, made):
        secret = key[21:53]
        for name, content in places.items():
            if key == bootstrap and name in (str(key_file), "log"):
                continue
            for needle in (key.encode(), secret.encode(), base32(secret), base32(secret).hex().encode()):
                assert needle not in content, f"a secret is in {name}"


def test_a_configured_first_key_is_written_nowhere(make_daemon):
    key = make_daemon(database_url=None, definitions=None).key
    daemon = make_daemon(database_url=None, definitions=None, bootstrap_key=key)
    answer = requests.get(daemon.url + "/v1/usage", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    assert not (daemon.data / "bootstrap.key").exists()
    for path in daemon.directory.rglob("*"):
        if path.is_file():
            assert key[21:53].encode() not in path.read_bytes(), path


# The canary


def event(number, **changes):
    made = {
        "specversion": "1.0", "id": f"canary-{number}", "source": "/test/canary", "type": "com.example.retail.purchase",
        "subject": "c1", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60)),
        "data": {"invoice": "1", "product": "p", "quantity": 1, "unit_price": 1, "amount": 1, "country": "France"},
    }
    data = {**made["data"], **changes.pop("data", {})}
    return {**made, **changes, "data": data}


class Canaries:
    """A string that was put wherever a personal field can be put, and the answers that came back at once."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.word = "canary" + secrets.token_hex(12)
        self.sessions = {role: daemon.session(role) for role in ROLES}
        self.answers = []
        self.events()
        self.decisions()
        self.requests()
        daemon.wait_shipped()

    def post(self, role, path, body, content_type="application/json", invalid=False, **headers):
        session = self.sessions.get(role, self.daemon.admin)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = session.post(path, data=data, headers={"Content-Type": content_type, **headers}, invalid=invalid)
        self.answers.append((role, path, answer))
        return answer

    def events(self):
        word = self.word
        customer = {
            "specversion": "1.0", "id": "c1", "source": "/crm", "type": "com.example.retail.customer", "subject": "c1",
            "time": "2026-01-01T00:00:00Z", "data": {"customer_id": "c1", "country": "France"},
        }
        assert self.post("ingest", "/v1/events", customer).json()["accepted"] == 1
        said = {"description": word}
        assert self.post("ingest", "/v1/events", event(1, data=said)).json()["accepted"] == 1
        assert self.post("ingest", "/v1/events", event(1, data={"description": word + "2"})).json()["duplicates"] == 1
        line = json.dumps(event(2, data=said)).encode()
        spoiled = [
            event(10, data={**said, "amount": word}), event(11, data={**said, "amount": None}),
            event(12, data={**said, "quantity": 1.5}), event(13, subject="unknown", data=said),
            event(14, time="yesterday", data=said), event(15, time=word), event(16, type=word), event(17, specversion=word),
            event(18, data={**said, "product": ""}), event(19, data={"description": {word: word}}),
            event(20, data={"description": [word]}), event(21, data={**said, "amount": 0.001}), event(22, subject=word),
            event(23, source="", data=said), event(24, time="2999-01-01T00:00:00Z", data=said), {"description": word}, [word],
        ]
        lines = [json.dumps(each).encode() for each in spoiled] + [
            line[:-1], line[:line.index(word.encode()) + len(word) + 1], word.encode(), b'"' + word.encode() + b'"', line + b"}",
            line.replace(word.encode(), word.encode() + b"\xff\xfe"), line.replace(word.encode(), word.encode() + b"\x01"),
            line.replace(b'"description"', b'"description":1,"description"'), line.replace(b'"amount": 1', b'"amount": NaN'),
            line.replace(word.encode(), word.encode() + b"\\ud800"), line.replace(word.encode(), word.encode() + b"\\u0000"),
            line.replace(b'"description"', b"'description'"), b"[" * 100 + line + b"]" * 100,
        ]
        answer = self.post("ingest", "/v1/events", b"\n".join(lines) + b"\n", "application/x-ndjson").json()
        assert (answer["accepted"], answer["quarantined"]) == (0, len(lines)), answer
        self.quarantined = len(lines)
        # The same alone, and as an array, and packed.
        for each in lines[:3]:
            assert self.post("steward", "/v1/events", each, "application/cloudevents+json").json()["quarantined"] == 1
        assert self.post("ingest", "/v1/events", b"[" + lines[0] + b"," + lines[1] + b"]").json()["quarantined"] == 2
        self.post("ingest", "/v1/events", b"[" + lines[17] + b"]", invalid=True)
        packed = gzip.compress(b"\n".join(lines))
        answer = self.post("ingest", "/v1/events", packed, "application/x-ndjson", **{"Content-Encoding": "gzip"})
        assert answer.json()["quarantined"] == len(lines)
        self.post("ingest", "/v1/events", packed[:-20], "application/x-ndjson", invalid=True, **{"Content-Encoding": "gzip"})

    def decisions(self):
        inputs = {"customer": "c1", "channel": "web", "contact_note": self.word}
        answer = self.post("crm", "/v1/decide/retention-offer", {"inputs": inputs}, **{"Idempotency-Key": "canary"})
        assert answer.status_code == 200, answer.text
        self.record = answer.json()["id"]
        again = self.post("crm", "/v1/decide/retention-offer", {"inputs": inputs}, **{"Idempotency-Key": "canary"})
        assert again.json()["id"] == self.record
        differs = {"inputs": {**inputs, "contact_note": self.word + "2"}}
        answer = self.post("crm", "/v1/decide/retention-offer", differs, **{"Idempotency-Key": "canary"})
        assert answer.status_code == 422

    def requests(self):
        word, good = self.word, {"customer": "c1", "contact_note": self.word}
        bad = [
            {"inputs": {**good, "channel": "pigeon"}}, {"inputs": {"contact_note": word}}, {"inputs": {**good, "customer": 1}},
            {"inputs": {**good, "contact_note": [word]}}, {"inputs": {**good, "contact_note": {"a": word}}},
            {"inputs": good, "surprise": word}, {"inputs": {**good, "channel": word}}, {"inputs": [word]}, [word], word,
            {"inputs": good, "as_of": word}, {"inputs": good, "deadline_ms": word}, {"inputs": good, "known_at": [word]},
            {"inputs": {**good, "surprise": word}},
        ]
        text = json.dumps({"inputs": good}).encode()
        bad += [text[:-1], text + b"x", text.replace(b"c1", b"c\xff"), text.replace(b'"customer"', b'"contact_note"')]
        for body in bad:
            answer = self.post("crm", "/v1/decide/retention-offer", body, invalid=True)
            assert 400 <= answer.status_code < 500, (body, answer.text)
        self.post("crm", "/v1/decide/retention-offer", {"inputs": good}, "text/plain", invalid=True)
        for role in ("analyst", "operator", "auditor", "nobody"):
            assert self.post(role, "/v1/decide/retention-offer", {"inputs": good}).status_code == 403

    def everything(self, role):
        """Every answer that a role can get, refusals too."""
        session = self.sessions[role]
        for operation, ((method, path, *options), _) in OPERATIONS.items():
            if operation in ("postEvents", "createKey", "revokeKey", "putArtifact"):
                continue
            yield operation, ask(session, operation, self.record)
        for path in (
            "/v1/features/customer_purchases?customer=c1", "/v1/quarantine?contract=retail_events",
            "/v1/quarantine?state=closed", "/v1/quarantine?class=malformed_json", "/v1/access-log?limit=1000",
            "/v1/access-log?principal=nobody", "/v1/decision-records?decision=retention-offer", "/v1/quality/customers",
            "/v1/decision-records?entity=c1", "/v1/kpis/loan_approval_rate", "/readyz", "/openapi.yaml", "/healthz",
        ):
            yield path, session.get(path)
        for kind_and_name in [(item["kind"], item["name"]) for item in self.daemon.admin.get("/v1/definitions").json()[
                "definitions"]]:
            yield kind_and_name, session.get("/v1/definitions/{}/{}".format(*kind_and_name))
        for query in (
            {"measures": ["revenue"], "dimensions": ["country"], "explain": True},
            {"measures": ["decisions"], "dimensions": ["decision", "fallback"], "explain": True},
        ):
            yield str(query), session.post("/v1/measures/query", json=query)
        yield "replay", session.post(f"/v1/decision-records/{self.record}/replay", json={"near_misses": 8})

    def check_hidden(self):
        for role in ("crm", "analyst", "operator", "auditor", "ingest", "nobody"):
            for name, answer in self.everything(role):
                assert answer.status_code < 500, (role, name, answer.text)
                for shown in (answer.content, str(answer.headers).encode()):
                    assert self.word.encode() not in shown, f"role {role} reads it by {name}: {answer.text[:2000]}"
        found = [line for line in self.daemon.log.splitlines() if self.word in line]
        assert not found, found[:3]


@pytest.fixture(scope="module")
def canaries(make_daemon):
    return Canaries(make_daemon(log_level="debug"))


def test_canary_is_in_no_immediate_answer(canaries):
    for role, path, answer in canaries.answers:
        assert canaries.word not in answer.text, (role, path, answer.text)


def test_canary_is_in_nothing_that_can_be_read(canaries):
    canaries.check_hidden()


def test_canary_is_hidden_after_a_restart_too(canaries):
    canaries.daemon.restart(kill=True)
    canaries.daemon.wait_connected()
    canaries.daemon.wait_shipped()
    canaries.check_hidden()


def test_canary_is_shown_to_those_with_the_right(canaries):
    for session in (canaries.sessions["steward"], canaries.daemon.admin):
        entries = session.get("/v1/quarantine?limit=1000").json()["entries"]
        assert len(entries) == canaries.quarantined
        assert sum(canaries.word in entry["raw"] for entry in entries) == canaries.quarantined
        assert sum(entry["count"] for entry in entries) > canaries.quarantined
    record = canaries.daemon.admin.get(f"/v1/decision-records/{canaries.record}").json()
    assert record["inputs"]["contact_note"] == canaries.word


def test_masked_fields_are_null_and_named_in_the_access_log(canaries):
    auditor = canaries.sessions["auditor"]
    record = auditor.get(f"/v1/decision-records/{canaries.record}").json()
    assert record["inputs"]["contact_note"] is None
    assert record["inputs"]["customer"] == "c1"
    entries = canaries.daemon.admin.get("/v1/access-log?limit=1000").json()["entries"]
    reads = [entry for entry in entries if entry["resource_id"] == canaries.record and entry["permitted"]]
    assert reads and all(entry["resource_type"] == "decision_record" for entry in reads)
    assert any("inputs.contact_note" in entry["details"]["masked"] for entry in reads)


def test_personal_table_inputs_are_masked_in_the_answer(make_daemon):
    """A matched rule shows its inputs; a personal one only to those with the right."""
    daemon = make_daemon()
    decision = {
        "kind": "Decision", "name": "by-age", "domain": "lending", "spec": {
            "inputs": [{"name": "age", "type": "number", "classification": "personal"}],
            "nodes": [{"name": "band", "table": {
                "hit_policy": "FIRST", "inputs": [{"expression": "age", "type": "number"}],
                "outputs": [{"name": "band", "type": "string"}],
                "rules": [{"id": "young", "when": ["< 30"], "then": ['"young"']},
                          {"id": "old", "when": ["-"], "then": ['"old"']}]}}],
            "outputs": [{"name": "band", "type": "string", "expression": "band"}], "reasons": {"mode": "rules"}}}
    applied = daemon.admin.post("/v1/definitions/apply", json={"definitions": [decision]})
    assert applied.status_code == 200, applied.text
    crm, body = daemon.session("crm"), {"inputs": {"age": 27.25}}
    # A session that checks traffic reads the contract again: it has a typed path more.
    getattr(daemon.admin, "reload", lambda: None)()
    full = daemon.admin.post("/v1/decide/by-age", json=body).json()
    assert "27.25" in json.dumps(full["matched_rules"])
    answer = crm.post("/v1/decide/by-age", json=body, headers={"Idempotency-Key": "age"})
    again = crm.post("/v1/decide/by-age", json=body, headers={"Idempotency-Key": "age"})
    assert answer.json()["outputs"] == {"band": "young"}
    for each in (answer, again):
        assert "27.25" not in each.text
        assert each.json()["id"] == answer.json()["id"]
    read = daemon.session("auditor").get(f"/v1/decision-records/{answer.json()['id']}")
    assert read.status_code == 200 and "27.25" not in read.text
    shown = daemon.admin.get(f"/v1/decision-records/{answer.json()['id']}")
    assert "27.25" in shown.text


# Rules with conditions, and what is written down


def test_a_crm_reads_its_own_records_and_no_other(daemon, record):
    one, other = daemon.session("crm"), daemon.session("crm")
    own = one.post("/v1/decide/credit-limit", json={"inputs": CREDIT}).json()["id"]
    assert one.get(f"/v1/decision-records/{own}").status_code == 200
    assert other.get(f"/v1/decision-records/{own}").status_code == 403
    assert one.get(f"/v1/decision-records/{record}").status_code == 403
    daemon.wait_shipped()
    assert one.get(f"/v1/decision-records/{own}").status_code == 200
    assert other.get(f"/v1/decision-records/{own}").status_code == 403


def test_history_needs_its_own_permission(daemon, sessions):
    past = "2026-01-01T00:00:00Z"
    view = "/v1/features/customer_purchases?customer=x"
    assert sessions["crm"].get(view).status_code == 200
    assert sessions["crm"].get(f"{view}&as_of={past}").status_code == 403
    body = {"inputs": {"customer": "x"}, "as_of": past}
    assert sessions["crm"].post("/v1/decide/retention-offer", json=body).status_code == 403
    assert sessions["crm"].post("/v1/decide/retention-offer", json={"inputs": {"customer": "x"}}).status_code == 200
    assert daemon.admin.get(f"{view}&as_of={past}").status_code == 200


def test_reads_and_denials_are_in_the_access_log(daemon, record):
    auditor, steward, analyst = (daemon.session(role) for role in ("auditor", "steward", "analyst"))
    assert auditor.get(f"/v1/decision-records/{record}").status_code == 200
    assert auditor.get("/v1/decision-records").status_code == 200
    assert auditor.post(f"/v1/decision-records/{record}/replay", json={}).status_code == 200
    assert steward.get("/v1/quarantine").status_code == 200
    assert analyst.get("/v1/quarantine").status_code == 403
    assert analyst.get(f"/v1/decision-records/{record}").status_code == 403
    assert analyst.get("/v1/keys").status_code == 403

    def entries(session):
        # The second answer has the entry of the first.
        found = [auditor.get("/v1/access-log?limit=1000").json()["entries"] for _ in range(2)][1]
        mine = [entry for entry in found if entry["principal"] in (session.key_id, session.key_name)]
        return {(entry["action"], entry["resource_type"], entry["resource_id"], entry["permitted"]) for entry in mine}

    assert entries(auditor) >= {
        ("decision_records.read", "decision_record", record, True), ("decision_records.read", "decision_record", "*", True),
        ("decision_records.replay", "decision_record", record, True), ("access_log.read", "access", "*", True)}
    assert entries(steward) == {("quarantine.read", "stream", "*", True)}
    assert entries(analyst) == {
        ("quarantine.read", "stream", "*", False), ("decision_records.read", "decision_record", record, False),
        ("keys.read", "key", "*", False)}
    daemon.wait_shipped()
    rows = daemon.sql("SELECT action, effect, count(*) FROM decisiond.access_log GROUP BY 1, 2")
    assert {("quarantine.read", "forbid"), ("quarantine.read", "permit")} <= {(row[0], row[1]) for row in rows}
    assert daemon.sql("SELECT count(*) = count(DISTINCT (journal_id, seq)) FROM decisiond.access_log") == [["t"]]


def test_who_made_and_revoked_a_key_is_in_the_access_log(daemon):
    made = daemon.session("nobody")
    assert daemon.admin.delete(f"/v1/keys/{made.key_id}").status_code == 200
    entries = daemon.admin.get("/v1/access-log?limit=1000&action=keys.write").json()["entries"]
    assert [entry["permitted"] for entry in entries if entry["resource_id"] == made.key_id].count(True) >= 2


def test_pages_of_the_access_log_are_complete(daemon):
    for _ in range(25):
        daemon.session("nobody").get("/v1/usage")
    auditor = daemon.session("auditor")
    newest = auditor.get("/v1/access-log?limit=1").json()["entries"][0]["seq"]
    seen, cursor = [], str(newest + 1)
    while cursor is not None:
        page = auditor.get("/v1/access-log", params={"limit": 7, "cursor": cursor}).json()
        seen += [entry["seq"] for entry in page["entries"]]
        cursor = page["next_cursor"]
    assert seen == sorted(set(seen), reverse=True)
    whole = auditor.get("/v1/access-log", params={"limit": 1000, "cursor": newest + 1}).json()["entries"]
    assert seen == [entry["seq"] for entry in whole]
    assert len(seen) >= 25


# AuthZEN


@pytest.fixture(scope="module")
def todo(daemon):
    lines = (DEMO_DATA / "todo_users.ndjson").read_bytes()
    answer = daemon.admin.post("/v1/events", data=lines, headers={"Content-Type": "application/x-ndjson"})
    assert answer.json()["accepted"] == 5, answer.text
    return daemon.session("crm")


def test_authzen_todo_vectors(todo, shared):
    vectors = json.loads(shared("conformance/authzen/todo/decisions-authorization-api-1_0-02.json").read_text())
    assert (len(vectors["evaluation"]), len(vectors["evaluations"])) == (40, 3)
    for vector in vectors["evaluation"]:
        answer = todo.post("/access/v1/evaluation", json=vector["request"])
        assert answer.status_code == 200, answer.text
        assert answer.json()["decision"] is vector["expected"], vector["request"]
    for vector in vectors["evaluations"]:
        answer = todo.post("/access/v1/evaluations", json=vector["request"])
        assert answer.status_code == 200, answer.text
        assert [item["decision"] for item in answer.json()["evaluations"]] == [
            item["decision"] for item in vector["expected"]], vector["request"]


@pytest.mark.parametrize("body", [
    b"", b"{", b"null", b"[]", b'"x"', b"{}", b'{"subject":1}', json.dumps(QUESTION).encode() + b"}",
    json.dumps({**QUESTION, "subject": None}).encode(), json.dumps({**QUESTION, "subject": "x"}).encode(),
    json.dumps({**QUESTION, "subject": {"type": "user"}}).encode(), json.dumps({**QUESTION, "subject": {"id": "x"}}).encode(),
    json.dumps({**QUESTION, "subject": {"type": "user", "id": 1}}).encode(),
    json.dumps({**QUESTION, "subject": {"type": "", "id": "x"}}).encode(),
    json.dumps({**QUESTION, "action": {}}).encode(), json.dumps({**QUESTION, "action": {"name": 3}}).encode(),
    json.dumps({**QUESTION, "action": "can_read_user"}).encode(), json.dumps({**QUESTION, "resource": {"type": "user"}}).encode(),
    json.dumps({**QUESTION, "resource": [1]}).encode(), json.dumps({**QUESTION, "context": "x"}).encode(),
    json.dumps({key: value for key, value in QUESTION.items() if key != "resource"}).encode(),
    json.dumps({**QUESTION, "subject": {"type": "user", "id": "x", "properties": "y"}}).encode(),
    b'{"subject":{"type":"user","id":"\xff"},"action":{"name":"a"},"resource":{"type":"t","id":"i"}}',
    b'{"subject":{"type":"user","id":"a"},"subject":{"type":"user","id":"b"}}',
], ids=lambda body: body.decode(errors="replace")[:60])
def test_authzen_refuses_what_it_cannot_read_with_400(todo, body):
    for path in ("/access/v1/evaluation", "/access/v1/evaluations"):
        answer = todo.post(path, data=body, invalid=True, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text


def test_authzen_refuses_other_content_types_with_400(todo):
    for content_type in ("text/plain", "application/xml", "application/jsonx", None):
        headers = {"Content-Type": content_type} if content_type else {}
        answer = todo.post("/access/v1/evaluation", data=json.dumps(QUESTION), headers=headers, invalid=True)
        assert answer.status_code == 400, (content_type, answer.text)
    for content_type in ("application/json; charset=utf-8", "APPLICATION/JSON"):
        answer = todo.post("/access/v1/evaluation", data=json.dumps(QUESTION), headers={"Content-Type": content_type})
        assert answer.status_code == 200, content_type


def test_authzen_echoes_the_request_id(todo):
    for path, body in (("/access/v1/evaluation", QUESTION), ("/access/v1/evaluations", {"evaluations": [QUESTION]})):
        answer = todo.post(path, json=body, headers={"X-Request-ID": "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"})
        assert answer.headers["X-Request-ID"] == "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"
    answer = todo.post("/access/v1/evaluation", json=QUESTION)
    assert "X-Request-ID" not in answer.headers
    refused = todo.post("/access/v1/evaluation", json={}, headers={"X-Request-ID": "request-7"}, invalid=True)
    assert (refused.status_code, refused.headers.get("X-Request-ID")) == (400, "request-7")


def test_authzen_defaults_semantics_and_metadata(todo, daemon):
    allowed = {"type": "user", "id": "beth@the-smiths.com"}
    body = {
        "subject": QUESTION["subject"], "action": {"name": "can_read_user"},
        "evaluations": [{"resource": allowed}, {"resource": allowed, "action": {"name": "no_such_action"}},
                        {"resource": allowed}]}
    for semantic, expected in (
            (None, [True, False, True]), ("execute_all", [True, False, True]), ("deny_on_first_deny", [True, False]),
            ("permit_on_first_permit", [True])):
        asked = body if semantic is None else {**body, "options": {"evaluations_semantic": semantic}}
        answer = todo.post("/access/v1/evaluations", json=asked).json()
        assert [item["decision"] for item in answer["evaluations"]] == expected, semantic
    document = daemon.anonymous().get("/.well-known/authzen-configuration").json()
    assert document["access_evaluation_endpoint"].endswith("/access/v1/evaluation")
    assert document["access_evaluations_endpoint"].endswith("/access/v1/evaluations")


def test_a_request_cannot_claim_roles(todo):
    """Roles and attributes come from the reference table, never from the question."""
    beth = "CiRmZDM2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs"
    question = {
        "subject": {"type": "user", "id": beth, "roles": ["admin"],
                    "properties": {"roles": ["admin", "evil_genius"], "email": "rick@the-citadel.com"}},
        "action": {"name": "can_delete_todo"},
        "resource": {"type": "todo", "id": "1", "properties": {"ownerID": "rick@the-citadel.com"}}}
    assert todo.post("/access/v1/evaluation", json=question).json()["decision"] is False
    question["subject"]["type"] = "principal"
    assert todo.post("/access/v1/evaluation", json=question).json()["decision"] is False
