"""The Open Inference Protocol: metadata, every form of request, and Triton's own client, on models with known answers."""
import gzip
import json
import socket
import threading

import numpy
import pytest
import requests
import tritonclient.http as triton
import tritonclient.utils

import scoring

# Model in the shared data, its width.
MODELS = {
    "xgb3_binary_logistic": ("xgboost/xgb3_binary_logistic.json", "float32"),
    "xgb3_multi_softprob": ("xgboost/xgb3_multi_softprob.ubj", "float32"),
    "lgb4_missing_nan": ("lightgbm/lgb4_missing_nan.txt", "float64"),
    "lgb4_multiclass": ("lightgbm/lgb4_multiclass.txt", "float64"),
    "skl_retail_scorecard": ("sklearn/skl_retail_scorecard.json", "float64"),
}
DATATYPES = {"float32": "FP32", "float64": "FP64"}


@pytest.fixture(scope="module")
def models(make_daemon):
    """A daemon with the models, beside those of the demo."""
    daemon = make_daemon(score_body_bytes_max=4 << 20)
    for name, (artifact, _) in MODELS.items():
        scoring.publish(daemon, artifact, name)
    daemon.admin.reload()
    return daemon


def infer(daemon, model, inputs, status=200, invalid=False, version=None, **members):
    path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/infer"
    answer = daemon.admin.post(path, json={"inputs": inputs, **members}, invalid=invalid)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["Content-Type"] == "application/json"
        assert list(answer.json()) == ["error"]
        return answer.json()["error"]
    return answer.json()


def tensor(name, data, shape, datatype="FP64", **members):
    return {"name": name, "datatype": datatype, "shape": shape, "data": data, **members}


def matrix(rows):
    return [tensor("rows", rows, [len(rows), len(rows[0])])]


def output(answer, name="predict"):
    return next(item for item in answer["outputs"] if item["name"] == name)


def check(found, golden, name, rows=slice(None)):
    """An output against golden rows, bit for bit."""
    wanted = (golden.margin if found["name"] == "margin" else golden.pred)[rows]
    _, width = MODELS[name]
    assert found["datatype"] == DATATYPES[width]
    columns = len(wanted[0])
    assert found["shape"] == ([len(wanted)] if columns == 1 else [len(wanted), columns])
    if name.startswith("skl"):
        # Another exp than the one that made the golden rows may round the last bit otherwise.
        assert numpy.allclose(found["data"], scoring.flat(wanted), rtol=0, atol=1e-12)
    else:
        assert scoring.same_bits(found["data"], scoring.flat(wanted), width)


# About the server and its models


def test_the_server(models):
    for path in ("/v2", "/v2/health/live", "/v2/health/ready"):
        answer = models.admin.get(path)
        assert answer.status_code == 200, answer.text
    assert models.admin.get("/v2").json()["name"] == "decisiond"
    # The protocol's schema spells it so; openapi.yaml describes one of the two.
    slashed = requests.get(models.url + "/v2/", headers=models.admin.headers)
    assert slashed.json() == models.admin.get("/v2").json()
    assert models.admin.get("/v2/health/live").json() == {"live": True}
    assert models.admin.get("/v2/health/ready").json() == {"ready": True, "live": True}


def test_metadata(models):
    answer = models.admin.get("/v2/models/xgb3_binary_logistic").json()
    golden = scoring.Golden("xgb3_binary_logistic")
    assert answer["platform"] == "decisiond_xgboost_json"
    assert answer["versions"] == ["1"]
    assert [item["name"] for item in answer["inputs"]] == golden.features
    assert answer["inputs"][1] == {"name": golden.features[1], "datatype": "FP32", "shape": [-1]}
    assert {item["name"]: (item["datatype"], item["shape"]) for item in answer["outputs"]} == {
        name: ("FP32", [-1]) for name in ("predict", "score", "margin")}
    assert answer["properties"]["objective"] == "binary:logistic"
    assert models.admin.get("/v2/models/xgb3_binary_logistic/versions/1").json() == answer
    for path in ("/v2/models/xgb3_binary_logistic/ready", "/v2/models/xgb3_binary_logistic/versions/1/ready"):
        assert models.admin.get(path).json() == {"name": "xgb3_binary_logistic", "ready": True}
    several = models.admin.get("/v2/models/lgb4_multiclass").json()
    assert several["outputs"][0] == {"name": "predict", "datatype": "FP64", "shape": [-1, 3]}
    points = models.admin.get("/v2/models/skl_retail_scorecard").json()
    assert points["outputs"][-1] == {"name": "points", "datatype": "FP64", "shape": [-1]}
    named = models.admin.get("/v2/models/credit-risk").json()
    assert {"name": "purpose", "datatype": "BYTES", "shape": [-1]} in named["inputs"]


