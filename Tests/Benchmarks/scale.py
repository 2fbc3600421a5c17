"""The sections of deploy/bench about size and reads: micro, online, busy. See run.py."""
import datetime
import gzip
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time

import harness
import workload
from harness import BenchError, Daemon, command, say, table

SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
ENTITIES = int(os.environ.get("BENCH_SCALE_ENTITIES", "1000000"))
PER_ENTITY = int(os.environ.get("BENCH_SCALE_EVENTS_PER_ENTITY", "4"))
MICRO_EVENTS = int(os.environ.get("BENCH_MICRO_EVENTS", "100000000"))
FEAST_ENTITIES = 10_000
BUSY_CONNECTIONS = 8
BESIDE_COLUMNS = ["beside", "decisions/s", "client p50 / p99 ms", "server p99, without the commit", "not 2xx", "the other work"]
EVENT = ('{"specversion":"1.0","id":"%s","source":"/shops/scale","type":"com.example.bench.purchase","subject":"B%06d",'
         '"time":"%s","data":{"amount":%d.%02d,"quantity":%d}}')


def micro(directory, daemon):
    """Pure code in one thread: check of events, update and read of features."""
    say("## One thread, no HTTP, no disk\n")
    program = os.environ.get("BENCH_MICRO")
    if not program:
        say("BENCH_MICRO names no decisiond-microbench; this section is left out.\n")
        return
    rows = []
    shared = harness.shared()
    if shared is not None:
        document = daemon.client().json("GET", "/v1/definitions/DataContract/retail_events")
        contract = directory / "contract.json"
        contract.write_text(json.dumps(document["document"]))
        events = directory / "events.ndjson"
        with gzip.open(shared / "data" / "events" / "events.ndjson.gz", "rb") as file:
            lines = file.read().splitlines()[:100_000]
        events.write_bytes(b"\n".join(lines) + b"\n")
        figures = run_micro(program, "contract", contract, events, SECONDS)
        rows += [["parse one retail event (JSON only)", f"{figures['parse_ns']:.0f} ns",
                  f"{1e9 / figures['parse_ns']:,.0f} a second"],
                 ["parse, decode as CloudEvent, check against its contract", f"{figures['parse_and_check_ns']:.0f} ns",
                  f"{1e9 / figures['parse_and_check_ns']:,.0f} a second ({figures['events_sound']:.0f} of "
                  f"{figures['events']:.0f} sound)"]]
    for total in (1_000_000, MICRO_EVENTS):
        entities = 100_000
        figures = run_micro(program, "features", entities, total, SECONDS)
        rows += [[f"apply one event to a view of 10 features, {total:,} events of {entities:,} entities",
                  f"{figures['apply_ns']:.0f} ns", f"{figures['retire_ns']:.0f} ns an entity for retention's pass"],
                 [f"read 10 features of one entity after {total:,} events", f"{figures['read_ns']:.0f} ns",
                  f"{figures['resident_peak_mebibytes']:.0f} MiB resident at most"]]
    command("decisiond-microbench contract CONTRACT EVENTS SECONDS; decisiond-microbench features ENTITIES EVENTS SECONDS; "
            "10 events of an entity within the longest window, 90 days")
    table(["what", "time", "rate"], rows)


