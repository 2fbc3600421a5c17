"""The wire itself: framing that must be refused, chunked bodies, pipelines, HEAD, OPTIONS, 100-continue, deadlines."""
import gzip
import json
import re
import socket
import struct
import time

import pytest

QUESTION = json.dumps({
    "subject": {"type": "user", "id": "x"}, "action": {"name": "can_read_user"}, "resource": {"type": "user", "id": "y"},
}).encode()
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
# What an attacker hides behind a request. A server that answers it has read the framing as the attacker meant it.
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /access/v1/evaluation HTTP/1.1\r\n"
HOST = b"Host: a\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(QUESTION)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@pytest.fixture(scope="module")
def authorization(daemon):
    return b"Authorization: Bearer " + daemon.key.encode() + b"\r\nContent-Type: application/json\r\n"


def chunks(*parts):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def talk(daemon, *pieces, wait=0.0, quiet=0.15, limit=10.0):
    """Sends pieces and reads until the server closes, or says nothing more for `quiet` seconds after an answer.

    Returns what came and whether the server closed."""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=limit) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, piece in enumerate(pieces):
            if number and wait:
                time.sleep(wait)
            try:
                connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
        received = b""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            connection.settimeout(quiet if received else end - time.monotonic())
            try:
                data = connection.recv(65536)
            except socket.timeout:
                return received, False
            except ConnectionResetError:
                return received, True
            if not data:
                return received, True
            received += data
        return received, False


def statuses(received):
    return [int(status) for status in STATUS.findall(received)]


def answer(received):
    """Status, headers and body of the first answer."""
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