def test_the_index(models):
    entries = models.admin.post("/v2/repository/index").json()
    assert {"name": "lgb4_multiclass", "version": "1", "state": "READY", "reason": ""} in entries
    assert models.admin.post("/v2/repository/index", json={"ready": True}).json() == entries
    assert models.admin.post("/v2/repository/index", json={"ready": 1}, invalid=True).status_code == 400


def test_a_model_that_cannot_score(models):
    scoring.publish(models, "xgboost/xgb3_base_score.json", "retired")
    assert models.admin.delete("/v1/definitions/Model/retired").status_code == 200
    for path in ("/v2/models/retired", "/v2/models/retired/ready"):
        answer = models.admin.get(path)
        assert (answer.status_code, list(answer.json())) == (503, ["error"])
    assert "model_withdrawn" in infer(models, "retired", matrix([[1.0] * 20]), 503)
    entries = models.admin.post("/v2/repository/index").json()
    assert {"name": "retired", "state": "UNAVAILABLE", "reason": "model_withdrawn"} in entries
    ready = models.admin.post("/v2/repository/index", json={"ready": True}).json()
    assert "retired" not in {entry["name"] for entry in ready}


# Rows


@pytest.mark.parametrize("name", MODELS)
def test_golden_rows_bit_for_bit(models, name):
    golden = scoring.Golden(name)
    outputs = [{"name": "predict"}, {"name": "margin"}]
    whole = infer(models, name, matrix(golden.x), outputs=outputs)
    assert [item["name"] for item in whole["outputs"]] == ["predict", "margin"]
    for item in whole["outputs"]:
        check(item, golden, name)
    columns = [tensor(key, cells, [len(cells)]) for key, cells in golden.columns().items()]
    assert infer(models, name, columns, outputs=outputs) == whole
    # A single row is answered on the event loop, many on the bulk pool.
    for row in range(0, len(golden.x), 40):
        check(output(infer(models, name, [tensor("row", golden.x[row], [len(golden.features)])])), golden, name, slice(row, row + 1))


def test_both_ways_of_data(models):
    golden = scoring.Golden("lgb4_missing_nan")
    rows = golden.x[:30]
    width = len(golden.features)
    nested = infer(models, "lgb4_missing_nan", [tensor("x", rows, [30, width])])
    assert infer(models, "lgb4_missing_nan", [tensor("x", scoring.flat(rows), [30, width])]) == nested
    columns = golden.columns(slice(30))
    for shape, form in (([30], lambda cells: cells), ([30, 1], lambda cells: cells), ([30, 1], lambda cells: [[c] for c in cells])):
        inputs = [tensor(name, form(cells), shape) for name, cells in columns.items()]
        assert infer(models, "lgb4_missing_nan", inputs) == nested
        assert infer(models, "lgb4_missing_nan", inputs, parameters={"content_type": "pd"}) == nested


def test_names_of_categories_are_codes(models):
    """MLServer's `pd` form with texts, against the codes in the model's order."""
    described = models.admin.get("/v1/definitions/Model/credit-risk").json()["document"]["spec"]["categories"]
    golden = scoring.Golden("xgb3_binary_logistic")
    columns = golden.columns(slice(12))
    coded = infer(models, "credit-risk", matrix(golden.x[:12]))
    inputs = []
    for name, cells in columns.items():
        names = described.get(name)
        if names is None:
            inputs.append(tensor(name, cells, [12, 1]))
            continue
        texts = [None if cell is None else names[int(cell)] for cell in cells]
        inputs.append(tensor(name, texts, [12, 1], "BYTES", parameters={"content_type": "str"}))
    named = infer(models, "credit-risk", inputs, parameters={"content_type": "pd"})
    assert output(named) == output(coded)
    assert scoring.same_bits(output(coded)["data"], scoring.flat(golden.pred[:12]), "float32")


