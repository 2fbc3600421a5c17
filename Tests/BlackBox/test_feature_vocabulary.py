"""What views can say: tiles, sketches and decays, keys of several parts, attributes, on-demand features, time to live,
queries over several views, and statistics."""
import json
from decimal import Decimal

import pytest

import decisions
import retail
from daemon import eventually

EVENT = "application/cloudevents+json"


def contract(name, types, properties, reference=False):
    custom = [{"property": "decisiond.eventTypes", "value": types}]
    if reference:
        custom.append({"property": "decisiond.kind", "value": "reference"})
    return {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": name, "name": name, "version": "1.0.0", "status": "active",
        "domain": "shop", "description": {"purpose": "Test."}, "customProperties": custom,
        "schema": [{"id": name, "name": name, "logicalType": "object", "properties": properties}]}


def field(name, kind, **more):
    return {"id": name, "name": name, "logicalType": kind, **more}


ORDERS = contract("shop_orders", ["shop.order"], [
    field("id", "string", required=True), field("source", "string", required=True),
    field("type", "string", required=True), field("subject", "string", required=True),
    field("time", "timestamp", required=True),
    field("data", "object", required=True, properties=[
        field("product", "string"), field("quantity", "integer"),
        field("amount", "number", logicalTypeOptions={"multipleOf": 0.01}), field("gift", "boolean"),
        field("due", "date")])])

PEOPLE = contract("shop_people", ["shop.person"], [
    field("person_id", "string", required=True, primaryKey=True, primaryKeyPosition=1), field("segment", "string"),
    field("vip", "boolean"), field("since", "date"), field("seen", "timestamp"), field("rank", "integer"),
    field("email", "string", classification="personal")], reference=True)


def view(name, contract, entity, features, **more):
    spec = {"contract": contract, "entity": entity, "features": features, **more}
    return {"kind": "FeatureView", "name": name, "domain": "shop", "owner": "ann", "spec": spec}


CUSTOMER = {"name": "shopper", "path": "/subject"}
PAIR = {"name": "shopper_product", "paths": [
    {"name": "shopper", "path": "/subject"}, {"name": "product", "path": "/data/product"}]}
VIEWS = [
    view("shop_tiled", "shop_orders", CUSTOMER, [
        {"name": "n", "aggregate": "count", "windows": ["2h"]},
        {"name": "sum", "aggregate": "sum", "of": "/data/amount", "windows": ["2h"]}], aggregation_interval="1h"),
    view("shop_stats", "shop_orders", CUSTOMER, [
        {"name": "n", "aggregate": "count", "windows": ["30d"]},
        {"name": "spend", "aggregate": "sum", "of": "/data/amount", "windows": ["30d"]},
        {"name": "products", "aggregate": "top_k", "k": 2, "of": "/data/product", "windows": ["30d"]},
        {"name": "sizes", "aggregate": "top_k", "k": 5, "of": "/data/quantity", "windows": ["30d"]},
        {"name": "median", "aggregate": "quantile", "q": 0.5, "of": "/data/amount", "windows": ["30d"]},
        {"name": "decayed", "aggregate": "decayed_sum", "half_life": "1d", "of": "/data/amount"},
        {"name": "level", "aggregate": "ewma", "half_life": "1d", "of": "/data/amount"},
        {"name": "first_at", "aggregate": "first_time", "windows": ["30d"]},
        {"name": "gift_at", "aggregate": "last_time", "of": "/data/gift", "windows": ["30d"]},
        {"name": "gift", "aggregate": "attribute", "of": "/data/gift"},
        {"name": "due", "aggregate": "max", "of": "/data/due", "windows": ["30d"]}],
        on_demand=[
            {"name": "basket", "expression": "spend / n"},
            {"name": "is_big", "expression": "basket > 20"},
            {"name": "overdue", "expression": "date(now()) > due"},
            {"name": "best", "expression": "if products = null then null else products[1].value"}]),
    view("shop_pairs", "shop_orders", PAIR, [
        {"name": "n", "aggregate": "count", "windows": ["30d"]},
        {"name": "spend", "aggregate": "sum", "of": "/data/amount", "windows": ["30d"]}]),
    view("shop_profile", "shop_people", {"name": "shopper", "path": "/data/person_id"}, [
        {"name": name, "aggregate": "attribute", "of": f"/data/{name}"}
        for name in ("segment", "vip", "since", "seen", "rank", "email")],
        on_demand=[{"name": "has_mail", "expression": "email != null"}]),
    view("shop_fresh", "shop_orders", CUSTOMER, [
        {"name": "n", "aggregate": "count"}, {"name": "gift", "aggregate": "attribute", "of": "/data/gift"}],
        ttl="30d", on_demand=[{"name": "twice", "expression": "if n = null then 0 else n * 2"}]),
]
DECISION = {
    "kind": "Decision", "name": "shop-choice", "domain": "shop", "owner": "ann", "spec": {
        "entity": "who", "deadline_ms": 30000,
        "inputs": [{"name": "who", "type": "string"}, {"name": "what", "type": "string"}],
        "features": [
            {"view": "shop_pairs", "entity": {"product": "what", "shopper": "who"}}, {"view": "shop_stats"},
            {"view": "shop_profile"}, {"view": "shop_fresh"}],
        "outputs": [
            {"name": "pair", "type": "number", "expression": "shop_pairs.n"},
            {"name": "basket", "type": "number", "expression": "shop_stats.basket"},
            {"name": "best", "type": "string", "expression": "shop_stats.products[1].value"},
            {"name": "vip", "type": "boolean", "expression": "shop_profile.vip"},
            {"name": "since", "type": "date", "expression": "shop_profile.since"},
            {"name": "fresh", "type": "number", "expression": "shop_fresh.twice"}]}}


