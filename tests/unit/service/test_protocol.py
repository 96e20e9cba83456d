"""Requests as no library sends them: broken, endless, slow, enormous. Each is refused or its connection is
closed, and the service goes on.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from service.edge import protocol
from service.edge import recorder as middleware
from service.edge.guard import MAX_ADDRESS_BYTES, MAX_HEAD_BYTES, MAX_HEADERS
from service.settings import ServiceSettings
from tests.unit.service.conftest import StartApi, serving
from tests.unit.service.requests_made import wav
from tests.unit.service.wire import Connection, connected, head
from worker.catalog import Catalog
from worker.logs import fields_of

LIVE = head("GET /health/live HTTP/1.1")
FORM = "Content-Type: multipart/form-data; boundary=b"
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
FORM_END = b"\r\n--b--\r\n"
CLASSIFY = "POST /classify HTTP/1.1"


@pytest.fixture(scope="module")
def hasty_url(redis_server: str) -> Iterator[str]:
    """An API that does not wait long."""
    settings = ServiceSettings(
        redis_url=redis_server, port=0, header_timeout_s=0.4, upload_idle_s=0.4, upload_timeout_s=1.0
    )
    with serving(settings) as url:
        yield url


@pytest.fixture
def hasty(hasty_url: str, models: Catalog) -> Iterator[httpx.Client]:
    """A client of it."""
    with httpx.Client(base_url=hasty_url, timeout=60.0) as client:
        yield client


NO_REQUESTS: dict[str, bytes] = {
    "nonsense": b"nonsense\r\n\r\n",
    "zeroes": bytes(100) + b"\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(80) + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "no version": b"GET /health/live\r\n\r\n",
    "a space in the address": head("GET /health /live HTTP/1.1"),
    "bytes in the address": b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no method": b" / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a bad method": b"G@T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "another address": head("GET health/live HTTP/1.1"),
    "a whole URL": head("GET http://evil.example/jobs HTTP/1.1"),
    "a star": head("OPTIONS * HTTP/1.1"),
    "a tunnel": head("CONNECT evil.example:443 HTTP/1.1"),
    "a zero in a header": head("GET / HTTP/1.1", "X-A: a\x00b"),
    "a line in a header": head("GET / HTTP/1.1", "X-A: a\rb"),
    "a bad name": head("GET / HTTP/1.1", "X A: b"),
    "a name with a space after it": head("GET / HTTP/1.1", "X-A : b"),
    "no name": head("GET / HTTP/1.1", ": b"),
    "no colon": head("GET / HTTP/1.1", "nonsense"),
    "a folded host": b"GET / HTTP/1.1\r\nHost:\r\n localhost, evil\r\n\r\n",
    "two lengths": head(CLASSIFY, FORM, "Content-Length: 5", "Content-Length: 6"),
    "a list of lengths": head(CLASSIFY, FORM, "Content-Length: 5, 6"),
    "a negative length": head(CLASSIFY, FORM, "Content-Length: -5"),
    "a signed length": head(CLASSIFY, FORM, "Content-Length: +5"),
    "a length in hexadecimal": head(CLASSIFY, FORM, "Content-Length: 0x5"),
    "a length of letters": head(CLASSIFY, FORM, "Content-Length: five"),
    "a length of many digits": head(CLASSIFY, FORM, f"Content-Length: {'9' * 50}"),
    "length and chunks": head(CLASSIFY, FORM, "Content-Length: 5", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n",
    "chunks and length": head(CLASSIFY, FORM, "Transfer-Encoding: chunked", "Content-Length: 5")
    + b"0\r\n\r\n",
    "chunks twice": head(CLASSIFY, FORM, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "chunks of chunks": head(CLASSIFY, FORM, "Transfer-Encoding: chunked, chunked"),
    "chunks and more": head(CLASSIFY, FORM, "Transfer-Encoding: gzip, chunked"),
    "something like chunks": head(CLASSIFY, FORM, "Transfer-Encoding: xchunked"),
    "chunks with a tab": head(CLASSIFY, FORM, "Transfer-Encoding: \x0bchunked"),
    "chunks in HTTP/1.0": head("POST /classify HTTP/1.0", FORM, "Transfer-Encoding: chunked") + b"0\r\n\r\n",
}


@pytest.mark.parametrize("request_", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_what_is_no_request(api: httpx.Client, request_: bytes) -> None:
    with connected(api) as connection:
        connection.send(request_)
        answer = connection.answer()
        assert (answer.status, answer.problem) == (400, "bad-request")
        assert answer.headers["connection"] == "close"
        assert connection.is_closed()
    assert api.get("/health/live").status_code == 200


BROKEN_CHUNKS: dict[str, bytes] = {
    "no number": b"xyz\r\n",
    "a negative number": b"-5\r\n",
    "a huge number": b"f" * 30 + b"\r\n",
    "no end of the chunk": b"3\r\nabcdef\r\n",
    "a lone line feed": b"3\nabc\n0\n\n",
    "an endless extension": b"3;" + b"x" * (MAX_HEAD_BYTES + 1),
    "a broken trailer": b"0\r\nno colon\r\n\r\n",
    "endless trailers": b"0\r\n" + b"X-A: b\r\n" * (MAX_HEAD_BYTES // 7),
}


@pytest.mark.parametrize("body", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS)
@pytest.mark.parametrize("call", ["/classify", "/health/live", "/no/such/path"])
def test_broken_chunks(hasty: httpx.Client, monkeypatch: pytest.MonkeyPatch, call: str, body: bytes) -> None:
    """The body breaks while a form is read, and where nobody reads it."""
    monkeypatch.setattr(protocol, "LINGER_S", 0.4)
    with connected(hasty) as connection:
        connection.send(head(f"POST {call} HTTP/1.1", FORM, "Transfer-Encoding: chunked"))
        if call != "/classify":
            assert connection.answer().status in (404, 405)
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.send(body)
        with suppress(EOFError, ConnectionResetError):
            assert 400 <= connection.answer().status < 500
        assert connection.is_closed()
    assert hasty.get("/health/live").status_code == 200


def test_enormous_heads(api: httpx.Client) -> None:
    for request, status, problem in (
        (head("GET / HTTP/1.1", f"X-A: {'a' * MAX_HEAD_BYTES}"), 431, "head-too-large"),
        (head("GET / HTTP/1.1", f"X-A: {'a' * 1_000_000}"), 431, "head-too-large"),
        (head("GET / HTTP/1.1", *["X-A: b"] * MAX_HEADERS), 431, "head-too-large"),
        (head("GET / HTTP/1.1", *["X-A: b"] * 100_000), 431, "head-too-large"),
        (head(f"GET /{'a' * MAX_ADDRESS_BYTES} HTTP/1.1"), 414, "address-too-long"),
        (head(f"GET /jobs?{'limit=1&' * 1100} HTTP/1.1"), 414, "address-too-long"),
        (head(f"GET /{'a' * 1_000_000} HTTP/1.1"), 431, "head-too-large"),
    ):
        with connected(api) as connection:
            try:
                connection.send(request)
            except (BrokenPipeError, ConnectionResetError):
                continue  # it was refused before it was whole
            answer = connection.answer()
            assert (answer.status, answer.problem) == (status, problem)
    assert api.get("/health/live").status_code == 200


def test_large_heads_that_browsers_send(api: httpx.Client) -> None:
    with connected(api) as connection:
        cookies = f"Cookie: {'a' * (MAX_HEAD_BYTES - 1000)}"
        connection.send(head("GET /health/live HTTP/1.1", cookies, *["X-A: b"] * 20))
        assert connection.answer().status == 200


def test_requests_one_after_the_other_at_once(api: httpx.Client) -> None:
    with connected(api) as connection:
        connection.send(LIVE * 50 + b"nonsense\r\n\r\n")
        assert [connection.answer().status for _ in range(51)] == [200] * 50 + [400]
        assert connection.is_closed()


def test_a_body_that_is_longer_than_it_said(api: httpx.Client) -> None:
    """What comes after the body is the next request, and this one is none."""
    with connected(api) as connection:
        connection.send(head("POST /health/live HTTP/1.1", "Content-Length: 2"), b"abcdef\r\n\r\n")
        assert connection.answer().status == 405
        assert connection.answer().problem == "bad-request"
        assert connection.is_closed()


def test_nothing_is_smuggled(api: httpx.Client) -> None:
    """A body that looks like a request stays a body, and what is refused for its framing ends there."""
    hidden = head("DELETE /jobs/x HTTP/1.1")
    with connected(api) as connection:
        connection.send(head("POST /health/live HTTP/1.1", f"Content-Length: {len(hidden)}"), hidden, LIVE)
        assert [connection.answer().status for _ in range(2)] == [405, 200]
    with connected(api) as connection:
        framing = ("Content-Length: 4", "Transfer-Encoding: chunked")
        connection.send(head(CLASSIFY, FORM, *framing), b"0\r\n\r\n", hidden)
        assert connection.answer().problem == "bad-request"
        assert connection.is_closed()


def test_leave_to_go_on_is_given_when_the_body_is_wanted(api: httpx.Client, models: Catalog) -> None:
    body = FILE + wav() + FORM_END
    expecting = ("Expect: 100-continue", f"Content-Length: {len(body)}")
    with connected(api) as connection:
        connection.send(head(CLASSIFY, FORM, "Cache-Control: no-cache", *expecting))
        assert connection.answer().status == 100
        connection.send(body)
        assert connection.answer().status == 202
    for refused in (
        head(CLASSIFY, FORM, "Expect: 100-continue", "Content-Length: 999999999"),
        head(CLASSIFY, "Content-Type: text/plain", *expecting, "Origin: null"),
        head(CLASSIFY, FORM, *expecting, host="evil.example"),
        head("POST /no/such/path HTTP/1.1", *expecting),
    ):
        with connected(api) as connection:
            connection.send(refused)
            assert 400 <= connection.answer().status < 500  # and no 100 before


def dripping(connection: Connection, data: bytes, pause_s: float) -> Iterator[float]:
    """Sends a byte at a time until something comes back; yields the seconds since the first."""
    started = time.monotonic()
    for place in range(len(data)):
        if connection.has_heard():
            return
        connection.send(data[place : place + 1])
        time.sleep(pause_s)
        yield time.monotonic() - started


def test_a_head_has_to_come_in_time(hasty: httpx.Client) -> None:
    with connected(hasty) as silent, connected(hasty) as halting:
        halting.send(LIVE[:20])
        answer = halting.answer()
        assert (answer.status, answer.problem) == (408, "head-timed-out")
        assert halting.is_closed()
        assert silent.is_closed()  # without a word: it has asked for nothing


def test_a_byte_now_and_then_does_not_put_it_off(hasty: httpx.Client) -> None:
    with connected(hasty) as connection:
        seconds = max(dripping(connection, LIVE, 0.05))
        assert seconds < 0.05 * len(LIVE)
        assert connection.answer().problem == "head-timed-out"
    with connected(hasty) as connection:  # nor does a request before it
        connection.send(LIVE)
        assert connection.answer().status == 200
        assert max(dripping(connection, LIVE, 0.05)) < 0.05 * len(LIVE)
        assert connection.answer().problem == "head-timed-out"


def test_a_connection_may_rest_between_requests(hasty: httpx.Client) -> None:
    with connected(hasty) as connection:
        for _ in range(2):
            connection.send(LIVE)
            assert connection.answer().status == 200
            time.sleep(0.8)  # longer than a head may take, shorter than connections are kept
        connection.send(LIVE)
        assert connection.answer().status == 200


@pytest.mark.parametrize(
    ("call", "kind"), [("/classify", FORM), ("/datasets", "Content-Type: application/json")]
)
def test_a_body_may_not_pause_for_long(start_api: StartApi, models: Catalog, call: str, kind: str) -> None:
    api = start_api(upload_idle_s=0.4, admin_key="k" * 40)
    with connected(api) as connection:
        key = f"Authorization: Bearer {'k' * 40}"
        connection.send(head(f"POST {call} HTTP/1.1", kind, key, "Content-Length: 5000"), FILE)
        answer = connection.answer()
        assert (answer.status, answer.problem) == (408, "upload-timed-out")
        assert b"0.4 s" in answer.body
        assert answer.headers["connection"] == "close"
        assert connection.is_closed()
    assert api.get("/jobs").json()["jobs"] == []


def test_a_body_may_not_take_for_ever(hasty: httpx.Client) -> None:
    with connected(hasty) as connection:
        connection.send(head(CLASSIFY, FORM, "Content-Length: 5000"), FILE)
        assert 0.5 < max(dripping(connection, bytes(100), 0.05)) < 4.0
        answer = connection.answer()
        assert (answer.status, answer.problem) == (408, "upload-timed-out")
        assert b"1 s" in answer.body


def test_a_body_that_is_slow_but_comes(hasty: httpx.Client) -> None:
    body = FILE + wav() + FORM_END
    with connected(hasty) as connection:
        connection.send(head(CLASSIFY, FORM, f"Content-Length: {len(body)}", "Cache-Control: no-cache"))
        for start in range(0, len(body), len(body) // 3):
            connection.send(body[start : start + len(body) // 3])
            time.sleep(0.15)
        assert connection.answer().status == 202


def test_waiting_for_a_job_is_not_waiting_for_a_body(hasty: httpx.Client) -> None:
    body = FILE + wav() + FORM_END
    with connected(hasty) as connection:
        kind = (FORM, f"Content-Length: {len(body)}", "Prefer: wait=1", "Cache-Control: no-cache")
        connection.send(head(CLASSIFY, *kind), body)
        started = time.monotonic()
        assert connection.answer().status == 202
        assert time.monotonic() - started > 0.9


def test_who_is_answered_may_not_go_on_sending_for_ever(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LINGER_S", 0.4)
    api = start_api()
    with connected(api) as connection:
        connection.send(head("POST /no/such/path HTTP/1.1", "Content-Length: 100000"))
        assert connection.answer().status == 404
        assert max(dripping(connection, bytes(100), 0.05)) < 4.0
        assert connection.is_closed()
    with connected(api) as connection:  # who comes to an end may ask for more
        connection.send(head("POST /no/such/path HTTP/1.1", "Content-Length: 3"), b"a")
        assert connection.answer().status == 404
        connection.send(b"bc", LIVE)
        assert connection.answer().status == 200
        time.sleep(0.8)
        connection.send(LIVE)
        assert connection.answer().status == 200


def test_a_request_knows_nothing_of_the_one_before_it(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines in the log, and its trace, would be taken for the other's."""
    said: list[dict[str, object]] = []
    name_of = middleware._name_of  # called before a request has said anything of itself

    def overhear(sent: str | None) -> str:
        said.append(fields_of(logging.makeLogRecord({"msg": sent or ""})))
        return name_of(sent)

    monkeypatch.setattr(middleware, "_name_of", overhear)
    body = bytes(500_000)  # more than is taken in before somebody reads it
    named = [
        head(*first, f"X-Request-ID: number-{number}")
        for number, first in enumerate(
            [
                ("GET /health/live HTTP/1.1",),
                ("GET /models HTTP/1.1",),
                ("POST /classify HTTP/1.1", FORM, f"Content-Length: {len(body)}"),
            ]
        )
    ]
    with connected(api) as connection:
        connection.send(*named, body)
        for _ in named:
            connection.answer()
        connection.send(named[0])
        connection.answer()
    assert [line["message"] for line in said] == ["number-0", "number-1", "number-2", "number-0"]
    assert not any("request" in line for line in said)


