#!/usr/bin/env python3
"""Makes the ONNX fixtures: small models, and what ONNX Runtime answers for some rows.

    python -m venv VENV && VENV/bin/pip install scikit-learn skl2onnx onnxruntime pandas
    VENV/bin/python Tests/ModelsTests/make_onnx_fixtures.py DATASETS [NAME...]

DATASETS is the directory with german_credit.csv and telco_churn.csv.gz. Every fixture is NAME.onnx and NAME.json:
`names` of the inputs, `labels` of the classes, and `rows` of `x` (numbers, texts, null = missing) and `y`: what ONNX
Runtime gives on one thread for all rows at once (a row alone goes through another matrix kernel), written as shortest
exact decimals; null = NaN, infinities are texts. `versions` says which libraries made it.
"""
import json
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")

import numpy
import onnx
import onnx.helper
import onnxruntime
import pandas
import skl2onnx
import sklearn
from onnx import TensorProto, helper, numpy_helper
from skl2onnx.common.data_types import (
    DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType)
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostClassifier, ExtraTreesClassifier, ExtraTreesRegressor, GradientBoostingClassifier,
    GradientBoostingRegressor, HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier,
    RandomForestRegressor)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer, KBinsDiscretizer, MaxAbsScaler, MinMaxScaler, Normalizer, OneHotEncoder, OrdinalEncoder,
    PolynomialFeatures, PowerTransformer, RobustScaler, StandardScaler)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

OUT = pathlib.Path(__file__).parent / "Fixtures" / "onnx"
VERSIONS = {m.__name__: m.__version__ for m in (sklearn, skl2onnx, onnx, onnxruntime, numpy, pandas)}

# skl2onnx hands numpy booleans to onnx, which wants integers.
make_attribute = helper.make_attribute


def make_attribute_of_integers(key, value, *rest, **named):
    if isinstance(value, (list, tuple)):
        value = [int(v) if isinstance(v, (bool, numpy.bool_)) else v for v in value]
    return make_attribute(key, value, *rest, **named)


onnx.helper.make_attribute = make_attribute_of_integers


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def number(value):
    """The shortest decimal that is the value in its own width."""
    if value != value:
        return None
    if numpy.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(str(value)) if isinstance(value, numpy.float32) else float(value)


def feed(runtime, rows):
    """Values in feature order, spread over the inputs; None is NaN or the empty text."""
    found, position = {}, 0
    for entry in runtime.get_inputs():
        width = entry.shape[1] if len(entry.shape) == 2 else 1
        part = [row[position:position + width] for row in rows]
        position += width
        if "string" in entry.type:
            array = numpy.array([["" if v is None else v for v in row] for row in part], dtype=object)
        else:
            kind = {"tensor(float)": numpy.float32, "tensor(double)": numpy.float64, "tensor(int64)": numpy.int64,
                    "tensor(bool)": bool, "tensor(int32)": numpy.int32}[entry.type]
            array = numpy.array([[numpy.nan if v is None else v for v in row] for row in part])
            array = array.astype(float).astype(kind) if kind is not numpy.int64 else array.astype(kind)
        found[entry.name] = array if len(entry.shape) == 2 else array[:, 0]
    assert all(position == len(row) for row in rows)
    return found


def answers(runtime, rows):
    """Values per row, and the labels of a ZipMap."""
    values, labels = [[] for _ in rows], None
    for entry, out in zip(runtime.get_outputs(), runtime.run(None, feed(runtime, rows))):
        if "seq" in entry.type:
            labels = [str(k) for k in out[0]]
            for row, found in zip(values, out):
                row += [numpy.float32(v) for v in found.values()]
        elif "float" in entry.type or "double" in entry.type or len(runtime.get_outputs()) == 1:
            for row, found in zip(values, out):
                row += list(numpy.atleast_1d(found))
    return values, labels