def test_the_answer_repeats_the_id_only_if_there_is_one(models):
    rows = matrix(scoring.Golden("xgb3_binary_logistic").x[:1])
    answer = infer(models, "xgb3_binary_logistic", rows, id="a \"b\"", parameters={"priority": 1, "trace": False})
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("a \"b\"", "xgb3_binary_logistic", "1")
    assert "id" not in infer(models, "xgb3_binary_logistic", rows, id=None)
    assert infer(models, "xgb3_binary_logistic", rows, version=1)["outputs"] == answer["outputs"]


def test_score_and_points(models):
    golden = scoring.Golden("skl_retail_scorecard")
    answer = infer(
        models, "skl_retail_scorecard", matrix(golden.x[:20]), outputs=[{"name": "points"}, {"name": "score"}])
    whole = infer(models, "skl_retail_scorecard", matrix(golden.x[:20]))
    assert output(answer, "score")["data"] == output(whole)["data"]
    assert all(value > 0 for value in output(answer, "points")["data"])
    several = infer(models, "lgb4_multiclass", matrix(scoring.Golden("lgb4_multiclass").x[:5]),
                    outputs=[{"name": "score"}, {"name": "predict"}])
    assert output(several, "score")["data"] == output(several)["data"][2::3]


def test_many_rows_in_a_gzip_body(models):
    golden = scoring.Golden("lgb4_missing_nan")
    rows = (golden.x * 40)[:3000]
    body = gzip.compress(json.dumps({"inputs": matrix(rows)}).encode())
    answer = models.admin.post(
        "/v2/models/lgb4_missing_nan/infer", data=body,
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})
    assert answer.status_code == 200, answer.text
    wanted = scoring.flat((golden.pred * 40)[:3000])
    assert scoring.same_bits(output(answer.json())["data"], wanted, "float64")


def test_no_rows(models):
    assert output(infer(models, "xgb3_binary_logistic", [tensor("x", [], [0, 20])]))["data"] == []


# Refusals


NUMBERS = [1.0] * 20
REFUSED = [
    ({"inputs": []}, "at least one tensor"),
    ({}, "at least one tensor"),
    ({"inputs": [tensor("x", NUMBERS, [20])], "surplus": 1}, "all that a request has"),
    ({"inputs": [tensor("x", NUMBERS, [20])], "id": 7}, "id is a text"),
    ({"inputs": [tensor("x", NUMBERS, [20])], "parameters": []}, "parameters is an object"),
    ({"inputs": [tensor("x", NUMBERS, [20])], "parameters": {"content_type": "hf"}}, "content_type is one of"),
    ({"inputs": [tensor("x", NUMBERS, [20], parameters={"binary_data_size": 80})]}, "binary tensor extension"),
    ({"inputs": [tensor("x", NUMBERS, [20])], "outputs": [{"name": "label"}]}, "output label"),
    ({"inputs": [tensor("x", NUMBERS, [20])], "outputs": [{"name": "predict"}] * 2}, "each once"),
    ({"inputs": [tensor("x", NUMBERS, [21])]}, "[rows, 20]"),
    ({"inputs": [tensor("x", NUMBERS[1:], [1, 20])]}, "input x: the data does not have the shape"),
    ({"inputs": [tensor("x", [NUMBERS, NUMBERS[1:]], [2, 20])]}, "input x: the data does not have the shape"),
    ({"inputs": [tensor("x", [NUMBERS], [2, 20])]}, "input x: the data does not have the shape"),
    ({"inputs": [tensor("x", NUMBERS, [])]}, "shape is [rows]"),
    ({"inputs": [tensor("x", NUMBERS, [-1, 20])]}, "whole numbers"),
    ({"inputs": [tensor("x", NUMBERS, [20], "FP128")]}, "datatype is one of"),
    ({"inputs": [tensor("x", ["4711-secret"] + NUMBERS[1:], [20])]}, "input x, index 0: a number"),
    ({"inputs": [tensor("x", NUMBERS[:3] + [1.5] + NUMBERS[4:], [20], "INT64")]}, "input x, index 3: a whole number"),
    ({"inputs": [tensor("x", NUMBERS[:3] + [300] + NUMBERS[4:], [20], "INT8")]}, "input x, index 3: a whole number"),
    ({"inputs": [tensor("x", NUMBERS[:3] + [1e39] + NUMBERS[4:], [20], "FP32")]}, "input x, index 3: a number"),
    ({"inputs": [tensor("age_years", [1.0], [1]), tensor("nobody", [1.0], [1])]}, "input nobody: no input of the model"),
    ({"inputs": [tensor("age_years", [1.0], [1])] * 2}, "input age_years: this input stands twice"),
    ({"inputs": [tensor("age_years", [1.0], [1]), tensor("purpose", [1.0, 2.0], [2])]}, "as many rows"),
    ({"inputs": [tensor("age_years", ["4711-secret"], [1], "BYTES")]}, "row 0, input age_years"),
    ({"inputs": [{"name": "x", "shape": [1], "datatype": "FP64"}]}, "data is an array"),
    ({"inputs": [{"shape": [1], "datatype": "FP64", "data": [1]}]}, "input 0: an object with a name"),
    ([], "the body is an object"),
]