def send(daemon, kind, identity, subject, time, **data):
    event = {
        "specversion": "1.0", "id": identity, "source": "/test/vocabulary", "type": kind, "subject": subject,
        "time": time, "datacontenttype": "application/json", "data": data}
    answer = daemon.admin.post("/v1/events", data=json.dumps(event), headers={"Content-Type": EVENT})
    assert answer.status_code == 200 and answer.json()["accepted"] == 1, answer.text


def order(daemon, identity, subject, time, **data):
    send(daemon, "shop.order", identity, subject, time, **data)


def read(session, name, as_of=None, **parts):
    parameters = dict(parts, **({"as_of": as_of, "known_at": "latest"} if as_of else {}))
    answer = session.get(f"/v1/features/{name}", params=parameters)
    assert answer.status_code == 200, answer.text
    return retail.exact(answer)


@pytest.fixture(scope="module")
def shop(daemon):
    """The daemon with the test's contracts, views and decision, and some orders."""
    decisions.apply(daemon, ORDERS, PEOPLE, *VIEWS, DECISION)
    for number, (day, product, quantity, amount, more) in enumerate([
            ("01", "tea", 1, 10.00, {"gift": True}), ("02", "cup", 2, 20.00, {"due": "2011-02-10"}),
            ("03", "tea", 1, 30.00, {"gift": False, "due": "2011-02-05"}), ("04", "ale", 3, 40.00, {})]):
        order(daemon, f"a{number}", "ann", f"2011-02-{day}T12:00:00Z", product=product, quantity=quantity,
              amount=amount, **more)
    send(daemon, "shop.person", "p1", "ann", "2011-01-01T00:00:00Z", person_id="ann", segment="new", vip=False,
         since="2010-12-24", seen="2010-12-31T23:00:00+01:00", rank=3, email="ann@example.com")
    send(daemon, "shop.person", "p2", "ann", "2011-02-03T00:00:00Z", person_id="ann", segment="gold", vip=True, rank=1)
    return daemon


AT = "2011-02-04T12:00:00Z"


@pytest.mark.parametrize("time, as_of, count", [
    ("2011-03-01T12:00:00Z", "2011-03-01T13:59:59.999999Z", 1), ("2011-03-01T12:00:00Z", "2011-03-01T14:00:00Z", 0),
    ("2011-03-01T12:00:00.000001Z", "2011-03-01T14:59:59.999999Z", 1),
    ("2011-03-01T12:00:00.000001Z", "2011-03-01T15:00:00Z", 0), ("2011-03-01T12:00:00Z", "2011-03-01T11:59:59.999999Z", 0),
    ("1969-12-31T23:00:00.000001Z", "1970-01-01T01:59:59.999999Z", 1),
    ("1969-12-31T23:00:00.000001Z", "1970-01-01T02:00:00Z", 0), ("1969-12-31T23:00:00Z", "1970-01-01T01:00:00Z", 0)])
def test_tiles_start_at_the_hour(shop, request, time, as_of, count):
    """(floor(t - w), t], also before 1970."""
    shopper = f"tile-{request.node.callspec.id}"
    order(shop, shopper, shopper, time, product="tea", amount=1.5)
    values = read(shop.admin, "shop_tiled", as_of, shopper=shopper)["values"]
    assert (values["n"], values["sum"]) == (count, Decimal("1.5") * count)