def write(name, model, rows, labels=None, drop=()):
    onnx.checker.check_model(model)
    runtime = session(model)
    names = []
    inputs = runtime.get_inputs()
    for entry in inputs:
        width = entry.shape[1] if len(entry.shape) == 2 else 1
        prefix = "f" if len(inputs) == 1 else entry.name + "_"
        names += [entry.name] if width == 1 else [prefix + str(i) for i in range(width)]
    values, found = answers(runtime, rows)
    labels = found or labels
    golden = [{"x": row, "y": [number(v) for v in y]} for row, y in zip(rows, values)]
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString())
    text = json.dumps(
        {"versions": VERSIONS, "operators": sorted({n.op_type for n in model.graph.node}), "names": names,
         "labels": labels, "rows": []})
    body = ",\n".join(json.dumps(r, separators=(",", ":")) for r in golden)
    (OUT / f"{name}.json").write_text(text.replace('"rows": []', '"rows": [\n' + body + "\n]") + "\n")


def convert(model, types, zipmap=True, opset=None):
    options = None if zipmap is True else {"zipmap": zipmap}
    return skl2onnx.convert_sklearn(model, initial_types=types, options=options, target_opset=opset)


def thresholds(model):
    """Numbers on both sides of every kind of edge: the split values of the trees in the graph."""
    found = []
    for node in model.graph.node:
        attributes = {a.name: a for a in node.attribute}
        if "nodes_values" in attributes:
            found += list(zip(attributes["nodes_featureids"].ints, attributes["nodes_values"].floats))
    return [(f, numpy.float32(v)) for f, v in found]


def plain_rows(frame, count, model=None, missing=False, seed=0):
    """Rows of a numeric frame, some with missing values, some moved onto thresholds and next to them."""
    random = numpy.random.default_rng(seed)
    rows = []
    edges = thresholds(model) if model is not None else []
    for index in random.choice(len(frame), count, replace=False):
        row = [number(numpy.float32(v)) for v in frame.iloc[index]]
        if edges and index % 2 == 0:
            for _ in range(3):
                feature, value = edges[random.integers(len(edges))]
                step = [value, numpy.nextafter(value, numpy.float32(numpy.inf)),
                        numpy.nextafter(value, numpy.float32(-numpy.inf))][random.integers(3)]
                if feature < len(row):
                    row[feature] = number(step)
        if missing:
            row = [None if random.random() < 0.15 else v for v in row]
        rows.append(row)
    rows.append([0.0] * len(rows[0]))
    rows.append([-1e30] * len(rows[0]))
    rows.append([1e30] * len(rows[0]))
    return rows


def floats(columns):
    return [(c, FloatTensorType([None, 1])) for c in columns]


def texts(columns):
    return [(c, StringTensorType([None, 1])) for c in columns]


NUMBERS = ["duration_months", "credit_amount", "installment_rate_pct", "residence_since", "age_years",
           "existing_credits"]
WORDS = ["checking_status", "purpose", "housing"]


class Data:
    def __init__(self, directory):
        directory = pathlib.Path(directory)
        self.german = pandas.read_csv(directory / "german_credit.csv")
        self.x = self.german[NUMBERS].astype(numpy.float32)
        random = numpy.random.default_rng(1)
        self.holes = self.x.mask(random.random(self.x.shape) < 0.1)
        self.binary = self.german["default"].to_numpy()
        self.job = self.german["job"].to_numpy()
        self.number = numpy.digitize(self.german["age_years"], [28, 40])
        self.amount = (self.german["credit_amount"] / 1000).to_numpy()
        self.two = numpy.stack([self.amount, self.german["age_years"].to_numpy()], 1)
        telco = pandas.read_csv(directory / "telco_churn.csv.gz").head(1500)
        telco["TotalCharges"] = pandas.to_numeric(telco["TotalCharges"], errors="coerce").astype(numpy.float32)
        for name in ("tenure", "MonthlyCharges"):
            telco[name] = telco[name].astype(numpy.float32)
        self.telco = telco
        self.churn = (telco["Churn"] == "Yes").to_numpy().astype(int)


