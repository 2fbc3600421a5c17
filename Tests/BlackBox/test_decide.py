"""Decisions on served features and on the request alone, against the predictions of the original libraries."""
import datetime
import json
from decimal import Decimal

import pytest

import decisions
import retail
from conftest import shared_path

MEMBERS = {
    "id", "decision", "version", "outputs", "score", "model", "fallback", "reasons", "matched_rules", "warnings",
    "experiment", "as_of", "features_seq", "latency_ms", "seq"}


@pytest.fixture(scope="module")
def ready(daemon):
    """The daemon with the whole retail file and decisions without tight budgets."""
    retail.load(daemon.admin)
    decisions.make_patient(daemon)
    return daemon


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_every_row_of_score_at(ready):
    """Events -> features -> score -> offer for 500 (customer, time) pairs: bit for bit, and so recorded."""
    rows = retail.rows("data/features/score_at.csv")
    assert len(rows) == 500
    wrong = []
    for row in rows:
        answer = decisions.offer(ready.admin, row)
        assert set(answer) == MEMBERS
        assert answer["fallback"] is None
        assert answer["model"] == {"name": "retail-repurchase", "version": 1, "role": "champion"}
        # The shortest decimal of a float32 names one float32.
        wanted = Decimal(row["xgb3_retail_repurchase_pred"])
        if answer["score"] != wanted:
            wrong.append((row["customer"], row["as_of"], answer["score"], wanted))
        offer, discount, reason, rule = decisions.expected_offer(
            wanted, retail.number(row["sum_90d"]), retail.number(row["days_since_last"]))
        assert answer["outputs"] == {"offer": offer, "discount_pct": discount}, row
        assert [item["code"] for item in answer["reasons"]] == [reason]
        assert all(item["text"] for item in answer["reasons"])
        [matched] = answer["matched_rules"]
        assert (matched["table"], matched["rule_id"]) == ("offer", rule)
        assert matched["inputs"] == {
            "repurchase": wanted, "value_90d": retail.number(row["sum_90d"]),
            "customer_purchases.days_since_last": retail.number(row["days_since_last"])}
        assert moment(answer["as_of"]) == moment(row["as_of"])
        assert answer["experiment"] is None and answer["warnings"] == []
        stored = decisions.record(ready.admin, answer["id"])
        values = stored["features"]["customer_purchases"]["values"]
        assert retail.differences(values, row, retail.score_at_columns(row)) == [], row
        assert stored["result"]["score"] == answer["score"]
    assert wrong == [], f"{len(wrong)} scores differ"


def test_one_event_changes_the_score(ready):
    """A purchase that was just acknowledged is in the next decision."""
    customer = next(
        row["customer"] for row in retail.rows("data/features/score_at.csv") if row["days_since_last"] not in ("", "0.0"))
    before = decisions.decide(ready.admin, decisions.OFFER, {"customer": customer})
    now = datetime.datetime.now(datetime.timezone.utc)
    event = {
        "specversion": "1.0", "id": "fresh", "source": "/test/decide", "type": "com.example.retail.purchase",
        "subject": customer, "time": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "datacontenttype": "application/json",
        "data": {"invoice": "1", "product": "22114", "quantity": 500, "amount": 2500.5}}
    answer = ready.admin.post(
        "/v1/events", data=json.dumps(event), headers={"Content-Type": "application/cloudevents+json"})
    assert answer.json()["accepted"] == 1, answer.text
    [result] = answer.json()["results"]
    after = decisions.decide(ready.admin, decisions.OFFER, {"customer": customer})
    assert after["score"] != before["score"]
    assert after["features_seq"] >= result["seq"] > before["features_seq"]
    assert after["seq"] > result["seq"]
    values = [
        decisions.record(ready.admin, answer["id"])["features"]["customer_purchases"]["values"]
        for answer in (before, after)]
    assert (values[0]["count_1h"], values[1]["count_1h"]) == (0, 1)
    assert values[1]["sum_1h"] == Decimal("2500.5") and values[1]["max_quantity_30d"] == 500


