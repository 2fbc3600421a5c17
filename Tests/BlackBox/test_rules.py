"""Decisions that are DMN files, and the endpoint and commands with which rules are tried."""
import decimal
import json
import re
import subprocess

import daemon as daemons

DELIVERY = daemons.REPOSITORY / "deploy" / "demo" / "definitions" / "decisions" / "delivery.dmn"


def decide(daemon, name, **inputs):
    answer = daemon.admin.post(f"/v1/decide/{name}", json={"inputs": inputs})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_dmn_file_decides_with_its_rules_and_reasons(daemon):
    answer = decide(daemon, "delivery", **{"Order Amount": 500, "Weight": 40, "Is Urgent": True})
    assert answer["outputs"] == {"Delivery Class": "freight", "Delivery Fee": 41}
    assert answer["matched_rules"] == [
        {"table": "Delivery Class", "rule": 1, "rule_id": "heavy", "inputs": {"Weight": 40, "Urgent": True}}]
    assert [(reason["code"], reason["rule"]) for reason in answer["reasons"]] == [("HEAVY", 1)]
    assert answer["warnings"] == []
    free = decide(daemon, "delivery", **{"Order Amount": 100, "Weight": 2.5, "Is Urgent": False})
    assert free["outputs"] == {"Delivery Class": "standard", "Delivery Fee": 0}


def test_a_null_of_a_dmn_file_tells_why(daemon):
    answer = decide(daemon, "delivery", **{"Order Amount": 10, "Is Urgent": True})
    assert answer["outputs"]["Delivery Class"] is None
    warnings = [(warning["code"], warning["subject"]) for warning in answer["warnings"]]
    assert ("no_rule_matched", "Delivery Class") in warnings and ("output_null", "Delivery Class") in warnings
    spec = {"inputs": [{"name": "text", "type": "string"}],
            "nodes": [{"name": "amount", "type": "number", "expression": "number(text)"}],
            "outputs": [{"name": "double", "type": "number", "expression": "amount * 2"}]}
    assert apply(daemon, spec, "reading").status_code == 200
    (warning,) = decide(daemon, "reading", text="12,x")["warnings"]
    # The cause, not that the node is null.
    assert warning["code"] == "output_null" and warning["reason"].startswith("invalid_text: ")


def test_reasons_do_not_show_what_is_masked(daemon):
    spec = {"inputs": [{"name": "text", "type": "string", "classification": "personal"}],
            "outputs": [{"name": "amount", "type": "number", "expression": "number(text)"}]}
    assert apply(daemon, spec, "reading-masked").status_code == 200
    assert "secret" in decide(daemon, "reading-masked", text="secret")["warnings"][0]["reason"]
    caller = daemon.session("crm")
    hidden = caller.post("/v1/decide/reading-masked", json={"inputs": {"text": "secret"}},
                         headers={"Idempotency-Key": "reading-masked-1"})
    again = caller.post("/v1/decide/reading-masked", json={"inputs": {"text": "secret"}},
                        headers={"Idempotency-Key": "reading-masked-1"})
    assert hidden.status_code == again.status_code == 200
    assert [warning["code"] for warning in hidden.json()["warnings"]] == ["output_null"]
    assert "secret" not in hidden.text and "secret" not in again.text
    record = daemon.session("auditor").get(f"/v1/decision-records/{hidden.json()['id']}")
    assert record.status_code == 200 and "secret" not in record.text