FIXTURES = {}


def fixture(function):
    FIXTURES[function.__name__] = function
    return function


def numeric(name, data, pipeline, target, holes=False, count=40, kind=FloatTensorType, **options):
    """A model of one numeric matrix."""
    frame = data.holes if holes else data.x
    pipeline.fit(frame.to_numpy(), target)
    model = convert(pipeline, [("X", kind([None, frame.shape[1]]))], **options)
    # In doubles no operator of the graph names the classes.
    named = hasattr(pipeline, "classes_") and kind is not DoubleTensorType
    labels = [str(c) for c in pipeline.classes_] if named else None
    write(name, model, plain_rows(frame, count, model, holes), labels)


@fixture
def logistic_binary(data):
    numeric("logistic_binary", data, make_pipeline(StandardScaler(), LogisticRegression()), data.binary)


@fixture
def logistic_classes(data):
    numeric("logistic_classes", data, make_pipeline(MinMaxScaler(), LogisticRegression()), data.job, zipmap=False)
    numeric("logistic_rest", data, make_pipeline(
        RobustScaler(), OneVsRestClassifier(LogisticRegression())), data.number)


@fixture
def linear(data):
    numeric("linear", data, make_pipeline(SimpleImputer(), MaxAbsScaler(), LinearRegression()), data.amount, True)
    numeric("linear_two", data, make_pipeline(FeatureUnion([
        ("s", StandardScaler()), ("m", MinMaxScaler())]), Ridge()), data.two)
    numeric("linear_double", data, make_pipeline(StandardScaler(), LinearRegression()), data.amount,
            kind=DoubleTensorType)
    numeric("logistic_double", data, make_pipeline(StandardScaler(), LogisticRegression()), data.binary,
            kind=DoubleTensorType, zipmap=False)
    numeric("poisson", data, make_pipeline(StandardScaler(), PoissonRegressor()), data.amount)


@fixture
def preprocessing(data):
    numeric("normalizer", data, make_pipeline(Normalizer("l1"), Normalizer("l2"), LinearRegression()), data.amount)
    numeric("polynomial", data, make_pipeline(
        ColumnTransformer([("s", StandardScaler(), [0, 4]), ("b", Binarizer(threshold=2.5), [2])]),
        PolynomialFeatures(2), Ridge()), data.amount)
    numeric("bins", data, make_pipeline(KBinsDiscretizer(4, encode="ordinal"), Ridge()), data.amount)
    numeric("power", data, make_pipeline(PowerTransformer(), Ridge()), data.amount)
    numeric("sgd", data, make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)), data.binary)


@fixture
def trees(data):
    numeric("tree_classes", data, DecisionTreeClassifier(max_depth=5, random_state=0), data.job)
    numeric("tree_regressor", data, DecisionTreeRegressor(max_depth=5, random_state=0), data.two)
    numeric("forest_binary", data, RandomForestClassifier(20, max_depth=5, random_state=0), data.binary)
    numeric("forest_classes", data, RandomForestClassifier(8, max_depth=4, random_state=0), data.job,
            zipmap="columns")
    numeric("forest_regressor", data, RandomForestRegressor(15, max_depth=5, random_state=0), data.amount)
    numeric("extra_classes", data, ExtraTreesClassifier(8, max_depth=5, random_state=0), data.number)
    numeric("extra_regressor", data, ExtraTreesRegressor(10, max_depth=5, random_state=0), data.two)
    numeric("adaboost", data, AdaBoostClassifier(n_estimators=3, random_state=0), data.binary)


