"""The section models of deploy/bench: one row, a batch, contributions, load time and memory, beside the peers. See run.py."""
import array
import json
import math
import os
import pathlib
import statistics
import subprocess

import harness
import tree_figures
from harness import BenchError, command, say, table

SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
ROUNDS = int(os.environ.get("BENCH_MODEL_ROUNDS", "5"))
MODELS = ["xgb3_speed_500x6", "lgb4_speed_500x31", "xgb3_retail_repurchase", "lgb4_retail_repurchase", "bench_100x6",
          "bench_1000x8"]
FILES = {
    "xgb3_speed_500x6": "xgboost/xgb3_speed_500x6.ubj", "lgb4_speed_500x31": "lightgbm/lgb4_speed_500x31.txt",
    "xgb3_retail_repurchase": "xgboost/xgb3_retail_repurchase.ubj",
    "lgb4_retail_repurchase": "lightgbm/lgb4_retail_repurchase.txt"}
OURS = "decisiond"


class Absent(Exception):
    """A peer that cannot be measured, with the reason."""


class Worker:
    """One evaluator in a process of its own, which serves rounds of measurement."""

    def __init__(self, name, line, answers):
        self.name, self.answers, self.figures = name, answers, {}
        for suffix in ("single", "batch", "shap"):
            pathlib.Path(f"{answers}.{suffix}").unlink(missing_ok=True)
        self.errors = open(f"{answers}.log", "w+", encoding="utf-8")
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        self.process = subprocess.Popen([*map(str, line), str(answers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True, env=environment)
        while (words := self.process.stdout.readline().split()) != ["ready"]:
            if len(words) != 2:
                raise Absent(self.why())
            self.note(*words)

    def why(self):
        """Why it ended, which it did or is about to."""
        self.stop()
        self.errors.seek(0)
        text = self.errors.read().strip()[-200:]
        return text or f"it ended with {self.process.returncode}"

    def note(self, name, value):
        self.figures.setdefault(name, []).append(math.nan if value == "-" else float(value))

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        if len(words) != 2:
            raise BenchError(f"{self.name}: {self.why()}")
        self.note(*words)

    def written(self, suffix):
        """The answers it gave; empty where it gives none."""
        numbers = array.array("d")
        path = pathlib.Path(f"{self.answers}.{suffix}")
        if path.exists():
            numbers.frombytes(path.read_bytes())
        return numbers

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def peers(work, name):
    """Name, kind, library and model of every peer of a model."""
    library = {kind: os.environ.get(f"BENCH_{kind}_LIBRARY") for kind in ("XGBOOST", "XGBOOST30", "LIGHTGBM", "ONNXRUNTIME")}
    onnx = ("ONNX Runtime", "onnxruntime", library["ONNXRUNTIME"], work / f"{name}.onnx")
    compiled = work / f"{name}.tl2cgen.so"
    if name.startswith("lgb"):
        return [("LightGBM single row fast", "lightgbm", library["LIGHTGBM"], file_of(work, name)), onnx,
                ("tl2cgen", "tl2cgen-double", compiled, "-"), ("lleaves", "lleaves", work / f"{name}.lleaves.so", "-")]
    return [("XGBoost 3.0.5", "xgboost", library["XGBOOST30"], work / f"{name}.v30.json"),
            ("XGBoost 3.2.0", "xgboost", library["XGBOOST"], file_of(work, name)), onnx,
            ("tl2cgen", "tl2cgen-float", compiled, "-")]


def file_of(work, name):
    return harness.shared() / "data" / "models" / FILES[name] if name in FILES else work / f"{name}.ubj"


def prepare(work):
    """Rows, trained models and what peers make of models; what is missing, with the reasons, by model and peer."""
    work.mkdir(parents=True, exist_ok=True)
    log = work / "prepare.log"
    with open(log, "w", encoding="utf-8") as file:
        done = subprocess.run([os.environ["BENCH_PYTHON"], str(harness.HERE / "tree_models.py"), str(work),
                               str(harness.shared())], stdout=file, stderr=file, cwd=work)
    if done.returncode:
        raise BenchError(f"the models could not be prepared: {log.read_text()[-500:]}")
    return json.loads((work / "absent.json").read_text())


def start(work, directory, name, missing, reasons):
    """Every evaluator of a model that can be started, ours first; the others go to `reasons`."""
    rows = work / f"{name}.{missing}.rows"
    workers = [Worker(OURS, [os.environ["BENCH_MICRO"], "model", file_of(work, name), rows], directory / "ours")]
    for number, (peer, kind, library, model) in enumerate(peers(work, name)):
        try:
            for needed in (library, model):
                if not needed or (needed != "-" and not pathlib.Path(needed).exists()):
                    raise Absent(reasons.get(peer) or "it is not installed")
            line = [os.environ["BENCH_PEERS"], kind, library, model, rows]
            workers.append(Worker(peer, line, directory / f"peer{number}"))
        except Absent as reason:
            reasons[peer] = str(reason)
    return workers


def measure(work, directory, name, missing, reasons):
    """Interleaved rounds of all evaluators over the same rows."""
    workers = start(work, directory, name, missing, reasons)
    try:
        for _ in range(ROUNDS):
            for worker in workers:
                worker.ask(f"single {20 * SECONDS}")
            for worker in workers:
                worker.ask("batch")
        if missing == 0:
            for request in ["shap"] * 3 + ["load"] * 5:
                for worker in workers:
                    worker.ask(request)
        return {worker.name: tree_figures.Result(worker, workers[0]) for worker in workers}
    finally:
        for worker in workers:
            worker.stop()


def section(directory):
    say("## Models in one thread: a row, a batch, contributions\n")
    if harness.shared() is None:
        say("The speed models are not on this machine (DECISIOND_SHARED); this section is left out.\n")
        return
    if not os.environ.get("BENCH_MICRO"):
        say("BENCH_MICRO names no decisiond-microbench; this section is left out.\n")
        return
    work = pathlib.Path(os.environ["BENCH_MODELS"])
    absent = prepare(work)
    command(f"decisiond-microbench model MODEL ROWS ANSWERS; tree_peers KIND LIBRARY MODEL ROWS ANSWERS; {ROUNDS} interleaved "
            f"rounds of {20 * SECONDS} ms")
    say("10,000 different rows: real ones, filled up with real ones that have some values of another real row, rounded to "
        "float32; with nothing missing, and with a fifth of all values missing. One thread, warm, each round goes on with other "
        "rows. Time is processor time of the process, so that other work on the machine counts only where it takes caches. "
        "Medians; a ratio is the median of the ratios to decisiond in the same round. XGBoost gets one proxy matrix for all "
        "calls; tl2cgen and lleaves are compiled by gcc -O3 and LLVM for this model, which load time leaves out.\n")
    found = {}
    for name in MODELS:
        reasons = absent.get(name, {})
        found[name] = {missing: measure(work, directory, name, missing, reasons) for missing in (0, 20)}
        say(f"### {name}\n")
        table(tree_figures.COLUMNS, tree_figures.rows(found[name]))
        for peer, reason in reasons.items():
            say(f"{peer} is absent: {reason}\n")
    contributions(found)
    loading(found)
    say("### Against the targets\n")
    table(["what", "target", "nothing missing", "a fifth missing", ""], tree_figures.verdicts(found))


def contributions(found):
    say("### Exact contributions (SHAP) of one row\n")
    rows = []
    for name, results in found.items():
        for peer, result in results[0].items():
            figure = result.median("shap")
            if not math.isnan(figure):
                rows.append([name, peer, f"{figure / 1e3:,.0f} us", f"{result.ratio('shap'):.2f}", result.explained])
    table(["model", "evaluator", "a row", "of decisiond's time", "largest difference, of the row's largest contribution"], rows)
    say("XGBoost's matrix of one row is made beforehand; XGBoost computes in float32. ONNX Runtime, tl2cgen and lleaves have no "
        "contributions.\n")


def loading(found):
    say("### Loading\n")
    table(["model", "evaluator", "median of 6", "resident after the first row"], [
        [name, peer, f"{statistics.median(result.figures['load']) / 1e6:,.1f} ms",
         f"{result.figures['resident_kib'][0] / 1024:.1f} MiB"]
        for name, results in found.items() for peer, result in results[0].items()])
