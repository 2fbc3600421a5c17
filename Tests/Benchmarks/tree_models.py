"""Prepares what the section models of deploy/bench compares: rows, models that it trains, and what the peers make of models.

    tree_models.py DIRECTORY SHARED      in the peers' Python environment; what is there already is kept

Per model of MODELS: DIRECTORY/NAME.0.rows and NAME.20.rows (two uint64: rows and columns, then float64; the second with about
a fifth of the values missing), and what each peer reads. Rows are rounded to float32, so that peers of either width see the
same values. What cannot be made is written with its reason to DIRECTORY/absent.json, by model and peer.
"""
import csv
import gzip
import io
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import traceback

import numpy

ROWS = 10_000
COMPILE_SECONDS = int(os.environ.get("BENCH_COMPILE_SECONDS", "3600"))
TRAINED = {"bench_100x6": (100, 6), "bench_1000x8": (1000, 8)}
MODELS = {
    "xgb3_speed_500x6": "xgboost/xgb3_speed_500x6.ubj", "lgb4_speed_500x31": "lightgbm/lgb4_speed_500x31.txt",
    "xgb3_retail_repurchase": "xgboost/xgb3_retail_repurchase.ubj",
    "lgb4_retail_repurchase": "lightgbm/lgb4_retail_repurchase.txt",
    "bench_100x6": None, "bench_1000x8": None,
}


def told(error):
    if isinstance(error, subprocess.CalledProcessError) and error.returncode == 124:
        return f"it was not compiled within {COMPILE_SECONDS} s"
    return f"{type(error).__name__}: {error}"[:200]


def is_lightgbm(name):
    return name.startswith("lgb")


