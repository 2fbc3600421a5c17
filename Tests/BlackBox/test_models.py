"""The registry of models: registering, promoting, taking back, cards, scores, explanations. Expected numbers are those of the
libraries that trained the models, from the shared golden rows."""
import csv
import gzip
import hashlib
import json
import math
import struct

import pytest
import yaml

import decisions
import retail
from daemon import eventually

GERMAN = "xgboost/xgb3_binary_logistic.ubj"


@pytest.fixture(scope="module")
def made(make_daemon):
    return make_daemon()


@pytest.fixture(scope="module")
def index(shared):
    return {entry["name"]: entry for entry in json.loads((shared("data/models/index.json")).read_text())["models"]}


@pytest.fixture
def golden(shared):
    def read(name):
        return json.loads(shared(f"data/models/golden/{name}.json").read_text())
    return read


def upload(session, name, artifact, **parts):
    """Registers a version as a form: the file, and a part per member."""
    files = {"artifact": ("model", artifact, "application/octet-stream")}
    for key, value in parts.items():
        files[key] = (None, value if isinstance(value, str) else json.dumps(value))
    return session.post(f"/v1/models/{name}/versions", files=files)


def promote(session, name, version, stage="champion", reason="a test wants it", **more):
    return session.post(f"/v1/models/{name}/promote", json={"version": version, "stage": stage, "reason": reason, **more})


def artifact(shared, relative):
    content = shared(f"data/models/{relative}").read_bytes()
    return gzip.decompress(content) if relative.endswith(".gz") else content


def float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def rows_of(document):
    return [{name: value for name, value in zip(document["features"], row["x"])} for row in document["rows"]]


def test_a_version_is_registered_and_used_once_promoted(made, shared, golden):
    document = golden("xgb3_binary_logistic")
    content = artifact(shared, GERMAN)
    answer = upload(made.admin, "german", content, owner="cleo", description="Default of a loan", comment="first",
                    card={"purpose": "Limits", "metrics": {"auc": 0.78}},
                    golden={"tolerance": 0, "rows": [{"x": row["x"], "margin": row["margin"], "pred": row["pred"]}
                                                     for row in document["rows"][:50]]})
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["version"], found["stage"], found["format"]) == (1, "candidate", "xgboost_ubjson")
    assert found["sha256"] == hashlib.sha256(content).hexdigest()
    assert found["golden"] == {"rows": 50, "agreeing": 50, "bit_for_bit": 50}
    assert answer.headers["Location"] == "/v1/models/german/versions/1"
    # A candidate is no champion: who names no version gets none.
    none = made.admin.post("/v1/models/german/score", json={"record": {}})
    assert (none.status_code, none.json()["code"]) == (404, "no_champion")
    rows = rows_of(document)
    by_version = made.admin.post("/v1/models/german/score", json={"records": rows, "version": 1})
    assert by_version.status_code == 200, by_version.text
    for row, result in zip(document["rows"], by_version.json()["results"], strict=True):
        assert float32(result["score"]) == float32(row["pred"][0]) and float32(result["margin"]) == float32(row["margin"][0])
    assert promote(made.admin, "german", 1, expected_champion=3).status_code == 412
    told = promote(made.admin, "german", 1, reason="The committee's decision of May")
    assert told.status_code == 200, told.text
    assert told.json()["champion"] == 1
    stages = told.json()["versions"][0]["stages"]
    assert [(stage["stage"], stage["reason"]) for stage in stages] == [
        ("candidate", "first"), ("champion", "The committee's decision of May")]
    one = made.admin.post("/v1/models/german/score", json={"record": rows[0]})
    assert one.json()["result"] == by_version.json()["results"][0]
    # Promoting what is champion already changes nothing.
    assert promote(made.admin, "german", 1).json() == told.json()
    made.wait_shipped()
    assert made.sql("SELECT version, stage, reason FROM decisiond.model_stage WHERE name = 'german' ORDER BY seq") == [
        ["1", "candidate", "first"], ["1", "champion", "The committee's decision of May"]]