@fixture
def boosting(data):
    numeric("boosting_binary", data, GradientBoostingClassifier(n_estimators=25, random_state=0), data.binary)
    numeric("boosting_classes", data, GradientBoostingClassifier(
        n_estimators=6, max_depth=3, random_state=0), data.job)
    numeric("boosting_regressor", data, GradientBoostingRegressor(n_estimators=25, random_state=0), data.amount)
    numeric("hist_binary", data, HistGradientBoostingClassifier(
        max_iter=12, max_leaf_nodes=15, random_state=0), data.binary, True)
    numeric("hist_classes", data, HistGradientBoostingClassifier(
        max_iter=4, max_leaf_nodes=8, random_state=0), data.number, True)
    numeric("hist_regressor", data, HistGradientBoostingRegressor(
        max_iter=12, max_leaf_nodes=15, random_state=0), data.amount, True)


def mixed(name, frame, target, numbers, words, pipeline, unknown=True, types=None, count=60):
    """A model of separate columns, numbers and texts; some texts are unknown, some values missing."""
    pipeline.fit(frame[numbers + words], target)
    model = convert(pipeline, types or floats(numbers) + texts(words))
    random = numpy.random.default_rng(3)
    rows = []
    for index in random.choice(len(frame), count, replace=False):
        row = [number(numpy.float32(v)) for v in frame.iloc[index][numbers]] + [
            str(v) for v in frame.iloc[index][words]]
        for position in range(len(row)):
            if unknown and random.random() < 0.12:
                row[position] = None if position < len(numbers) or random.random() < 0.4 else "never seen"
        rows.append(row)
    write(name, model, rows, [str(c) for c in pipeline.classes_] if hasattr(pipeline, "classes_") else None)


@fixture
def columns(data):
    imputed = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    telco = data.telco
    numbers, words = ["tenure", "MonthlyCharges", "TotalCharges"], ["Contract", "PaymentMethod", "InternetService"]
    mixed("columns_one_hot", telco, data.churn, numbers, words, make_pipeline(ColumnTransformer([
        ("n", imputed, numbers), ("w", OneHotEncoder(handle_unknown="ignore"), words)]), LogisticRegression()))
    mixed("columns_infrequent", data.german, data.amount, NUMBERS[:2], WORDS, make_pipeline(ColumnTransformer([
        ("n", imputed, NUMBERS[:2]), ("w", OneHotEncoder(
            min_frequency=100, sparse_output=False, handle_unknown="infrequent_if_exist"), WORDS)]), Ridge()),
        unknown=False)
    mixed("columns_drop", data.german, data.job, NUMBERS[:2], WORDS, make_pipeline(ColumnTransformer([
        ("n", "passthrough", NUMBERS[:2]), ("w", OneHotEncoder(drop="first", sparse_output=False), WORDS)]),
        RandomForestClassifier(5, max_depth=4, random_state=0)), unknown=False)
    mixed("columns_ordinal", telco, data.churn, numbers, words, make_pipeline(ColumnTransformer([
        ("n", imputed, numbers),
        ("w", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), words)]),
        GradientBoostingClassifier(n_estimators=10, random_state=0)))
    mixed("columns_ordinal_nan", telco, data.churn, numbers, words, make_pipeline(ColumnTransformer([
        ("n", "passthrough", numbers),
        ("w", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=numpy.nan), words)]),
        HistGradientBoostingClassifier(max_iter=6, max_leaf_nodes=8, random_state=0)))
    holes = telco[words].mask(numpy.random.default_rng(5).random((len(telco), len(words))) < 0.1, "")
    mixed("columns_text_imputer", holes, data.churn, [], words, make_pipeline(ColumnTransformer([
        ("w", make_pipeline(SimpleImputer(missing_values="", strategy="most_frequent"),
                            OneHotEncoder(handle_unknown="ignore")), words)]), LogisticRegression()))


@fixture
def integers(data):
    columns = ["installment_rate_pct", "existing_credits", "residence_since"]
    frame = data.german[columns]
    pipeline = make_pipeline(OneHotEncoder(handle_unknown="ignore"), DecisionTreeRegressor(max_depth=5))
    pipeline.fit(frame.to_numpy(), data.amount)
    model = convert(pipeline, [("X", Int64TensorType([None, 3]))])
    rows = [[int(v) for v in frame.iloc[i]] for i in range(30)] + [[9, 0, -1], [1, 1, 99]]
    write("integers", model, rows)
    forest = RandomForestClassifier(4, max_depth=4, random_state=0).fit(data.x.to_numpy().astype(int), data.binary)
    model = convert(forest, [("X", Int64TensorType([None, data.x.shape[1]]))])
    write("integer_forest", model, [[int(v) for v in data.x.iloc[i]] for i in range(30)], ["0", "1"])