# Requests whose end two readers could see in two places, and requests that are not HTTP. Each: what follows POST's request
# line and the usual fields, the body, the status. {A} is the authorization and content type.
REFUSED_POSTS = {
    "length and chunked": (HOST + b"Content-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n", 400),
    "chunked and length": (HOST + CHUNKED + b"Content-Length: 5\r\n", b"0\r\n\r\n", 400),
    "two lengths that differ": (HOST + LENGTH + b"Content-Length: 0\r\n", QUESTION, 400),
    "two lengths that agree": (HOST + LENGTH + LENGTH, QUESTION, 400),
    "space before the colon": (HOST + b"Transfer-Encoding : chunked\r\n", chunks(QUESTION), 400),
    "unknown coding": (HOST + b"Transfer-Encoding: xchunked\r\n", chunks(QUESTION), 501),
    "two codings": (HOST + b"Transfer-Encoding: gzip, chunked\r\n", chunks(QUESTION), 501),
    "chunked twice in a field": (HOST + b"Transfer-Encoding: chunked, chunked\r\n", chunks(QUESTION), 501),
    "chunked in capitals": (HOST + b"Transfer-Encoding: Chunked\r\n", chunks(QUESTION), 501),
    "chunked quoted": (HOST + b'Transfer-Encoding: "chunked"\r\n', chunks(QUESTION), 501),
    "chunked after a tab": (HOST + b"Transfer-Encoding:\tchunked\r\n", chunks(QUESTION), 400),
    "chunked after a vertical tab": (HOST + b"Transfer-Encoding: \x0bchunked\r\n", chunks(QUESTION), 400),
    "chunked before a space": (HOST + b"Transfer-Encoding: chunked \r\n", chunks(QUESTION), 400),
    "chunked without a space": (HOST + b"Transfer-Encoding:chunked\r\n", chunks(QUESTION), 400),
    "two Transfer-Encoding fields": (HOST + CHUNKED + CHUNKED, chunks(QUESTION), 400),
    "identity": (HOST + b"Transfer-Encoding: identity\r\n" + LENGTH, QUESTION, 501),
    "empty coding": (HOST + b"Transfer-Encoding: \r\n", chunks(QUESTION), 501),
    "folded field": (HOST + b"X-A: one\r\n two\r\n" + LENGTH, QUESTION, 400),
    "folded coding": (HOST + b"X-A: one\r\n Transfer-Encoding: chunked\r\n" + LENGTH, QUESTION, 400),
    "lone LF in the header": (HOST + b"X-A: one\n" + LENGTH, QUESTION, 400),
    "lone LF hides a coding": (HOST + b"X-A: one\nTransfer-Encoding: chunked\r\n" + LENGTH, QUESTION, 400),
    "lone CR in a value": (HOST + b"X-A: one\rtwo\r\n" + LENGTH, QUESTION, 400),
    "NUL in a value": (HOST + b"X-A: one\0two\r\n" + LENGTH, QUESTION, 400),
    "no Host": (LENGTH, QUESTION, 400),
    "two Hosts": (HOST + b"Host: b\r\n" + LENGTH, QUESTION, 400),
    "length with a sign": (HOST + b"Content-Length: +3\r\n", b"abc", 400),
    "length as a list": (HOST + b"Content-Length: 3,3\r\n", b"abc", 400),
    "negative length": (HOST + b"Content-Length: -1\r\n", b"abc", 400),
    "length before a space": (HOST + b"Content-Length: 3 \r\n", b"abc", 400),
    "length in hexadecimal": (HOST + b"Content-Length: 0x3\r\n", b"abc", 400),
    "length past 64 bits": (HOST + b"Content-Length: 99999999999999999999\r\n", b"abc", 413),
    "length with another name behind": (HOST + b"Content-Length-X: 3\r\n" + LENGTH, QUESTION, 400),
    "authorization with another name behind": (HOST + b"Authorization2: x\r\n" + LENGTH, QUESTION, 400),
    "unknown expectation": (HOST + b"Expect: 200-maybe\r\n" + LENGTH, QUESTION, 417),
    "chunk size 0x3": (HOST + CHUNKED, b"0x3\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size before a space": (HOST + CHUNKED, b"3 \r\nabc\r\n0\r\n\r\n", 400),
    "chunk size past 64 bits": (HOST + CHUNKED, b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n", 413),
    "negative chunk size": (HOST + CHUNKED, b"-3\r\nabc\r\n0\r\n\r\n", 400),
    "empty chunk size": (HOST + CHUNKED, b"\r\n" + chunks(QUESTION), 400),
    "chunk longer than its size": (HOST + CHUNKED, b"3\r\nabcX\r\n0\r\n\r\n", 400),
}
REFUSED_LINES = {
    "HTTP/1.9": (b"GET /healthz HTTP/1.9\r\nHost: a\r\n\r\n", 505),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "chunked in HTTP/1.0": (POST.replace(b"1.1", b"1.0") + HOST + CHUNKED + b"\r\n" + chunks(QUESTION), 400),
    "control character in the method": (b"G\x01T /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space in the target": (b"GET /heal thz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "absolute form": (b"GET http://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "authority form": (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "fragment": (b"GET /healthz#a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "dot segments": (b"GET /v1/../healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "encoded dot segments": (b"GET /v1/%2e%2e/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "encoded NUL": (b"GET /healthz%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "broken escape": (b"GET /healthz%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space in a name": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n", 400),
    "space before the first field": (b"GET /healthz HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n", 400),
    "name outside ASCII": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX\xc3: 1\r\n\r\n", 400),
    "field without a colon": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nfoo\r\n\r\n", 400),
    "too many fields": (
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X%d: a\r\n" % n for n in range(300)) + b"\r\n", 431),
    "too large a header": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70000 + b"\r\n\r\n", 431),
    "too long a target": (b"GET /healthz?" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
}


@pytest.mark.parametrize("name", REFUSED_POSTS)
def test_ambiguous_framing_is_refused_and_the_connection_closed(daemon, authorization, name):
    fields, body, status = REFUSED_POSTS[name]
    received, closed = talk(daemon, POST + fields + authorization + b"\r\n" + body + SMUGGLED)
    # libmicrohttpd writes some of its own refusals twice; nothing but refusals may come.
    assert set(statuses(received)) == {status}, received
    assert closed, "the connection lives on behind a request whose end is not certain"
    assert b"unknown_path" not in received


@pytest.mark.parametrize("name", REFUSED_LINES)
def test_what_is_not_http_is_refused_and_the_connection_closed(daemon, name):
    request, status = REFUSED_LINES[name]
    received, closed = talk(daemon, request + SMUGGLED)
    assert set(statuses(received)) == {status}, received
    assert closed
    assert b"unknown_path" not in received


@pytest.mark.parametrize("body", [
    pytest.param(b"%x\n%s\n0\n\n" % (len(QUESTION), QUESTION), id="lone LF in chunk lines"),
    pytest.param(b"%x;\n%s\r\n0\r\n\r\n" % (len(QUESTION), QUESTION), id="extension ended by a lone LF"),
    pytest.param(b"%x\r\n%s\r\n0\r\nX: y\n\r\n" % (len(QUESTION), QUESTION), id="trailer ended by a lone LF"),
])
def test_nothing_is_read_behind_a_chunked_body_with_lone_line_feeds(daemon, authorization, body):
    received, closed = talk(daemon, POST + HOST + CHUNKED + authorization + b"\r\n" + body + SMUGGLED)
    assert closed
    assert len(statuses(received)) == 1, received
    assert b"unknown_path" not in received


def test_our_own_refusals_are_problems_with_a_code(daemon, authorization):
    received, _ = talk(daemon, POST + HOST + LENGTH + LENGTH + authorization + b"\r\n" + QUESTION)
    status, headers, body = answer(received)
    assert status == 400
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert json.loads(body)["code"] == "content_length_repeated"


@pytest.mark.parametrize("parts", [
    (QUESTION,), (QUESTION[:10], QUESTION[10:]), tuple(bytes([byte]) for byte in QUESTION),
], ids=["one chunk", "two chunks", "a chunk a byte"])
def test_a_chunked_body_is_read_as_the_same_body(daemon, authorization, parts):
    body = chunks(*parts)
    plain, _ = talk(daemon, POST + HOST + LENGTH + authorization + b"\r\n" + QUESTION)
    whole, _ = talk(daemon, POST + HOST + CHUNKED + authorization + b"\r\n" + body)
    # The same in pieces that do not end where chunks do.
    cut = [body[start:start + 7] for start in range(0, len(body), 7)][:40] + [body[280:]]
    pieces, _ = talk(daemon, POST + HOST + CHUNKED + authorization + b"\r\n", *cut, wait=0.002)
    assert statuses(plain) == statuses(whole) == statuses(pieces) == [200]
    assert answer(plain)[2] == answer(whole)[2].strip() == answer(pieces)[2].strip()


def test_hexadecimal_sizes_in_capitals_and_with_zeros(daemon, authorization):
    body = QUESTION + b" " * (0xAB - len(QUESTION))
    received, _ = talk(daemon, POST + HOST + CHUNKED + authorization + b"\r\n" + b"00AB\r\n%s\r\n0\r\n\r\n" % body)
    assert statuses(received) == [200]


def test_a_chunked_body_over_the_limit_is_refused(daemon, authorization):
    piece = b" " * 65536
    received, closed = talk(
        daemon, POST + HOST + CHUNKED + authorization + b"\r\n", *[b"10000\r\n" + piece + b"\r\n"] * 20, b"0\r\n\r\n")
    assert statuses(received) == [413]
    assert closed


def test_events_arrive_chunked_and_compressed(daemon, authorization):
    events = b"\n".join(json.dumps({
        "specversion": "1.0", "id": f"chunked-{n}", "source": "/test", "type": "com.example.retail.customer",
        "subject": f"c{n}", "time": "2026-01-01T00:00:00Z", "data": {"customer_id": f"c{n}", "country": "France"},
    }).encode() for n in range(2000))
    fields = authorization.replace(b"application/json", b"application/x-ndjson") + b"Content-Encoding: gzip\r\n"
    packed = gzip.compress(events)
    body = chunks(*[packed[start:start + 1000] for start in range(0, len(packed), 1000)])
    received, _ = talk(
        daemon, b"POST /v1/events?results=problems HTTP/1.1\r\n" + HOST + CHUNKED + fields + b"\r\n" + body, limit=60)
    status, _, body = answer(received)
    assert status == 200
    assert json.loads(body)["accepted"] == 2000


def test_pipelined_requests_are_answered_in_order(daemon, authorization):
    paths = [b"/healthz", b"/nowhere", b"/readyz", b"/healthz", b"/nowhere"]
    requests = b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths)
    post = POST + HOST + LENGTH + authorization + b"\r\n" + QUESTION
    for pieces in [(requests + post + HEALTH,), tuple(bytes([byte]) for byte in requests) + (post, HEALTH)]:
        received, closed = talk(daemon, *pieces, limit=30)
        assert statuses(received) == [200, 404, 200, 200, 404, 200, 200]
        assert not closed


def test_a_decision_in_a_pipeline_does_not_lose_the_requests_behind_it(daemon, authorization):
    body = json.dumps({"inputs": {"customer": "nobody"}}).encode()
    decide = b"POST /v1/decide/retention-offer HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n%s" % (
        len(body), authorization, body)
    received, _ = talk(daemon, (decide + HEALTH) * 20, limit=30, quiet=1.0)
    assert statuses(received) == [200, 200] * 20
    assert received.count(b'"matched_rules"') == 20


def test_a_connection_is_kept_alive_and_closed_when_asked(daemon):
    received, closed = talk(daemon, HEALTH, HEALTH, HEALTH, wait=0.1)
    assert statuses(received) == [200, 200, 200] and not closed
    received, closed = talk(daemon, b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + SMUGGLED)
    assert statuses(received) == [200] and closed
    received, closed = talk(daemon, b"GET /healthz HTTP/1.0\r\nHost: a\r\n\r\n" + SMUGGLED)
    assert statuses(received) == [200] and closed


def test_errors_keep_the_connection_alive(daemon, authorization):
    bad = POST + HOST + b"Content-Length: 1\r\n" + authorization + b"\r\n{"
    received, closed = talk(daemon, (bad + b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n") * 3)
    assert statuses(received) == [400, 404] * 3 and not closed


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.yaml", "/v1/definitions", "/v1/kpis"])
def test_head_is_get_without_the_body(daemon, path):
    request = "{} " + path + f" HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {daemon.key}\r\n\r\n"
    get = answer(talk(daemon, request.format("GET").encode())[0])
    received, closed = talk(daemon, request.format("HEAD").encode() + HEALTH)
    head = answer(received)
    assert head[0] == get[0] == 200
    assert head[1]["content-type"] == get[1]["content-type"]
    if path not in ("/readyz", "/metrics"):
        assert head[1]["content-length"] == get[1]["content-length"]
    assert head[2].startswith(b"HTTP/1.1 200"), "a body came behind HEAD's answer"
    assert not closed


@pytest.mark.parametrize("path, allowed", [
    ("/healthz", "GET, HEAD, OPTIONS"), ("/v1/events", "POST, OPTIONS"), ("/v1/keys", "GET, HEAD, POST, OPTIONS"),
    ("/v1/keys/x", "DELETE, OPTIONS"), ("/v1/definitions/KPI/x", "GET, HEAD, DELETE, OPTIONS"),
    ("/v1/artifacts/x", "PUT, OPTIONS"), ("/v1/decide/x", "POST, OPTIONS"),
])
def test_options_and_405_tell_what_is_allowed(daemon, path, allowed):
    status, headers, body = answer(talk(daemon, f"OPTIONS {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())[0])
    assert (status, headers["allow"], body) == (204, allowed, b"")
    status, headers, body = answer(talk(daemon, f"PATCH {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())[0])
    assert (status, headers["allow"]) == (405, allowed)
    assert json.loads(body)["code"] == "method_not_allowed"


def test_options_of_an_unknown_path_and_of_the_server(daemon):
    assert answer(talk(daemon, b"OPTIONS /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")[0])[0] == 404
    status, headers, _ = answer(talk(daemon, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")[0])
    assert status == 204 and "POST" in headers["allow"]


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "get", "FOO"])
def test_an_unknown_method_is_not_implemented(daemon, method):
    received, _ = talk(daemon, f"{method} /healthz HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    status, headers, body = answer(received)
    assert status == 501 and json.loads(body)["code"] == "method_unknown"


def read_answer(connection, seconds=10):
    connection.settimeout(seconds)
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65536)
        if not data:
            break
        received += data
    return received


def test_continue_is_sent_only_where_the_body_is_wanted(daemon, authorization):
    expect = b"Expect: 100-continue\r\n"
    with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
        connection.sendall(POST + HOST + LENGTH + expect + authorization + b"\r\n")
        assert statuses(read_answer(connection)) == [100]
        connection.sendall(QUESTION)
        assert statuses(read_answer(connection)) == [200]
    refused = {
        "no key": (POST + HOST + LENGTH + expect + b"\r\n", 401),
        "unknown path": (b"POST /nowhere HTTP/1.1\r\n" + HOST + LENGTH + expect + authorization + b"\r\n", 404),
        "too large": (POST + HOST + b"Content-Length: 9000000\r\n" + expect + authorization + b"\r\n", 413),
        "wrong method": (b"PUT /healthz HTTP/1.1\r\n" + HOST + LENGTH + expect + authorization + b"\r\n", 405),
    }
    for name, (request, status) in refused.items():
        received, closed = talk(daemon, request)
        assert statuses(received) == [status], (name, received)
        assert closed, name


def test_a_refused_body_does_not_become_the_next_request(daemon):
    for length in (1000, 60_000, 200_000):
        body = (HEALTH * (length // len(HEALTH) + 1))[:length]
        received, closed = talk(
            daemon, b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length + body)
        assert statuses(received) == [401], received[:500]
        assert closed == (length > 65536)


def test_a_client_that_leaves_in_the_middle_harms_nobody(daemon, authorization):
    for cut in (1, 20, 60, 200):
        for reset in (False, True):
            with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
                connection.sendall((POST + HOST + LENGTH + authorization + b"\r\n" + QUESTION)[:cut])
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert daemon.admin.get("/healthz").status_code == 200


def test_dripping_clients_are_cut_off_at_an_absolute_deadline(make_daemon):
    daemon = make_daemon(header_timeout_ms=1000, body_timeout_ms=1000, idle_timeout_ms=1500)
    key = daemon.key.encode()

    def drip(start, filler):
        with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
            connection.sendall(start)
            connection.settimeout(0.2)
            begun = time.monotonic()
            received = b""
            while time.monotonic() - begun < 20:
                try:
                    connection.sendall(filler)
                    data = connection.recv(65536)
                    if not data:
                        break
                    received += data
                except socket.timeout:
                    continue
                except (BrokenPipeError, ConnectionResetError):
                    break
            else:
                pytest.fail("still open after twenty seconds of dripping")
            return received

    assert set(statuses(drip(b"GET /healthz HTTP/1.1\r\nHost: a\r\n", b"X"))) <= {408}
    body = b"POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + key + b"\r\nContent-Length: 100000\r\n\r\n"
    assert set(statuses(drip(body, b" "))) <= {408}
    received, closed = talk(daemon, HEALTH, quiet=10, limit=15)
    assert statuses(received) == [200] and closed, "an idle connection is closed"


def test_connections_past_the_limit_are_told_so(make_daemon):
    daemon = make_daemon(connections_max=5)
    daemon.admin.close()
    held = []
    try:
        # The server notices a client that has left only after a while, so a place may not be free at once.
        end = time.monotonic() + 20
        while len(held) < 5:
            assert time.monotonic() < end
            connection = socket.create_connection(("127.0.0.1", daemon.port))
            connection.sendall(HEALTH)
            if statuses(read_answer(connection)) == [200]:
                held.append(connection)
            else:
                connection.close()
        received, closed = talk(daemon, HEALTH)
        status, headers, body = answer(received)
        assert status == 503 and closed
        assert json.loads(body)["code"] == "too_many_connections"
        assert "retry-after" in headers
        held[0].sendall(HEALTH)
        assert statuses(read_answer(held[0])) == [200], "those inside are served on"
    finally:
        for connection in held:
            connection.close()
    deadline = time.monotonic() + 10
    while statuses(talk(daemon, HEALTH)[0]) != [200]:
        assert time.monotonic() < deadline, "closed connections make room"


def test_requests_in_the_last_bytes_are_not_lost(daemon):
    """A pipeline whose last request arrives split at every place."""
    data = HEALTH + HEALTH
    for cut in range(len(HEALTH) - 3, len(data), 3):
        received, _ = talk(daemon, data[:cut], data[cut:], wait=0.01, quiet=0.15)
        assert statuses(received) == [200, 200], cut


def test_the_listening_address_can_be_a_unix_socket(make_daemon, tmp_path):
    path = tmp_path / "s"
    daemon = make_daemon(start=False, listen=f"unix:{path}")
    daemon.start(wait=False)
    deadline = time.monotonic() + 60
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(HEALTH)
                assert statuses(read_answer(connection)) == [200]
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert daemon.stop() == 0
