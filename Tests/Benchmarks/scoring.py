"""The sections of deploy/bench about scoring over HTTP: infer, score. See run.py."""
import csv
import gzip
import io
import json
import os
import pathlib
import statistics
import subprocess
import threading
import time

import harness
import scale
from harness import BenchError, command, say, table

SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
ROUNDS = 3
BODIES = 2_000
SCORED_ROWS = int(os.environ.get("BENCH_SCORE_ROWS", "1000000"))
# The demo's model, the file that it is made of, and what runs that in MLServer.
INFERRED = [
    ("retail-repurchase", "xgboost/xgb3_retail_repurchase.json", "mlserver_xgboost.XGBoostModel"),
    ("retail-repurchase-lgb", "lightgbm/lgb4_retail_repurchase.txt", "mlserver_lightgbm.LightGBMModel")]


def retail_rows(count):
    """Names of the retail models' inputs and `count` different rows of them; what is missing is None."""
    data = harness.shared() / "data"
    features = json.loads((data / "models" / "golden" / "xgb3_retail_repurchase.json").read_text())["features"]
    text = gzip.decompress((data / "features" / "training.csv.gz").read_bytes()).decode()
    rows = {tuple(float(row[feature]) if row[feature] else None for feature in features): None
            for row in csv.DictReader(io.StringIO(text))}
    return features, list(rows)[:count]