# Graphs by hand, for what the exporter does not write.

FLOAT, INT64, STRING, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING, TensorProto.BOOL


def ml(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, domain="ai.onnx.ml", **attributes)


def graph(nodes, inputs, outputs, constants=None, opset=18):
    """Inputs and outputs: name -> (type, columns)."""
    def info(entries):
        return [helper.make_tensor_value_info(n, t, [None, w] if w else [None]) for n, (t, w) in entries.items()]
    made = helper.make_graph(
        nodes, "hand", info(inputs), info(outputs),
        [numpy_helper.from_array(numpy.array(v), n) for n, v in (constants or {}).items()])
    return helper.make_model(made, ir_version=8, opset_imports=[
        helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)])


def stumps(mode, value, track, **rest):
    """One stump per mode; the true leaf weighs 1, the false one -2."""
    n = len(mode)
    lists = {
        "nodes_treeids": [t for t in range(n) for _ in range(3)], "nodes_nodeids": [0, 1, 2] * n,
        "nodes_featureids": [f for t in range(n) for f in (t % 2, 0, 0)],
        "nodes_modes": [m for t in range(n) for m in (mode[t], "LEAF", "LEAF")],
        "nodes_values": [v for t in range(n) for v in (value[t], 0.0, 0.0)],
        "nodes_truenodeids": [1, 0, 0] * n, "nodes_falsenodeids": [2, 0, 0] * n,
        "nodes_missing_value_tracks_true": [v for t in range(n) for v in (track[t], 0, 0)]}
    return {**lists, **rest}


EDGES = [[a, b] for a in (None, 1.5, 1.5000001, 1.4999999, 0.0, -0.0, "inf", "-inf", 3.0)
         for b in (None, 1.5, -2.0, "inf")]


@fixture
def hand(data):
    modes = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"]
    inf = float("inf")
    every = [(m, v, t) for m in modes for v in (1.5, 0.0, inf, -inf) for t in (0, 1)]
    regressor = ml(
        "TreeEnsembleRegressor", ["X"], ["Y"], n_targets=len(every), post_transform="NONE",
        **stumps([e[0] for e in every], [e[1] for e in every], [e[2] for e in every]),
        target_treeids=[t for t in range(len(every)) for _ in range(2)], target_nodeids=[1, 2] * len(every),
        target_ids=[t for t in range(len(every)) for _ in range(2)], target_weights=[1.0, -2.0] * len(every))
    write("hand_modes", graph([regressor], {"X": (FLOAT, 2)}, {"Y": (FLOAT, len(every))}), EDGES)
    average = ml(
        "TreeEnsembleRegressor", ["X"], ["Y"], n_targets=1, aggregate_function="AVERAGE", base_values=[0.1],
        **stumps(modes, [0.3, 0.7, 1.1, 1.5], [0, 1, 0, 1]), target_treeids=[0, 0, 1, 1, 2, 2, 3, 3],
        target_nodeids=[1, 2] * 4, target_ids=[0] * 8, target_weights=[.1, .2, .3, .4, .5, .6, .7, .8])
    write("hand_average", graph([average], {"X": (FLOAT, 2)}, {"Y": (FLOAT, 1)}), EDGES)
    for name, weights, transform, bases in (
            ("signs", [1.0, -2.0, .3, -.4], "NONE", {}), ("logistic", [1.0, -2.0, .3, -.4], "LOGISTIC", {}),
            ("positive", [.1, .2, .5, .4], "LOGISTIC", {"base_values": [.25]}),
            ("soft", [1.0, -2.0, .3, -.4], "SOFTMAX", {}),
            ("soft_positive", [.1, .2, .5, .4], "SOFTMAX", {})):
        classifier = ml(
            "TreeEnsembleClassifier", ["X"], ["L", "P"], classlabels_strings=["no", "yes"], post_transform=transform,
            **bases, **stumps(modes[:2], [1.5, -1.0], [0, 1]), class_treeids=[0, 0, 1, 1], class_nodeids=[1, 2, 1, 2],
            class_ids=[0] * 4, class_weights=weights)
        write(f"hand_{name}", graph([classifier], {"X": (FLOAT, 2)}, {"L": (STRING, 0), "P": (FLOAT, 2)}), EDGES,
              ["no", "yes"])
    both = ml(
        "TreeEnsembleClassifier", ["X"], ["L", "P"], classlabels_int64s=[3, 7], post_transform="SOFTMAX",
        **stumps(modes[:2], [1.5, -1.0], [0, 1]), class_treeids=[0, 0, 0, 0, 1, 1, 1, 1],
        class_nodeids=[1, 1, 2, 2] * 2, class_ids=[0, 1] * 4, class_weights=[.1, .9, .2, -.8, .3, .7, .4, .6])
    write("hand_both", graph([both], {"X": (FLOAT, 2)}, {"L": (INT64, 0), "P": (FLOAT, 2)}), EDGES, ["3", "7"])


