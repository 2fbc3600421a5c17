"""Event time: watermarks and lag of sources, lateness of contracts, how long events take to each stage."""
import time

import pytest
import yaml

import daemon as daemons
from shipping import metric
from test_survive import customer, ndjson, purchase, send


def at(seconds_ago):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds_ago))


def event(number, source, seconds_ago):
    return purchase(number) | {"source": source, "time": at(seconds_ago)}


def sources(daemon):
    return {item["source"]: item for item in daemon.admin.get("/v1/sources").json()["sources"]}


@pytest.fixture(scope="module")
def late_daemon(make_daemon):
    """A daemon whose purchases may come a day late."""
    daemon = make_daemon()
    path = daemons.DEMO_DEFINITIONS / "contracts" / "retail_events.odcs.yaml"
    contract = yaml.safe_load(path.read_text())
    contract["customProperties"].append({"property": "decisiond.lateness", "value": "1d"})
    answer = daemon.admin.post("/v1/definitions/apply", json={"definitions": [contract]})
    assert answer.status_code == 200, answer.text
    send(daemon.admin, [customer("c0")])
    return daemon


def test_watermarks_follow_the_data(late_daemon):
    daemon = late_daemon
    day = 86_400
    send(daemon.admin, [event(1, "/history", 3000 * day)])
    send(daemon.admin, [event(2, "/history", 2999 * day)])
    send(daemon.admin, [event(3, "/history", 2999.5 * day), event(4, "/live", 10)])
    # Refused, as it is more than a day behind its source; history itself is as welcome as today.
    answer = send(daemon.admin, [event(5, "/history", 3000.5 * day), event(6, "/live", -3600)])
    codes = [item["code"] for item in answer["results"]]
    assert codes == ["too_late", "future_time"]
    found = sources(daemon)
    history, live = found["/history"], found["/live"]
    assert (history["accepted"], history["late"], history["too_late"], history["future"]) == (3, 1, 1, 0)
    assert (live["accepted"], live["late"], live["too_late"], live["future"]) == (1, 0, 0, 1)
    assert history["watermark"] == history["last_event_time"]
    assert history["watermark"][:10] == at(2999 * day)[:10]
    exact = 2999.5 * day * 1000
    assert exact * 0.99 <= history["lag"]["p50_ms"] <= exact * 1.13
    assert not live["is_idle"]
    first = daemon.admin.get("/v1/sources?limit=1").json()
    rest = daemon.admin.get(f"/v1/sources?cursor={first['next_cursor']}").json()
    assert first["total"] == len(first["sources"] + rest["sources"]) == 3

    daemon.restart(kill=True)
    again = sources(daemon)
    assert again["/history"] == history and again["/live"] | {"is_idle": None} == live | {"is_idle": None}
    assert daemon.admin.post(
        "/v1/events", data=ndjson([event(7, "/history", 3000.5 * day)]),
        headers={"Content-Type": "application/x-ndjson"}).json()["results"][0]["code"] == "too_late"


def test_sources_are_for_operators(late_daemon):
    assert late_daemon.session("operator").get("/v1/sources").status_code == 200
    assert late_daemon.session("crm").get("/v1/sources").status_code == 403


def test_every_stage_of_an_event_is_timed(late_daemon):
    daemon = late_daemon
    before = {stage: metric(daemon, "decisiond_event_stage_seconds_count", stage=stage)
              for stage in ("durable", "applied", "postgres")}
    send(daemon.admin, [event(f"stage-{n}", "/stages", 5) for n in range(700)])
    send(daemon.admin, [event("stage-0", "/stages", 5) | {"data": {}}, purchase("refused", amount="much")])
    daemon.wait_shipped()
    for stage, count in before.items():
        assert metric(daemon, "decisiond_event_stage_seconds_count", stage=stage) == count + 700, stage
    assert metric(
        daemon, "decisiond_events_total", contract="retail_events", disposition="accepted") >= 700
    assert metric(daemon, "decisiond_events_total", contract="retail_events", disposition="quarantined",
                  code="type_mismatch") >= 1
    assert metric(daemon, "decisiond_source_events_total", source="/stages", kind="accepted") == 700
    assert 4 <= metric(daemon, "decisiond_source_lag_seconds", source="/stages", quantile="0.5") < 600
    assert metric(daemon, "decisiond_source_watermark_age_seconds", source="/stages") >= 4
    assert metric(daemon, "decisiond_ship_backlog_frames") == 0
    assert metric(daemon, "decisiond_ship_lag_seconds") == 0
    assert metric(daemon, "decisiond_journal_free_bytes") > 0
    assert metric(daemon, "decisiond_http_connections") >= 1
