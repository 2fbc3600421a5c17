"""PostgreSQL stops, freezes, restarts and loses backends in the middle of COPY and COMMIT, under load.

No request may fail, nothing acknowledged may be lost or stored twice. Failover to a standby is tested elsewhere.
"""
import os
import random
import signal
import time

import pytest

import daemon as daemons
import moments
from ledger import Ledger
from load import Client, Load, Oracle, make_subjects_known

IS_LONG = os.environ.get("DECISIOND_TEST_LONG") == "1"
ROUNDS = int(os.environ.get("DECISIOND_TEST_POSTGRES_FAULTS") or (20 if IS_LONG else 1))
# A server that lost a backend to SIGKILL recovers for seconds, so the short run has one of one kind.
STRIKES = 20 if IS_LONG else 1
STRUCK = list(moments.SHIPPING) if IS_LONG else ["commit_sent"]


@pytest.fixture(scope="module")
def own_cluster():
    made = daemons.Cluster()
    try:
        yield made.start()
    finally:
        made.remove()


def fresh_database(cluster):
    """A database, once the cluster takes connections again."""
    def made():
        try:
            return cluster.create_database()
        except AssertionError:
            return None
    return daemons.eventually(made, "PostgreSQL takes connections")


def processes(cluster):
    """The postmaster and its children."""
    postmaster = int((cluster.directory / "postgresql" / "data" / "postmaster.pid").read_text().split()[0])
    found = [postmaster]
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == postmaster:
                found.append(int(entry))
    return found


def tell(numbers, what):
    for number in numbers:
        try:
            os.kill(number, what)
        except ProcessLookupError:
            continue


def freeze(cluster, chance):
    """Everything of it stops for a while, and goes on as if nothing had been."""
    frozen = processes(cluster)
    tell(frozen, signal.SIGSTOP)
    try:
        time.sleep(1 + 2 * chance.random())
    finally:
        tell(frozen, signal.SIGCONT)


def restart(mode):
    def run(cluster, chance):
        cluster.stop(mode)
        time.sleep(chance.random())
        cluster.start()
    return run


FAULTS = {"frozen": freeze, "restarted_fast": restart("fast"), "restarted_immediate": restart("immediate")}


def check(daemon, load, oracle):
    """Every event and decision was answered, and everything is there once."""
    load.stop()
    assert all(each.sent is not None for each in oracle.unanswered), "a connection was lost"
    assert not oracle.refused and not oracle.unanswered, oracle.refused
    assert not oracle.wrong, oracle.wrong[:3]
    daemon.wait_connected()
    daemon.wait_shipped()
    oracle.check_memory(Client(daemon))
    oracle.check_database(daemon)


@pytest.mark.parametrize("fault", FAULTS if IS_LONG else ["frozen", "restarted_immediate"])
def test_load_goes_on_while_postgres_is(make_daemon, own_cluster, fault):
    book = Ledger("postgres_fault")
    seeds = (seed for seed in range(1, ROUNDS * 2 + 1) if not book.has(fault, seed))
    while book.count(fault) < ROUNDS:
        seed = next(seeds)
        daemon = make_daemon(
            database_url=fresh_database(own_cluster), ship_interval_ms=5, ship_batch_frames_max=200)
        oracle = Oracle()
        make_subjects_known(daemon)
        load = Load(daemon, oracle, f"{fault}-{seed}", seed, goes_on=True).start()
        try:
            daemons.eventually(lambda: len(load.answered) >= 30, "the load runs", interval=0.01)
            FAULTS[fault](own_cluster, random.Random(seed))
            answered = len(load.answered)
            daemons.eventually(lambda: len(load.answered) >= answered + 30, "the load goes on", interval=0.01)
            check(daemon, load, oracle)
        except BaseException as error:
            book.add(fault, seed, "failed", what=str(error)[:500])
            raise
        finally:
            load.stop()
            own_cluster.start()
        decided = sum(1 for each in load.answered if each.kind == "decision")
        book.add(fault, seed, "passed", acknowledged=len(load.answered), decided=decided, failed_requests=0, lost=0, twice=0)
        assert daemon.stop() == 0


@pytest.mark.skipif(moments.instrumented(), reason="a sanitizer's library must come first")
@pytest.mark.parametrize("moment", STRUCK)
def test_the_server_process_is_killed_at(make_daemon, own_cluster, moment):
    """The backend dies with half a COPY, or with a COMMIT whose answer nobody reads; the server recovers, shipping goes on."""
    book = Ledger("backend_killed")
    if book.has(moment, 1):
        return
    daemon = make_daemon(
        start=False, database_url=fresh_database(own_cluster), ship_interval_ms=5, ship_batch_frames_max=200)
    chosen = moments.Moments(daemon)
    daemon.start()
    oracle = Oracle()
    make_subjects_known(daemon)
    load = Load(daemon, oracle, f"backend-{moment}", 1, goes_on=True).start()
    try:
        daemons.eventually(lambda: len(load.answered) >= 30, "the load runs", interval=0.01)
        chosen.arm(moment, 5 if moment in ("mid_copy", "copy_end") else 2, STRIKES, "backend")
        daemons.eventually(lambda: len(chosen.fired()) >= STRIKES, f"{STRIKES} backends killed at {moment}", timeout=900)
        check(daemon, load, oracle)
    finally:
        load.stop()
        own_cluster.start()
    book.add(moment, 1, "passed", backends_killed=len(chosen.fired()), acknowledged=len(load.answered), lost=0, twice=0)
    assert daemon.stop() == 0
