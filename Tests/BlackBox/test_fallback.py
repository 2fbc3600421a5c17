"""The ordered steps of a decision: when a model is withdrawn, missing, corrupt or too slow, the next step answers."""
import pytest

import decisions
import retail

STEPS = ["retail-repurchase@1", "retail-repurchase-lgb@1", "retail-scorecard@1", "constant"]
SAMPLE = slice(3, None, 20)


def sample():
    """Some rows of score_at.csv."""
    return retail.rows("data/features/score_at.csv")[SAMPLE]


@pytest.fixture
def fallen(make_daemon):
    """A daemon of its own with the events of the sample's customers and decisions without tight budgets."""
    daemon = make_daemon()
    retail.load(daemon.admin, [row["customer"] for row in sample()])
    decisions.make_patient(daemon)
    yield daemon
    assert daemon.stop() == 0


def artifact(daemon, model):
    """The file of a model on the daemon's disk."""
    document = daemon.admin.get(f"/v1/definitions/Model/{model}").json()["document"]
    path = daemon.data / "artifacts" / document["spec"]["artifact"]["sha256"]
    assert path.is_file()
    return path


def withdraw(daemon, model):
    answer = daemon.admin.delete(f"/v1/definitions/Model/{model}")
    assert answer.status_code == 200, answer.text


def restart_alone(daemon):
    """Restarts it with what its own disk holds: neither PostgreSQL nor the start directory can heal anything."""
    daemon.wait_shipped()
    daemon.database_url = None
    daemon.definitions = None
    daemon.restart()


def check_answers(daemon, causes):
    """Every answer comes from the first step without a cause; answer, record, health and replay agree.

    `causes`: one per step that fails, in order."""
    number = len(causes) + 1
    fallback = {"step": number, "used": STEPS[number - 1], "cause": causes[0]} if causes else None
    for row in sample():
        answer = decisions.offer(daemon.admin, row)
        if number <= len(decisions.PREDICTIONS):
            assert answer["score"] == retail.number(row[decisions.PREDICTIONS[number - 1]]), row
            name, version = STEPS[number - 1].split("@")
            assert answer["model"] == {"name": name, "version": int(version), "role": "champion"}
        else:
            assert answer["score"] == retail.number("0.35")
            assert answer["model"] is None
        assert answer["fallback"] == fallback
        offer, discount, reason, _ = decisions.expected_offer(
            answer["score"], retail.number(row["sum_90d"]), retail.number(row["days_since_last"]))
        assert answer["outputs"] == {"offer": offer, "discount_pct": discount}
        assert [item["code"] for item in answer["reasons"]] == [reason]
    stored = decisions.record(daemon.admin, answer["id"])
    assert stored["result"]["fallback"] == fallback
    assert [(step["node"], step["step"], step["cause"]) for step in stored["steps"]] == [
        ("repurchase", index + 1, cause) for index, cause in enumerate([*causes, None])]
    assert stored["steps"][-1]["used"] == STEPS[number - 1]
    replayed = decisions.replay(daemon.admin, answer["id"])
    assert replayed["identical"] is True, replayed
    return answer


def health(daemon):
    body = daemon.admin.get("/v1/decide/retention-offer/health").json()
    return body["status"], [item["cause"] for item in body["steps"]]


def test_withdrawn_one_after_the_other(fallen):
    """Each withdrawal moves the answers one step on, to the constant; records of before still replay."""
    ids = [check_answers(fallen, [])["id"]]
    assert health(fallen) == ("ok", [None, None, None])
    causes = []
    for model in decisions.MODELS:
        withdraw(fallen, model)
        causes.append("model_withdrawn")
        assert health(fallen) == ("degraded", causes + [None] * (3 - len(causes)))
        ids.append(check_answers(fallen, causes)["id"])
    fallen.restart(kill=True)
    check_answers(fallen, causes)
    for number, identity in enumerate(ids, start=1):
        assert decisions.replay(fallen.admin, identity)["identical"] is True, f"answered by step {number}"
    # The other decision is not touched.
    assert fallen.admin.get("/v1/decide/credit-limit/health").json()["status"] == "ok"


