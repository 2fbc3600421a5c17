"""MLflow's scoring protocol: every form of body, and MLflow's own client, on models with known answers."""
import csv
import io
import json
import sys
import types

import numpy
import pandas
import pytest
from mlflow.pyfunc.scoring_server import client as mlflow_client

import scoring

BINARY, SEVERAL = "xgb3_binary_missing", "lgb4_multiclass"
WIDTHS = {BINARY: "float32", SEVERAL: "float64"}


@pytest.fixture(scope="module")
def models(make_daemon):
    daemon = make_daemon()
    scoring.publish(daemon, "xgboost/xgb3_binary_missing.json", BINARY)
    scoring.publish(daemon, "lightgbm/lgb4_multiclass.txt", SEVERAL)
    daemon.admin.reload()
    return daemon


def path(model):
    return f"/v1/models/{model}/invocations"


def predictions(session, model, body, headers=None):
    answer = session.post(path(model), json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["predictions"]
    return answer.json()["predictions"]


def check(found, golden, model, rows=slice(None)):
    wanted = golden.pred[rows]
    if len(wanted[0]) > 1:
        assert [len(row) for row in found] == [len(row) for row in wanted]
        found = scoring.flat(found)
    assert scoring.same_bits(found, scoring.flat(wanted), WIDTHS[model])


def forms(golden, rows):
    """The same rows in every JSON form."""
    x = golden.x[rows]
    records = [dict(zip(golden.features, row)) for row in x]
    backwards = [list(reversed(row)) for row in x]
    yield {"dataframe_split": {"columns": golden.features, "data": x, "index": list(range(len(x)))}}
    yield {"dataframe_split": {"columns": golden.features[::-1], "data": backwards}}
    yield {"dataframe_split": {"data": x}}
    yield {"dataframe_split": {"columns": list(range(len(golden.features))), "data": x}}
    yield {"dataframe_records": [{**record, "surplus": "x"} for record in records]}
    yield {"dataframe_records": [{key: cell for key, cell in record.items() if cell is not None} for record in records]}
    yield {"instances": x, "params": {"any": 1}}
    yield {"instances": records}
    yield {"inputs": x}
    yield {"inputs": golden.columns(rows)}
    yield {"inputs": {name: [[cell] for cell in cells] for name, cells in golden.columns(rows).items()}}


@pytest.mark.parametrize("model", [BINARY, SEVERAL])
def test_every_form_gives_the_golden_rows_bit_for_bit(models, model):
    golden = scoring.Golden(model)
    for body in forms(golden, slice(None)):
        check(predictions(models.admin, model, body), golden, model)
    for body in forms(golden, slice(3, 5)):
        check(predictions(models.admin, model, body), golden, model, slice(3, 5))
    check(predictions(models.admin, model, {"instances": golden.x[7]}), golden, model, slice(7, 8))


@pytest.mark.parametrize("model", [BINARY, SEVERAL])
def test_csv_as_pandas_writes_it(models, model):
    golden = scoring.Golden(model)
    frame = pandas.DataFrame(golden.array(), columns=golden.features)
    for options in ({"index": False}, {"index": True}, {"index": False, "lineterminator": "\r\n"}):
        for media_type in ("text/csv", "text/csv; charset=utf-8"):
            answer = models.admin.post(path(model), data=frame.to_csv(**options), headers={"Content-Type": media_type})
            assert answer.status_code == 200, answer.text
            check(answer.json()["predictions"], golden, model)


def test_csv_with_names_of_categories(models):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["purpose", "age_years", "telephone"])
    writer.writerow(["A43", 30, ""])
    writer.writerow(["3", "4.1e1", "nowhere"])
    answer = models.admin.post(path("credit-risk"), data=out.getvalue(), headers={"Content-Type": "text/csv"})
    rows = [{"purpose": "A43", "age_years": 30}, {"purpose": "A42", "age_years": 41}]
    assert answer.json()["predictions"] == predictions(models.admin, "credit-risk", {"dataframe_records": rows})


