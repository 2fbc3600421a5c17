"""DecisionRecords: there at once, the same wherever they lie, replayable, with outcomes; and Idempotency-Keys."""
import concurrent.futures
import http.client
import json
import uuid

import pytest

import daemon as daemons
import decisions
import retail


@pytest.fixture(scope="module")
def ready(daemon):
    """The daemon with some customers' events and decisions without tight budgets."""
    retail.load(daemon.admin, [row["customer"] for row in sample()])
    decisions.make_patient(daemon)
    return daemon


def sample():
    """Rows with purchases in the last days, so that every feature has a value."""
    rows = retail.rows("data/features/score_at.csv")
    return [row for row in rows if row["count_1h"] != "0" and row["count_30d"] != row["count_1h"]][:12]


def stored_text(daemon, identity):
    """The record in PostgreSQL, as text."""
    [[text]] = daemon.sql(f"SELECT record FROM decisiond.decision_record WHERE id = '{identity}'")
    return text


def without(answer, *names):
    return {name: value for name, value in answer.items() if name not in names}


def test_readable_at_once_and_complete(ready):
    """A record is there when the answer is, and holds what was decided, from what, by whom."""
    for row in sample():
        answer = decisions.offer(ready.admin, row)
        stored = decisions.record(ready.admin, answer["id"])
        assert (stored["id"], stored["decision"], stored["version"]) == (answer["id"], "retention-offer", answer["version"])
        assert (stored["as_of"], stored["features_seq"], stored["seq"]) == (
            answer["as_of"], answer["features_seq"], answer["seq"])
        assert stored["entity"] == row["customer"]
        assert stored["inputs"] == {"customer": row["customer"], "channel": None, "contact_note": None}
        assert stored["principal"] and stored["decided_at"] and stored["outcomes"] == []
        for name in ("outputs", "score", "model", "fallback", "reasons", "matched_rules", "warnings"):
            assert stored["result"][name] == answer[name], name
        view = stored["features"]["customer_purchases"]
        assert view["version"] == 1
        assert retail.differences(view["values"], row, retail.score_at_columns(row)) == []


def test_same_from_journal_postgres_and_after_restart(ready):
    """One record, three places, equal content; the bytes in PostgreSQL are those of the journal."""
    answer = decisions.offer(ready.admin, sample()[0])
    first = ready.admin.get(f"/v1/decision-records/{answer['id']}")
    ready.wait_shipped()
    second = ready.admin.get(f"/v1/decision-records/{answer['id']}")
    assert second.json()["shipped"] is True
    assert without(retail.exact(second), "shipped") == without(retail.exact(first), "shipped")
    stored = json.loads(stored_text(ready, answer["id"]))
    assert without(second.json(), "shipped", "seq", "outcomes") == stored
    for kill in (False, True):
        ready.restart(kill=kill)
        third = decisions.record(ready.admin, answer["id"])
        assert without(third, "shipped") == without(retail.exact(first), "shipped")


def test_no_record_is_lost_by_a_kill(ready):
    """Answered is recorded, also when the daemon dies at once."""
    answers = [decisions.offer(ready.admin, row) for row in sample()]
    ready.restart(kill=True)
    for answer in answers:
        stored = decisions.record(ready.admin, answer["id"])
        assert stored["result"]["score"] == answer["score"] and stored["seq"] == answer["seq"]
        assert decisions.replay(ready.admin, answer["id"])["identical"] is True
    ready.wait_shipped()
    ids = ", ".join(f"'{answer['id']}'" for answer in answers)
    stored = ready.sql(f"SELECT id, seq FROM decisiond.decision_record WHERE id IN ({ids})")
    assert sorted((identity, int(seq)) for identity, seq in stored) == sorted(
        (answer["id"], int(answer["seq"])) for answer in answers)


