"""The figures of deploy/bench, as markdown. Started by deploy/bench, which sets BENCH_*.

    run.py [SECTION ...]       sections: start memory ingest decide restart models feel micro online busy score
                               infer; default: all, in this order
"""
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import harness
import models
import rules
import scale
import scoring
import workload
from harness import BenchError, Daemon, command, say, table

SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
ENTITIES = int(os.environ.get("BENCH_ENTITIES", "100000"))
PER_ENTITY = int(os.environ.get("BENCH_EVENTS_PER_ENTITY", "4"))
CONNECTIONS = [int(n) for n in os.environ.get("BENCH_CONNECTIONS", "1 32 128 256").split()]
LOOPS = 2
SECTIONS = ["start", "memory", "ingest", "decide", "restart", "models", "feel", "micro", "online", "busy", "score", "infer"]


class Bench:
    """The daemon that most sections share, and what was done to it."""

    def __init__(self):
        self.main = None
        self.is_loaded = False
        self.directory = pathlib.Path(os.environ["BENCH_DIRECTORY"])

    def daemon(self):
        if self.main is None:
            self.main = Daemon("main")
            self.main.start()
        return self.main

    def close(self):
        """Stops the daemon; the next section that needs it starts it again, with what it knows."""
        if self.main:
            self.main.stop()
            self.main = None

    # Sections

    def start(self):
        say("## From start to ready, empty data directory\n")
        times, resident = [], []
        for round_number in range(3):
            daemon = Daemon(f"empty{round_number}", definitions=False)
            try:
                times.append(daemon.start())
                time.sleep(1)
                resident.append(daemon.resident_mebibytes())
            finally:
                daemon.stop()
        command("DECISIOND_DATA_DIRECTORY=$(mktemp -d) decisiond serve, /readyz asked every 2 ms; /proc/PID/status after 1 s")
        table(["what", "median of 3", "all"], [
            ["start to ready", f"{statistics.median(times) * 1e3:.0f} ms", ", ".join(f"{t * 1e3:.0f}" for t in times)],
            ["RSS idle, no definitions", f"{statistics.median(resident):.1f} MiB",
             ", ".join(f"{m:.1f}" for m in resident)]])

    def memory(self):
        say("## Memory\n")
        daemon = self.daemon()
        time.sleep(1)
        rows = [["idle, the demo's definitions (two models of 500 trees)", f"{daemon.resident_mebibytes():.1f} MiB"]]
        shared = harness.shared()
        if shared is None:
            say("The retail file is not on this machine (DECISIOND_SHARED); its figure is left out.\n")
        else:
            client = daemon.client()
            customers = (shared / "data" / "events" / "customers.csv").read_text().splitlines()[1:]
            lines = []
            for row in customers:
                customer, country = row.split(",", 1)
                lines.append(json.dumps({
                    "specversion": "1.0", "id": customer, "source": "/crm/customers", "subject": customer,
                    "type": "com.example.retail.customer", "time": "2026-01-01T00:00:00Z",
                    "data": {"customer_id": customer, "country": country.strip('"')}}))
            client.must("POST", "/v1/events?results=problems", "\n".join(lines).encode(),
                        content_type="application/x-ndjson")
            body = (shared / "data" / "events" / "events.ndjson.gz").read_bytes()
            begin = time.monotonic()
            answer = client.json("POST", "/v1/events?results=problems", body, content_type="application/x-ndjson",
                                 headers={"Content-Encoding": "gzip"})
            acked = time.monotonic() - begin
            shipped = daemon.wait_shipped(client) - begin
            time.sleep(1)
            total = answer["accepted"] + answer["duplicates"] + answer["quarantined"] + answer["skipped"]
            rows += [["after the retail file", f"{daemon.resident_mebibytes():.1f} MiB"],
                     ["retail file, one gzip request, durable", f"{total / acked:,.0f} lines/s ({total} lines)"],
                     ["retail file, in PostgreSQL", f"{total / shipped:,.0f} lines/s"]]
        command("curl --data-binary @events.ndjson.gz -H 'Content-Encoding: gzip' $URL/v1/events; grep VmRSS /proc/PID/status")
        table(["what", "figure"], rows)

    def load(self):
        """Loads the synthetic customers and purchases once; returns (rows, seconds to ack, seconds to PostgreSQL)."""
        daemon = self.daemon()
        client = daemon.client()

        def post(bodies):
            rows = accepted = 0
            for count, body in bodies:
                answer = client.json("POST", "/v1/events?results=problems", body, content_type="application/x-ndjson")
                rows += count
                accepted += answer["accepted"]
            if accepted != rows:
                raise BenchError(f"{rows - accepted} of {rows} synthetic events were not accepted")
            return rows

        post(workload.batches(workload.customers(ENTITIES)))
        daemon.wait_shipped(client)
        now = datetime.datetime.now(datetime.timezone.utc)
        # The bodies exist before the clock starts: the generator is not what is measured.
        bodies = workload.batches(workload.purchases(ENTITIES, PER_ENTITY, now))
        # Millions of them would not fit; the rate of a load that large is not what anybody asks for.
        if ENTITIES * PER_ENTITY <= 2_000_000:
            bodies = list(bodies)
        begin = time.monotonic()
        rows = post(bodies)
        acked = time.monotonic() - begin
        shipped = daemon.wait_shipped(client) - begin
        self.is_loaded = True
        return rows, acked, shipped

    def ingest(self):
        say("## Ingest against bare COPY\n")
        rows, acked, shipped = self.load()
        database = self.daemon().database
        path = self.directory / "copy.txt"
        columns = database.run("SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute "
                               "WHERE attrelid = 'decisiond.event'::regclass AND attnum > 0 AND NOT attisdropped")
        database.psql("-c", f"\\copy (SELECT {columns} FROM decisiond.event WHERE source = '/shops/bench' "
                            f"ORDER BY journal_id, seq) TO '{path}'")
        with open(path, "rb") as file:
            copied = sum(1 for _ in file)
        if copied != rows:
            raise BenchError(f"PostgreSQL holds {copied} of {rows} events")
        database.run("DROP TABLE IF EXISTS bench_copy; CREATE TABLE bench_copy (LIKE decisiond.event INCLUDING ALL)")
        times = []
        for _ in range(3):
            database.run("TRUNCATE bench_copy; CHECKPOINT")
            begin = time.monotonic()
            database.psql("-c", f"\\copy bench_copy ({columns}) FROM '{path}'")
            times.append(time.monotonic() - begin)
        database.run("DROP TABLE bench_copy")
        path.unlink()
        copy = rows / statistics.median(times)
        command(f"POST /v1/events, NDJSON, {workload.BATCH_LINES} lines a request, one connection; psql "
                "'\\copy bench_copy FROM', the same rows, columns and indexes, median of 3")
        table(["what", "rows/s", "of COPY"], [
            [f"bare COPY of {rows} rows", f"{copy:,.0f}", "1.00"],
            ["to durable ack", f"{rows / acked:,.0f}", f"{rows / acked / copy:.2f}"],
            ["to PostgreSQL, features and measures applied", f"{rows / shipped:,.0f}", f"{rows / shipped / copy:.2f}"]])

    def frame_bytes(self, client, environment):
        """Mean bytes of a decision's journal frame and of its answer."""
        before = client.metrics()
        harness.wrk(self.daemon().port, 32, 2, environment)
        after = client.metrics()
        frames = after.get("decisiond_journal_frames_total", 0) - before.get("decisiond_journal_frames_total", 0)
        size = after.get("decisiond_journal_bytes_total", 0) - before.get("decisiond_journal_bytes_total", 0)
        if frames < 1:
            raise BenchError("no decision was journaled; see the log in " + str(self.daemon().directory))
        answer = client.must("POST", "/v1/decide/retention-offer", {"inputs": {"customer": "B000001", "channel": "web"}})
        return int(size / frames), len(answer)

    def probe(self, mode, connections, sizes, environment):
        """wrk against a probe: its result, and what the probe printed."""
        frame, answer = sizes
        port = harness.free_port()
        line = [os.environ["BENCH_PROBE"], mode, str(port), str(LOOPS), str(answer)]
        if mode == "commit":
            line += [str(frame), str(self.directory / "probe.journal")]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        try:
            if process.stdout.readline() != "ready\n":
                raise BenchError("the probe did not start")
            return harness.wrk(port, connections, SECONDS, environment)
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()

    def measured(self, connections, environment):
        """wrk against decisiond while the feed runs: result, events a second that the feed reached, feed requests refused."""
        daemon = self.daemon()
        feed = subprocess.Popen([sys.executable, str(harness.HERE / "feed.py"), str(daemon.port), str(ENTITIES),
                                 f"{connections}-{time.monotonic_ns()}"], env=dict(os.environ, **environment),
                                stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(0.5)
            result = harness.wrk(daemon.port, connections, SECONDS, environment)
        finally:
            feed.terminate()
            output = feed.communicate(timeout=60)[0].split()
        if len(output) != 2:
            raise BenchError("the feed failed")
        return result, int(output[0]), int(output[1])

    def decide(self):
        say("## Decide over HTTP: retention-offer\n")
        if not self.is_loaded:
            self.load()
        daemon = self.daemon()
        client = daemon.client()
        environment = {"DECISIOND_KEY": daemon.key, "BENCH_ENTITIES": str(ENTITIES)}
        harness.wrk(daemon.port, 32, 2, environment)
        sizes = self.frame_bytes(client, environment)
        rows = []
        for connections in CONNECTIONS:
            bare = self.probe("bare", connections, sizes, environment)
            commit = self.probe("commit", connections, sizes, environment)
            ours, fed, refused = self.measured(connections, environment)
            backlog = client.metrics().get("decisiond_ship_backlog_frames", float("nan"))
            rows.append([
                connections, f"{bare['rate']:,.0f}", f"{commit['rate']:,.0f}", f"{ours['rate']:,.0f}",
                f"{ours['rate'] / commit['rate']:.2f}", f"{ours['rate'] / bare['rate']:.2f}",
                f"{commit['p50_us'] / 1e3:.2f} / {commit['p99_us'] / 1e3:.2f}",
                f"{ours['p50_us'] / 1e3:.2f} / {ours['p99_us'] / 1e3:.2f}", ours["refused"] + ours["failed"],
                f"{fed}" + (f" ({refused} refused)" if refused else ""), f"{backlog:,.0f}"])
        command(f"wrk -t2 -c N -d {SECONDS}s -s Tests/Benchmarks/decide.lua; probe bare|commit PORT {LOOPS} {sizes[1]} "
                f"{sizes[0]}")
        say(f"Random one of {ENTITIES:,} customers with {PER_ENTITY} or more purchases each, frame {sizes[0]} bytes, answer "
            f"{sizes[1]} bytes, events fed meanwhile, shipping on. wrk, PostgreSQL and the feed share the machine's cores "
            "with decisiond; the probes share them with wrk only.\n")
        table(["connections", "bare handler/s", "group commit/s", "decisiond/s", "of group commit", "of bare",
               "group commit p50 / p99 ms", "decisiond p50 / p99 ms", "not 2xx", "events fed/s", "backlog, frames"], rows)
        begin = time.monotonic()
        drained = daemon.wait_shipped(client) - begin
        say(f"The backlog was in PostgreSQL {drained:.1f} s after the last run.\n")
        self.server_time(client)

    def server_time(self, client):
        """Upper bounds of the time to decide, from the daemon's own histogram."""
        samples = client.metrics()
        prefix = 'decisiond_decision_duration_seconds_bucket{decision="retention-offer",le="'
        bounds = sorted((float(name[len(prefix):-2].replace("+Inf", "inf")), value) for name, value in samples.items()
                        if name.startswith(prefix))
        if not bounds or bounds[-1][1] == 0:
            return
        total = bounds[-1][1]
        told = []
        for share in (0.5, 0.99, 0.999):
            bound = next(limit for limit, count in bounds if count >= share * total)
            told.append(f"p{share * 100:g} <= {bound * 1e3:g} ms")
        say("Server time to decide, without the group commit (histogram bounds, all runs): " + ", ".join(told) + ".\n")

    def restart(self):
        say("## From start to ready, with data\n")
        if not self.is_loaded:
            self.load()
        daemon = self.daemon()
        state = daemon.readiness(daemon.client())
        rows = []

        def measure(what, runs, prepare=lambda: None):
            times = []
            for _ in range(runs):
                daemon.stop()
                prepare()
                times.append(daemon.start())
            metrics = daemon.client().metrics()
            rows.append([
                what, f"{metrics.get('decisiond_recovery_frames_total', 0):,.0f}", f"{statistics.median(times):.2f} s",
                ", ".join(f"{t:.2f}" for t in times), f"{daemon.resident_mebibytes():.0f} MiB"])

        measure("from the snapshot of a clean stop", 3)
        files = sorted((daemon.directory / "journal").glob("*.snapshot"))
        size = files[-1].stat().st_size / 2**20 if files else 0
        if (daemon.directory / "journal" / f"{1:020d}.segment").exists():
            measure("every frame, without snapshots", 1, lambda: [
                file.unlink() for file in (daemon.directory / "journal").glob("*.snapshot")])
        command("kill -TERM PID; decisiond serve, /readyz asked every 2 ms")
        say(f"{state['applied_seq']:,} frames in the journal, {ENTITIES:,} customers with {PER_ENTITY} purchases each, snapshot "
            f"{size:.0f} MiB.\n")
        table(["memory comes back", "frames replayed", "start to ready, median", "all", "RSS after"], rows)

    def feel(self):
        rules.section(self.directory)

    def micro(self):
        scale.micro(self.directory, self.daemon())

    def online(self):
        say("## Ten features of many entities\n")
        self.close()
        held = scale.Scale(self.directory)
        try:
            held.memory_and_restart()
            held.reads()
        finally:
            held.daemon.stop()

    def busy(self):
        if not self.is_loaded:
            self.load()
        scale.busy(self.daemon(), ENTITIES)

    def score(self):
        if not self.is_loaded:
            self.load()
        scoring.score(self.daemon(), ENTITIES)

    def infer(self):
        scoring.infer(self.daemon(), self.directory)

    def models(self):
        # An idle daemon's threads would share the caches.
        self.close()
        models.section(self.directory)


def machine():
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def main():
    wanted = sys.argv[1:] or SECTIONS
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown:
        sys.exit(f"unknown section {unknown[0]}; sections are {' '.join(SECTIONS)}")
    say(f"# decisiond, measured {datetime.date.today()}\n")
    say(f"{machine()}; `deploy/bench` with BENCH_SECONDS={SECONDS}, load average {os.getloadavg()[0]:.1f} at the start. "
        "Ratios within one section come from one run.\n")
    bench = Bench()
    failed = 0
    try:
        for name in SECTIONS:
            if name not in wanted:
                continue
            try:
                getattr(bench, name)()
            except (BenchError, OSError, subprocess.CalledProcessError) as error:
                failed += 1
                detail = getattr(error, "stderr", None) or error
                say(f"**{name}: no figure.** {detail}\n")
    finally:
        bench.close()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
