"""The shared retail data: lines to send, what must become of each, and what must be served from them afterwards."""
import csv
import gzip
import hashlib
import json
from decimal import Decimal

from conftest import shared_path

VIEW = "/v1/features/customer_purchases"
CLASS_OF = {"json": "malformed_json", "cloudevents": "invalid_cloudevent", "contract": "contract_violation"}
NDJSON = "application/x-ndjson"


def rows(relative):
    """A CSV file of the shared data as dictionaries."""
    path = shared_path(relative)
    opened = gzip.open(path, "rt", newline="") if path.suffix == ".gz" else open(path, newline="")
    with opened as file:
        return list(csv.DictReader(file))


def compressed():
    """The events as they come: gzip of NDJSON."""
    return shared_path("data/events/events.ndjson.gz").read_bytes()


def lines():
    """The events' lines, without their line feeds."""
    found = gzip.decompress(compressed()).split(b"\n")
    assert found.pop() == b""
    return found


def labels():
    """What each line is, one row a line."""
    return rows("data/events/labels.csv.gz")


def manifest():
    return json.loads(shared_path("data/events/manifest.json").read_text())


def customer_events():
    """The known customers as events of the reference table's type."""
    return [
        json.dumps({
            "specversion": "1.0", "id": row["customer_id"], "source": "/crm/customers",
            "type": "com.example.retail.customer", "subject": row["customer_id"], "time": "2010-11-30T00:00:00Z",
            "datacontenttype": "application/json",
            "data": {"customer_id": row["customer_id"], "country": row["country"]}}).encode()
        for row in rows("data/events/customers.csv")]


def load_customers(session):
    """Makes the customers known."""
    events = customer_events()
    answer = session.post("/v1/events", data=b"\n".join(events), headers={"Content-Type": NDJSON})
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == len(events), answer.text[:2000]


def load(session, customers=None):
    """Loads the customers and then the events: all of them, or those of some customers only."""
    load_customers(session)
    if customers is None:
        body, headers = compressed(), {"Content-Type": NDJSON, "Content-Encoding": "gzip"}
    else:
        wanted = set(customers)
        body = b"\n".join(line for line, row in zip(lines(), labels()) if row["subject"] in wanted)
        headers = {"Content-Type": NDJSON}
    answer = session.post("/v1/events?results=problems", data=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def exact(answer):
    """An answer's JSON with every number as the decimal that was written."""
    return exact_text(answer.text)


def exact_text(text):
    """JSON with every number as the decimal that was written."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def number(cell):
    """A CSV cell as the value that must be served: empty is null."""
    return None if cell == "" else Decimal(cell)


def served(session, customer, as_of, known_at="latest"):
    """All features of a customer at a time."""
    parameters = {"customer": customer, "as_of": as_of}
    if known_at:
        parameters["known_at"] = known_at
    answer = session.get(VIEW, params=parameters)
    assert answer.status_code == 200, answer.text
    return exact(answer)["values"]


def differences(values, row, columns):
    """Features that are not what the row says: name, served, expected. `columns`: column -> feature."""
    return [
        (feature, values.get(feature, "absent"), row[column])
        for column, feature in columns.items()
        if feature not in values or values[feature] != number(row[column])]


def point_in_time_columns(row):
    """Columns of point_in_time.csv and the features that they are."""
    def feature(column):
        if column == "days_since_last_purchase":
            return "days_since_last"
        return column.replace("avg_", "mean_")
    return {column: feature(column) for column in row if column not in ("customer", "as_of", "kind")}


def score_at_columns(row):
    """Columns of score_at.csv that are features; the others are what models say."""
    return {
        column: column for column in row
        if column not in ("customer", "as_of", "kind") and not column.startswith(("xgb3_", "lgb4_", "skl_"))}


def stored_events(daemon):
    """What PostgreSQL holds of the shop's events, as clean.csv has it: sorted rows."""
    return daemon.sql("""
        SELECT id, substr(type, 20), subject,
               to_char(decisiond.at(event_us) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
               data->>'product', trim_scale((data->>'amount')::numeric)
        FROM decisiond.event WHERE contract = 'retail_events' AND source = '/shops/uk-online' ORDER BY id COLLATE "C" """)


def clean_events():
    """The accepted events in the same shape."""
    return sorted(
        [row["id"], row["kind"], row["customer"], row["time"], row["product"], plain(row["amount"])]
        for row in rows("data/events/clean.csv.gz"))


def plain(text):
    """A number as PostgreSQL's trim_scale writes it."""
    value = format(Decimal(text), "f")
    return value.rstrip("0").rstrip(".") if "." in value else value


def raw_hash(line):
    """The id of a quarantine entry."""
    return hashlib.sha256(line).hexdigest()