def test_json_names_an_artifact_that_is_there(made, shared):
    content = artifact(shared, "sklearn/skl_retail_scorecard.json")
    hash_of = hashlib.sha256(content).hexdigest()
    body = {"artifact": {"sha256": hash_of}, "comment": "by hash"}
    missing = made.admin.post("/v1/models/card-by-hash/versions", json={"artifact": {"sha256": "0" * 64}})
    assert missing.status_code == 422 and missing.json()["errors"][0]["code"] == "artifact_missing"
    assert made.admin.put(f"/v1/artifacts/{hash_of}", data=content,
                          headers={"Content-Type": "application/octet-stream"}).status_code == 200
    assert made.admin.post("/v1/models/card-by-hash/versions", json=body).json()["version"] == 1


def test_what_does_not_hold_is_refused(made, shared, golden):
    content = artifact(shared, GERMAN)
    rows = golden("xgb3_binary_logistic")["rows"]

    def refused(code, pointer=None, status=422, **parts):
        answer = upload(made.admin, "refused", parts.pop("content", content), **parts)
        assert answer.status_code == status, answer.text
        errors = answer.json().get("errors", [])
        assert code in [answer.json()["code"]] + [error["code"] for error in errors], answer.text
        assert pointer is None or pointer in [error["pointer"] for error in errors], answer.text

    refused("golden_mismatch", "/spec/golden/rows/0/pred", golden=[{"x": rows[0]["x"], "pred": [0.123]}])
    refused("golden_mismatch", golden=[{"inputs": {"duration_months": 6}, "score": 2}])
    refused("golden_missing_field", golden=[{"x": rows[0]["x"]}])
    refused("missing_field", "/spec/golden/rows/0", golden=[{"score": 1}])
    refused("unknown_input", "/spec/features/0/name", features=[{"name": "shoe_size", "type": "number"}])
    refused("unknown_input", "/spec/reasons/codes/0/feature",
            reasons={"codes": [{"feature": "shoe_size", "code": "R1", "text": "Feet"}]})
    refused("value_not_allowed", features=[{"name": "duration_months", "type": "weight"}])
    refused("type_mismatch", "/spec/card/review_date", card={"review_date": "soon"})
    refused("unknown_field", "/spec/colour", colour="red")
    refused("malformed_yaml", status=400, card="{")
    refused("value_not_allowed", "/stage", stage="champion")
    refused("out_of_range", "/spec/output", model={"output": 7})
    refused("model_invalid_ubjson", "/artifact", content=content[:len(content) // 2])
    # Nothing of it is there.
    assert made.admin.get("/v1/models/refused").json()["code"] == "unknown_model"
    for body, type in ((b"x", "multipart/form-data"), (b"--b\r\n", "multipart/form-data; boundary=b"),
                       (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", "multipart/form-data; boundary=b")):
        answer = made.admin.post("/v1/models/refused/versions", data=body, headers={"Content-Type": type}, invalid=True)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_form")


def test_hostile_files_are_refused_and_controls_load(made, shared):
    manifest = json.loads(shared("data/models/hostile/manifest.json").read_text())
    for entry in manifest["reject"]:
        answer = upload(made.admin, "hostile", artifact(shared, f"hostile/{entry['file']}"))
        assert answer.status_code == 422 and answer.json()["errors"][0]["code"].startswith("model_"), (entry, answer.text)
    for entry in manifest["controls"]:
        answer = upload(made.admin, "hostile", artifact(shared, f"hostile/{entry['file']}"))
        assert answer.status_code == 201, (entry, answer.text)
    assert (len(manifest["reject"]), len(manifest["controls"])) == (39, 10)


def test_a_decision_follows_the_champion_and_back(make_daemon, shared):
    made = make_daemon()
    retail.load(made.admin)
    decisions.make_patient(made)
    with open(shared("data/features/score_at.csv")) as file:
        row = next(row for row in csv.DictReader(file) if row["count_90d"] != "0")
    before = decisions.offer(made.admin, row)
    assert before["model"]["version"] == 1
    small = artifact(shared, "xgboost/xgb3_retail_small.json")
    assert upload(made.admin, "retail-repurchase", small, comment="smaller").json()["version"] == 2
    assert decisions.offer(made.admin, row)["score"] == before["score"]
    assert promote(made.admin, "retail-repurchase", 2).status_code == 200
    after = decisions.offer(made.admin, row)
    assert after["model"]["version"] == 2 and after["score"] != before["score"]
    # A model that needs what no view gives does not become champion.
    assert upload(made.admin, "retail-repurchase", artifact(shared, GERMAN)).json()["version"] == 3
    refused = promote(made.admin, "retail-repurchase", 3)
    assert refused.status_code == 422 and refused.json()["errors"][0]["code"] == "unbound_model_input"
    # Nor one that takes numbers where the decision has texts.
    assert upload(made.admin, "credit-risk", artifact(shared, GERMAN)).status_code == 201
    refused = promote(made.admin, "credit-risk", 2)
    assert refused.status_code == 422 and refused.json()["errors"][0]["code"] == "text_for_number"
    # Records of both versions replay to their own scores.
    for record in (before, after):
        assert decisions.replay(made.admin, record["id"])["identical"] is True
    # PostgreSQL away: a bad champion can be taken back all the same, and a restart still scores.
    made.restart(kill=True)
    made.wait_connected()
    made.wait_shipped()
    back = made.admin.post("/v1/models/retail-repurchase/rollback", json={"reason": "approves too much"})
    assert back.status_code == 200 and back.json()["champion"] == 1
    assert decisions.offer(made.admin, row)["score"] == before["score"]
    stages = {version["version"]: version["stage"] for version in back.json()["versions"]}
    assert stages == {1: "champion", 2: "retired", 3: "candidate"}
    assert promote(made.admin, "retail-repurchase", 3, stage="shadow").json()["versions"][2]["stage"] == "shadow"
    assert promote(made.admin, "retail-repurchase", 1, stage="retired").json()["code"] == "is_champion"
    assert promote(made.admin, "retail-repurchase", 9).status_code == 404
    retired = made.admin.post("/v1/models/retail-repurchase/score", json={"record": {}, "version": 2})
    assert (retired.status_code, retired.json()["code"]) == (404, "version_retired")
    again = made.admin.post("/v1/models/retail-repurchase/rollback", json={"reason": "it was not that bad"})
    assert again.json()["champion"] == 2


def test_the_registry_outlives_a_restart_without_the_database(make_daemon, cluster, shared, golden):
    made = make_daemon(snapshot_frames=1)
    document = golden("lgb4_binary")
    content = artifact(shared, "lightgbm/lgb4_binary.txt")
    assert upload(made.admin, "lgb", content).status_code == 201
    assert upload(made.admin, "lgb", content, stage="challenger", comment="again").json()["version"] == 2
    assert promote(made.admin, "lgb", 1).status_code == 200
    listed = made.admin.get("/v1/models/lgb").json()
    rows = rows_of(document)
    scores = made.admin.post("/v1/models/lgb/score", json={"records": rows}).json()["results"]
    made.stop()
    url, made.database_url = made.database_url, "host=127.0.0.1 port=1 user=nobody dbname=none connect_timeout=1"
    try:
        made.start(wait=False)
        made.wait_ready()
        assert made.admin.get("/v1/models/lgb").json() == listed
        assert made.admin.post("/v1/models/lgb/score", json={"records": rows}).json()["results"] == scores
        challenger = made.admin.post("/v1/models/lgb/score", json={"records": rows, "version": 2}).json()
        assert challenger["results"] == scores and challenger["model"]["version"] == 2
        assert promote(made.admin, "lgb", 2).json()["champion"] == 2
        assert upload(made.admin, "lgb", content).json()["code"] == "postgres_unavailable"
    finally:
        made.stop()
        made.database_url = url
        made.start()


def test_inputs_follow_their_declared_types_and_policies(made, shared):
    features = [{"name": "duration_months", "type": "integer", "missing": "refuse"},
                {"name": "credit_amount", "type": "number", "missing": {"default": 1000}},
                {"name": "purpose", "type": "category", "categories": ["A40", "A41", "A410"], "unknown": "refuse"},
                {"name": "checking_status", "type": "category", "categories": ["A11", "A12", "A13", "A14"],
                 "missing": {"default": "A14"}}]
    assert upload(made.admin, "typed", artifact(shared, GERMAN), features=features).status_code == 201
    assert promote(made.admin, "typed", 1).status_code == 200

    def score(**record):
        return made.admin.post(
            "/v1/models/typed/score", json={"record": {"duration_months": 6, **record}}, invalid="purpose" in record)
    assert score().status_code == 200
    refused = made.admin.post("/v1/models/typed/score", json={"records": [{"duration_months": 6}, {"credit_amount": 3}]})
    assert refused.json()["errors"][0] | {"detail": ""} == {
        "code": "missing_value", "pointer": "/records/1/duration_months", "detail": ""}
    assert score(duration_months=6.5).json()["errors"][0]["code"] == "type_mismatch"
    assert score(duration_months="6").json()["errors"][0]["code"] == "type_mismatch"
    assert score(purpose="A99").json()["errors"][0]["code"] == "unknown_category"
    assert score(purpose=[1]).json()["errors"][0]["code"] == "type_mismatch"
    # Defaults stand in for what is missing, names for their codes.
    assert score().json()["result"] == score(credit_amount=1000, checking_status=3).json()["result"]
    assert score(purpose="A410").json()["result"] == score(purpose=2).json()["result"]
    told = score(shoe_size=46, credit_amount=None).json()["data_quality"]
    assert told["ignored"] == ["shoe_size"] and told["missing"]["credit_amount"] == 1 and "duration_months" not in told["missing"]
    columns = made.admin.post("/v1/models/typed/score", json={
        "columns": ["credit_amount", "duration_months"], "rows": [[1000, 6], [None, 6]]}).json()["results"]
    assert columns[0] == columns[1] == score().json()["result"]


def test_scores_of_many_rows_are_those_of_one(made, shared, golden):
    document = golden("xgb3_multi_softprob")
    assert upload(made.admin, "multi", artifact(shared, "xgboost/xgb3_multi_softprob.json"), output="1").status_code == 201
    assert promote(made.admin, "multi", 1).status_code == 200
    names = document["features"]
    body = {"columns": names, "rows": [row["x"] for row in document["rows"]] * 20}
    results = made.admin.post("/v1/models/multi/score", json=body).json()["results"]
    assert len(results) == 20 * len(document["rows"])
    for row, result in zip(document["rows"] * 20, results):
        assert [float32(value) for value in result["values"]] == [float32(value) for value in row["pred"]]
        assert [float32(value) for value in result["margin"]] == [float32(value) for value in row["margin"]]
        assert result["score"] == result["values"][1]


@pytest.mark.parametrize("name, file", [
    ("xgb3_binary_missing", "xgboost/xgb3_binary_missing.json"), ("lgb4_categorical", "lightgbm/lgb4_categorical.txt"),
    ("xgb3_gblinear", "xgboost/xgb3_gblinear.json")])
def test_explanations_add_up_and_are_the_librarys(made, shared, golden, name, file):
    document = golden(name)
    expected = json.loads(gzip.decompress(shared(f"data/models/contribs/{name}.json.gz").read_bytes()))
    assert upload(made.admin, name, artifact(shared, file)).status_code == 201
    rows = rows_of(document)[:40]
    answer = made.admin.post(f"/v1/models/{name}/score", json={"records": rows, "explain": True, "version": 1})
    assert answer.status_code == 200, answer.text
    for wanted, result in zip(expected["rows"], answer.json()["results"]):
        told = result["explanation"]
        got = [item["contribution"] for item in told["contributions"]] + [told["bias"]]
        assert all(abs(a - b) <= 1e-4 * max(1, abs(b)) for a, b in zip(got, wanted[0], strict=True))
        assert abs(told["residual"]) <= 1e-4 * max(1, abs(told["margin"]))
        assert math.isclose(sum(got), told["margin"], rel_tol=1e-4, abs_tol=1e-4)


def test_cards(made, shared):
    card = {"owner": "risk", "purpose": "Loan <limits>", "limitations": "Not | for mortgages",
            "training_data": {"rows": 1000, "from": "1994"}, "metrics": {"auc": 0.7812, "note": "5-fold"},
            "approval": {"by": "committee", "at": "2026-05-01"}, "review_date": "2027-05-01"}
    reasons = {"codes": [{"feature": "duration_months", "code": "LONG", "text": "The loan runs long"}]}
    assert upload(made.admin, "carded", artifact(shared, GERMAN), card=yaml.safe_dump(card),
                  reasons=reasons, description="A model").status_code == 201
    found = made.admin.get("/v1/models/carded/card").json()
    for key in ("owner", "purpose", "limitations", "training_data", "metrics", "review_date"):
        assert found[key] == card[key]
    assert found["approval"] == {"by": "committee", "at": "2026-05-01", "note": None}
    assert found["reasons"] == reasons["codes"] and len(found["features"]) == 20
    page = made.admin.get("/v1/models/carded/card", headers={"Accept": "text/markdown"})
    assert page.headers["Content-Type"].startswith("text/markdown")
    assert page.text == made.admin.get("/v1/models/carded/card?format=markdown").text
    assert page.text.startswith("# carded, version 1\n")
    assert "Loan &lt;limits&gt;" in page.text and "| auc | 0.7812 |" in page.text and "| to be reviewed | 2027-05-01 |" in page.text
    assert made.admin.get("/v1/models/carded/card?version=2").status_code == 404
    assert made.admin.get("/v1/models/carded/card?format=pdf", invalid=True).status_code == 422


def test_who_may_do_what(made):
    # By role of the demo's policies: what of reading, scoring, registering and promoting is permitted.
    paths = {"score": "score", "write": "versions", "promote": "promote", "rollback": "rollback"}
    for role, permitted in (("analyst", {"score"}), ("crm", {"score"}), ("scientist", {"score", "write"}),
                            ("risk", {"score", "promote", "rollback"}), ("ingest", set())):
        session = made.session(role)
        assert (session.get("/v1/models").status_code == 200) == (role != "ingest"), role
        for name, path in paths.items():
            answer = session.post(f"/v1/models/german/{path}", json={}, invalid=True)
            assert (answer.status_code == 403) == (name not in permitted), (role, path)
    assert made.anonymous().get("/v1/models").status_code == 401


def test_requests_to_score_that_cannot_be_read(made):
    def code(body):
        answer = made.admin.post("/v1/models/german/score", json=body, invalid=True)
        assert answer.status_code == 422, answer.text
        return answer.json()["errors"][0]["code"], answer.json()["errors"][0]["pointer"]
    assert code([]) == ("type_mismatch", "")
    assert code({}) == ("missing_field", "")
    assert code({"record": {}, "records": [{}]}) == ("missing_field", "")
    assert code({"records": []}) == ("out_of_range", "/records")
    assert code({"records": [1]}) == ("type_mismatch", "/records/0")
    assert code({"rows": [[1]]}) == ("missing_field", "")
    assert code({"columns": ["a", "a"], "rows": [[1, 2]]}) == ("duplicate_value", "/columns/1")
    assert code({"columns": ["a"], "rows": [[1, 2]]}) == ("wrong_width", "/rows/0")
    assert code({"record": {}, "version": 0}) == ("out_of_range", "/version")
    assert code({"record": {}, "explain": 1}) == ("type_mismatch", "/explain")
    assert code({"record": {}, "reasons": 21}) == ("out_of_range", "/reasons")
    assert code({"record": {}, "shape": 1}) == ("unknown_field", "/shape")
    assert made.admin.post("/v1/models/nobody/score", json={"record": {}}).json()["code"] == "unknown_model"
    assert made.admin.post("/v1/models/german/score", json={"record": {}, "version": 9}).json()["code"] == "unknown_version"


def test_files_that_are_lost_come_back_from_the_database(make_daemon, shared, golden):
    made = make_daemon()
    content = artifact(shared, GERMAN)
    assert upload(made.admin, "german", content).status_code == 201
    assert promote(made.admin, "german", 1).status_code == 200
    made.stop()
    lost = made.data / "artifacts" / hashlib.sha256(content).hexdigest()
    assert lost.read_bytes() == content
    lost.write_bytes(content[:-1])
    made.start(wait=False)
    made.wait_ready()
    eventually(lambda: made.admin.post("/v1/models/german/score", json={"record": rows_of(golden(
        "xgb3_binary_logistic"))[0]}).status_code == 200, "the file is whole again")
    assert lost.read_bytes() == content


REASONS = {"adverse": "higher", "limit": 3, "codes": [
    {"feature": "duration_months", "code": "LOAN_TERM", "text": "Term of the loan", "adverse_text": "The term is long"},
    {"feature": "credit_amount", "code": "LOAN_SIZE", "text": "Amount of the loan"},
    {"feature": "checking_status", "code": "ACCOUNT", "text": "State of the accounts"},
    {"feature": "savings", "code": "ACCOUNT", "text": "State of the accounts"}]}


def test_reasons_are_the_strongest_contributions(made, shared, golden):
    assert upload(made.admin, "reasoned", artifact(shared, GERMAN), reasons=REASONS).status_code == 201
    assert promote(made.admin, "reasoned", 1).status_code == 200
    rows = rows_of(golden("xgb3_binary_logistic"))[:60]
    told = 0
    for limit in (None, 1):
        body = {"records": rows, "explain": True} | ({"reasons": limit} if limit else {})
        for result in made.admin.post("/v1/models/reasoned/score", json=body).json()["results"]:
            moved = {item["feature"]: item["contribution"] for item in result["explanation"]["contributions"]}
            sums = {"LOAN_TERM": moved["duration_months"], "LOAN_SIZE": moved["credit_amount"],
                    "ACCOUNT": moved["checking_status"] + moved["savings"]}
            wanted = [code for code, value in sorted(sums.items(), key=lambda item: -item[1]) if value > 0][:limit or 3]
            assert [reason["code"] for reason in result["reasons"]] == wanted
            for reason in result["reasons"]:
                assert math.isclose(reason["contribution"], sums[reason["code"]], rel_tol=1e-12)
                assert reason["code"] != "LOAN_TERM" or reason["text"] == "The term is long"
            assert result["explanation"]["additive"] is True
            told += len(wanted)
    assert told > 60


def test_reasons_of_a_scorecard_are_points_below_the_best(made, shared, golden):
    card = json.loads(artifact(shared, "sklearn/skl_retail_scorecard.json"))
    codes = [{"feature": item["feature"], "code": f"C{index}", "text": item["feature"]}
             for index, item in enumerate(card["characteristics"])]
    assert upload(made.admin, "points", json.dumps(card), reasons={"adverse": "lower", "codes": codes}).status_code == 201
    document = golden("skl_retail_scorecard")
    answer = made.admin.post("/v1/models/points/score", json={
        "records": rows_of(document)[:50], "explain": True, "version": 1, "reasons": 20}).json()

    def points(item, value):
        if value is None:
            return item["missing"]["points"]
        return next(each["points"] for each in item["bins"] if (each["lower"] is None or value >= each["lower"])
                    and (each["upper"] is None or value < each["upper"]))
    for row, result in zip(rows_of(document), answer["results"]):
        below = {}
        for index, item in enumerate(card["characteristics"]):
            best = max([each["points"] for each in item["bins"]] + [item["missing"]["points"]])
            below[f"C{index}"] = points(item, row[item["feature"]]) - best
        wanted = [code for code, value in sorted(below.items(), key=lambda pair: pair[1]) if value < 0]
        assert [reason["code"] for reason in result["reasons"]] == wanted
        for reason in result["reasons"]:
            assert math.isclose(reason["contribution"], below[reason["code"]], rel_tol=1e-9)
        assert result["explanation"]["additive"] is True


def drift_rows(shared, name):
    with open(shared(f"data/drift/{name}.csv")) as file:
        return list(csv.DictReader(file))


def typed(row, categorical):
    """A row of the CSV as a record: empty is null, numbers are numbers."""
    return {name: None if value == "" else value if name in categorical else float(value) for name, value in row.items()}


@pytest.mark.parametrize("sample", ["no_shift", "moderate_shift", "strong_shift"])
def test_drift_of_what_was_scored_is_that_of_the_shared_figures(made, shared, golden, sample):
    categories = golden("xgb3_binary_logistic")["categories"]
    expected = json.loads(shared("data/drift/expected.json").read_text())["results"][sample]
    name, reference = f"drift-{sample.replace('_', '-')}", shared("data/drift/reference.csv").read_text()
    answer = made.admin.post(f"/v1/models/{name}/versions", files={
        "artifact": ("model", artifact(shared, GERMAN)), "categories": (None, json.dumps(categories)),
        "reference": ("reference.csv", reference)})
    assert answer.status_code == 201, answer.text
    assert promote(made.admin, name, 1).status_code == 200
    assert made.admin.get(f"/v1/models/{name}/drift").json()["features"][0]["psi"] is None
    rows = [typed(row, categories) for row in drift_rows(shared, sample)]
    half = len(rows) // 2
    scores = made.admin.post(f"/v1/models/{name}/score", json={"records": rows[:half]}).json()["results"]
    scores += made.admin.post(f"/v1/models/{name}/score", json={"records": rows[half:]}).json()["results"]
    # A category that the model does not know is counted apart, so its name is not a bin; the shared samples have none.
    told = made.admin.get(f"/v1/models/{name}/drift").json()
    assert told["complete"] is True
    assert {item["name"] for item in told["features"]} == set(expected)
    for item in told["features"]:
        wanted = expected[item["name"]]
        assert (item["kind"], item["rows"]) == (wanted["kind"], len(rows)), item["name"]
        assert math.isclose(item["psi"], wanted["psi"], rel_tol=1e-9, abs_tol=1e-12), item["name"]
        assert item["band"] == ("major" if wanted["psi"] >= 0.25 else "moderate" if wanted["psi"] >= 0.1 else "stable")
        if wanted["kind"] == "numeric":
            assert math.isclose(item["ks"], wanted["ks"], rel_tol=1e-12) and item["ks_max"] == item["ks"]
            assert math.isclose(item["ks_p"], wanted["ks_p_scipy_asymp"], rel_tol=1e-6, abs_tol=1e-12)
            assert math.isclose(item["ks_p_limit"], wanted["ks_p_kolmogorov"], rel_tol=1e-6, abs_tol=1e-12)
            assert [bin["current"] for bin in item["bins"]] == wanted["current_proportions"]
        nulls = sum(row[item["name"]] is None for row in rows)
        assert math.isclose(item["null_rate"], nulls / len(rows))
    assert told["score"]["rows"] == len(scores) and told["score"]["psi"] is not None
    # Hours are kept in PostgreSQL, and a restart adds to them.
    made.restart()
    made.wait_connected()
    assert made.admin.get(f"/v1/models/{name}/drift").json() == told
    made.admin.post(f"/v1/models/{name}/score", json={"record": rows[0]})
    assert made.admin.get(f"/v1/models/{name}/drift").json()["score"]["rows"] == len(scores) + 1
    assert made.admin.get(f"/v1/models/{name}/drift?to=2020-01-01T00:00:00Z").json()["score"]["rows"] == 0
    refused = made.admin.get(f"/v1/models/{name}/drift?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z")
    assert refused.status_code == 422


def test_decisions_count_as_drift_and_unknown_categories_apart(make_daemon, shared):
    made = make_daemon()
    decision = decisions.document("credit-limit")
    reference = shared("data/drift/reference.csv").read_text()
    document = next(item for item in yaml.safe_load_all(
        (decisions.daemons.DEMO_DEFINITIONS / "models" / "models.yaml").read_text()) if item["name"] == "credit-risk")
    answer = made.admin.post("/v1/models/credit-risk/versions", files={
        "artifact": ("model", artifact(shared, GERMAN)), "categories": (None, json.dumps(document["spec"]["categories"])),
        "reference": ("reference.csv", reference)})
    assert answer.status_code == 201, answer.text
    decisions.apply(made, decisions.with_timeouts(decision))
    assert promote(made.admin, "credit-risk", answer.json()["version"]).status_code == 200
    inputs = {"checking_status": "A11", "duration_months": 6, "credit_history": "A34", "purpose": "A43",
              "credit_amount": 1169, "savings": "A65", "employment_since": "A75", "age_years": 67}
    for _ in range(3):
        assert decisions.decide(made.admin, decisions.CREDIT, inputs)["model"]["version"] == answer.json()["version"]
    made.admin.post("/v1/models/credit-risk/score", json={"record": {**inputs, "purpose": "A999"}})
    told = {item["name"]: item for item in made.admin.get("/v1/models/credit-risk/drift").json()["features"]}
    assert told["purpose"]["rows"] == 4 and told["purpose"]["unknown_rate"] == 0.25
    assert told["housing"]["null_rate"] == 1.0 and told["housing"]["reference_null_rate"] == 0.0
    # Why the decision's score is what it is, from its record.
    record = decisions.decide(made.admin, decisions.CREDIT, inputs)
    told = made.admin.post(f"/v1/decision-records/{record['id']}/replay", json={"explain": True}).json()
    assert told["identical"] is True and told["explanations"][0]["model"] == "credit-risk"
    assert told["explanations"][0]["explanation"]["additive"] is True
