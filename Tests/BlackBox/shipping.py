"""What the tests of shipping put between the daemon and its PostgreSQL: a proxy that cuts, a standby that takes over."""
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.parse

import daemon as daemons


def shell(script, *arguments):
    """Runs a script that has the functions of deploy/lib.sh."""
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail; . '{daemons.REPOSITORY}/deploy/lib.sh'\n{script}", "shell", *map(str, arguments)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def socket_directory(url):
    """Where the socket of a cluster is, by its URL."""
    return urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["host"][0]


def metric(daemon, name, **labels):
    """The value of one sample of /metrics; 0 when there is none."""
    wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
    for line in daemon.admin.get("/metrics").text.splitlines():
        if line.startswith(name + ("{" + wanted + "}" if wanted else "") + " "):
            return float(line.rsplit(" ", 1)[1])
    return 0


class Standby:
    """A streaming, asynchronous standby of a cluster."""

    def __init__(self, primary):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="decisiond-pg-"))
        self.directory.chmod(0o755)
        self.socket = shell("""
            data=$1/postgresql/data socket=$(pg_socket_directory "$1") bin=$(pg_newest_bin)
            mkdir -p "$1/postgresql"
            if [ "$(id -u)" -eq 0 ]; then chown "$(pg_user)" "$1/postgresql"; fi
            as_pg_user "$bin/pg_basebackup" -D "$data" -h "$2" -U decisiond -R -X stream -c fast
            as_pg_user chmod 0700 "$data"
            as_pg_user mkdir -p -m 0700 "$socket"
            pg_write_settings "$data" "$socket"
            as_pg_user "$bin/pg_ctl" -D "$data" -w -t 120 -l "$1/postgresql/log" start >/dev/null
            printf '%s' "$socket"
            """, self.directory, socket_directory(primary.url()))

    def sql(self, statement, database="decisiond"):
        return daemons.sql(f"postgresql://decisiond@/{database}?host={self.socket}", statement)

    def stop_receiving(self):
        """What the primary commits from now on, it does not get."""
        self.sql("ALTER SYSTEM SET primary_conninfo = ''")
        self.sql("SELECT pg_reload_conf()")
        daemons.eventually(lambda: not self.sql("SELECT pid FROM pg_stat_wal_receiver"), "the receiver ends")

    def promote(self):
        """It becomes the primary."""
        assert self.sql("SELECT pg_promote(true, 60)") == [["t"]]

    def remove(self):
        """Stops it and deletes its files."""
        shell('pg_stop "$1" immediate', self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)


def server_processes(cluster):
    """Process ids of a cluster's server, the postmaster first."""
    pid = (cluster.directory / "postgresql" / "data" / "postmaster.pid").read_text().splitlines()[0]
    children = subprocess.run(["pgrep", "-P", pid], stdout=subprocess.PIPE, text=True).stdout.split()
    return [int(pid), *map(int, children)]


def freeze(cluster):
    """Stops all processes of a server; gives what continues them."""
    stopped = server_processes(cluster)
    for pid in stopped:
        daemons.os.kill(pid, signal.SIGSTOP)

    def thaw():
        for pid in stopped:
            try:
                daemons.os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
    return thaw


COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class CuttingProxy:
    """Forwards TCP connections to a server's socket. Armed, it cuts the shipper's connections at one of these moments:

    `advance`: the position's function was called; `copy`: half of a piece of rows has passed; `commit`: COMMIT has passed;
    `answer`: COMMIT was carried out, and its answer is dropped.
    """

    moments = ("advance", "copy", "commit", "answer")

    def __init__(self, url, seed):
        self.path = socket_directory(url) + "/.s.PGSQL.5432"
        self.database = urllib.parse.urlsplit(url).path[1:]
        self.cuts = dict.fromkeys(self.moments, 0)
        self.armed = False
        self.random = random.Random(seed)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"postgresql://decisiond@127.0.0.1:{self.port}/{self.database}?sslmode=disable&gssencmode=disable"

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.path)
            except OSError:
                client.close()
                continue
            threading.Thread(target=_Link(self, client, server).run, daemon=True).start()


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server
        self.moment = proxy.random.choice(proxy.moments)
        self.transactions = proxy.random.randint(1, 3)
        self.isShipper = False
        self.isCopying = False
        self.dropsAnswers = threading.Event()
        self.answered = threading.Event()

    def run(self):
        threading.Thread(target=self._answers, daemon=True).start()
        try:
            while data := self.client.recv(1 << 16):
                self.isShipper = self.isShipper or b"decisiond shipper" in data
                if self.isShipper and self.proxy.armed and self._cuts(data):
                    self.proxy.cuts[self.moment] += 1
                    break
                self.server.sendall(data)
                if COMMIT in data:
                    self.transactions -= 1
        except OSError:
            pass
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def _cuts(self, data):
        """Whether this is the moment; sends on what still passes."""
        if self.transactions > 0:
            return False
        if self.moment == "advance" and b"ship_advance" in data:
            self.server.sendall(data)
            return True
        if self.moment == "copy":
            if self.isCopying and data[:1] == b"d":
                self.server.sendall(data[:len(data) // 2])
                return True
            self.isCopying = b"FROM STDIN" in data
        if COMMIT in data and self.moment == "commit":
            self.server.sendall(data)
            return True
        if COMMIT in data and self.moment == "answer":
            self.dropsAnswers.set()
            self.server.sendall(data)
            return self.answered.wait(30)
        return False

    def _answers(self):
        try:
            while data := self.server.recv(1 << 16):
                if self.dropsAnswers.is_set():
                    self.answered.set()
                else:
                    self.client.sendall(data)
        except OSError:
            pass