def test_a_dmn_file_without_envelope_is_a_decision(tmp_path):
    main, base = tmp_path / "main.dmn", tmp_path / "base.dmn"
    base.write_text(DELIVERY.read_text().replace('name="Delivery"', 'name="Base"').replace(
        "https://example.com/decisions/delivery", "https://example.com/base"))
    main.write_text("""<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id="m" name="Order Route"
        xmlns:base="https://example.com/base" namespace="https://example.com/main">
      <import name="Base" namespace="https://example.com/base" importType="https://www.omg.org/spec/DMN/20230324/MODEL/"/>
      <decision name="Route" id="route"><variable name="Route" typeRef="string"/>
        <informationRequirement id="r"><requiredDecision href="https://example.com/base#d_class"/></informationRequirement>
        <literalExpression><text>upper case(Base.Delivery Class)</text></literalExpression></decision>
    </definitions>""")
    done = subprocess.run([daemons.binary(), "openapi", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # One decision, named after its model; the imported one is none of its own.
    assert [line.strip() for line in done.stdout.splitlines() if "/v1/decide/" in line and "Order-Route" in line]
    assert "/v1/decide/Base" not in done.stdout
    checked = subprocess.run([daemons.binary(), "check", str(tmp_path)], capture_output=True, text=True)
    assert checked.returncode == 0 and "1 definitions compile" in checked.stdout, checked.stdout


def test_a_dmn_decision_replays_to_the_same_bytes(daemon):
    answer = decide(daemon, "delivery", **{"Order Amount": 20, "Weight": 3, "Is Urgent": True})
    again = daemon.admin.post(f"/v1/decision-records/{answer['id']}/replay", json={}).json()
    assert again["identical"] is True
    changed = daemon.admin.post(
        f"/v1/decision-records/{answer['id']}/replay", json={"inputs": {"Weight": 31}}).json()
    assert changed["identical"] is False
    assert changed["replayed_result"]["outputs"]["Delivery Class"] == "freight"


def apply(daemon, spec, name, **rest):
    return daemon.admin.post("/v1/definitions/apply", json={
        "definitions": [{"kind": "Decision", "name": name, "domain": "retail", "owner": "ann", "spec": spec}], **rest})


def test_a_dmn_node_stands_beside_other_nodes(daemon):
    spec = {
        "inputs": [{"name": "grams", "type": "number"}, {"name": "urgent", "type": "boolean"}],
        "nodes": [
            {"name": "way", "dmn": {"model": DELIVERY.read_text(), "decisions": ["Delivery Class"],
                                    "inputs": {"Weight": "grams / 1000", "Is Urgent": "urgent"}}},
            {"name": "label", "type": "string", "expression": "upper case(Delivery Class)"}],
        "outputs": [{"name": "label", "type": "string", "expression": "label"}]}
    answer = apply(daemon, spec, "parcel")
    assert answer.status_code == 200, answer.text
    assert decide(daemon, "parcel", grams=900, urgent=True)["outputs"] == {"label": "EXPRESS"}


def test_a_model_that_cannot_run_is_refused_with_its_place(daemon):
    text = DELIVERY.read_text()
    unknown = text.replace("<text>Weight</text>", "<text>Wait</text>")
    answer = apply(daemon, {"dmn": {"model": unknown}}, "refused")
    problem = answer.json()["errors"][0]
    assert answer.status_code == 422 and problem["pointer"] == "/definitions/0/spec/dmn/model"
    assert problem["code"] == "unknown_name" and "line 24" in problem["detail"]
    broken = apply(daemon, {"dmn": {"model": text[:400]}}, "refused")
    assert broken.status_code == 422 and "line" in broken.json()["errors"][0]["detail"]
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + text.split("?>", 1)[1]
    refused = apply(daemon, {"dmn": {"model": bomb}}, "refused")
    assert refused.status_code == 422, refused.text
    java = text.replace("<encapsulatedLogic>", '<encapsulatedLogic kind="Java">')
    assert apply(daemon, {"dmn": {"model": java}}, "refused").status_code == 422
    missing = apply(daemon, {"dmn": {"model": text, "decisions": ["Nothing"]}}, "refused")
    assert missing.status_code == 422 and missing.json()["errors"][0]["pointer"].endswith("/dmn/decisions/0")


def test_classified_inputs_are_masked_in_the_traces_of_dmn_tables(daemon):
    spec = {"inputs": [{"name": "Weight", "type": "number", "classification": "personal"}],
            "dmn": {"model": DELIVERY.read_text(), "decisions": ["Delivery Class"]}}
    assert apply(daemon, spec, "masked-delivery").status_code == 200
    answer = daemon.session("crm").post("/v1/decide/masked-delivery", json={"inputs": {"Weight": 40, "Is Urgent": False}}).json()
    assert answer["outputs"] == {"Delivery Class": "freight"}
    assert answer["matched_rules"][0]["inputs"] == {"Weight": None, "Urgent": None}
    shown = decide(daemon, "masked-delivery", **{"Weight": 40, "Is Urgent": False})
    assert shown["matched_rules"][0]["inputs"]["Weight"] == 40


def replay(session, answer, **request):
    replayed = session.post(f"/v1/decision-records/{answer['id']}/replay", json=request)
    assert replayed.status_code == 200, replayed.text
    return replayed.json()


def test_a_replay_tells_the_rules_that_nearly_matched(daemon):
    """Of DMN tables and of those in a definition; nothing without asking, and of what a caller may not see no value."""
    answer = decide(daemon, "delivery", **{"Order Amount": 500, "Weight": 10, "Is Urgent": False})
    assert "near_misses" not in replay(daemon.admin, answer)
    heavy = {"table": "Delivery Class", "rule": 1, "rule_id": "heavy",
             "inputs": {"Weight": {"test": "> 30", "value": 10, "unknown": False}}}
    urgent = {"table": "Delivery Class", "rule": 2, "rule_id": "urgent",
              "inputs": {"Urgent": {"test": "true", "value": False, "unknown": False}}}
    told = replay(daemon.admin, answer, near_misses=1)
    assert told["identical"] is True and told["near_misses"] == [heavy, urgent]
    # With a changed input, what nearly matches then.
    told = replay(daemon.admin, answer, near_misses=1, inputs={"Weight": None})
    assert [(rule["rule"], rule["inputs"]["Weight"]["unknown"]) for rule in told["near_misses"]] == [(1, True), (3, True)]
    told = replay(daemon.admin, answer, near_misses=2, inputs={"Weight": None})
    assert [rule["rule"] for rule in told["near_misses"]] == [1, 3, 2]

    spec = {"inputs": [{"name": "age", "type": "number", "classification": "personal"}, {"name": "plan", "type": "string"}],
            "nodes": [{"name": "band", "table": {
                "hit_policy": "FIRST",
                "inputs": [{"expression": "age", "type": "number"}, {"expression": "plan", "type": "string"}],
                "outputs": [{"name": "band", "type": "string"}],
                "rules": [{"id": "young", "when": ["< 30", '"a"'], "then": ['"young"']},
                          {"id": "old", "when": ["-", "-"], "then": ['"old"']}]}}],
            "outputs": [{"name": "band", "type": "string", "expression": "band"}]}
    assert apply(daemon, spec, "near-band").status_code == 200
    answer = decide(daemon, "near-band", age=41.75, plan="b")
    assert replay(daemon.admin, answer, near_misses=1)["near_misses"] == []
    cells = {"age": {"test": "< 30", "value": 41.75, "unknown": False}, "plan": {"test": '"a"', "value": "b", "unknown": False}}
    (young,) = replay(daemon.admin, answer, near_misses=8)["near_misses"]
    assert young == {"table": "band", "rule": 1, "rule_id": "young", "inputs": cells}
    (young,) = replay(daemon.session("auditor"), answer, near_misses=8)["near_misses"]
    cells["age"]["value"] = None
    assert young["inputs"] == cells


def test_expressions_are_tried_with_their_trace(daemon):
    answer = daemon.admin.post("/v1/feel/evaluate", json={
        "expression": 'if amount > 1000 and country in ("DE", "FR") then "review" else "ok"',
        "context": {"amount": 1200.50, "country": "DE", "unused": 1}, "as_of": "2026-01-31T00:00:00Z"}).json()
    assert (answer["value"], answer["type"], answer["as_of"]) == ("review", "string", "2026-01-31T00:00:00.000Z")
    assert [(name["name"], name["value"]) for name in answer["trace"]["names"]] == [("amount", 1200.5), ("country", "DE")]
    exact = daemon.admin.post("/v1/feel/evaluate", json={"expression": "0.1 + 0.2"})
    assert '"value":0.3,' in exact.text
    today = daemon.admin.post("/v1/feel/evaluate", json={"expression": "today()", "as_of": "2026-01-31T00:00:00Z"})
    assert today.json()["value"] == "2026-01-31"
    null = daemon.admin.post("/v1/feel/evaluate", json={
        "expression": 'number("12,x", ",", ".") + nothing.here', "context": {"nothing": {}}}).json()
    assert null["value"] is None and null["trace"]["nulls"][0]["code"] in ("invalid_text", "missing")


def test_expressions_that_cannot_run_are_refused_with_their_place(daemon):
    for body, code in [
        ({"expression": "1 +\n + )"}, "syntax"), ({"expression": "unknown > 1", "profile": "strict"}, "unknown_name"),
    ]:
        answer = daemon.admin.post("/v1/feel/evaluate", json=body)
        problem = answer.json()["errors"][0]
        assert answer.status_code == 422 and problem["pointer"] == "/expression" and "line" in problem["detail"]
        assert problem["code"].startswith(code), problem
    deep = daemon.admin.post("/v1/feel/evaluate", json={"expression": "(" * 5000 + "1" + ")" * 5000})
    assert deep.status_code == 422
    endless = daemon.admin.post("/v1/feel/evaluate", json={
        "expression": "count(for a in 1..2000, b in 1..2000, c in 1..2000 return a)"}).json()
    assert endless["value"] is None and endless["trace"]["nulls"][0]["code"] == "limit"


def test_analysts_run_their_tests_from_the_command_line(tmp_path):
    done = subprocess.run(
        [daemons.binary(), "test", str(DELIVERY.parent), "--junit", str(tmp_path / "junit.xml")],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().splitlines()[-1] == "3 passed, 0 failed"
    assert (tmp_path / "junit.xml").read_text().count("<testcase") == 3
    (tmp_path / "context.json").write_text(json.dumps({"amount": 12}))
    done = subprocess.run(
        [daemons.binary(), "eval", "amount * 1.19", "--context", str(tmp_path / "context.json")],
        capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.splitlines()[0] == "14.28"
    assert subprocess.run([daemons.binary(), "eval", "1 +"], capture_output=True).returncode == 1


def examples():
    """The rows `| expression | value |` of the guide for analysts."""
    rows = []
    for line in (daemons.REPOSITORY / "deploy" / "guides" / "rules.md").read_text().splitlines():
        found = re.fullmatch(r"\| `(.+)` \| `(.+)` \|", line)
        if found:
            rows.append((found[1], json.loads(found[2], parse_float=decimal.Decimal)))
    return rows


def test_the_guide_tells_the_truth(daemon):
    rows = examples()
    assert len(rows) > 40
    wrong = []
    for expression, value in rows:
        answer = daemon.admin.post("/v1/feel/evaluate", json={"expression": expression})
        given = json.loads(answer.text, parse_float=decimal.Decimal)
        if answer.status_code != 200 or given["value"] != value:
            wrong.append((expression, value, given.get("value", answer.text)))
        elif value is None and expression != "null" and not given["trace"]["nulls"] and "null" not in expression:
            wrong.append((expression, "a reason", given["trace"]))
    assert not wrong


def table(*rules, policy="UNIQUE"):
    return {
        "inputs": [{"name": "amount", "type": "number"}],
        "nodes": [{"name": "tier", "table": {
            "hit_policy": policy, "inputs": [{"expression": "amount", "type": "number"}],
            "outputs": [{"name": "level", "type": "string"}],
            "rules": [{"when": [when], "then": [f'"{then}"']} for when, then in rules]}}],
        "outputs": [{"name": "tier", "type": "string", "expression": "tier"}]}


def test_tables_are_checked_when_they_are_published(daemon):
    overlap = apply(daemon, table(("< 10", "low"), (">= 5", "high")), "checked", dry_run=True)
    problem = overlap.json()["errors"][0]
    assert overlap.status_code == 422 and problem["code"] == "rules_overlap", problem
    assert problem["pointer"].startswith("/definitions/0/spec/nodes/0/table")
    gap = apply(daemon, table(("< 10", "low"), ("> 20", "high")), "checked", dry_run=True)
    assert gap.status_code == 200 and [warning["code"] for warning in gap.json()["warnings"]] == ["rules_gap"]
    hidden = apply(daemon, table(("-", "all"), ("> 20", "high"), policy="FIRST"), "checked", dry_run=True)
    assert "rule_unreachable" in [warning["code"] for warning in hidden.json()["warnings"]]
    assert hidden.json()["warnings"][0]["pointer"].startswith("/definitions/0/spec/nodes/0/table/rules/1")
    sound = apply(daemon, table(("< 10", "low"), (">= 10", "high"), ("null", "none")), "checked", dry_run=True)
    assert sound.status_code == 200 and sound.json()["warnings"] == []