def test_withdrawn_and_published_again(fallen):
    document = fallen.admin.get("/v1/definitions/Model/retail-repurchase").json()["document"]
    withdraw(fallen, "retail-repurchase")
    answer = fallen.admin.get("/v1/definitions/Model/retail-repurchase")
    assert (answer.status_code, answer.json()["code"]) == (404, "retired_definition")
    answer = fallen.admin.delete("/v1/definitions/Model/retail-repurchase")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_definition")
    check_answers(fallen, ["model_withdrawn"])
    decisions.apply(fallen, document)
    row = sample()[0]
    answer = decisions.offer(fallen.admin, row)
    assert answer["fallback"] is None
    assert answer["model"] == {"name": "retail-repurchase", "version": 2, "role": "champion"}
    assert answer["score"] == retail.number(row["xgb3_retail_repurchase_pred"])
    assert health(fallen)[0] == "ok"


def degraded(daemon):
    return {(item["component"], item["code"]) for item in daemon.admin.get("/readyz").json()["degraded"]}


def test_missing(fallen):
    """The artifact is gone from the disk."""
    artifact(fallen, "retail-repurchase").unlink()
    restart_alone(fallen)
    assert health(fallen) == ("degraded", ["model_missing", None, None])
    assert ("Model/retail-repurchase", "model_missing") in degraded(fallen)
    check_answers(fallen, ["model_missing"])


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "another_model"])
def test_corrupt(fallen, damage):
    """The artifact's bytes are not what its name says."""
    path = artifact(fallen, "retail-repurchase")
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes({
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:],
        "cut": whole[:middle],
        "empty": b"",
        "another_model": artifact(fallen, "retail-repurchase-lgb").read_bytes(),
    }[damage])
    restart_alone(fallen)
    assert health(fallen) == ("degraded", ["model_corrupt", None, None])
    assert ("Model/retail-repurchase", "model_corrupt") in degraded(fallen)
    check_answers(fallen, ["model_corrupt"])


def test_everything_unusable(fallen):
    """Missing, corrupt and withdrawn at once: the constant answers, the record names every cause."""
    withdraw(fallen, "retail-scorecard")
    missing, corrupt = artifact(fallen, "retail-repurchase"), artifact(fallen, "retail-repurchase-lgb")
    missing.unlink()
    corrupt.write_bytes(corrupt.read_bytes()[1:])
    restart_alone(fallen)
    causes = ["model_missing", "model_corrupt", "model_withdrawn"]
    assert health(fallen) == ("degraded", causes)
    check_answers(fallen, causes)


@pytest.mark.parametrize("timeouts", [{1: 0}, {1: 0.001}, {1: 0.001, 2: 0}, {1: 0, 2: 0.001, 3: 0}], ids=str)
def test_too_slow(fallen, timeouts):
    """A step that has no time is passed over; the replay does not depend on how fast it is."""
    decisions.apply(fallen, decisions.with_timeouts(decisions.document("retention-offer"), timeouts))
    check_answers(fallen, ["model_timeout"] * len(timeouts))


def test_first_cause_is_told(fallen):
    """Withdrawn, then too slow: the answer names the first cause, the record both."""
    decisions.apply(fallen, decisions.with_timeouts(decisions.document("retention-offer"), {2: 0}))
    withdraw(fallen, "retail-repurchase")
    check_answers(fallen, ["model_withdrawn", "model_timeout"])


def test_a_last_step_that_fails_leaves_null(fallen):
    """Without a constant there may be no score: null, with a warning, and still an answer."""
    definition = decisions.with_timeouts(decisions.document("retention-offer"), {1: 0, 2: 0, 3: 0})
    definition["spec"]["nodes"][0]["model"]["steps"].pop()
    decisions.apply(fallen, definition)
    answer = decisions.offer(fallen.admin, sample()[0])
    assert answer["score"] is None and answer["model"] is None
    assert {"code": "no_score", "subject": "repurchase"} in answer["warnings"]
    assert decisions.replay(fallen.admin, answer["id"])["identical"] is True
