"""Served features against expected results, row by row, and what the parameters of a read mean."""
import datetime
import json
import time
from decimal import Decimal

import pytest

import retail

SINGLE = "application/cloudevents+json"


@pytest.fixture(scope="module")
def loaded(daemon):
    """The daemon with the whole retail file."""
    answer = retail.load(daemon.admin)
    assert answer["accepted"] == retail.manifest()["distinct_accepted"]
    return daemon


def test_every_row_of_point_in_time(loaded):
    """All rows, every column, to the last digit."""
    rows = retail.rows("data/features/point_in_time.csv")
    assert len(rows) == 2030
    wrong = []
    for row in rows:
        values = retail.served(loaded.admin, row["customer"], row["as_of"])
        found = retail.differences(values, row, retail.point_in_time_columns(row))
        if found:
            wrong.append((row["customer"], row["as_of"], row["kind"], found))
    assert wrong == [], f"{len(wrong)} rows differ"


def test_same_after_kill_and_restart(loaded):
    """Memory is rebuilt from the journal to the same values."""
    rows = retail.rows("data/features/point_in_time.csv")[::23]
    loaded.restart(kill=True)
    for row in rows:
        values = retail.served(loaded.admin, row["customer"], row["as_of"])
        assert retail.differences(values, row, retail.point_in_time_columns(row)) == [], row


def busy_row():
    """A customer and time with purchases in the window."""
    return next(row for row in retail.rows("data/features/point_in_time.csv") if int(row["count_1h"]) > 3)


def test_shape_of_the_answer(loaded):
    row = busy_row()
    answer = loaded.admin.get(
        retail.VIEW, params={"customer": row["customer"], "as_of": row["as_of"], "known_at": "latest"})
    body = answer.json()
    assert (body["view"], body["version"], body["entity"]) == ("customer_purchases", 1, {"customer": row["customer"]})
    assert moment(body["as_of"]) == moment(row["as_of"])
    assert body["known_at"] == "latest"
    assert moment(body["last_event_time"]) <= moment(row["as_of"])
    assert body["age_s"] == int((moment(body["as_of"]) - moment(body["last_event_time"])).total_seconds())
    assert body["features_seq"] > 0
    assert body["null_reasons"] == {}
    assert len(body["values"]) == 39


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_null_has_a_reason(loaded):
    """A window without events: counts and sums are 0, the others null with a reason."""
    body = loaded.admin.get(retail.VIEW, params={"customer": "nobody-knows-me"}).json()
    assert body["last_event_time"] is None and body["age_s"] is None
    for name, value in body["values"].items():
        if name.startswith(("count_", "sum_", "distinct_")):
            assert value == 0 and name not in body["null_reasons"], name
        else:
            assert value is None and body["null_reasons"][name], name


def test_no_leakage_by_default(loaded):
    """as_of without known_at: what was known then, and in 2011 this daemon knew nothing."""
    row = busy_row()
    answer = loaded.admin.get(retail.VIEW, params={"customer": row["customer"], "as_of": row["as_of"]})
    body = answer.json()
    assert body["values"]["count_90d"] == 0 and body["values"]["sum_90d"] == 0
    assert body["values"]["days_since_last"] is None and body["last_event_time"] is None
    assert body["known_at"] != "latest", "the answer must say what it used"
    assert moment(body["known_at"]) == moment(row["as_of"])


def test_offset_names_the_same_instant(loaded):
    row = busy_row()
    shifted = moment(row["as_of"]).astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
    assert retail.served(loaded.admin, row["customer"], shifted.isoformat()) == retail.served(
        loaded.admin, row["customer"], row["as_of"])


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def text(when):
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def purchase(identity, customer, when, amount, product="P1", kind="purchase"):
    return {
        "specversion": "1.0", "id": identity, "source": "/test/features", "type": f"com.example.retail.{kind}",
        "subject": customer, "time": when, "datacontenttype": "application/json",
        "data": {"invoice": identity, "product": product, "quantity": 2, "amount": amount}}


def post(daemon, event):
    answer = daemon.admin.post("/v1/events", data=json.dumps(event), headers={"Content-Type": SINGLE})
    assert answer.status_code == 200 and answer.json()["accepted"] == 1, answer.text


def quiet_customer(number):
    """A known customer without events in the file."""
    active = {row["customer"] for row in retail.rows("data/events/clean.csv.gz")}
    known = [row["customer_id"] for row in retail.rows("data/events/customers.csv")]
    return [customer for customer in known if customer not in active][number]


def test_an_event_is_served_once_acknowledged(loaded):
    customer = quiet_customer(0)
    url = {"customer": customer}
    assert loaded.admin.get(retail.VIEW, params=url).json()["values"]["count_1h"] == 0
    post(loaded, purchase("one", customer, text(now() - datetime.timedelta(seconds=1)), 12.34))
    body = retail.exact(loaded.admin.get(retail.VIEW, params=url))
    values = body["values"]
    assert (values["count_1h"], values["sum_1h"], values["last_1d"]) == (1, Decimal("12.34"), Decimal("12.34"))
    # A refund is of the same contract and not of the view.
    post(loaded, purchase("two", customer, text(now()), -5.0, kind="refund"))
    assert loaded.admin.get(retail.VIEW, params=url).json()["values"]["count_1h"] == 1