def run_micro(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{program} ended with {done.returncode}: {done.stderr[-300:]}")
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def purchases(now):
    generator = random.Random(7)
    total = ENTITIES * PER_ENTITY
    start, step = now - datetime.timedelta(days=60), datetime.timedelta(days=60) / total
    for number in range(total):
        moment = (start + number * step).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        yield EVENT % (f"s{number}", number % ENTITIES, moment, generator.randint(0, 99), generator.randint(0, 99),
                       generator.randint(1, 24))


class Scale:
    """A daemon that holds ten features of many entities."""

    def __init__(self, directory):
        self.daemon = Daemon("scale", definitions=harness.HERE / "definitions", needed=[("FeatureView", "bench_spend")])
        self.directory = directory

    def load(self):
        self.daemon.start()
        client = self.daemon.client()
        time.sleep(1)
        before = self.daemon.resident_mebibytes()
        now = datetime.datetime.now(datetime.timezone.utc)
        for _, body in workload.batches(purchases(now)):
            client.json("POST", "/v1/events?results=problems", body, content_type="application/x-ndjson")
        self.daemon.wait_shipped(client, 1800)
        time.sleep(2)
        return before, self.daemon.resident_mebibytes()

    def memory_and_restart(self):
        before, after = self.load()
        times, resident = [], []
        for _ in range(3):
            self.daemon.stop()
            times.append(self.daemon.start())
            resident.append(self.daemon.resident_mebibytes())
        command(f"{ENTITIES:,} customers, {PER_ENTITY} purchases each, ten features (Tests/Benchmarks/definitions); VmRSS; "
                "kill -TERM, serve, /readyz every 2 ms")
        table(["what", "figure"], [
            ["RSS before the first event", f"{before:.0f} MiB"],
            [f"RSS with {ENTITIES:,} entities x 10 features", f"{after:.0f} MiB"],
            ["from start to ready, from the snapshot of a clean stop, median of 3",
             f"{statistics.median(times):.2f} s ({', '.join(f'{t:.2f}' for t in times)})"],
            ["RSS after that", f"{statistics.median(resident):.0f} MiB"]])

    def reads(self):
        rows, rates = [], {}
        environment = {"DECISIOND_KEY": self.daemon.key, "READ_KIND": "decisiond", "READ_ENTITIES": str(ENTITIES)}
        feast = Feast(self.directory)
        try:
            for batch in (1, 100):
                for connections in (1, 32):
                    extra = {"READ_BATCH": str(batch)}
                    ours = harness.wrk(self.daemon.port, connections, SECONDS, environment | extra, "read.lua")
                    theirs = None
                    if feast.port:
                        theirs = harness.wrk(feast.port, connections, SECONDS, {
                            "READ_KIND": "feast", "READ_ENTITIES": str(FEAST_ENTITIES)} | extra, "read.lua")
                    rates[batch, connections] = ours["rate"]
                    rows.append([
                        batch, connections, f"{ours['rate']:,.0f}", f"{ours['p50_us'] / 1e3:.2f} / {ours['p99_us'] / 1e3:.2f}",
                        f"{theirs['rate']:,.0f}" if theirs else "-",
                        f"{theirs['p50_us'] / 1e3:.2f} / {theirs['p99_us'] / 1e3:.2f}" if theirs else "-",
                        f"{ours['rate'] / theirs['rate']:.0f}x" if theirs and theirs["rate"] else "-",
                        ours["refused"] + ours["failed"]])
        finally:
            feast.stop()
        if not feast.port:
            say(f"Feast is left out: {feast.why}\n")
        command(f"wrk -t N -c N -d {SECONDS}s -s Tests/Benchmarks/read.lua; feast serve -w 1 --no-access-log (SQLite store, "
                f"{FEAST_ENTITIES:,} entities)")
        table(["entities a request", "connections", "decisiond/s", "p50 / p99 ms", "Feast/s", "Feast p50 / p99 ms", "ratio",
               "not 2xx"], rows)


class Feast:
    """Feast's feature server, when its virtual environment is there."""

    def __init__(self, directory):
        self.port, self.process, self.why = None, None, "BENCH_FEAST_VENV names no environment with feast"
        venv = os.environ.get("BENCH_FEAST_VENV")
        if not venv or not pathlib.Path(venv, "bin", "feast").exists():
            return
        home = directory / "feast"
        shutil.rmtree(home, ignore_errors=True)
        environment = dict(os.environ, FEAST_USAGE="False", HOME=str(directory), PATH=f"{venv}/bin:" + os.environ["PATH"])
        made = subprocess.run([f"{venv}/bin/python", str(harness.HERE / "feast_store.py"), str(home)], env=environment,
                              capture_output=True, text=True)
        if made.returncode:
            self.why = made.stderr[-300:]
            return
        port = harness.free_port()
        with open(directory / "feast.log", "wb") as log:
            self.process = subprocess.Popen(
                [f"{venv}/bin/feast", "-c", str(home), "serve", "-h", "127.0.0.1", "-p", str(port), "-w", "1",
                 "--max-requests", "0", "--no-access-log"], cwd=home, env=environment, stdout=log, stderr=log)
        if self.answers(port):
            self.port = port

    def answers(self, port):
        client = harness.Client(port, "")
        body = {"features": ["spend:f3"], "entities": {"customer": [7]}}
        for _ in range(120):
            try:
                status, data = client.send("POST", "/get-online-features", body)
                value = json.loads(data)["results"][1]["values"][0] if status == 200 else data
                if value == 100.0:
                    return True
                self.why = f"it answered {value!r} for f3 of entity 7, not 100"
            except (OSError, ValueError, LookupError):
                self.why = "it did not answer within 60 s"
            time.sleep(0.5)
        return False

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


def busy(daemon, entities):
    """Decisions while other work goes on, at one number of connections."""
    say(f"## Decisions beside other work, {BUSY_CONNECTIONS} connections\n")
    rows = []

    def measure(what, told=lambda: ""):
        measure_beside(daemon, entities, what, rows, told)

    measure("nothing else")
    with Bulk(daemon, entities) as bulk:
        measure("bulk ingest, 10,000 lines a request", bulk.told)
    fill = BackFill(daemon)
    fill.start()
    measure("back-fill of a changed view", fill.told)
    fill.wait()
    fill = BackFill(daemon)
    with Bulk(daemon, entities) as bulk:
        fill.start()
        measure("back-fill and bulk ingest", lambda: f"{bulk.told()}; {fill.told()}")
    fill.wait()
    command(f"wrk -t2 -c {BUSY_CONNECTIONS} -d {SECONDS}s -s Tests/Benchmarks/decide.lua beside POST /v1/events and a changed view")
    table(BESIDE_COLUMNS, rows)


def measure_beside(daemon, entities, what, rows, told=lambda: ""):
    """Adds a line of BESIDE_COLUMNS: decisions while something else goes on, of which `told` tells afterwards."""
    environment = {"DECISIOND_KEY": daemon.key, "BENCH_ENTITIES": str(entities)}
    before = daemon.client().metrics()
    result = harness.wrk(daemon.port, BUSY_CONNECTIONS, SECONDS, environment)
    after = daemon.client().metrics()
    rows.append([what, f"{result['rate']:,.0f}", f"{result['p50_us'] / 1e3:.2f} / {result['p99_us'] / 1e3:.2f}",
                 server_p99(before, after), result["refused"] + result["failed"], told()])


def server_p99(before, after):
    prefix = 'decisiond_decision_duration_seconds_bucket{decision="retention-offer",le="'
    bounds = sorted((float(name[len(prefix):-2].replace("+Inf", "inf")), value - before.get(name, 0))
                    for name, value in after.items() if name.startswith(prefix))
    if not bounds or not bounds[-1][1]:
        return "-"
    return f"<= {next(limit for limit, count in bounds if count >= 0.99 * bounds[-1][1]) * 1e3:g} ms"


class Bulk:
    """Sends large requests one after the other until it is left."""

    def __init__(self, daemon, entities):
        self.client, self.entities, self.sent, self.is_over = daemon.client(), entities, 0, False
        self.tag = f"{time.monotonic_ns()}"
        self.thread = threading.Thread(target=self.run)

    def run(self):
        generator = random.Random(self.tag)
        while not self.is_over:
            now = datetime.datetime.now(datetime.timezone.utc)
            lines = [workload.event(f"k{self.tag}-{self.sent + i}", generator.randrange(self.entities), now, generator)
                     for i in range(workload.BATCH_LINES)]
            self.client.json("POST", "/v1/events?results=problems", ("\n".join(lines) + "\n").encode(),
                             content_type="application/x-ndjson")
            self.sent += len(lines)

    def __enter__(self):
        self.begin = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()

    def told(self):
        return f"{self.sent / (time.monotonic() - self.begin):,.0f} events/s"


class BackFill:
    """Applies the demo's view with one feature more, which is filled from stored events."""
    number = 0

    def __init__(self, daemon):
        self.daemon, self.client = daemon, daemon.client()

    def start(self):
        BackFill.number += 1
        definition = self.client.json("GET", "/v1/definitions/FeatureView/customer_purchases")["document"]
        definition["spec"]["features"].append(
            {"name": f"bench_{BackFill.number}", "aggregate": "count", "windows": [f"{40 + BackFill.number}d"]})
        answer = self.client.json("POST", "/v1/definitions/apply", {"definitions": [definition]})
        self.version, self.begin = answer["definitions"][0]["version"], time.monotonic()

    def is_ready(self):
        state = self.client.json("GET", "/v1/features/customer_purchases?customer=B000001")
        return state["version"] >= self.version

    def told(self):
        return "back-fill done" if self.is_ready() else "back-fill still going on"

    def wait(self):
        while not self.is_ready():
            if time.monotonic() - self.begin > 600:
                raise BenchError("the back-fill took more than 600 s")
            time.sleep(0.2)


if __name__ == "__main__":
    sys.exit("see run.py")
