"""The power fails under load, the disk runs full: nothing acknowledged is lost, and it heals by itself.

The data directory stands on an ext4 of its own. A power loss is that file system's shutdown ioctl, which keeps what was
synchronized and drops the rest, then a kill, a fresh mount and a start. It says nothing about a device that lies.
"""
import os
import random
import time

import pytest
import requests

import daemon as daemons
from ledger import Ledger
from load import Client, Load, Oracle, make_subjects_known
from loopdisk import LoopDisk

IS_LONG = os.environ.get("DECISIOND_TEST_LONG") == "1"
POWER_LOSSES = int(os.environ.get("DECISIOND_TEST_POWER_LOSSES") or (120 if IS_LONG else 2))
LOSSES_PER_DAEMON = 20


@pytest.fixture
def make_disk():
    made = []

    def make(megabytes):
        made.append(LoopDisk(megabytes))
        return made[-1]

    yield make
    for disk in made:
        disk.remove()


def start_on(disk, make_daemon, **settings):
    """A daemon whose data directory is on the disk."""
    daemon = make_daemon(start=False, ship_interval_ms=20, **settings)
    daemon.data = disk.path / "data"
    daemon.start()
    make_subjects_known(daemon)
    daemon.wait_shipped()
    return daemon


def lose_power(disk, daemon, oracle, seed):
    """Cuts the power under load; returns how many requests were in flight."""
    chance = random.Random(seed)
    load = Load(daemon, oracle, f"power-{seed}", seed).start()
    try:
        daemons.eventually(lambda: len(load.answered) >= 8, "the load runs", interval=0.01)
        time.sleep(chance.random() * 0.4)
        cut = time.monotonic()
        disk.cut_power()
        # A daemon that notices ends by itself: whatever it still answers, it may not acknowledge.
        time.sleep(chance.choice([0, 0, 0.05]))
    finally:
        if daemon.is_running():
            daemon.process.kill()
        load.join()
        daemon._end()
    disk.unmount()
    disk.mount()
    return sum(1 for each in oracle.unanswered if each.sent is not None and each.sent < cut), len(load.answered)


def check_after(daemon, oracle):
    daemon.start(wait=False)
    daemon.wait_ready()
    client = Client(daemon)
    resent = oracle.resend(client)
    assert not oracle.unanswered and not oracle.wrong, oracle.wrong[:3]
    oracle.check_memory(client)
    daemon.wait_shipped()
    oracle.check_database(daemon)
    return resent


def test_the_disk_forgets_what_was_not_synchronized(make_disk):
    """The test below says something only if this is so."""
    disk = make_disk(16)
    kept, lost = disk.path / "kept", disk.path / "lost"
    for path in (kept, lost):
        with open(path, "wb") as file:
            file.write(b"x" * 8192)
            if path == kept:
                file.flush()
                os.fsync(file.fileno())
    disk.cut_power()
    with pytest.raises(OSError):
        lost.with_name("later").touch()
    disk.unmount()
    disk.mount()
    assert kept.read_bytes() == b"x" * 8192
    assert not lost.exists() or lost.read_bytes() != b"x" * 8192


def test_power_is_lost_under_load(make_daemon, make_disk):
    book = Ledger("power_loss")
    seeds = (seed for seed in range(1, POWER_LOSSES * 4) if not book.has("load", seed))
    while book.count("load") < POWER_LOSSES:
        disk = make_disk(64)
        daemon, oracle = start_on(disk, make_daemon, journal_segment_bytes=262144), Oracle()
        for _ in range(LOSSES_PER_DAEMON):
            seed = next(seeds)
            try:
                in_flight, acknowledged = lose_power(disk, daemon, oracle, seed)
                resent = check_after(daemon, oracle)
            except BaseException as error:
                book.add("load", seed, "failed", what=str(error)[:500])
                raise
            book.add(
                "load", seed, "passed" if in_flight else "idle", in_flight=in_flight, resent=resent,
                acknowledged=acknowledged, lost=0, twice=0)
            if book.count("load") >= POWER_LOSSES:
                break
        assert daemon.stop() == 0
        disk.remove()


def test_a_full_disk_is_told_and_heals(make_daemon, make_disk):
    """Without space: 503 with the reason, reads go on, nothing acknowledged is lost; with space again it goes on by itself."""
    disk = make_disk(48)
    daemon, oracle = start_on(disk, make_daemon, journal_segment_bytes=1 << 20), Oracle()
    filler = disk.fill()
    load = Load(daemon, oracle, "full", 7, goes_on=True).start()
    daemons.eventually(lambda: sum(oracle.refused.values()) >= 20, "told that the disk is full")
    client = Client(daemon)
    readiness = requests.get(daemon.url + "/readyz").json()
    assert ("journal", "disk_full") in {(item["component"], item["code"]) for item in readiness["degraded"]}
    for path in ("/v1/features/customer_purchases?customer=s1", "/v1/kpis", "/v1/definitions", "/v1/usage"):
        status, document = client.ask("GET", path)
        assert status == 200, (path, document)
    refusal = daemon.admin.post("/v1/keys", json={"name": "full", "roles": ["crm"]})
    assert (refusal.status_code, refusal.json()["code"]) == (503, "disk_full") and "Retry-After" in refusal.headers
    # Killed while full, it comes back as full, and has everything.
    daemon.kill9()
    daemon.start(wait=False)
    daemon.wait_ready()
    acknowledged = len(load.answered)
    filler.unlink()
    daemons.eventually(lambda: len(load.answered) > acknowledged + 20, "it heals by itself")
    load.stop()
    oracle.resend(Client(daemon))
    assert not oracle.unanswered and not oracle.wrong, oracle.wrong[:3]
    oracle.check_memory(Client(daemon))
    daemon.wait_shipped()
    oracle.check_database(daemon)
    assert {code for _, code in oracle.refused} == {"disk_full"}, oracle.refused
    assert {kind for kind, _ in oracle.refused} >= {"events", "decision"}, oracle.refused
    assert requests.get(daemon.url + "/readyz").json()["degraded"] == []
    assert daemon.stop() == 0