def test_as_of_without_known_at_leaks_nothing(ready):
    row = next(row for row in retail.rows("data/features/score_at.csv") if int(row["count_1h"]) > 0)
    answer = decisions.decide(ready.admin, decisions.OFFER, {"customer": row["customer"]}, as_of=row["as_of"])
    values = decisions.record(ready.admin, answer["id"])["features"]["customer_purchases"]["values"]
    assert values["count_90d"] == 0 and values["days_since_last"] is None
    assert answer["outputs"]["offer"] == "none" and [item["code"] for item in answer["reasons"]] == ["NO_HISTORY"]


# Credit limit: from the request alone.

def german():
    """Golden rows of the model as applications: (inputs, expected probability)."""
    golden = json.loads(shared_path("data/models/golden/xgb3_binary_logistic.json").read_text(), parse_float=Decimal)
    encoding = golden["categories"]
    known = {
        tuple(sorted((name, value) for name, value in row.items() if name != "default"))
        for row in retail.rows("data/datasets/german_credit.csv")}
    found = []
    for row in golden["rows"]:
        if row["kind"] != "data":
            continue
        inputs = {
            name: encoding[name][int(value)] if name in encoding else int(value)
            for name, value in zip(golden["features"], row["x"])}
        assert tuple(sorted((name, str(value)) for name, value in inputs.items())) in known
        found.append((inputs, row["pred"][0]))
    return found


def test_credit_limit_of_real_applications(ready):
    """The golden applications: score, approval, limit, flags, reasons and rules."""
    applications = german()
    assert len(applications) >= 100
    seen = set()
    for inputs, wanted in applications:
        answer = decisions.decide(ready.admin, decisions.CREDIT, inputs)
        assert answer["score"] == wanted, inputs
        approve, limit, flags, reasons, rules = decisions.expected_credit(wanted, inputs)
        assert answer["outputs"] == {"approve": approve, "limit": limit, "flags": flags}, inputs
        assert [item["code"] for item in answer["reasons"]] == reasons
        assert [(item["table"], item["rule_id"]) for item in answer["matched_rules"]] == rules
        assert answer["matched_rules"][0]["inputs"] == {"pd": wanted, "duration_months": inputs["duration_months"]}
        assert set(answer) == MEMBERS and answer["fallback"] is None
        assert answer["model"] == {"name": "credit-risk", "version": 1, "role": "champion"}
        seen.update(reasons)
    assert seen == set(decisions.document("credit-limit")["spec"]["reasons"]["codes"]), "every reason is reached"


def application(**changes):
    inputs = dict(german()[0][0])
    inputs.update(changes)
    return {name: value for name, value in inputs.items() if value is not ...}


def test_optional_inputs_may_be_left_out_or_null(ready):
    """A missing optional input is missing for the model, and null is the same."""
    left_out = decisions.decide(ready.admin, decisions.CREDIT, application(telephone=..., housing=...))
    null = decisions.decide(ready.admin, decisions.CREDIT, application(telephone=None, housing=None))
    assert left_out["score"] == null["score"] and left_out["outputs"] == null["outputs"]
    assert decisions.record(ready.admin, null["id"])["inputs"]["telephone"] is None


@pytest.mark.parametrize("changes, pointer", [
    ({"duration_months": ...}, "/inputs/duration_months"),
    ({"duration_months": None}, "/inputs/duration_months"),
    ({"duration_months": "24"}, "/inputs/duration_months"),
    ({"duration_months": True}, "/inputs/duration_months"),
    ({"duration_months": 0}, "/inputs/duration_months"),
    ({"duration_months": 121}, "/inputs/duration_months"),
    ({"checking_status": "A15"}, "/inputs/checking_status"),
    ({"checking_status": 11}, "/inputs/checking_status"),
    ({"checking_status": ["A11"]}, "/inputs/checking_status"),
    ({"shoe_size": 42}, "/inputs/shoe_size"),
])
def test_wrong_inputs(ready, changes, pointer):
    answer = ready.admin.post(decisions.CREDIT, json={"inputs": application(**changes)}, invalid=True)
    assert answer.status_code == 422, answer.text
    body = answer.json()
    assert body["code"] == "invalid_request"
    assert [error["pointer"] for error in body["errors"]] == [pointer]


def test_all_wrong_inputs_are_told_at_once(ready):
    answer = ready.admin.post(
        decisions.CREDIT, json={"inputs": application(duration_months=0, purpose="?", age_years="old"), "colour": 1},
        invalid=True)
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {
        "/inputs/duration_months", "/inputs/purpose", "/inputs/age_years", "/colour"}