def test_every_aggregate(shop):
    for _ in range(2):
        body = read(shop.admin, "shop_stats", AT, shopper="ann")
        values = body["values"]
        assert values["products"] == [{"value": "tea", "count": 2}, {"value": "ale", "count": 1}]
        assert values["sizes"] == [{"value": 1, "count": 2}, {"value": 2, "count": 1}, {"value": 3, "count": 1}]
        assert values["median"] == 20 and values["gift"] is False
        assert abs(values["decayed"] - Decimal("61.25")) < Decimal("1e-12")
        assert abs(values["level"] - Decimal("61.25") / Decimal("1.875")) < Decimal("1e-12")
        assert values["first_at"] == "2011-02-01T12:00:00.000Z" and values["gift_at"] == "2011-02-03T12:00:00.000Z"
        assert values["due"] == "2011-02-10"
        assert (values["basket"], values["is_big"], values["overdue"], values["best"]) == (25, True, False, "tea")
        assert body["null_reasons"] == {}
        shop.restart(kill=True)
    assert read(shop.admin, "shop_stats", "2011-02-11T12:00:00Z", shopper="ann")["values"]["overdue"] is True


def test_nulls_have_reasons(shop):
    body = read(shop.admin, "shop_stats", AT, shopper="nobody")
    assert body["values"]["decayed"] == 0 and body["values"]["products"] is None
    assert body["null_reasons"] == {
        "products": "empty_window", "sizes": "empty_window", "median": "empty_window", "level": "no_event",
        "first_at": "empty_window", "gift_at": "empty_window", "gift": "no_event", "due": "empty_window",
        "basket": "expression_null", "is_big": "expression_null", "overdue": "expression_null",
        "best": "expression_null"}


def test_key_of_several_parts(shop):
    assert read(shop.admin, "shop_pairs", AT, shopper="ann", product="tea")["values"] == {"n": 2, "spend": 40}
    body = read(shop.admin, "shop_pairs", AT, product="cup", shopper="ann")
    assert body["values"] == {"n": 1, "spend": 20} and body["entity"] == {"shopper": "ann", "product": "cup"}
    # Parts that run together are other keys.
    assert read(shop.admin, "shop_pairs", AT, shopper="annt", product="ea")["values"]["n"] == 0
    answer = shop.admin.get("/v1/features/shop_pairs", params={"shopper": "ann"}, invalid=True)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/query/product"]


def test_attributes_change_slowly(shop):
    """Valid from their event's time; a field that a later row leaves out keeps its value."""
    old = read(shop.admin, "shop_profile", "2011-02-02T23:59:59.999999Z", shopper="ann")["values"]
    assert old == {
        "segment": "new", "vip": False, "since": "2010-12-24", "seen": "2010-12-31T22:00:00.000Z", "rank": 3,
        "email": "ann@example.com", "has_mail": True}
    new = read(shop.admin, "shop_profile", "2011-02-03T00:00:00Z", shopper="ann")["values"]
    assert new == dict(old, segment="gold", vip=True, rank=1)
    before = read(shop.admin, "shop_profile", "2010-12-31T00:00:00Z", shopper="ann")
    assert set(before["null_reasons"].values()) == {"no_event"} and before["values"]["has_mail"] is False


def test_personal_attributes_are_masked(shop):
    """Also in what is computed from them, in queries and in statistics; each reading is an entry of the access log."""
    crm = shop.session("crm")
    body = read(crm, "shop_profile", shopper="ann")
    assert body["values"]["email"] is None and body["values"]["has_mail"] is None and body["values"]["rank"] == 1
    assert body["null_reasons"] == {"email": "masked", "has_mail": "masked"}
    answer = crm.post("/v1/features/query", json={"views": ["shop_profile"], "entities": [{"shopper": "ann"}]}).json()
    assert answer["results"][0]["views"][0]["values"] == json.loads(crm.get(
        "/v1/features/shop_profile", params={"shopper": "ann"}).text)["values"]
    figures = crm.get("/v1/features/shop_profile/statistics").json()["features"]
    assert [item["name"] for item in figures if item["is_masked"]] == ["email", "has_mail"]
    log = shop.admin.get("/v1/access-log", params={"action": "features.read", "limit": 100}).json()
    operations = {
        entry["details"]["operation"] for entry in log["entries"] if entry["resource_id"] == "shop_profile"}
    assert {"getFeatures", "queryFeatures", "getFeatureStatistics"} <= operations