@fixture
def hand_encoders(data):
    nodes = [
        ml("LabelEncoder", ["word"], ["code"], keys_strings=["red", "green", "blue"], values_floats=[.5, 1.5, 2.5],
           default_float=-7.0),
        ml("LabelEncoder", ["n"], ["small1"], keys_int64s=[1, 2, 3], values_int64s=[30, 20, 10], default_int64=5),
        ml("LabelEncoder", ["word"], ["other"], keys_strings=["blue", "grey"], values_strings=["g", "h"],
           default_string="none"),
        helper.make_node("Cast", ["small1"], ["small"], to=FLOAT),
        ml("OneHotEncoder", ["other"], ["hot3"], cats_strings=["h", "none", "g"], zeros=1),
        helper.make_node("Flatten", ["hot3"], ["hot"]),
        helper.make_node("Equal", ["word", "grey"], ["isgrey"]),
        helper.make_node("Cast", ["isgrey"], ["grey1"], to=FLOAT),
        helper.make_node("IsNaN", ["x"], ["holes"]),
        helper.make_node("Where", ["holes", "filler", "x"], ["filled"]),
        ml("Binarizer", ["filled"], ["bits"], threshold=0.5),
        ml("Normalizer", ["filled"], ["max"], norm="MAX"),
        ml("Imputer", ["n"], ["n2"], imputed_value_int64s=[4], replaced_value_int64=-1),
        ml("Scaler", ["n2"], ["scaled"], offset=[1.0], scale=[0.1]),
        ml("FeatureVectorizer", ["code", "small", "bits", "max", "scaled", "hot", "grey1"], ["all"],
           inputdimensions=[1, 1, 3, 3, 1, 3, 1]),
        ml("ArrayFeatureExtractor", ["all", "picked"], ["Y"])]
    model = graph(
        nodes, {"x": (FLOAT, 3), "word": (STRING, 1), "n": (INT64, 1)}, {"Y": (FLOAT, 14)},
        {"grey": numpy.array(["grey"], dtype=object), "filler": numpy.array([[.25, .5, .75]], dtype=numpy.float32),
         "picked": numpy.array(list(range(12, -1, -1)) + [3])}, opset=19)
    rows = [[a, b, c, word, n] for a, b, c in ((1.0, 2.0, 3.0), (None, -1.0, 0.0), (-1.0, -5.0, None), (0.0, 0.0, 0.0))
            for word in ("red", "green", "blue", "grey", "pink", None) for n in (1, 3, 4, -1)]
    write("hand_encoders", model, rows)