def test_the_model_of_invocations(models):
    golden = scoring.Golden(BINARY)
    body = {"instances": golden.x[:2]}
    for answer in (
            models.admin.post("/invocations", json=body, params={"model": BINARY}),
            models.admin.post("/invocations", json=body, headers={"Decisiond-Model": BINARY}),
            models.admin.post("/invocations", json=body, params={"model": BINARY, "version": 1}),
            models.admin.post(path(BINARY), json=body, params={"version": 1})):
        assert answer.status_code == 200, answer.text
        check(answer.json()["predictions"], golden, BINARY, slice(2))
    unnamed = models.admin.post("/invocations", json=body)
    assert unnamed.status_code == 400 and unnamed.json()["error_code"] == "BAD_REQUEST"
    for query in ({"model": "nobody"}, {"model": BINARY, "version": 9}):
        answer = models.admin.post("/invocations", json=body, params=query)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    answer = models.admin.post("/invocations", json=body, params={"model": BINARY, "version": "x"}, invalid=True)
    assert answer.status_code == 400


def test_the_only_model_needs_no_name(make_daemon):
    daemon = make_daemon(definitions=None)
    daemon.wait_connected()
    session = daemon.admin
    for path in ("/ping", "/health"):
        assert (session.get(path).status_code, session.get(path).text) == (404, "\n")
    unnamed = session.post("/invocations", json={"instances": [[1.0]]})
    assert unnamed.status_code == 400
    scoring.publish(daemon, "lightgbm/lgb4_multiclass.txt", SEVERAL)
    golden = scoring.Golden(SEVERAL)
    answer = session.post("/invocations", json={"instances": golden.x[:3]})
    assert answer.status_code == 200, answer.text
    check(answer.json()["predictions"], golden, SEVERAL, slice(3))
    for path in ("/ping", "/health"):
        assert (session.get(path).status_code, session.get(path).text) == (200, "\n")


def test_the_version(models):
    assert models.admin.get("/version").text == models.admin.get("/v2").json()["version"]


WIDTH = 20
ROW = [1.0] * WIDTH
REFUSED = [
    ([ROW], "the body is an object"),
    ({}, "exactly one of"),
    ({"instances": [ROW], "inputs": [ROW]}, "exactly one of"),
    ({"instances": [ROW], "signature_name": "x"}, "exactly one of"),
    ({"instances": [ROW], "params": 7}, "params is an object"),
    ({"instances": 7}, "instances is an array"),
    ({"instances": [ROW, ROW[1:]]}, "instances, row 1: an array of 20 cells"),
    ({"instances": [ROW[1:]]}, "instances, row 0: an array of 20 cells"),
    ({"instances": [ROW[:5] + [{"secret": 1}] + ROW[6:]]}, "instances, row 0, column 5"),
    ({"dataframe_records": [{"age_years": 3}, 7]}, "dataframe_records, row 1: an object"),
    ({"dataframe_records": [{"nobody": "secret"}]}, "no column has the name of an input"),
    ({"dataframe_records": [{"age_years": "secret"}]}, "row 0, input age_years"),
    ({"dataframe_records": [{"age_years": ["secret"]}]}, "row 0, column age_years"),
    ({"dataframe_split": {"columns": ["age_years"], "data": [[1], [2, 3]]}}, "dataframe_split.data, row 1"),
    ({"dataframe_split": {"columns": ["age_years", "age_years"], "data": [[1, 2]]}}, "stands twice"),
    ({"dataframe_split": {"columns": ["age_years", 7], "data": [[1, 2]]}}, "columns are texts"),
    ({"dataframe_split": {"columns": ["age_years"]}}, "with columns and data"),
    ({"dataframe_split": {"columns": ["age_years"], "data": [], "orient": 1}}, "all that dataframe_split has"),
    ({"inputs": {"age_years": [1, 2], "purpose": [1]}}, "column purpose: every column has as many rows"),
    ({"inputs": {"age_years": "secret"}}, "column age_years: an array"),
    ({"inputs": {"nobody": [1]}}, "no column has the name of an input"),
    ({"instances": [ROW[:5] + [10 ** 400] + ROW[6:]]}, "instances, row 0, column 5"),
]


@pytest.mark.parametrize("body, told", REFUSED)
def test_refusals_name_the_place_and_no_value(models, body, told):
    answer = models.admin.post(path(BINARY), json=body, invalid=True)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["error_code", "message"]
    assert answer.json()["error_code"] == "BAD_REQUEST"
    assert told in answer.json()["message"]
    assert "secret" not in answer.text