def test_values_expire(shop):
    edge = read(shop.admin, "shop_fresh", "2011-03-06T12:00:00Z", shopper="ann")
    assert edge["values"] == {"n": 4, "gift": False, "twice": 8}
    past = read(shop.admin, "shop_fresh", "2011-03-06T12:00:00.000001Z", shopper="ann")
    assert past["values"] == {"n": None, "gift": None, "twice": None}
    assert past["null_reasons"] == {"n": "expired", "gift": "expired", "twice": "expired"}
    assert past["last_event_time"] == "2011-02-04T12:00:00.000Z"


def test_decision_binds_all_parts(shop):
    """On-demand features and attributes are inputs as any; the record replays to the same bytes."""
    body = decisions.decide(
        shop.admin, "/v1/decide/shop-choice", {"who": "ann", "what": "tea"}, as_of=AT, known_at="latest")
    assert body["outputs"] == {
        "pair": 2, "basket": 25, "best": "tea", "vip": True, "since": "2010-12-24", "fresh": 8}
    stored = decisions.record(shop.admin, body["id"])["features"]
    assert stored["shop_stats"]["values"]["products"][0] == {"value": "tea", "count": 2}
    assert decisions.replay(shop.admin, body["id"])["identical"] is True
    late = decisions.decide(shop.admin, "/v1/decide/shop-choice", {"who": "ann", "what": "tea"})
    assert late["outputs"]["fresh"] is None
    assert {"code": "expired", "subject": "shop_fresh.n"} in late["warnings"]
    assert decisions.replay(shop.admin, late["id"])["identical"] is True


def query(session, status=200, invalid=False, **body):
    answer = session.post("/v1/features/query", json=body, invalid=invalid)
    assert answer.status_code == status, answer.text
    return retail.exact(answer)


def test_query_equals_single_reads(shop):
    entities = [{"shopper": shopper, "product": "tea"} for shopper in ["ann", "nobody"] + [f"x{n}" for n in range(80)]]
    names = ["shop_stats", "shop_pairs", "shop_profile"]
    body = query(shop.admin, views=names, entities=entities, as_of=AT, known_at="latest")
    assert [result["entity"] for result in body["results"]] == entities
    for result in body["results"][:3]:
        found = {item.pop("view"): item for item in result["views"]}
        assert set(found) == set(names)
        # Views of one entity are read at one position.
        assert found["shop_stats"]["features_seq"] == found["shop_profile"]["features_seq"]
        for name, item in found.items():
            parts = result["entity"] if name == "shop_pairs" else {"shopper": result["entity"]["shopper"]}
            single = read(shop.admin, name, AT, **parts)
            assert {key: single[key] for key in item if key != "features_seq"} == {
                key: value for key, value in item.items() if key != "features_seq"}
    some = query(shop.admin, views=["shop_stats", "shop_fresh"], entities=[{"shopper": "ann"}], as_of=AT,
                 known_at="latest", features=["shop_stats.n", "gift"])
    assert {item["view"]: item["values"] for item in some["results"][0]["views"]} == {
        "shop_stats": {"n": 4, "gift": False}, "shop_fresh": {"gift": False}}


@pytest.mark.parametrize("change, pointer, code", [
    ({"views": []}, "/views", "empty_list"), ({"views": ["shop_stats", "shop_stats"]}, "/views", "duplicate_name"),
    ({"views": [f"v{number}" for number in range(17)]}, "/views", "too_many"),
    ({"entities": []}, "/entities", "empty_list"), ({"entities": [{"shopper": "a"}] * 1001}, "/entities", "too_many"),
    ({"entities": [{}]}, "/entities/0/shopper", "missing_field"),
    ({"entities": [{"shopper": ""}]}, "/entities/0/shopper", "out_of_range"),
    ({"entities": [{"shopper": "a", "colour": "b"}]}, "/entities/0/colour", "unknown_field"),
    ({"features": ["shop_pairs.n"]}, "/features/0", "unknown_feature"), ({"as_of": "now"}, "/as_of", "invalid_time"),
    ({"as_of": "2999-01-01T00:00:00Z"}, "/as_of", "in_the_future"), ({"known_at": "x"}, "/known_at", "invalid_time"),
    ({"colour": "red"}, "/colour", "unknown_field")])
