"""The real binary against a real PostgreSQL: what the black-box tests start, stop, kill and ask.

Nothing here knows what a right answer is; that is the tests' part.
"""
import contextlib
import csv
import io
import itertools
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import requests

from openapi_support import ContractSession

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DEMO_DEFINITIONS = REPOSITORY / "deploy" / "demo" / "definitions"
# Patience, not a measure: on a busy machine a debug build takes its time, and a sanitizer many times that.
PATIENCE_S = 1200 if os.environ.get("DECISIOND_SANITIZER") else 120
NULL = "\\N"


def binary():
    """The daemon under test."""
    return pathlib.Path(os.environ.get("DECISIOND_BINARY") or REPOSITORY / ".build" / "debug" / "decisiond")


def eventually(check, what, timeout=PATIENCE_S, interval=0.05):
    """Calls `check` until it gives something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(interval)


def free_port():
    """A port nobody listens on, below the range that outgoing connections take theirs from."""
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Cluster:
    """A private PostgreSQL cluster, by the project's own script."""

    _numbers = itertools.count(1)

    def __init__(self, directory=None):
        self._owns_directory = directory is None
        # PostgreSQL's user must be able to reach it, which a directory of pytest's own does not allow.
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="decisiond-pg-"))
        self.directory.chmod(0o755)
        self._url = None

    def _run(self, *arguments):
        done = subprocess.run(
            ["bash", str(REPOSITORY / "deploy" / "lib.sh"), *arguments], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f"{arguments}: {done.stderr}")
        return done.stdout

    def start(self):
        """Starts it; creates it first where it is missing."""
        self._url = self._run("pg_start", str(self.directory)).strip().splitlines()[-1]
        return self

    def stop(self, mode="fast"):
        """Stops it: smart, fast or immediate."""
        self._run("pg_stop", str(self.directory), mode)

    def remove(self):
        """Stops it and deletes its files."""
        self.stop("immediate")
        if self._owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database="decisiond"):
        """The URL of one of its databases."""
        return self._url.replace("/decisiond?", f"/{database}?")

    def create_database(self):
        """Makes an empty database and returns its URL."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        sql(self.url(), f"CREATE DATABASE {name}")
        sql(self.url(name), "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        return self.url(name)


def sql(url, statement):
    """Runs SQL; rows as lists of text, None for null."""
    done = subprocess.run(
        ["psql", "-X", "-q", "--csv", "-t", "-P", f"null={NULL}", "-v", "ON_ERROR_STOP=1", "-d", url],
        input=statement, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
    if done.returncode != 0:
        raise AssertionError(f"{done.stderr}\n{statement[:2000]}")
    csv.field_size_limit(1 << 30)
    return [[None if cell == NULL else cell for cell in row] for row in csv.reader(io.StringIO(done.stdout))]


@contextlib.contextmanager
def held_lock(url, table):
    """Holds a table against everybody while the block runs."""
    holder = subprocess.Popen(
        ["psql", "-X", "-q", "-t", "-A", "-d", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        holder.stdin.write(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT 'held';\n")
        holder.stdin.flush()
        assert holder.stdout.readline().strip() == "held"
        yield
    finally:
        holder.stdin.close()
        holder.wait(timeout=PATIENCE_S)


class ApiSession(ContractSession):
    """A session with one daemon, all of whose traffic is held against the openapi.yaml that it serves."""

    def __init__(self, base_url, key=None, contract=None):
        super().__init__(base_url, key, contract)
        # No proxy of this machine's user stands between a test and its daemon.
        self.trust_env = False

    def request(self, method, url, *args, **options):
        options.setdefault("timeout", PATIENCE_S)
        return super().request(method, url, *args, **options)


class Daemon:
    """One decisiond with a data directory of its own.

    `settings` are configuration keys in lower case (`ship_interval_ms=50`); None removes one.
    """

    def __init__(self, directory, database_url=None, definitions=DEMO_DEFINITIONS, **settings):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data = self.directory / "data"
        self.log_path = self.directory / "log"
        self.database_url = database_url
        self.definitions = definitions
        self.port = free_port()
        self.settings = settings
        self.process = None
        # Words before the binary, for tracing.
        self.prefix = []
        # Further variables of its environment; deploy/test preloads a library for a sanitizer.
        preload = os.environ.get("DECISIOND_TEST_PRELOAD")
        self.extra_environment = {"LD_PRELOAD": preload} if preload else {}
        self._names = itertools.count(1)
        self._admin = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self):
        """The first key, of role admin."""
        return (self.data / "bootstrap.key").read_text().strip()

    @property
    def admin(self):
        """A session with the first key; one for the life of this object."""
        if self._admin is None:
            self._admin = ApiSession(self.url, self.key)
        return self._admin

    @property
    def log(self):
        """Everything it has written so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def sanitizer_report(self):
        """What a sanitizer that was built into it has found, in any of its lives."""
        found = re.search(r"^.*(?:WARNING|ERROR): \w+Sanitizer.*$", self.log, re.MULTILINE)
        return self.log[found.start():found.start() + 6000] if found else None

    def environment(self):
        found = {name: value for name, value in os.environ.items() if not name.startswith("DECISIOND_")}
        settings = {"listen": f"127.0.0.1:{self.port}", "data_directory": str(self.data), **self.settings}
        if self.database_url:
            settings.setdefault("database_url", self.database_url)
        if self.definitions:
            settings.setdefault("definitions_directory", str(self.definitions))
        found.update({f"DECISIOND_{name.upper()}": str(value) for name, value in settings.items() if value is not None})
        return found | self.extra_environment

    # Life

    def start(self, wait=True):
        """Starts it; with `wait`, until it is ready and has the start directory's definitions."""
        assert self.process is None, "it runs already"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, str(binary()), "serve"], env=self.environment(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, cwd=self.directory)
        if wait:
            self.wait_ready()
            if self.definitions and self.database_url:
                self.wait_definitions()
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def _readiness(self):
        if not self.is_running():
            code = self.process.returncode if self.process else None
            raise AssertionError(f"decisiond ended with {code}:\n{self.log[-4000:]}")
        try:
            answer = requests.get(self.url + "/readyz", timeout=5)
        except requests.RequestException:
            return None
        return answer.json() if answer.status_code == 200 else None

    def wait_ready(self):
        """Waits for /readyz to say 200 (degraded is ready too) and returns what it said."""
        return eventually(self._readiness, f"ready\n{self.log[-2000:]}")

    def wait_connected(self):
        """Waits until it ships to PostgreSQL."""
        return eventually(
            lambda: not any(item["component"] == "postgres" for item in (self._readiness() or {"degraded": [
                {"component": "postgres"}]})["degraded"]), "connected to PostgreSQL")

    def wait_definitions(self, kind="Decision", name="retention-offer"):
        """Waits for one definition; those of the start directory are applied once the database is connected."""
        def there():
            assert self.is_running(), self.log[-4000:]
            answer = self.admin.get("/v1/definitions")
            return answer.status_code == 200 and any(
                (item["kind"], item["name"]) == (kind, name) for item in answer.json()["definitions"])
        eventually(there, f"{kind}/{name}\n{self.log[-4000:]}")

    def wait_shipped(self):
        """Waits until everything that is durable now is in PostgreSQL."""
        durable = self.admin.get("/v1/usage").json()["journal"]["durable_seq"]
        eventually(lambda: (self._readiness() or {}).get("shipped_seq", -1) >= durable, f"shipped to {durable}")

    def _end(self):
        code = self.process.wait(timeout=PATIENCE_S)
        self.process = None
        if self._admin is not None:
            # Its pooled connections are of the process that is gone.
            self._admin.close()
        return code

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._end()

    def kill9(self):
        """SIGKILL."""
        self.process.kill()
        return self._end()

    def restart(self, kill=False, wait=True):
        """Stops and starts it again on the same data and port."""
        if self.process is not None:
            if kill:
                self.kill9()
            else:
                code = self.stop()
                assert code == 0, f"exit code {code} after SIGTERM:\n{self.log[-4000:]}"
        return self.start(wait=wait)

    # Asking

    def session(self, *roles, name=None):
        """A session with a new key that has these roles; `session.key_name` is its principal's name."""
        name = name or f"test-{'-'.join(roles)}-{next(self._names)}"
        answer = self.admin.post("/v1/keys", json={"name": name, "roles": list(roles)})
        assert answer.status_code == 201, answer.text
        made = ApiSession(self.url, answer.json()["key"])
        made.key_name = name
        made.key_id = answer.json()["id"]
        return made

    def anonymous(self):
        """A session without a key."""
        return ApiSession(self.url)

    def sql(self, statement):
        """Runs SQL in its database; rows as lists of text, None for null."""
        return sql(self.database_url, statement)