@pytest.mark.parametrize("body, told", REFUSED)
def test_refusals_name_the_place_and_no_value(models, body, told):
    answer = models.admin.post("/v2/models/xgb3_binary_logistic/infer", json=body, invalid=True)
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["error"]
    assert told in answer.json()["error"]
    assert "secret" not in answer.text and "300" not in answer.text


def test_refusals_of_every_status_in_the_protocols_shape(models):
    path = "/v2/models/xgb3_binary_logistic/infer"
    rows = {"inputs": matrix([NUMBERS])}
    answers = {
        400: models.admin.post(path, data=b"{", headers={"Content-Type": "application/json"}, invalid=True),
        401: models.anonymous().post(path, json=rows),
        403: models.session("ingest").post(path, json=rows),
        404: models.admin.post("/v2/models/nobody/infer", json=rows),
        413: models.admin.post(path, data=b" " * (5 << 20), headers={"Content-Type": "application/json"}, invalid=True),
        415: models.admin.post(path, data=b"x", headers={"Content-Type": "application/octet-stream"}, invalid=True),
    }
    for status, answer in answers.items():
        assert answer.status_code == status, answer.text
        assert answer.headers["Content-Type"] == "application/json"
        assert list(answer.json()) == ["error"], answer.text
    assert models.admin.get("/v2/models/nobody").status_code == 404
    for version in ("7", "0", "x"):
        answer = models.admin.get(f"/v2/models/xgb3_binary_logistic/versions/{version}", invalid=True)
        assert (answer.status_code, list(answer.json())) == (404, ["error"])
    assert models.admin.get("/v2?surplus=1", invalid=True).status_code == 400
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/xgb3_binary_logistic"):
        assert models.anonymous().get(path).status_code == 401
    too_many = infer(models, "xgb3_binary_logistic", [tensor("age_years", [], [100_001])], 413)
    assert "100000 rows" in too_many
    binary = models.admin.post(
        "/v2/models/xgb3_binary_logistic/infer", json=rows, headers={"Inference-Header-Content-Length": "10"})
    assert binary.status_code == 400 and "binary" in binary.json()["error"]


def test_a_late_body_is_told_in_the_protocols_shape(make_daemon):
    daemon = make_daemon(body_timeout_ms=300)
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=30) as connection:
        connection.sendall(
            (f"POST /v2/models/credit-risk/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {daemon.key}\r\n"
             "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{").encode())
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 408") and '{"error":' in answer


def test_roles_of_the_demo(models):
    rows = {"inputs": matrix([NUMBERS])}
    crm = models.session("crm")
    assert crm.post("/v2/models/credit-risk/infer", json=rows).status_code == 200
    assert crm.get("/v2/models/credit-risk").status_code == 200
    operator = models.session("operator")
    assert operator.get("/v2/models/credit-risk").status_code == 200
    assert operator.post("/v2/models/credit-risk/infer", json=rows).status_code == 403