def test_refused_queries(shop, change, pointer, code):
    body = dict({"views": ["shop_stats"], "entities": [{"shopper": "ann"}]}, **change)
    errors = query(shop.admin, 422, invalid=True, **body)["errors"]
    assert [(error["pointer"], error["code"]) for error in errors] == [(pointer, code)]


def test_queries_ask_the_policies_for_every_view(shop):
    body = {"views": ["shop_stats"], "entities": [{"shopper": "ann"}]}
    crm, ingest = shop.session("crm"), shop.session("ingest")
    query(crm, **body)
    query(crm, 403, **dict(body, as_of=AT))
    query(ingest, 403, **body)
    query(ingest, 403, **dict(body, views=["no_such_view"]))
    query(ingest, 403, invalid=True, views=[], entities=[])
    query(shop.admin, 404, **dict(body, views=["no_such_view"]))
    assert shop.anonymous().post("/v1/features/query", json=body).status_code == 401


def test_statistics_of_what_was_served(shop):
    name = "shop_served"
    decisions.apply(shop, view(name, "shop_orders", CUSTOMER, [
        {"name": "spend", "aggregate": "sum", "of": "/data/amount", "windows": ["30d"]},
        {"name": "gift", "aggregate": "attribute", "of": "/data/gift"},
        {"name": "product", "aggregate": "attribute", "of": "/data/product"}]))
    eventually(lambda: shop.admin.get(f"/v1/definitions/FeatureView/{name}").json()["fill"]["state"] != "building",
               "the view is filled from the events of the other tests")
    for number in range(10):
        order(shop, f"s{number}", f"s{number}", "2011-02-04T11:59:00Z", product="tea", amount=number)
        read(shop.admin, name, AT, shopper=f"s{number}")
    read(shop.admin, name, AT, shopper="nobody")
    query(shop.admin, views=[name], entities=[{"shopper": "s0"}], as_of=AT, known_at="latest")
    body = retail.exact(shop.admin.get(f"/v1/features/{name}/statistics"))
    assert (body["served"], body["samples"]) == (12, 12)
    assert body["age_s"] == {"mean": 60, "min": 60, "max": 60, "p1": 60, "p50": 60, "p99": 60}
    spend, gift, product = body["features"]
    assert spend["numbers"] == {"mean": Decimal("3.75"), "min": 0, "max": 9, "p1": 0, "p50": 3, "p99": 9}
    assert (spend["null_rate"], gift["null_rate"], gift["numbers"]) == (0, 1, None)
    assert product["null_rate"] > 0 and product["numbers"] is None
    metrics = shop.admin.get("/metrics").text
    assert f'decisiond_feature_vectors_served_total{{view="{name}"}} 12' in metrics
    assert f'decisiond_feature_age_seconds{{view="{name}"}} 60' in metrics


@pytest.mark.parametrize("definition, told", [
    (view("bad", "shop_orders", CUSTOMER, [{"name": "n", "aggregate": "count"}],
          on_demand=[{"name": "m", "expression": "n + nothing"}]), "/spec/on_demand/0/expression"),
    (view("bad", "shop_orders", CUSTOMER, [{"name": "n", "aggregate": "count"}],
          on_demand=[{"name": "n", "expression": "n"}]), "/spec/on_demand/0/name"),
    (view("bad", "shop_orders", CUSTOMER, [{"name": "n", "aggregate": "count"}],
          on_demand=[{"name": "m", "expression": "[n]"}]), "/spec/on_demand/0/expression"),
    (view("bad", "shop_orders", CUSTOMER, [{"name": "a", "aggregate": "attribute", "of": "/data/gift", "windows": ["1d"]}]),
     "/spec/features/0/windows"),
    (view("bad", "shop_orders", CUSTOMER, [{"name": "a", "aggregate": "sum", "of": "/data/gift"}]), "/spec/features/0/of"),
    (view("bad", "shop_orders", {"name": "shopper", "paths": [
        {"name": "a", "path": "/subject"}, {"name": "b", "path": "/id"}]}, [{"name": "n", "aggregate": "count"}]),
     "/spec/entity"),
    (view("query", "shop_orders", CUSTOMER, [{"name": "n", "aggregate": "count"}]), "/name")])
def test_refused_definitions(shop, definition, told):
    answer = shop.admin.post("/v1/definitions/apply", json={"definitions": [definition]}, invalid=True)
    assert answer.status_code == 422, answer.text
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert any(pointer.endswith(told) for pointer in pointers), pointers