@pytest.mark.parametrize("first", ["POST /no/such/path HTTP/1.1", "POST /no/such/path HTTP/1.0"])
def test_an_early_answer_is_not_lost(api: httpx.Client, first: str) -> None:
    """The connection ends with the answer, while most of the body is still on its way."""
    body = bytes(20_000_000)
    with connected(api) as connection:
        connection.send(head(first, "Connection: close", f"Content-Length: {len(body)}"), body)
        assert connection.answer().status == 404
        assert connection.is_closed()


def test_who_does_not_read_is_let_go(start_api: StartApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALLED_S", 0.5)
    api = start_api()
    with connected(api) as connection:
        asked = head("GET /static/swagger/swagger-ui-bundle.js HTTP/1.1")
        connection.send(asked * 40)  # 69 MB, more than the machine's buffers take
        time.sleep(2.0)
        assert connection.n_answers() < 40
    assert api.get("/health/live").status_code == 200


def test_too_many_connections(start_api: StartApi) -> None:
    api = start_api(max_connections=3)
    with connected(api) as first, connected(api) as second, connected(api) as third, connected(api) as fourth:
        for connection in (first, second, third):
            connection.send(LIVE)
            assert connection.answer().status == 200
        fourth.send(LIVE)
        answer = fourth.answer()
        assert (answer.status, answer.problem) == (503, "too-many-connections")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert fourth.is_closed()
        first.send(LIVE)
        assert first.answer().status == 200
    assert api.get("/health/live").status_code == 200


def test_too_many_uploads(start_api: StartApi, models: Catalog) -> None:
    api = start_api(max_uploads=2)
    body = FILE + wav() + FORM_END
    asked = head(CLASSIFY, FORM, f"Content-Length: {len(body)}", "Cache-Control: no-cache")
    with connected(api) as first, connected(api) as second, connected(api) as third:
        first.send(asked, body[:100])
        second.send(asked, body[:100])
        deadline = time.monotonic() + 10.0
        while (answer := api.post("/classify", content=body, headers={"Content-Type": FORM[14:]})).is_success:
            assert time.monotonic() < deadline
        assert answer.status_code == 503
        assert answer.json()["type"] == "/problems/too-many-uploads"
        assert int(answer.headers["retry-after"]) > 0
        assert api.get("/health/live").status_code == 200
        first.send(body[100:])
        assert first.answer().status == 202
        third.send(asked, body)
        assert third.answer().status == 202
        second.close()  # who leaves makes room, too
        time.sleep(0.2)
        first.send(asked, body)
        third.send(asked, body)
        assert (first.answer().status, third.answer().status) == (202, 202)


def test_who_waits_for_a_job_takes_no_place(start_api: StartApi, models: Catalog) -> None:
    api = start_api(max_uploads=1)
    body = FILE + wav() + FORM_END
    asked = (CLASSIFY, FORM, f"Content-Length: {len(body)}", "Cache-Control: no-cache")
    with connected(api) as waiting, connected(api) as other:
        waiting.send(head(*asked, "Prefer: wait=30"), body)
        deadline = time.monotonic() + 20.0
        other.send(head(*asked), body)
        while other.answer().status != 202:  # until the one that waits has come to waiting
            assert time.monotonic() < deadline
            time.sleep(0.1)
            other.send(head(*asked), body)
        assert not waiting.has_heard()
        for job in api.get("/jobs").json()["jobs"]:
            api.delete(f"/jobs/{job['id']}")
        assert waiting.answer().headers["preference-applied"] == "wait=30"