def test_decisions_go_on_beside_many_rows(models):
    """The bulk pool scores; the event loops answer meanwhile."""
    golden = scoring.Golden("xgb3_binary_logistic")
    rows = (golden.x * 40)[:10_000]
    found = []
    thread = threading.Thread(target=lambda: found.append(infer(models, "xgb3_binary_logistic", matrix(rows))))
    thread.start()
    asked = 0
    while thread.is_alive() or asked == 0:
        assert output(infer(models, "xgb3_binary_logistic", matrix(golden.x[:1])))["shape"] == [1]
        asked += 1
    thread.join()
    assert scoring.same_bits(output(found[0])["data"], scoring.flat((golden.pred * 40)[:10_000]), "float32")
    assert asked > 3


# Triton's own client


@pytest.fixture(scope="module")
def client(models):
    made = triton.InferenceServerClient(f"127.0.0.1:{models.port}")
    yield made, models.key
    made.close()


@pytest.fixture
def asked(client):
    """The client, and header fields for one test: it adds its own to them."""
    made, key = client
    return made, {"Authorization": f"Bearer {key}"}


def test_tritons_client_reads_the_metadata(asked):
    made, headers = asked
    assert made.is_server_live(headers) and made.is_server_ready(headers)
    assert made.get_server_metadata(headers)["name"] == "decisiond"
    assert made.is_model_ready("credit-risk", headers=headers)
    assert made.is_model_ready("credit-risk", "1", headers=headers)
    assert not made.is_model_ready("nobody", headers=headers)
    assert len(made.get_model_metadata("credit-risk", "1", headers=headers)["inputs"]) == 20
    assert "credit-risk" in {entry["name"] for entry in made.get_model_repository_index(headers)}


@pytest.mark.parametrize("name", ["xgb3_binary_logistic", "lgb4_multiclass"])
def test_tritons_client_sends_a_matrix(asked, name):
    made, headers = asked
    golden = scoring.Golden(name)
    rows = [index for index, row in enumerate(golden.x) if None not in row][:50]
    values = numpy.array([golden.x[index] for index in rows], dtype="float64")
    item = triton.InferInput("input-0", list(values.shape), "FP64")
    item.set_data_from_numpy(values, binary_data=False)
    # Outputs that are asked for in binary come as JSON.
    for wanted in (None, [triton.InferRequestedOutput("predict", binary_data=False)], [triton.InferRequestedOutput("predict")]):
        answer = made.infer(name, [item], outputs=wanted, request_id="7", headers=headers)
        found = answer.as_numpy("predict")
        pred = [golden.pred[index] for index in rows]
        assert found.shape == ((50,) if len(pred[0]) == 1 else (50, len(pred[0])))
        assert str(found.dtype) == MODELS[name][1]
        assert scoring.same_bits(found.ravel(), scoring.flat(pred), MODELS[name][1])
        assert answer.get_response()["id"] == "7"


def test_tritons_client_sends_columns_and_texts(asked):
    made, headers = asked
    age = triton.InferInput("age_years", [2], "INT32")
    age.set_data_from_numpy(numpy.array([30, 61], dtype="int32"), binary_data=False)
    purpose = triton.InferInput("purpose", [2, 1], "BYTES")
    purpose.set_data_from_numpy(numpy.array([["A43"], ["A40"]], dtype=object), binary_data=False)
    answer = made.infer("credit-risk", [age, purpose], headers=headers, request_compression_algorithm="gzip")
    assert answer.as_numpy("predict").shape == (2,)


def test_tritons_client_is_told_what_is_wrong(asked):
    made, headers = asked
    wrong = triton.InferInput("nobody", [2], "FP32")
    wrong.set_data_from_numpy(numpy.zeros(2, dtype="float32"), binary_data=False)
    with pytest.raises(tritonclient.utils.InferenceServerException, match="nobody") as failure:
        made.infer("credit-risk", [wrong], headers=headers)
    assert failure.value.status() == "400"
    binary = triton.InferInput("age_years", [2], "FP32")
    binary.set_data_from_numpy(numpy.zeros(2, dtype="float32"), binary_data=True)
    with pytest.raises(tritonclient.utils.InferenceServerException, match="binary"):
        made.infer("credit-risk", [binary], headers=headers)