@pytest.mark.parametrize("body, content_type, status, code", [
    (b"", "application/json", 400, "malformed_json"),
    (b'{"inputs":', "application/json", 400, "malformed_json"),
    (b'{"inputs":{"customer":"1"},"inputs":{"customer":"2"}}', "application/json", 400, "malformed_json"),
    (b'{"inputs":{"customer":"\xff"}}', "application/json", 400, "malformed_json"),
    (b'{"inputs":' + b"[" * 2000 + b"]" * 2000 + b"}", "application/json", 400, "malformed_json"),
    (b"[]", "application/json", 400, "not_an_object"),
    (b"inputs: {}", "application/yaml", 415, "unsupported_media_type"),
    (b"{}", "application/json", 422, "invalid_request"),
    (b'{"inputs":null}', "application/json", 422, "invalid_request"),
    (b'{"inputs":{"customer":"1"},"as_of":"now"}', "application/json", 422, "invalid_request"),
    (b'{"inputs":{"customer":"1"},"as_of":"2999-01-01T00:00:00Z"}', "application/json", 422, "invalid_request"),
    (b'{"inputs":{"customer":"1"},"known_at":1}', "application/json", 422, "invalid_request"),
    (b'{"inputs":{"customer":"1"},"deadline_ms":0}', "application/json", 422, "invalid_request"),
    (b'{"inputs":{"customer":"1"},"deadline_ms":60001}', "application/json", 422, "invalid_request"),
    (b'{"inputs":{"customer":"1"},"deadline_ms":1.5}', "application/json", 422, "invalid_request"),
    (b'{"inputs":{"customer":"1"},"deadline_ms":"10"}', "application/json", 422, "invalid_request"),
])
def test_wrong_requests(ready, body, content_type, status, code):
    answer = ready.admin.post(decisions.OFFER, data=body, headers={"Content-Type": content_type}, invalid=True)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_unknown_decision(ready):
    answer = ready.admin.post("/v1/decide/no-such-decision", json={"inputs": {}}, invalid=True)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_decision")
    answer = ready.admin.get("/v1/decide/no-such-decision/health", invalid=True)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_decision")


def test_deadline(ready):
    """Inside its deadline a call is answered or refused by name; a generous one is answered."""
    answer = decisions.decide(ready.admin, decisions.OFFER, {"customer": "16791"}, deadline_ms=60000)
    assert answer["latency_ms"] > 0
    for _ in range(20):
        answer = ready.admin.post(decisions.OFFER, json={"inputs": {"customer": "16791"}, "deadline_ms": 1})
        assert answer.status_code == 200 or answer.json()["code"] == "record_not_durable", answer.text


def test_unknown_customer_is_answered(ready):
    """No history is no error: the model has its missing values, the table its own rule."""
    answer = decisions.decide(ready.admin, decisions.OFFER, {"customer": "nobody-knows-me", "channel": "web"})
    assert answer["outputs"] == {"offer": "none", "discount_pct": 0}
    assert [item["code"] for item in answer["reasons"]] == ["NO_HISTORY"]
    assert answer["model"]["name"] == "retail-repurchase"


def test_health(ready):
    body = ready.admin.get("/v1/decide/retention-offer/health").json()
    assert (body["decision"], body["status"]) == ("retention-offer", "ok")
    assert [(item["step"], item["model"], item["cause"]) for item in body["steps"]] == [
        (number, model, None) for number, model in enumerate(decisions.MODELS, start=1)]


def test_who_may_decide(ready):
    """A CRM decides now; as of another time is another right; without a key nobody."""
    crm = ready.session("crm")
    decisions.decide(crm, decisions.OFFER, {"customer": "16791"})
    answer = crm.post(decisions.OFFER, json={"inputs": {"customer": "16791"}, "as_of": "2011-02-01T00:00:00Z"})
    assert answer.status_code == 403
    analyst = ready.session("analyst")
    assert analyst.post(decisions.OFFER, json={"inputs": {"customer": "16791"}}).status_code == 403
    assert ready.anonymous().post(decisions.OFFER, json={"inputs": {"customer": "16791"}}).status_code == 401
