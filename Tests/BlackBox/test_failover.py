"""PostgreSQL fails over to a standby that lacks the last commits; a data directory is put back to an older state."""
import os
import random
import shutil
import threading
import time

import pytest
import requests

import daemon as daemons
from shipping import Standby, metric, socket_directory
from test_survive import (
    Writer, check_database, check_features, customer, decide, degraded, purchase, send, stored_ids)

SEED = int(os.environ.get("DECISIOND_TEST_SEED") or random.randrange(1 << 30))
ROUNDS = 20 if os.environ.get("DECISIOND_TEST_LONG") == "1" else 1


def next_seq(rows):
    return int(rows[0][0]) if rows else 1


@pytest.mark.parametrize("number", range(ROUNDS))
def test_failover_to_a_standby_that_lacks_commits(make_daemon, number):
    primary = daemons.Cluster()
    standby = None
    stop = threading.Event()
    writers = []
    try:
        primary.start()
        database = primary.create_database()
        standby = Standby(primary)
        name = database.split("@/")[1].split("?")[0]
        url = (f"postgresql://decisiond@/{name}?host={socket_directory(database)},{standby.socket}"
               "&target_session_attrs=read-write")
        daemon = make_daemon(database_url=url, ship_interval_ms=20)
        send(daemon.admin, [customer(f"c{n}") for n in range(3)])
        writers = [Writer(daemon, n, stop) for n in range(3)]
        for writer in writers:
            writer.start()
        time.sleep(1)
        position = "SELECT next_seq FROM decisiond.ship_state"
        standby.stop_receiving()
        behind = next_seq(standby.sql(position, name))
        daemons.eventually(
            lambda: next_seq(daemons.sql(database, position)) > behind + 200, "the primary is ahead of its standby")
        kpi = {"kind": "KPI", "name": "between", "spec": {"measure": "revenue"}}
        answer = daemon.admin.post("/v1/definitions/apply", json={"definitions": [kpi]})
        assert answer.status_code == 200, answer.text
        shipped = daemons.sql(database, "SELECT id FROM decisiond.decision_record ORDER BY seq DESC LIMIT 5")
        primary.stop("immediate")
        time.sleep(0.5)
        standby.promote()
        daemons.eventually(
            lambda: metric(daemon, "decisiond_ship_rewound_frames_total") > 0, "the position went back")
        for row in shipped:
            answer = daemon.admin.get(f"/v1/decision-records/{row[0]}")
            assert answer.status_code == 200, "a record that the standby never had"
        time.sleep(0.5)
        stop.set()
        for writer in writers:
            writer.join()

        assert [writer.wrong for writer in writers if writer.wrong] == [], f"seed {SEED}"
        check_database(daemon)
        stored = stored_ids(daemon)
        acknowledged = set().union(*(writer.acknowledged for writer in writers))
        assert len(stored) == len(set(stored)), "an event was stored twice"
        assert acknowledged <= set(stored), f"{len(acknowledged - set(stored))} acknowledged events are missing"
        answered = {}
        for writer in writers:
            answered |= writer.records
        kept = dict(daemon.sql("SELECT entity, id FROM decisiond.decision_record"))
        assert answered.items() <= kept.items()
        assert daemon.sql("SELECT version, created_by IS NOT NULL FROM decisiond.definition WHERE name = 'between'") == [
            ["1", "t"]], "a definition that the standby never had"
        assert daemon.admin.get("/v1/kpis/between").status_code == 200
        check_features(daemon, [f"c{n}" for n in range(3)])
        assert degraded(daemon) == {}
        assert daemon.stop() == 0
        daemon.process = None
    finally:
        stop.set()
        for writer in writers:
            writer.join()
        if standby is not None:
            standby.remove()
        primary.remove()


def test_an_old_data_directory_ships_nothing(make_daemon):
    """It was put back beside a database that has more; also once it has grown beyond the stored position, and restarted."""
    daemon = make_daemon()
    send(daemon.admin, [customer("c0")] + [purchase(f"old-{n}") for n in range(20)])
    daemon.wait_shipped()
    assert daemon.stop() == 0
    old = daemon.directory / "old"
    shutil.copytree(daemon.data, old)
    daemon.start()
    send(daemon.admin, [purchase(f"lost-{n}") for n in range(50)])
    daemon.wait_shipped()
    position = next_seq(daemon.sql("SELECT next_seq FROM decisiond.ship_state"))
    assert daemon.stop() == 0
    shutil.rmtree(daemon.data)
    old.rename(daemon.data)
    daemon.start(wait=False)
    daemon.wait_ready()
    for round in range(2):
        daemons.eventually(lambda: degraded(daemon).get("journal") == "older_than_database", "that is told")
        start = round * 100
        assert send(daemon.admin, [purchase(f"new-{n}") for n in range(start, start + 100)])["accepted"] == 100
        decide(daemon.admin, "c0")
        # Now it has more frames than PostgreSQL knows of, and still another past.
        assert requests.get(daemon.url + "/readyz").json()["applied_seq"] > position
        daemon.kill9()
        daemon.start(wait=False)
        daemon.wait_ready()
    daemons.eventually(lambda: degraded(daemon).get("journal") == "older_than_database", "that is told")
    assert daemon.sql("SELECT next_seq FROM decisiond.ship_state") == [[str(position)]]
    assert not [name for name in stored_ids(daemon) if name.startswith("new")]
