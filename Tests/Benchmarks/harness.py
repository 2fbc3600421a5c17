"""What the benchmark sections share: processes, requests, PostgreSQL, figures."""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
NEEDED = {("Decision", "retention-offer"), ("FeatureView", "customer_purchases"), ("DataContract", "customers")}


class BenchError(Exception):
    """A figure that cannot be taken, with the reason."""


def say(text):
    print(text, flush=True)


def table(columns, rows):
    """A markdown table."""
    say("| " + " | ".join(columns) + " |")
    say("|" + "---|" * len(columns))
    for row in rows:
        say("| " + " | ".join(str(cell) for cell in row) + " |")
    say("")


def command(text):
    """The command that made the figures below it."""
    say(f"`{text}`\n")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def shared():
    """The directory of real data and models; None when it is not on this machine."""
    path = pathlib.Path(os.environ.get("DECISIOND_SHARED") or ROOT.parent / "shared")
    return path if (path / "data" / "events" / "events.ndjson.gz").exists() else None


class Client:
    """One kept-alive connection with a key."""

    def __init__(self, port, key):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.headers = {"Authorization": f"Bearer {key}"}

    def send(self, method, path, body=None, content_type="application/json", headers=None):
        fields = dict(self.headers, **(headers or {}))
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        if body is not None:
            fields["Content-Type"] = content_type
        try:
            self.connection.request(method, path, body=body, headers=fields)
            response = self.connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise

    def must(self, method, path, *rest, **named):
        status, data = self.send(method, path, *rest, **named)
        if status not in (200, 201):
            raise BenchError(f"{method} {path} answered {status}: {data[:500]!r}")
        return data

    def json(self, method, path, *rest, **named):
        return json.loads(self.must(method, path, *rest, **named))

    def metrics(self):
        """Sum over the series of every sample name, and the plain name with labels."""
        samples = {}
        for line in self.must("GET", "/metrics").decode().splitlines():
            if line.startswith("#") or " " not in line:
                continue
            name, value = line.rsplit(" ", 1)
            samples[name] = float(value)
            base = name.split("{", 1)[0]
            if base != name:
                samples[base] = samples.get(base, 0.0) + float(value)
        return samples


class Database:
    """A database of the private cluster."""

    def __init__(self, name):
        base = os.environ["BENCH_DATABASE_URL"]
        parts = urllib.parse.urlsplit(base)
        self.url = urllib.parse.urlunsplit(parts._replace(path="/" + name))
        exists = self.run(f"SELECT 1 FROM pg_database WHERE datname = '{name}'", url=base)
        if not exists:
            self.run(f"CREATE DATABASE {name}", url=base)

    def psql(self, *arguments, url=None):
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url or self.url, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout.strip()

    def run(self, sql, url=None):
        return self.psql("-c", sql, url=url)


class Daemon:
    """A decisiond of its own, with its own data directory and database."""

    def __init__(self, name, definitions=True, database=None, needed=NEEDED):
        """`definitions`: the demo's (True), none (False), or a directory of them, of which `needed` are waited for."""
        self.directory = pathlib.Path(os.environ["BENCH_DIRECTORY"]) / name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.database = database or Database("bench_" + name)
        self.definitions = ROOT / "deploy" / "demo" / "definitions" if definitions is True else definitions
        self.needed = set(needed)
        self.process = None
        self.port = None

    def start(self):
        """Starts it; returns seconds from the start of the process to the first 200 of /readyz."""
        self.port = free_port()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("DECISIOND_")}
        environment.update({
            "DECISIOND_LISTEN": f"127.0.0.1:{self.port}", "DECISIOND_DATA_DIRECTORY": str(self.directory),
            "DECISIOND_DATABASE_URL": self.database.url, "DECISIOND_LOG_LEVEL": "warning",
        })
        if self.definitions:
            environment["DECISIOND_DEFINITIONS_DIRECTORY"] = str(self.definitions)
        log = open(self.directory / "log", "ab")
        begin = time.monotonic()
        self.process = subprocess.Popen([os.environ["BENCH_BINARY"], "serve"], env=environment, stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log)
        log.close()
        while True:
            if self.process.poll() is not None:
                raise BenchError(f"decisiond ended with {self.process.returncode}; see {self.directory}/log")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    break
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            if time.monotonic() - begin > 300:
                raise BenchError("decisiond is not ready after 300 s")
            time.sleep(0.002)
        ready = time.monotonic() - begin
        self.key = (self.directory / "bootstrap.key").read_text().strip()
        if self.definitions:
            self.wait_for_definitions()
        return ready

    def wait_for_definitions(self):
        client = self.client()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            answer = client.json("GET", "/v1/definitions")
            if self.needed <= {(item["kind"], item["name"]) for item in answer["definitions"]}:
                return
            time.sleep(0.05)
        raise BenchError(f"the definitions are not there after 60 s; see {self.directory}/log")

    def client(self):
        return Client(self.port, self.key)

    def resident_mebibytes(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) / 1024

    def readiness(self, client):
        return client.json("GET", "/readyz")

    def wait_shipped(self, client, seconds=600):
        """Waits until PostgreSQL holds everything; returns the time when it did."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.readiness(client)
            if state["shipped_seq"] >= state["applied_seq"]:
                return time.monotonic()
            time.sleep(0.01)
        raise BenchError("PostgreSQL did not catch up: " + json.dumps(state)[:500])

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise BenchError("decisiond did not stop within 60 s")


def wrk(port, connections, seconds, environment, script="decide.lua"):
    """One run of wrk with a script of this directory; its RESULT as a dictionary with `rate` added."""
    threads = min(2, connections)
    line = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / script),
            f"http://127.0.0.1:{port}/"]
    done = subprocess.run(line, env=dict(os.environ, **environment), capture_output=True, text=True)
    found = re.search(r"^RESULT (\{.*\})$", done.stdout, re.MULTILINE)
    if not found:
        raise BenchError("wrk: " + (done.stderr or done.stdout)[-500:])
    result = json.loads(found[1])
    result["rate"] = result["requests"] / (result["duration_us"] / 1e6)
    return result