CSV_REFUSED = [
    (b"", "no header"), (b"age_years\n\"secret", "line 2 of the CSV text: unterminated_quote"),
    (b"age_years,purpose\n1,2\n1\n", "line 3 of the CSV text"), (b"age_years\nsecret\n", "row 0, input age_years"),
    (b"age_years\ninf\n", "row 0, input age_years"), (b"age_years\n0x10\n", "row 0, input age_years"),
    (b"nobody\n1\n", "no column"), (b"age_years\n\xff\n", "not UTF-8"),
    (b"age_years,age_years\n1,2\n", "stands twice"),
]


@pytest.mark.parametrize("body, told", CSV_REFUSED)
def test_refusals_of_csv(models, body, told):
    answer = models.admin.post(path(BINARY), data=body, headers={"Content-Type": "text/csv"}, invalid=True)
    assert answer.status_code == 400, answer.text
    assert told in answer.json()["message"]
    assert "secret" not in answer.text


@pytest.mark.parametrize("media_type", [
    "application/json; charset=latin-1", "application/json; format=pandas-split", "text/plain", "application/xml", None])
def test_other_media_types_are_415_in_plain_text(models, media_type):
    headers = {} if media_type is None else {"Content-Type": media_type}
    answer = models.admin.post(path(BINARY), data=b'{"instances": []}', headers=headers, invalid=True)
    assert answer.status_code == 415
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_the_charset_may_be_utf_8(models):
    body = json.dumps({"instances": scoring.Golden(BINARY).x[:1]})
    for media_type in ("application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8"):
        answer = models.admin.post(path(BINARY), data=body, headers={"Content-Type": media_type})
        assert answer.status_code == 200, answer.text


def test_nobody_without_a_key_learns_anything(models):
    stranger, ingest = models.anonymous(), models.session("ingest")
    body = {"instances": [ROW]}
    for session, status, code in ((stranger, 401, "UNAUTHENTICATED"), (ingest, 403, "PERMISSION_DENIED")):
        answers = [session.get(path) for path in ("/ping", "/health", "/version")]
        answers += [session.post("/invocations", json=body, params=query) for query in ({}, {"model": "nobody"}, {"model": BINARY})]
        answers.append(session.post(path(BINARY), json=body))
        for answer in answers:
            assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text
    assert models.session("crm").post(path(BINARY), json=body).status_code == 200


# MLflow's own client


@pytest.fixture
def client(models, monkeypatch):
    """MLflow's client of its scoring server. It knows no keys: those of a deployment are added on the way, as here."""
    # The client asks whether there is scipy.sparse, and falls over when there is no scipy at all.
    nothing = types.ModuleType("scipy")
    nothing.__path__ = []
    monkeypatch.setitem(sys.modules, "scipy", nothing)

    class Requests:
        @staticmethod
        def get(url, **options):
            return mlflow_requests.get(url, headers={"Authorization": f"Bearer {models.key}"}, **options)

        @staticmethod
        def post(url, headers=None, **options):
            headers = {**(headers or {}), "Authorization": f"Bearer {models.key}", "Decisiond-Model": model[0]}
            return mlflow_requests.post(url, headers=headers, **options)

    mlflow_requests, model = mlflow_client.requests, [BINARY]
    monkeypatch.setattr(mlflow_client, "requests", Requests)
    made = mlflow_client.ScoringServerClient("127.0.0.1", models.port)
    made.use = lambda name: model.__setitem__(0, name)
    return made


@pytest.mark.parametrize("model", [BINARY, SEVERAL])
def test_mlflows_client(client, model):
    client.wait_server_ready(timeout=10)
    assert client.get_version()
    client.use(model)
    golden = scoring.Golden(model)
    values = golden.array(slice(50))
    frame = pandas.DataFrame(values, columns=golden.features)
    assert model != BINARY or numpy.isnan(values).any()
    for data in (frame, values, frame.to_dict(orient="records")):
        found = client.invoke(data).get_predictions()
        assert isinstance(found, pandas.DataFrame)
        assert scoring.same_bits(found.to_numpy().ravel(), scoring.flat(golden.pred[:50]), WIDTHS[model])
    with pytest.raises(Exception, match="exactly one|no column"):
        client.invoke(pandas.DataFrame({"nobody": [1]}))
    assert numpy.isfinite(found.to_numpy()).all()
