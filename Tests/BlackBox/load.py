"""A mixed load that remembers what it was told, and what must therefore be there: the oracle of the tests of survival."""
import hashlib
import http.client
import json
import random
import threading
import time

SOURCE = "/test/load"
# Many, so that no customer gets more events than memory keeps of one (`entity_events_max`), however long a test takes.
SUBJECTS = 64
NDJSON = "application/x-ndjson"


class Operation:
    """One request, the same bytes however often it is sent."""

    def __init__(self, kind, path, body, content_type, key=None, events=(), name=None):
        self.kind, self.path, self.body, self.key, self.events, self.name = kind, path, body, key, list(events), name
        self.headers = {"Content-Type": content_type}
        if key:
            self.headers["Idempotency-Key"] = key
        # When its last byte had left, on the monotonic clock; None if it did not.
        self.sent = None


class Client:
    """One kept-alive connection after another to one daemon."""

    def __init__(self, daemon, timeout=60):
        self.daemon, self.timeout, self.connection = daemon, timeout, None
        self.key = {"Authorization": f"Bearer {daemon.key}"}

    def ask(self, method, path, body=None, headers=(), sent=None):
        """Status and document; None when no answer came."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=self.timeout)
            self.connection.request(method, path, body, {**self.key, **dict(headers)})
            if sent is not None:
                sent.sent = time.monotonic()
            response = self.connection.getresponse()
            status, document = response.status, json.loads(response.read())
            if response.headers.get("Connection") == "close":
                self.close()
            return status, document
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            return None

    def send(self, operation):
        operation.sent = None
        return self.ask("POST", operation.path, operation.body, operation.headers, sent=operation)

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Oracle:
    """What was sent and what was acknowledged. Threads add; nobody else does while they run."""

    def __init__(self):
        # Of acknowledged events: id -> (subject, cents).
        self.events = {}
        # Idempotency-Key -> record id, and names of outcomes, of what was acknowledged.
        self.decisions, self.outcomes = {}, set()
        self.unanswered, self.wrong = [], []
        # Answers that said "not now", by kind of operation and code.
        self.refused = {}
        self.resent_unknown = 0

    def told(self, operation, answer):
        """Takes an answer; False when the operation must be sent again."""
        if answer is None:
            self.unanswered.append(operation)
            return False
        status, document = answer
        if status == 503:
            code = operation.kind, document.get("code")
            self.refused[code] = self.refused.get(code, 0) + 1
            self.unanswered.append(operation)
            return False
        if operation.kind == "events" and status == 200:
            counted = document["accepted"] + document["duplicates"]
            if counted != len(operation.events):
                self.wrong.append((operation.path, document))
            for name, subject, cents in operation.events:
                self.events[name] = (subject, cents)
        elif operation.kind == "decision" and status == 200:
            if operation.key and self.decisions.setdefault(operation.key, document["id"]) != document["id"]:
                self.wrong.append((operation.key, "two records of one key", document["id"]))
        elif operation.kind == "outcome" and status in (201, 202):
            self.outcomes.add(operation.name)
        else:
            self.wrong.append((operation.path, status, document))
        return True

    def resend(self, client):
        """Sends what was not acknowledged until all of it is."""
        waiting, self.unanswered = self.unanswered, []
        for operation in waiting:
            for _ in range(200):
                answer = client.send(operation)
                if answer is not None and answer[0] != 503:
                    break
                time.sleep(0.05)
            if operation.kind == "events" and answer is not None and answer[0] == 200:
                # It had become durable although nobody was told.
                self.resent_unknown += 1 if answer[1]["duplicates"] else 0
            self.told(operation, answer)
        return len(waiting)

    def repeat_acknowledged(self, client, operations):
        """Sends acknowledged operations again: nothing may change, keys give the same record."""
        for operation in operations:
            answer = client.send(operation)
            assert answer is not None, operation.path
            status, document = answer
            if operation.kind == "events":
                assert (status, document["accepted"]) == (200, 0), document
            elif operation.kind == "decision":
                assert (status, document["id"]) == (200, self.decisions[operation.key]), document
            else:
                assert status in (201, 202), document

    # What must be there

    def check_memory(self, client):
        """Features and the measure that the daemon serves are those of the acknowledged events."""
        expected = {}
        for subject, cents in self.events.values():
            count, total = expected.get(subject, (0, 0))
            expected[subject] = (count + 1, total + cents)
        for subject, (count, total) in sorted(expected.items()):
            status, document = client.ask("GET", f"/v1/features/customer_purchases?customer={subject}")
            assert status == 200, document
            found = document["values"]["count_90d"], document["values"]["sum_90d"]
            assert found == (count, total / 100), f"{subject}: {found} served, {(count, total / 100)} acknowledged"
        status, document = client.ask(
            "POST", "/v1/measures/query", json.dumps({"measures": ["revenue"]}), {"Content-Type": "application/json"})
        assert status == 200, document
        total = sum(row["revenue"] or 0 for row in document["data"])
        assert round(total * 100) == sum(cents for _, cents in self.events.values()), "the measure differs"

    def check_database(self, daemon):
        """PostgreSQL holds exactly what was acknowledged, once."""
        rows = daemon.sql(f"""
            SELECT 'event', count(*), count(DISTINCT id), md5(string_agg(id, ',' ORDER BY id COLLATE "C"))
                FROM decisiond.event WHERE source = '{SOURCE}'
            UNION ALL SELECT 'decision', count(*), count(DISTINCT id),
                md5(string_agg(entity || '=' || id, ',' ORDER BY entity COLLATE "C")) FROM decisiond.decision_record
            UNION ALL SELECT 'outcome', count(*), count(DISTINCT kind), md5(string_agg(kind, ',' ORDER BY kind COLLATE "C"))
                FROM decisiond.outcome
            UNION ALL SELECT 'rollup', sum(count), sum(sum), '' FROM decisiond.rollup WHERE measure = 'revenue'
            UNION ALL SELECT 'position', count(*), 0, '' FROM decisiond.ship_state s
                JOIN decisiond.event e USING (journal_id) WHERE e.seq >= s.next_seq""")
        found = {row[0]: row[1:] for row in rows}
        for kind, names in (
                ("event", sorted(self.events)), ("outcome", sorted(self.outcomes)),
                ("decision", [f"{key}={self.decisions[key]}" for key in sorted(self.decisions)])):
            assert found[kind][0] == found[kind][1], f"{kind}: one is there twice"
            if found[kind][2] != digest(names):
                self.explain(daemon, kind, names)
        if self.events:
            count, total = found["rollup"][:2]
            assert int(count) == len(self.events), "the rollups count otherwise"
            assert round(float(total) * 100) == sum(cents for _, cents in self.events.values())
        assert found["position"][0] == "0", "a row beyond the stored position"

    def explain(self, daemon, kind, names):
        query = {
            "event": f"SELECT id FROM decisiond.event WHERE source = '{SOURCE}'",
            "decision": "SELECT entity || '=' || id FROM decisiond.decision_record",
            "outcome": "SELECT kind FROM decisiond.outcome"}[kind]
        there = {row[0] for row in daemon.sql(query)}
        lost, extra = sorted(set(names) - there), sorted(there - set(names))
        raise AssertionError(f"{kind}: {len(lost)} acknowledged and lost {lost[:5]}, {len(extra)} unknown {extra[:5]}")


def digest(names):

    return hashlib.md5(",".join(names).encode()).hexdigest() if names else None


class Load:
    """Threads that send without a pause: single events, NDJSON batches, keyed decisions, outcomes."""

    def __init__(self, daemon, oracle, prefix, seed, goes_on=False):
        """`goes_on`: a lost connection is only noted; otherwise it ends its thread."""
        self.daemon, self.oracle, self.prefix, self.goes_on = daemon, oracle, prefix, goes_on
        self.ended = threading.Event()
        self.answered = []
        self._threads = [
            threading.Thread(target=self._run, args=(kind, random.Random(f"{seed}-{number}"), number))
            for number, kind in enumerate(["single", "batch", "decision", "outcome"])]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self.ended.set()
        self.join()

    def join(self):
        for thread in self._threads:
            thread.join()

    def _run(self, kind, chance, number):
        client = Client(self.daemon)
        records = []
        count = 0
        while not self.ended.is_set():
            count += 1
            operation = self._make(kind, f"{self.prefix}-{number}-{count}", chance, records)
            answer = client.send(operation)
            if self.oracle.told(operation, answer):
                self.answered.append(operation)
                if operation.kind == "decision":
                    records.append(answer[1]["id"])
            elif answer is None and not self.goes_on:
                break
            else:
                time.sleep(0.01)
        client.close()

    def _make(self, kind, name, chance, records):
        if kind == "outcome" and records and chance.random() < 0.7:
            return outcome(name, chance.choice(records))
        if kind in ("decision", "outcome"):
            return decision(name)
        return events(name, 1 if kind == "single" else chance.randint(2, 40), chance)


def events(name, count, chance):
    """A request with that many purchases; one is sent as a CloudEvent, more as NDJSON."""
    made, told = [], []
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    for part in range(count):
        subject, cents = f"s{chance.randrange(SUBJECTS)}", chance.randrange(1, 100000)
        told.append((f"{name}-{part}", subject, cents))
        made.append(json.dumps({
            "specversion": "1.0", "id": f"{name}-{part}", "source": SOURCE, "type": "com.example.retail.purchase",
            "subject": subject, "time": at,
            "data": {"invoice": "i", "product": f"p{part}", "quantity": 1, "amount": cents / 100, "country": "France"}}))
    body = "\n".join(made).encode()
    return Operation(
        "events", "/v1/events", body, "application/cloudevents+json" if count == 1 else NDJSON, events=told)


def decision(key):
    body = json.dumps({"inputs": {"customer": key}}).encode()
    return Operation("decision", "/v1/decide/retention-offer", body, "application/json", key=key)


def outcome(name, record):
    body = json.dumps({"name": name, "value": True}).encode()
    return Operation(
        "outcome", f"/v1/decision-records/{record}/outcomes", body, "application/json", key=name, name=name)


def make_subjects_known(daemon):
    """The contract refuses events of subjects that are not in the reference table."""
    lines = "\n".join(json.dumps({
        "specversion": "1.0", "id": f"s{number}", "source": "/crm", "type": "com.example.retail.customer",
        "subject": f"s{number}", "time": "2026-01-01T00:00:00Z",
        "data": {"customer_id": f"s{number}", "country": "France"}}) for number in range(SUBJECTS))
    status, document = Client(daemon).ask("POST", "/v1/events", lines.encode(), {"Content-Type": NDJSON})
    assert (status, document["accepted"]) == (200, SUBJECTS), document