@fixture
def hand_tensors(data):
    n = helper.make_node
    nodes = [
        n("Gemm", ["x", "w", "b"], ["g"], transB=1), n("Sigmoid", ["g"], ["s"]), n("Softmax", ["g"], ["soft"], axis=-1),
        n("Transpose", ["turned"], ["m"], perm=[1, 0]), n("MatMul", ["s", "m"], ["mm"]),
        n("Unsqueeze", ["mm", "one"], ["q"]), n("Squeeze", ["q", "one"], ["u"]),
        n("Split", ["soft", "parts"], ["p1", "p2"], axis=1),
        n("ReduceSum", ["p2", "one"], ["rs"], keepdims=1), n("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=1),
        n("ReduceMax", ["x"], ["rmax"], axes=[1], keepdims=1), n("ReduceL2", ["x"], ["l2"], axes=[1], keepdims=1),
        n("ArgMax", ["x"], ["best"], axis=1, keepdims=1), n("Cast", ["best"], ["bestf"], to=FLOAT),
        n("Greater", ["x", "zerof"], ["pos"]), n("Not", ["pos"], ["neg"]), n("And", ["pos", "pos"], ["pp"]),
        n("Or", ["neg", "pp"], ["any"]), n("Where", ["pos", "x", "zerof"], ["relu"]),
        n("Cast", ["any"], ["anyf"], to=FLOAT),
        n("Slice", ["x", "one", "three", "one"], ["sl"]), n("Max", ["x", "zerof"], ["mx"]),
        n("Sum", ["x", "x", "mx"], ["sum"]),
        n("Sqrt", ["mx"], ["root"]), n("Tanh", ["x"], ["tanh"]), n("Floor", ["x"], ["floor"]), n("Abs", ["x"], ["abs"]),
        n("Exp", ["tanh"], ["exp"]), n("Div", ["x", "half"], ["div"]), n("Pow", ["abs", "half"], ["pow"]),
        n("Constant", [], ["c"], value=numpy_helper.from_array(numpy.array([[2.5]], dtype=numpy.float32))),
        n("Mul", ["x", "c"], ["mul"]), n("Gather", ["mul", "first"], ["gat"], axis=1), n("Shape", ["x"], ["shape"]),
        n("ConstantOfShape", ["shape"], ["zeros"]), n("Sub", ["zeros", "x"], ["minus"]), n("Neg", ["minus"], ["same"]),
        n("LessOrEqual", ["x", "c"], ["le"]), n("Cast", ["le"], ["lef"], to=FLOAT), n("Min", ["x", "c"], ["mn"]),
        n("Concat", ["s", "soft", "u", "p1", "rs", "mean", "rmax", "l2", "bestf", "relu", "anyf", "sl", "sum", "root",
                     "floor", "exp", "div", "pow", "gat", "same", "lef", "mn"], ["Y"], axis=1)]
    random = numpy.random.default_rng(9)
    model = graph(nodes, {"x": (FLOAT, 4)}, {"Y": (FLOAT, 62)}, {
        "w": random.normal(size=(3, 4)).astype(numpy.float32), "b": random.normal(size=3).astype(numpy.float32),
        "turned": random.normal(size=(2, 3)).astype(numpy.float32), "one": numpy.array([1]),
        "three": numpy.array([3]), "parts": numpy.array([1, 2]), "zerof": numpy.array([0], dtype=numpy.float32),
        "half": numpy.array([.5], dtype=numpy.float32), "first": numpy.array([3, 0])}, opset=17)
    rows = [[number(v) for v in random.normal(size=4).astype(numpy.float32) * 3] for _ in range(20)]
    write("hand_tensors", model, rows + [[0.0] * 4, [1.0, 1.0, -1.0, 1.0]])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    OUT.mkdir(parents=True, exist_ok=True)
    loaded = Data(sys.argv[1])
    for wanted in sys.argv[2:] or FIXTURES:
        FIXTURES[wanted](loaded)