def test_list_of_records(ready):
    """Shipped records by decision and entity, newest first, in pages that overlap nowhere."""
    row = sample()[1]
    made = [decisions.offer(ready.admin, row)["id"] for _ in range(7)]
    ready.wait_shipped()
    found, cursor = [], None
    while True:
        parameters = {"decision": "retention-offer", "entity": row["customer"], "limit": 3}
        page = ready.admin.get(
            "/v1/decision-records", params=parameters | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["records"]) <= 3
        found += page["records"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    ids = [item["id"] for item in found]
    assert len(set(ids)) == len(ids) and ids[:7] == made[::-1]
    assert {(item["decision"], item["entity"]) for item in found} == {("retention-offer", row["customer"])}
    assert ready.admin.get("/v1/decision-records", params={"decision": "credit-limit"}).json()["records"] == []


@pytest.mark.parametrize("method, path", [
    ("GET", "/v1/decision-records/{}"), ("POST", "/v1/decision-records/{}/replay"),
    ("POST", "/v1/decision-records/{}/outcomes")])
def test_unknown_record(ready, method, path):
    body = {"name": "repaid", "value": True} if path.endswith("outcomes") else None
    for identity in (str(uuid.uuid4()), "not-a-uuid"):
        answer = ready.admin.request(method, path.format(identity), json=body, invalid=True)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_record"), answer.text


# Replay

def test_replay_is_identical_from_the_journal_and_from_postgres(ready):
    places = set()
    answers = [decisions.offer(ready.admin, row) for row in sample()]
    for _ in range(2):
        for answer in answers:
            replayed = decisions.replay(ready.admin, answer["id"])
            assert replayed["identical"] is True, replayed
            assert replayed["replayed_result"] == replayed["recorded_result"]
            assert replayed["recorded_result"]["score"] == answer["score"]
            places.add(replayed["recorded_from"])
        ready.wait_shipped()
    assert "postgres" in places


def test_replay_from_the_journal_alone(make_daemon):
    """Without any database a record is read and replayed from the journal."""
    daemon = make_daemon()
    decisions.make_patient(daemon)
    daemon.wait_shipped()
    daemon.database_url, daemon.definitions = None, None
    daemon.restart()
    answer = decisions.decide(daemon.admin, decisions.OFFER, {"customer": "16791"})
    for _ in range(2):
        assert decisions.record(daemon.admin, answer["id"])["result"]["score"] == answer["score"]
        replayed = decisions.replay(daemon.admin, answer["id"])
        assert (replayed["identical"], replayed["recorded_from"]) == (True, "journal")
        daemon.restart(kill=True)


def test_replay_with_another_value(ready):
    """One other feature or input in the request: not identical, and another result, which itself is reproducible."""
    row = sample()[0]
    answer = decisions.offer(ready.admin, row)
    same = decisions.replay(ready.admin, answer["id"], features={})
    assert same["identical"] is True
    changed = {"customer_purchases": {"days_since_last": 80.5}}
    other = decisions.replay(ready.admin, answer["id"], features=changed)
    assert other["identical"] is False
    assert other["recorded_result"]["score"] == answer["score"]
    assert other["replayed_result"]["score"] != answer["score"]
    # The record may have been shipped in between: it is then read from PostgreSQL.
    again = decisions.replay(ready.admin, answer["id"], features=changed)
    assert {**again, "recorded_from": ""} == {**other, "recorded_from": ""}
    note = decisions.replay(ready.admin, answer["id"], inputs={"contact_note": "called twice"})
    assert note["identical"] is False
    assert note["replayed_result"]["score"] == answer["score"], "no rule reads the note"


def test_every_stored_feature_counts(ready):
    """Altering any one stored value changes the bytes, also one that no tree of this row looks at."""
    answer = decisions.offer(ready.admin, sample()[2])
    values = decisions.record(ready.admin, answer["id"])["features"]["customer_purchases"]["values"]
    for name, value in values.items():
        altered = 1 if value is None else float(value) + 1
        replayed = decisions.replay(ready.admin, answer["id"], features={"customer_purchases": {name: altered}})
        assert replayed["identical"] is False, name


@pytest.mark.parametrize("overrides, pointer", [
    ({"colour": 1}, "/colour"), ({"inputs": 1}, "/inputs"), ({"features": []}, "/features"),
    ({"inputs": {"no_such_input": 1}}, "/inputs/no_such_input"),
    ({"inputs": {"customer": 1}}, "/inputs/customer"),
    ({"inputs": {"customer": None}}, "/inputs/customer"),
    ({"inputs": {"channel": "fax"}}, "/inputs/channel"),
    ({"features": {"no_such_view": {"x": 1}}}, "/features/no_such_view/x"),
    ({"features": {"customer_purchases": {"no_such_feature": 1}}}, "/features/customer_purchases/no_such_feature"),
    *(({"features": {"customer_purchases": {"count_1h": value}}}, "/features/customer_purchases/count_1h")
      for value in ("many", True, [1], {"a": 1})),
])
def test_replay_refuses_what_it_cannot_change(ready, overrides, pointer):
    answer = decisions.offer(ready.admin, sample()[0])
    refused = ready.admin.post(f"/v1/decision-records/{answer['id']}/replay", json=overrides, invalid=True)
    assert refused.status_code == 422, refused.text
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


def test_altered_in_the_database(make_daemon):
    """Somebody changes one stored feature value in PostgreSQL: the replay says that this is not what was decided."""
    daemon = make_daemon()
    row = sample()[0]
    retail.load(daemon.admin, [row["customer"]])
    decisions.make_patient(daemon)
    answer = decisions.offer(daemon.admin, row)
    daemon.wait_shipped()
    assert decisions.replay(daemon.admin, answer["id"])["identical"] is True
    text = stored_text(daemon, answer["id"])
    name, value = "days_since_last", row["days_since_last"]
    for old in (f'"{name}":{value}', f'"{name}":{float(value):.0f}'):
        if old + "}" in text or old + "," in text:
            break
    assert text.count(old) == 1, text
    altered = text.replace(old, f'"{name}":80.5')
    daemon.sql(f"UPDATE decisiond.decision_record SET record = $record${altered}$record$ WHERE id = '{answer['id']}'")
    replayed = decisions.replay(daemon.admin, answer["id"])
    assert replayed["recorded_from"] == "postgres"
    assert replayed["identical"] is False
    assert replayed["recorded_result"]["score"] == answer["score"]
    assert replayed["replayed_result"]["score"] != answer["score"]
    daemon.sql(f"UPDATE decisiond.decision_record SET record = $record${text}$record$ WHERE id = '{answer['id']}'")
    assert decisions.replay(daemon.admin, answer["id"])["identical"] is True


def test_replay_uses_the_versions_of_the_record(make_daemon):
    """A decision that was published anew does not change what an old record replays to."""
    daemon = make_daemon()
    row = sample()[0]
    retail.load(daemon.admin, [row["customer"]])
    decisions.make_patient(daemon)
    old = decisions.offer(daemon.admin, row)
    definition = decisions.with_timeouts(decisions.document("retention-offer"))
    definition["spec"]["nodes"][0]["model"]["steps"] = [{"constant": 0.9}]
    decisions.apply(daemon, definition)
    new = decisions.offer(daemon.admin, row)
    assert new["version"] == old["version"] + 1 and new["score"] == retail.number("0.9")
    assert new["fallback"] is None and new["model"] is None
    for _ in range(2):
        for answer in (old, new):
            replayed = decisions.replay(daemon.admin, answer["id"])
            assert replayed["identical"] is True and replayed["replayed_result"]["score"] == answer["score"]
        daemon.restart()


# Outcomes

def attach(session, identity, body, headers=None):
    answer = session.post(f"/v1/decision-records/{identity}/outcomes", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_outcomes_attach(ready):
    """Of an unshipped and a shipped record; shown at once, after shipping and after a restart."""
    answer = decisions.offer(ready.admin, sample()[0])
    first = attach(ready.admin, answer["id"], {"name": "accepted", "value": True, "occurred_at": "2026-01-02T03:04:05Z"})
    assert (first["decision_id"], first["name"], first["value"]) == (answer["id"], "accepted", True)
    assert first["occurred_at"].startswith("2026-01-02T03:04:05")
    ready.wait_shipped()
    second = attach(ready.admin, answer["id"], {"name": "revenue", "value": 120.25})
    for _ in range(3):
        shown = ready.admin.get(f"/v1/decision-records/{answer['id']}").json()["outcomes"]
        assert sorted(shown, key=lambda item: item["name"]) == [first, second]
        ready.wait_shipped()
        ready.restart(kill=True)
    rows = ready.sql(
        f"SELECT id, decision, decided_us FROM decisiond.outcome WHERE decision_id = '{answer['id']}' ORDER BY seq")
    [[decided_us]] = ready.sql(f"SELECT decided_us FROM decisiond.decision_record WHERE id = '{answer['id']}'")
    assert rows == [[item["id"], "retention-offer", decided_us] for item in (first, second)]
    # An outcome is not part of what was decided.
    assert decisions.replay(ready.admin, answer["id"])["identical"] is True


@pytest.mark.parametrize("body, pointer", [
    ({"value": 1}, "/name"), ({"name": "", "value": 1}, "/name"), ({"name": "x" * 129, "value": 1}, "/name"),
    ({"name": 1}, "/name"), ({"name": "a", "occurred_at": "yesterday"}, "/occurred_at"),
    ({"name": "a", "value": 1, "colour": 1}, "/colour"),
])
def test_wrong_outcomes(ready, body, pointer):
    answer = decisions.offer(ready.admin, sample()[0])
    refused = ready.admin.post(f"/v1/decision-records/{answer['id']}/outcomes", json=body, invalid=True)
    assert refused.status_code == 422, refused.text
    assert {error["pointer"] for error in refused.json()["errors"]} == {pointer}


# Idempotency

def keyed(session, key, row, **members):
    body = {"inputs": {"customer": row["customer"]}, "as_of": row["as_of"], "known_at": "latest", **members}
    return session.post(decisions.OFFER, json=body, headers={"Idempotency-Key": key})


def test_same_key_same_answer(ready):
    """Again, after shipping, after a restart and after kill -9: the first answer, and no second record."""
    row, key = sample()[0], str(uuid.uuid4())
    first = keyed(ready.admin, key, row)
    assert first.status_code == 200, first.text

    def check():
        again = keyed(ready.admin, key, row)
        assert again.status_code == 200, again.text
        assert without(retail.exact(again), "latency_ms") == without(retail.exact(first), "latency_ms")

    check()
    ready.wait_shipped()
    check()
    ready.restart()
    check()
    ready.restart(kill=True)
    check()
    ready.wait_shipped()
    [[count]] = ready.sql(f"SELECT count(*) FROM decisiond.decision_record WHERE id = '{first.json()['id']}'")
    assert count == "1"


def test_same_key_other_payload(ready):
    row, key = sample()[0], str(uuid.uuid4())
    first = keyed(ready.admin, key, row).json()
    for _ in range(2):
        refused = keyed(ready.admin, key, row, deadline_ms=50000)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused"), refused.text
        ready.restart()
    # The refusal changed nothing.
    assert keyed(ready.admin, key, row).json()["id"] == first["id"]


def test_another_principal_has_keys_of_its_own(ready):
    key = str(uuid.uuid4())
    sessions = [ready.session("crm"), ready.session("crm")]
    body = {"inputs": {"customer": sample()[0]["customer"]}}
    ids = []
    for session in sessions:
        answers = [session.post(decisions.OFFER, json=body, headers={"Idempotency-Key": key}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json()["id"] == answers[1].json()["id"]
        ids.append(answers[0].json()["id"])
    assert ids[0] != ids[1]


def test_another_decision_has_keys_of_its_own(ready):
    key = str(uuid.uuid4())
    offer = keyed(ready.admin, key, sample()[0])
    inputs = {
        "checking_status": "A11", "duration_months": 6, "credit_history": "A34", "purpose": "A43", "credit_amount": 1169,
        "savings": "A65", "employment_since": "A75", "age_years": 67}
    credit = ready.admin.post(decisions.CREDIT, json={"inputs": inputs}, headers={"Idempotency-Key": key})
    assert (offer.status_code, credit.status_code) == (200, 200), credit.text
    assert offer.json()["id"] != credit.json()["id"]


def test_a_refused_request_leaves_the_key_free(ready):
    row, key = sample()[0], str(uuid.uuid4())
    refused = ready.admin.post(
        decisions.OFFER, json={"inputs": {"customer": 1}}, headers={"Idempotency-Key": key}, invalid=True)
    assert refused.status_code == 422
    assert keyed(ready.admin, key, row).status_code == 200


@pytest.mark.parametrize("key", ["", "k" * 257])
def test_wrong_key(ready, key):
    answer = ready.admin.post(
        decisions.OFFER, json={"inputs": {"customer": "1"}}, headers={"Idempotency-Key": key}, invalid=True)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key"), answer.text


def test_two_keys_in_one_request(ready):
    """Which of two would hold? Neither is taken silently."""
    body = json.dumps({"inputs": {"customer": "1"}}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", ready.port, timeout=daemons.PATIENCE_S)
    connection.putrequest("POST", decisions.OFFER)
    for name, value in [
        ("Authorization", f"Bearer {ready.key}"), ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))), ("Idempotency-Key", str(uuid.uuid4())), ("Idempotency-Key", str(uuid.uuid4())),
    ]:
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    assert answer.status == 400, answer.read()
    connection.close()


def test_many_at_once_with_one_key(ready):
    """Eight threads, one key, many rounds: one decision each round, and everybody gets it."""
    sessions = [daemons.ApiSession(ready.url, ready.key) for _ in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for number in range(25):
            row, key = sample()[number % len(sample())], str(uuid.uuid4())
            answers = list(pool.map(lambda session: keyed(session, key, row), sessions))
            assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
            assert len({answer.json()["id"] for answer in answers}) == 1
            assert len({answer.json()["seq"] for answer in answers}) == 1
    ready.wait_shipped()


def test_outcomes_are_idempotent_too(ready):
    answer = decisions.offer(ready.admin, sample()[0])
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"name": "repaid", "value": True, "occurred_at": "2026-01-02T03:04:05Z"}
    first = attach(ready.admin, answer["id"], body, headers)
    assert attach(ready.admin, answer["id"], body, headers) == first
    ready.restart(kill=True)
    assert attach(ready.admin, answer["id"], body, headers) == first
    refused = ready.admin.post(
        f"/v1/decision-records/{answer['id']}/outcomes", json=body | {"value": False}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert decisions.record(ready.admin, answer["id"])["outcomes"] == [first]
