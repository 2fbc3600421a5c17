"""kill -9 at chosen moments, under load: nothing acknowledged is lost, nothing happens twice, in memory and in PostgreSQL.

Every kill is met by a mixed load with at least one request in flight. The next life resends what was not acknowledged,
and then memory and database must hold exactly what was. The long run (DECISIOND_TEST_LONG=1) kills 110 times per moment
and keeps a ledger, so that it goes on where it stopped; the short one kills once or twice.
"""
import os
import random

import pytest

import daemon as daemons
import moments
from ledger import Ledger
from load import Client, Load, Oracle, make_subjects_known

IS_LONG = os.environ.get("DECISIOND_TEST_LONG") == "1"
KILLS_PER_MOMENT = int(os.environ.get("DECISIOND_TEST_KILLS") or (110 if IS_LONG else 0))
# Kills of one daemon; its data stays small, so that a cycle stays short.
KILLS_PER_DAEMON = 25
# How many occurrences of a moment pass by before the one that kills, at most.
OCCURRENCES = {
    "before_answer": 80, "segment_roll": 24, "mid_copy": 12, "copy_end": 12, "before_commit": 5, "commit_sent": 5,
    "snapshot_write": 3, "snapshot_rename": 4}
PATIENCE_S = 60


class Victim:
    """One daemon through many kills. Between them it runs and holds exactly what the oracle says."""

    def __init__(self, make_daemon):
        # Small segments and a busy shipper, so that every moment comes often.
        self.daemon = make_daemon(
            start=False, journal_segment_bytes=65536, ship_interval_ms=5, ship_batch_frames_max=200,
            snapshot_interval_s=1, snapshot_frames=100)
        self.moments = moments.Moments(self.daemon)
        self.oracle, self.load, self.kills = Oracle(), None, 0
        self.daemon.start()
        make_subjects_known(self.daemon)

    def kill_at(self, name, seed):
        """Puts load on and lets the moment come; returns how many requests were in flight then."""
        chance = random.Random(f"{name}-{seed}")
        self.kills += 1
        self.load = Load(self.daemon, self.oracle, f"{name}-{seed}", seed).start()
        try:
            daemons.eventually(lambda: len(self.load.answered) >= 8, "the load runs", interval=0.01)
            self.moments.arm(name, chance.randint(1, OCCURRENCES.get(name, 40)))
            self.daemon.process.wait(timeout=PATIENCE_S)
        finally:
            if self.daemon.is_running():
                self.daemon.process.kill()
            self.load.join()
            self.daemon._end()
            self.moments.disarm()
        fired = self.moments.fired()
        assert fired, f"{name} did not come"
        return sum(1 for each in self.oracle.unanswered if each.sent is not None and each.sent < fired[0])

    def check(self, seed):
        """In the next life: what memory and PostgreSQL hold is what was acknowledged, once. Returns what was resent."""
        self.daemon.start(wait=False)
        self.daemon.wait_ready()
        client = Client(self.daemon)
        resent = self.oracle.resend(client)
        assert not self.oracle.unanswered and not self.oracle.wrong, self.oracle.wrong[:3]
        again = random.Random(seed).sample(self.load.answered, min(4, len(self.load.answered)))
        self.oracle.repeat_acknowledged(client, again)
        self.oracle.check_memory(client)
        self.daemon.wait_shipped()
        self.oracle.check_database(self.daemon)
        client.close()
        return resent


class Execution:
    """Kills until the ledger has enough of a moment."""

    def __init__(self, make_daemon):
        self.make_daemon, self.victim, self.book = make_daemon, None, Ledger("kill")

    def kill_often(self, name, kills):
        seeds = (seed for seed in range(1, kills * 4) if not self.book.has(name, seed))
        while self.book.count(name) < kills:
            if self.victim is None or self.victim.kills >= KILLS_PER_DAEMON:
                self.end()
                self.victim = Victim(self.make_daemon)
            self.kill(name, next(seeds))

    def kill(self, name, seed):
        victim = self.victim
        try:
            in_flight = victim.kill_at(name, seed)
            resent = victim.check(seed)
        except BaseException as error:
            self.book.add(name, seed, "failed", what=str(error)[:500])
            self.victim = None
            raise
        # A kill that met nobody waiting is not counted.
        self.book.add(
            name, seed, "passed" if in_flight else "idle", in_flight=in_flight, resent=resent,
            acknowledged=len(victim.load.answered), lost=0, twice=0)

    def end(self):
        """A daemon that was killed so often still ends well."""
        if self.victim is not None:
            assert self.victim.daemon.stop() == 0
        self.victim = None


@pytest.fixture(scope="module")
def execution(make_daemon):
    made = Execution(make_daemon)
    yield made
    made.end()


@pytest.mark.skipif(moments.instrumented(), reason="a sanitizer's library must come first")
@pytest.mark.parametrize("name", [*moments.JOURNAL, *moments.SHIPPING, *moments.SNAPSHOT])
def test_kill_nine_at_a_moment(execution, name):
    execution.kill_often(name, KILLS_PER_MOMENT or (2 if name in moments.JOURNAL else 1))


def test_the_oracle_sees_a_loss_and_a_repetition(make_daemon):
    """The tests above say something only if this says no."""
    daemon, oracle = make_daemon(ship_interval_ms=5), Oracle()
    make_subjects_known(daemon)
    load = Load(daemon, oracle, "oracle", 1).start()
    daemons.eventually(lambda: len(load.answered) >= 40, "the load runs", interval=0.01)
    load.stop()
    daemon.wait_shipped()
    client = Client(daemon)
    oracle.check_memory(client)
    oracle.check_database(daemon)
    event = next(iter(oracle.events))
    copied = "INSERT INTO decisiond.event SELECT (jsonb_populate_record(e, '{\"seq\": 999999}')).* FROM decisiond.event e "
    for damage, repair in (
            (f"DELETE FROM decisiond.event WHERE id = '{event}'", None),
            (f"{copied} WHERE id = '{sorted(oracle.events)[-1]}'", "DELETE FROM decisiond.event WHERE seq = 999999")):
        daemon.sql(damage)
        with pytest.raises(AssertionError):
            oracle.check_database(daemon)
        if repair:
            daemon.sql(repair)
    subject, cents = oracle.events[event]
    oracle.events[event] = (subject, cents + 1)
    with pytest.raises(AssertionError):
        oracle.check_memory(client)
