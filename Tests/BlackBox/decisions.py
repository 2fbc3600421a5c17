"""The demo's decisions as the tests need them: patient versions, expected answers, records."""
import copy
from decimal import Decimal

import yaml

import daemon as daemons
import retail

OFFER = "/v1/decide/retention-offer"
CREDIT = "/v1/decide/credit-limit"
MODELS = ["retail-repurchase", "retail-repurchase-lgb", "retail-scorecard"]
PREDICTIONS = ["xgb3_retail_repurchase_pred", "lgb4_retail_repurchase_pred", "skl_retail_scorecard_pred"]


def document(name):
    """A decision definition of the demo."""
    path = daemons.DEMO_DEFINITIONS / "decisions" / f"{name}.yaml"
    return yaml.safe_load(path.read_text())


def with_timeouts(definition, timeouts=None, deadline_ms=30000):
    """A copy in which model steps may take as long as they want, or `timeouts` [ms] by step number.

    The demo's budgets are for a machine that does nothing else; what a step answers does not depend on them."""
    made = copy.deepcopy(definition)
    made["spec"]["deadline_ms"] = deadline_ms
    for node in made["spec"]["nodes"]:
        for number, step in enumerate(node.get("model", {}).get("steps", []), start=1):
            if "model" in step:
                step["timeout_ms"] = (timeouts or {}).get(number, 20000)
    return made


def apply(daemon, *definitions):
    """Publishes definitions and reads the API's contract again."""
    answer = daemon.admin.post("/v1/definitions/apply", json={"definitions": list(definitions)})
    assert answer.status_code == 200, answer.text
    daemon.admin.reload()
    return answer.json()


def make_patient(daemon):
    """Publishes both decisions without tight budgets."""
    apply(daemon, *(with_timeouts(document(name)) for name in ("retention-offer", "credit-limit")))


def decide(session, path, inputs, headers=None, **members):
    """One decision; numbers as the decimals that were written."""
    answer = session.post(path, json={"inputs": inputs, **members}, headers=headers)
    assert answer.status_code == 200, answer.text
    return retail.exact(answer)


def offer(session, row, **members):
    """The retention offer for a row of score_at.csv at its time, with everything known."""
    return decide(session, OFFER, {"customer": row["customer"]}, as_of=row["as_of"], known_at="latest", **members)


def record(session, identity):
    """A DecisionRecord; numbers as the decimals that were written."""
    answer = session.get(f"/v1/decision-records/{identity}")
    assert answer.status_code == 200, answer.text
    return retail.exact(answer)


def replay(session, identity, **overrides):
    answer = session.post(f"/v1/decision-records/{identity}/replay", json=overrides)
    assert answer.status_code == 200, answer.text
    return retail.exact(answer)


def expected_offer(score, sum_90d, days_since_last):
    """The demo's table, written once more: (offer, discount, reason, rule id)."""
    value = sum_90d if sum_90d is not None else Decimal(0)
    if days_since_last is None:
        return "none", 0, "NO_HISTORY", "new"
    if score >= Decimal("0.6"):
        return "none", 0, "LIKELY_TO_RETURN", "loyal"
    if score < Decimal("0.3") and value >= 1000:
        return "call", 15, "VALUABLE_AT_RISK", "vip-at-risk"
    if score < Decimal("0.3") and 100 <= value < 1000:
        return "voucher", 10, "AT_RISK", "at-risk"
    if Decimal("0.3") <= score < Decimal("0.6") and value >= 100:
        return "voucher", 5, "UNDECIDED", "warm"
    return "reminder", 0, "LOW_VALUE", "default"


def expected_credit(score, inputs):
    """The demo's two tables, written once more: (approve, limit, flags, reason codes, matched rule ids)."""
    short = inputs["duration_months"] <= 24
    amount = Decimal(inputs["credit_amount"])
    if score < Decimal("0.2"):
        approve, share, reason, rule = True, "1" if short else "0.8", "LOW_RISK", "good-short" if short else "good-long"
    elif score < Decimal("0.45"):
        approve, share = short, "0.6" if short else "0"
        reason, rule = ("FAIR_RISK", "fair-short") if short else ("DURATION_TOO_LONG", "fair-long")
    else:
        approve, share, reason, rule = False, "0", "HIGH_RISK", "bad"
    flags = [
        (rule_id, flag, code) for rule_id, flag, code, hit in [
            ("overdrawn", "overdrawn", "OVERDRAWN", inputs["checking_status"] == "A11"),
            ("large", "large_amount", "LARGE_AMOUNT", amount > 10000),
            ("no-account", "no_account", None, inputs["checking_status"] == "A14")] if hit]
    return (
        approve, amount * Decimal(share) if approve else Decimal(0), [flag for _, flag, _ in flags],
        [reason] + [code for _, _, code in flags if code], [("tier", rule)] + [("flags", name) for name, _, _ in flags])


def nearly(found, wanted, tolerance=Decimal("1e-5")):
    """For models whose library states a tolerance."""
    return abs(found - Decimal(wanted)) <= tolerance
