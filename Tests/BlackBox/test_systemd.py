"""systemd's side: the sandbox of the unit, readiness and the watchdog by sd_notify, an inherited socket."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
import requests

import daemon as daemons

UNITS = daemons.REPOSITORY / "deploy" / "systemd"


def tool(name):
    """A program of systemd; without it the test is skipped, or fails where CI=true."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed", pytrace=False)
        pytest.skip(f"{name} is not installed")
    return path


def test_the_units_sandbox_is_tight(tmp_path):
    analyze = tool("systemd-analyze")
    unit = shutil.copy(UNITS / "decisiond.service", tmp_path)
    done = subprocess.run(
        [analyze, "security", "--offline=yes", "--threshold=15", "--no-pager", unit], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    exposure = re.search(r"exposure level for .*: ([0-9.]+)", done.stdout)
    assert float(exposure[1]) <= 1.5


def test_the_units_are_well_formed(tmp_path):
    analyze = tool("systemd-analyze")
    for name in ("decisiond.service", "decisiond.socket"):
        shutil.copy(UNITS / name, tmp_path)
    text = (tmp_path / "decisiond.service").read_text()
    # The program and the files that only an installed system has are put where they are.
    credential = tmp_path / "database_url"
    credential.write_text("")
    (tmp_path / "decisiond.service").write_text(
        text.replace("/usr/bin/decisiond", "/bin/true").replace("/etc/decisiond/database_url", str(credential)))
    done = subprocess.run(
        [analyze, "verify", "--man=no", tmp_path / "decisiond.service", tmp_path / "decisiond.socket"], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60)
    complaints = [line for line in done.stdout.splitlines() if str(tmp_path) in line]
    assert not complaints, complaints


class Notifications:
    """What a service manager hears on its socket."""

    def __init__(self, path, abstract=False):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = f"@{path.name}-{os.getpid()}" if abstract else str(path)
        self.socket.bind("\0" + self.name[1:] if abstract else self.name)
        self.heard = []

    def wait(self, line, seconds=60, quiet=False):
        """Reads until a line comes; returns whether it came."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                lines = self.socket.recv(65536).decode().split("\n")
            except TimeoutError:
                break
            self.heard += lines
            if line in lines:
                return True
        assert quiet, f"{line} did not come; heard {self.heard}"
        return False

    def environment(self, monkeypatch, watchdog_us=None):
        monkeypatch.setenv("NOTIFY_SOCKET", self.name)
        if watchdog_us:
            monkeypatch.setenv("WATCHDOG_USEC", str(watchdog_us))


@pytest.fixture
def short_path(tmp_path_factory):
    """A socket's path holds 107 bytes."""
    return tmp_path_factory.mktemp("n") / "s"


@pytest.mark.parametrize("abstract", [False, True], ids=["file", "abstract"])
def test_ready_watchdog_and_stopping_are_told(make_daemon, monkeypatch, short_path, abstract):
    manager = Notifications(short_path, abstract)
    manager.environment(monkeypatch, watchdog_us=400_000)
    daemon = make_daemon(start=False)
    daemon.start(wait=False)
    manager.wait("READY=1")
    # Ready means that it serves.
    assert requests.get(daemon.url + "/healthz").status_code == 200
    begun = time.monotonic()
    for _ in range(5):
        manager.wait("WATCHDOG=1")
    assert time.monotonic() - begun < 10
    manager.heard.clear()
    daemon.process.send_signal(signal.SIGTERM)
    manager.wait("STOPPING=1")
    assert daemon._end() == 0
    assert "READY=1" not in manager.heard
    assert not manager.wait("WATCHDOG=1", seconds=0.5, quiet=True)


def test_ready_comes_after_the_journal_was_read(make_daemon, monkeypatch, short_path):
    daemon = make_daemon()
    events = "".join(
        '{"specversion":"1.0","id":"%d","source":"/t","type":"com.example.retail.customer","subject":"%d",'
        '"time":"2026-01-01T00:00:00Z","data":{"customer_id":"%d"}}\n' % (n, n, n) for n in range(2000))
    answer = daemon.admin.post("/v1/events?results=problems", data=events, headers={"Content-Type": "application/x-ndjson"})
    assert answer.json()["accepted"] == 2000
    daemon.kill9()
    manager = Notifications(short_path)
    manager.environment(monkeypatch)
    daemon.start(wait=False)
    manager.wait("READY=1")
    assert daemon.admin.get("/v1/quality/customers").json()["accepted"] == 2000
    assert not manager.wait("WATCHDOG=1", seconds=1, quiet=True), "nobody asked for a watchdog"


@pytest.mark.parametrize("thread, call", [("http-0", "epoll_wait"), ("journal", "futex")])
def test_the_watchdog_starves_when_one_thread_hangs(make_daemon, monkeypatch, short_path, thread, call):
    """strace holds one thread at the entry of a system call; the others live on."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    manager = Notifications(short_path)
    manager.environment(monkeypatch, watchdog_us=2_000_000)
    daemon = make_daemon()
    manager.wait("WATCHDOG=1")
    tasks = {}
    for task in os.listdir(f"/proc/{daemon.process.pid}/task"):
        with open(f"/proc/{daemon.process.pid}/task/{task}/comm") as name:
            tasks[name.read().strip()] = task
    assert thread in tasks, tasks
    holder = subprocess.Popen(
        [strace, "-p", tasks[thread], "-e", f"trace={call}", "-e", f"inject={call}:delay_enter=60000000", "-o", os.devnull],
        stderr=subprocess.PIPE)
    try:
        time.sleep(1)
        if holder.poll() is not None:
            pytest.skip(f"strace cannot attach here: {holder.stderr.read().decode()[:200]}")
        # The last progress is at most a tick old; then there is one interval of grace.
        time.sleep(4)
        while manager.wait("WATCHDOG=1", seconds=0.05, quiet=True):
            pass
        assert not manager.wait("WATCHDOG=1", seconds=3, quiet=True), f"the watchdog is fed while {thread} hangs"
    finally:
        holder.kill()
        holder.wait()
    manager.wait("WATCHDOG=1")


def test_an_inherited_socket_is_served(make_daemon, tmp_path):
    activate = tool("systemd-socket-activate")
    daemon = make_daemon(start=False, listen="systemd")
    # The port is open before the daemon is there; the first connection starts it and is answered.
    daemon.prefix = [activate, "-l", f"127.0.0.1:{daemon.port}"] + [
        f"--setenv={name}" for name in daemon.environment() if name.startswith("DECISIOND_")]
    daemon.start()
    assert requests.get(daemon.url + "/healthz", timeout=60).status_code == 200
    assert daemon.admin.get("/v1/usage").status_code == 200
    assert daemon.stop() == 0


def test_a_restart_on_an_inherited_socket_refuses_nobody(make_daemon):
    """The socket outlives the process: clients wait in the queue meanwhile."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    daemon = make_daemon(start=False, listen="systemd")
    daemon.port = listener.getsockname()[1]
    launch = (
        "import os, sys\n"
        f"os.dup2({listener.fileno()}, 3)\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n")

    def start():
        with open(daemon.log_path, "ab") as log:
            daemon.process = subprocess.Popen(
                [shutil.which("python3"), "-c", launch, str(daemons.binary()), "serve"], env=daemon.environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, pass_fds=[listener.fileno(), 3])

    start()
    daemon.wait_ready()
    for _ in range(3):
        assert daemon.stop() == 0
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=60) as waiting:
            waiting.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            start()
            assert waiting.recv(65536).startswith(b"HTTP/1.1 200")
    daemon.wait_ready()


def test_without_a_socket_listen_systemd_is_refused(make_daemon):
    daemon = make_daemon(start=False, listen="systemd", database_url=None, definitions=None)
    daemon.start(wait=False)
    assert daemon._end() != 0
    assert "systemd" in daemon.log or "LISTEN" in daemon.log


def test_secrets_come_from_credentials(make_daemon, tmp_path, cluster, monkeypatch):
    """LoadCredential= of the unit: the database's URL is in a file, not in the environment or the arguments."""
    directory = tmp_path / "credentials"
    directory.mkdir()
    (directory / "database_url").write_text(cluster.create_database() + "\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    daemon = make_daemon(database_url=None, definitions=None)
    daemon.wait_connected()