class MLServer:
    """MLServer with one model, in its own Python environment; one process, one thread, its fastest way with a row a request."""

    def __init__(self, directory, venv, implementation, model):
        home = directory / "mlserver"
        home.mkdir(exist_ok=True)
        self.port = harness.free_port()
        (home / "settings.json").write_text(json.dumps({
            "debug": False, "host": "127.0.0.1", "http_port": self.port, "grpc_port": harness.free_port(),
            "metrics_port": harness.free_port(), "parallel_workers": 0, "logging_settings": None}))
        (home / "model-settings.json").write_text(json.dumps(
            {"name": "m", "implementation": implementation, "parameters": {"uri": str(model)}}))
        self.log = home / "log"
        environment = dict(os.environ, OMP_NUM_THREADS="1", HOME=str(home), PATH=f"{venv}/bin:" + os.environ["PATH"])
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([f"{venv}/bin/mlserver", "start", str(home)], cwd=home, env=environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_ready(self):
        client = harness.Client(self.port, "")
        for _ in range(240):
            try:
                if self.process.poll() is None and client.send("GET", "/v2/models/m/ready")[0] == 200:
                    return True
            except OSError:
                pass
            time.sleep(0.5)
        return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def infer(daemon, directory):
    """One row a request in the Open Inference Protocol, beside MLServer."""
    say("## Open Inference Protocol over HTTP, one row a request\n")
    if harness.shared() is None:
        say("The retail rows are not on this machine (DECISIOND_SHARED); this section is left out.\n")
        return
    venv = os.environ.get("BENCH_MLSERVER_VENV")
    rows, bodies = [], write_bodies(directory)
    for model, file, implementation in INFERRED:
        path, server = f"/v2/models/{model}/infer", None
        try:
            if venv and pathlib.Path(venv, "bin", "mlserver").exists():
                server = MLServer(directory, venv, implementation, harness.shared() / "data" / "models" / file)
                if not server.is_ready():
                    say(f"MLServer is absent for {model}, it was not ready after 120 s: {server.log.read_text()[-300:]}\n")
                    server.stop()
                    server = None
            sides = {"decisiond": (daemon.port, path, daemon.key)}
            if server:
                sides["MLServer"] = (server.port, "/v2/models/m/infer", "")
            difference = compare(sides, bodies)
            rows += [[model, *line, difference] for line in measured(sides, bodies)]
        finally:
            if server:
                server.stop()
    if not venv:
        say("MLServer is left out: BENCH_MLSERVER_VENV names no environment with it.\n")
    command(f"wrk -t N -c N -d {max(1, SECONDS // 2)}s -s Tests/Benchmarks/infer.lua; mlserver start, parallel_workers 0, "
            f"OMP_NUM_THREADS=1; medians of {ROUNDS} interleaved rounds")
    say(f"One FP32 tensor of shape [1, 36], {BODIES:,} different rows; wrk and the server share the machine's cores.\n")
    table(["model", "connections", "decisiond/s", "p50 / p99 ms", "MLServer/s", "p50 / p99 ms", "ratio", "not 2xx",
           "largest difference of 20 answers"], rows)


def write_bodies(directory):
    """A file of bodies, the same for both sides; what is missing is 0, since not every server takes null."""
    names, rows = retail_rows(BODIES)
    path = directory / "infer.bodies"
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            tensor = {"name": "x", "shape": [1, len(names)], "datatype": "FP32", "data": [value or 0.0 for value in row]}
            file.write(json.dumps({"inputs": [tensor]}, separators=(",", ":")) + "\n")
    return path


def compare(sides, bodies):
    """The largest difference between both sides' probabilities of the first rows."""
    with open(bodies, "rb") as file:
        lines = [line.strip() for _, line in zip(range(20), file)]
    answers = []
    for port, path, key in sides.values():
        client = harness.Client(port, key)
        answers.append([client.json("POST", path, line)["outputs"][0]["data"][-1] for line in lines])
    if len(answers) < 2:
        return "-"
    return f"{max(abs(a - b) for a, b in zip(*answers)):.1e}"


def measured(sides, bodies):
    """A line for each number of connections."""
    for connections in (1, 32):
        runs = {side: [] for side in sides}
        for _ in range(ROUNDS):
            for side, (port, path, key) in sides.items():
                environment = {"INFER_PATH": path, "INFER_BODIES": str(bodies), "DECISIOND_KEY": key}
                runs[side].append(harness.wrk(port, connections, max(1, SECONDS // 2), environment, "infer.lua"))
        line, rates = [connections], {}
        for side in ("decisiond", "MLServer"):
            if side not in runs:
                line += ["-", "-"]
                continue
            middle = {name: statistics.median(run[name] for run in runs[side]) for name in ("rate", "p50_us", "p99_us")}
            rates[side] = [run["rate"] for run in runs[side]]
            line += [f"{middle['rate']:,.0f}", f"{middle['p50_us'] / 1e3:.2f} / {middle['p99_us'] / 1e3:.2f}"]
        ratio = "-"
        if all(rates.get("MLServer", [0])):
            ratio = f"{statistics.median(a / b for a, b in zip(rates['decisiond'], rates['MLServer'])):.0f}x"
        yield line + [ratio, sum(run["refused"] + run["failed"] for side in runs.values() for run in side)]


class Scores:
    """Scores SCORED_ROWS rows in one request after the other until it is left."""

    def __init__(self, daemon):
        names, rows = retail_rows(SCORED_ROWS)
        lines = [json.dumps(row, separators=(",", ":")) for row in rows]
        times = -(-SCORED_ROWS // len(lines))
        text = ",".join((lines * times)[:SCORED_ROWS])
        self.body = f'{{"columns":{json.dumps(names)},"rows":[{text}]}}'.encode()
        self.client, self.seconds, self.is_over, self.problem = daemon.client(), [], False, None
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.is_over:
                begin = time.monotonic()
                answer = self.client.must("POST", "/v1/models/retail-repurchase/score", self.body)
                self.seconds.append(time.monotonic() - begin)
                if answer.count(b'"score":') < SCORED_ROWS:
                    raise BenchError(f"not {SCORED_ROWS} scores: {answer[:200]!r}")
        except (BenchError, OSError) as error:
            self.problem = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()
        if self.problem:
            raise BenchError(f"scoring {SCORED_ROWS:,} rows: {self.problem}")

    def told(self):
        if not self.seconds:
            return f"the first {SCORED_ROWS:,} rows still going on"
        return f"{SCORED_ROWS / statistics.median(self.seconds):,.0f} rows/s, {len(self.seconds)} requests done"


def score(daemon, entities):
    """Decisions while many rows are scored on the bulk pool."""
    say(f"## Decisions beside a score of {SCORED_ROWS:,} rows, {scale.BUSY_CONNECTIONS} connections\n")
    if harness.shared() is None:
        say("The retail rows are not on this machine (DECISIOND_SHARED); this section is left out.\n")
        return
    rows = []
    scale.measure_beside(daemon, entities, "nothing else", rows)
    with Scores(daemon) as scores:
        scale.measure_beside(daemon, entities, f"POST /v1/models/retail-repurchase/score, {SCORED_ROWS:,} rows a request", rows,
                             scores.told)
    scale.measure_beside(daemon, entities, "nothing else, again", rows)
    command(f"wrk -t2 -c {scale.BUSY_CONNECTIONS} -d {SECONDS}s -s Tests/Benchmarks/decide.lua beside one connection that scores "
            f"{len(scores.body) >> 20} MiB of JSON a request")
    table(scale.BESIDE_COLUMNS, rows)
    say(f"Requests of {SCORED_ROWS:,} rows took {', '.join(f'{s:.1f}' for s in scores.seconds)} s; {daemon.resident_mebibytes():.0f} "
        "MiB resident afterwards.\n")