class Preparation:
    def __init__(self, directory, shared):
        self.directory, self.data = directory, shared / "data"
        self.random = numpy.random.default_rng(20261130)
        self.absent = {}

    def model(self, name):
        """The file that decisiond reads."""
        return self.data / "models" / MODELS[name] if MODELS[name] else self.directory / f"{name}.ubj"

    # Rows

    def telco(self):
        encoding = json.loads((self.data / "datasets" / "encoding.json").read_text())["telco"]
        codes = {name: {word: code for code, word in enumerate(words)}
                 for name, words in encoding["categories_code_order"].items()}
        text = gzip.decompress((self.data / "datasets" / "telco_churn.csv.gz").read_bytes()).decode()
        return numpy.array([[codes[name][row[name]] if name in codes else float(row[name]) for name in encoding["features"]]
                            for row in csv.DictReader(io.StringIO(text)) if row["TotalCharges"].strip()])

    def retail(self, name):
        features = json.loads((self.data / "models" / "golden" / f"{name}.json").read_text())["features"]
        text = gzip.decompress((self.data / "features" / "training.csv.gz").read_bytes()).decode()
        return numpy.array([[float(row[feature] or "nan") for feature in features]
                            for row in csv.DictReader(io.StringIO(text))])

    def distinct(self, rows):
        """Exactly ROWS different rows: real ones first, then real ones with some values of another real row."""
        real = numpy.unique(rows.astype(numpy.float32), axis=0)
        self.random.shuffle(real)
        found = real
        while len(found) < ROWS:
            first, second = (real[self.random.integers(len(real), size=ROWS)] for _ in range(2))
            mixed = numpy.where(self.random.random(first.shape) < 0.15, second, first)
            fresh = numpy.setdiff1d(*(x.view([("", x.dtype)] * x.shape[1]).ravel() for x in (mixed, found)))
            self.random.shuffle(fresh)
            found = numpy.concatenate([found, fresh.view(found.dtype).reshape(-1, found.shape[1])])
        return found[:ROWS].astype(numpy.float64)

    def write_rows(self, name, rows):
        holes = numpy.isnan(rows)
        # Where nothing is to be missing, a real blank becomes 0, as a window without events counts.
        full = self.distinct(numpy.where(holes, 0, rows))
        blanked = self.distinct(rows) if holes.any() else full.copy()
        share = max(0, 0.2 - numpy.isnan(blanked).mean()) / (1 - numpy.isnan(blanked).mean())
        blanked[self.random.random(blanked.shape) < share] = numpy.nan
        for missing, table in ((0, full), (20, blanked)):
            path = self.directory / f"{name}.{missing}.rows"
            path.write_bytes(struct.pack("=QQ", *table.shape) + table.tobytes())

    def rows(self, name):
        if (self.directory / f"{name}.20.rows").exists():
            return
        if "speed" in name:
            self.write_rows(name, self.telco())
        elif "retail" in name:
            self.write_rows(name, self.retail(name))
        else:
            self.write_rows(name, self.synthetic()[0][40_000:])

    # Models

    def synthetic(self):
        from sklearn.datasets import make_classification

        features, labels = make_classification(
            n_samples=60_000, n_features=30, n_informative=20, n_redundant=5, n_clusters_per_class=8, flip_y=0.15,
            class_sep=0.7, random_state=20240601)
        return features.astype(numpy.float32), labels

    def train(self, name):
        if self.model(name).exists():
            return
        import xgboost

        trees, depth = TRAINED[name]
        features, labels = self.synthetic()
        model = xgboost.XGBClassifier(n_estimators=trees, max_depth=depth, learning_rate=0.05, tree_method="hist",
                                      objective="binary:logistic", base_score=0.5, random_state=1, n_jobs=2)
        model.fit(features[:40_000], labels[:40_000]).save_model(self.model(name))

    # What peers read

    def attempt(self, name, peer, file, make):
        """Runs `make` unless its file is there; a failure leaves the peer out of the comparison, with its reason."""
        if (self.directory / file).exists():
            return
        try:
            make()
        except Exception as error:  # whatever a converter throws: it is the peer that is absent, not the figures
            traceback.print_exc()
            self.absent.setdefault(name, {})[peer] = told(error)

    def booster(self, name):
        import xgboost

        booster = xgboost.Booster(model_file=str(self.model(name)))
        booster.feature_names = None
        return booster

    def json(self, name):
        """The file as XGBoost 3.2 writes it, and with the one spelling changed that 3.0 does not read."""
        text = self.booster(name).save_raw("json").decode()
        (self.directory / f"{name}.json").write_text(text)
        older = re.sub(r'"base_score":"\[([^\],]*)\]"', r'"base_score":"\1"', text)
        (self.directory / f"{name}.v30.json").write_text(older)

    def onnx(self, name):
        import onnxmltools
        from onnxmltools.convert.common.data_types import FloatTensorType

        columns = struct.unpack("=QQ", (self.directory / f"{name}.0.rows").read_bytes()[:16])[1]
        inputs = [("x", FloatTensorType([None, columns]))]
        if is_lightgbm(name):
            import lightgbm

            model = onnxmltools.convert_lightgbm(lightgbm.Booster(model_file=str(self.model(name))), initial_types=inputs,
                                                 zipmap=False)
        else:
            import xgboost

            classifier = xgboost.XGBClassifier()
            classifier.load_model(self.model(name))
            classifier.get_booster().feature_names = None
            model = onnxmltools.convert_xgboost(classifier, initial_types=inputs)
        (self.directory / f"{name}.onnx").write_bytes(model.SerializeToString())

    def tl2cgen(self, name):
        import tl2cgen
        import treelite

        # Thresholds as integers are the faster of its two ways for more than 100 trees of this kind.
        quantize = 0 if name == "bench_100x6" else 1
        if is_lightgbm(name):
            model = treelite.frontend.load_lightgbm_model(str(self.model(name)))
        else:
            model = treelite.frontend.load_xgboost_model(str(self.directory / f"{name}.json"))
        source = self.directory / f"{name}.c"
        shutil.rmtree(source, ignore_errors=True)
        tl2cgen.generate_c_code(model, dirpath=str(source), params={"quantize": quantize, "parallel_comp": 24})
        files = sorted(path.name for path in source.glob("*.c"))
        # timeout(1) ends the compilers too.
        subprocess.run(["timeout", str(COMPILE_SECONDS), "xargs", "-P2", "-I@", "gcc", "-O3", "-fPIC", "-c", "@", "-o", "@.o"],
                       input="\n".join(files), text=True, cwd=source, check=True)
        subprocess.run(["gcc", "-shared", "-o", str(self.directory / f"{name}.tl2cgen.so"), *(f"{file}.o" for file in files),
                        "-lm"], cwd=source, check=True)
        shutil.rmtree(source)

    def lleaves(self, name):
        import lleaves

        compiled = self.directory / f"{name}.o"
        compiled.unlink(missing_ok=True)
        lleaves.Model(model_file=str(self.model(name))).compile(cache=str(compiled), fcodemodel="large")
        subprocess.run(["gcc", "-shared", "-Wl,-z,notext", "-o", str(self.directory / f"{name}.lleaves.so"), str(compiled),
                        "-lm"], check=True, stderr=subprocess.DEVNULL)
        compiled.unlink()

    def run(self):
        for name in MODELS:
            if name in TRAINED:
                self.train(name)
            self.rows(name)
            if is_lightgbm(name):
                self.attempt(name, "lleaves", f"{name}.lleaves.so", lambda: self.lleaves(name))
            else:
                self.attempt(name, "XGBoost 3.0.5", f"{name}.v30.json", lambda: self.json(name))
            self.attempt(name, "ONNX Runtime", f"{name}.onnx", lambda: self.onnx(name))
            self.attempt(name, "tl2cgen", f"{name}.tl2cgen.so", lambda: self.tl2cgen(name))
        (self.directory / "absent.json").write_text(json.dumps(self.absent))


if __name__ == "__main__":
    Preparation(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])).run()