def test_known_at_separates_what_was_known(loaded):
    """Two events of the same event time that arrived one after the other."""
    customer = quiet_customer(1)
    when = "2011-02-01T12:00:00Z"
    post(loaded, purchase("k1", customer, when, 10))
    time.sleep(0.01)
    between = text(now())
    time.sleep(0.01)
    post(loaded, purchase("k2", customer, when, 5.5, product="P2"))
    for _ in range(2):
        before = retail.served(loaded.admin, customer, when, known_at=between)
        after = retail.served(loaded.admin, customer, when)
        assert (before["count_1d"], before["sum_1d"], before["distinct_products_7d"]) == (1, 10, 1)
        assert (after["count_1d"], after["sum_1d"], after["distinct_products_7d"]) == (2, Decimal("15.5"), 2)
        assert (before["last_1d"], after["last_1d"]) == (10, Decimal("5.5"))
        loaded.restart(kill=True)


def test_ties_are_ordered_by_source_and_id(loaded):
    customer = quiet_customer(2)
    when = "2011-02-01T12:00:00Z"
    post(loaded, purchase("t2", customer, when, 2))
    post(loaded, purchase("t1", customer, when, 1))
    assert retail.served(loaded.admin, customer, when)["last_1d"] == 2


def test_window_edges(loaded):
    """(t - w, t]: the end counts, the start does not."""
    customer = quiet_customer(3)
    post(loaded, purchase("e1", customer, "2011-02-01T12:00:00.000001Z", 3))
    for as_of, count in [
        ("2011-02-01T12:00:00.000000Z", 0), ("2011-02-01T12:00:00.000001Z", 1),
        ("2011-02-01T13:00:00.000000Z", 1), ("2011-02-01T13:00:00.000001Z", 0),
    ]:
        assert retail.served(loaded.admin, customer, as_of)["count_1h"] == count, as_of


@pytest.mark.parametrize("path, parameters, status, code, pointer", [
    ("/v1/features/no_such_view", {"customer": "1"}, 404, "unknown_view", None),
    (retail.VIEW, {"customer": "1", "colour": "red"}, 422, "unknown_parameter", "/query/colour"),
    (retail.VIEW, {}, 422, "missing_parameter", "/query/customer"),
    (retail.VIEW, {"customer": "1", "as_of": "yesterday"}, 422, "invalid_time", "/query/as_of"),
    (retail.VIEW, {"customer": "1", "as_of": "2011-01-01T00:00:00"}, 422, "invalid_time", "/query/as_of"),
    (retail.VIEW, {"customer": "1", "as_of": "2011-02-30T00:00:00Z"}, 422, "invalid_time", "/query/as_of"),
    (retail.VIEW, {"customer": "1", "as_of": ""}, 422, "invalid_time", "/query/as_of"),
    (retail.VIEW, {"customer": ""}, 422, None, "/query/customer"),
    (retail.VIEW, {"customer": "1", "as_of": "2999-01-01T00:00:00Z"}, 422, "in_the_future", "/query/as_of"),
    (retail.VIEW, {"customer": "1", "known_at": "soon"}, 422, "invalid_time", "/query/known_at"),
])
def test_refused_parameters(loaded, path, parameters, status, code, pointer):
    answer = loaded.admin.get(path, params=parameters, invalid=True)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    if pointer is None:
        assert body["code"] == code
    else:
        assert body["code"] == "invalid_request"
        assert [error["pointer"] for error in body["errors"]] == [pointer]
        assert code in (None, body["errors"][0]["code"])


@pytest.mark.parametrize("name, values", [
    ("customer", ["1", "2"]), ("as_of", ["2011-01-01T00:00:00Z", "2011-02-01T00:00:00Z"]),
    ("known_at", ["latest", "latest"])])
def test_repeated_parameters(loaded, name, values):
    """Neither value of a parameter that stands twice is taken silently."""
    parameters = [(name, value) for value in values] + ([("customer", "1")] if name != "customer" else [])
    answer = loaded.admin.get(retail.VIEW, params=parameters, invalid=True)
    assert answer.status_code == 422, answer.text
    assert {error["pointer"] for error in answer.json()["errors"]} == {f"/query/{name}"}


def test_history_needs_its_own_right(loaded):
    """The CRM's role reads features as they are now; `as_of` is another right."""
    crm = loaded.session("crm")
    customer = quiet_customer(0)
    assert crm.get(retail.VIEW, params={"customer": customer}).status_code == 200
    answer = crm.get(retail.VIEW, params={"customer": customer, "as_of": "2011-01-01T00:00:00Z"})
    assert answer.status_code == 403
    assert loaded.anonymous().get(retail.VIEW, params={"customer": customer}).status_code == 401
