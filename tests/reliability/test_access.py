"""Keys of all kinds against a service that asks for them: nothing leaks, neither in answers nor in logs.

Every call of the API's description is made with keys that open nothing, and every call about somebody's job
by everybody else. API and worker log all that they can (`DEBUG`); afterwards no key, no name and no content
of a file is in what they wrote.
"""

import random
import secrets
import shutil
import socket
import statistics
import string
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.integration import sounds
from tests.integration.processes import Stack, running_stack
from tests.reliability.conftest import Size
from tests.reliability.report import Report
from worker.api_keys import ApiKeys, Scope
from worker.ids import new_job_id

ADMIN_KEY = f"admin-{secrets.token_urlsafe(24)}"
FILE_NAME = "a-name-that-nobody-else-may-read.wav"
CONTENT = b"words in a file that nobody else may read"
OPEN = {"/", "/docs", "/health/live", "/health/ready"}
METHODS = ("get", "post", "delete")
ALIKE = 1.25
"""How far apart, as a factor, the medians of two times may be that are to say nothing; they are a few
milliseconds, measured in turns.
"""

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class House:
    """A service, and who knocks at its door: headers by who sends them."""

    stack: Stack
    opens_nothing: dict[str, str]
    others: dict[str, str]
    alice: str
    job: str
    artifacts: tuple[str, ...]

    @property
    def client(self) -> httpx.Client:
        """A client that sends no key."""
        return self.stack.client

    def ask(self, method: str, path: str, key: str | None, **more: object) -> httpx.Response:
        """One request with this key."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return self.client.request(method, path, headers=headers, **more)  # type: ignore[arg-type]

    @property
    def keys(self) -> set[str]:
        """Every text that was sent as a key, and the secret parts of those that once opened something."""
        texts = {ADMIN_KEY, self.alice, *self.opens_nothing.values(), *self.others.values()}
        return texts | {text.split("_", 2)[2] for text in texts if text.startswith("ts_")}


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    folder = Path(tempfile.mkdtemp(prefix="ts-access-"))
    settings = {
        "TIMBRESCOPE_REQUIRE_KEYS": "true",
        "TIMBRESCOPE_ADMIN_KEY": ADMIN_KEY,
        "TIMBRESCOPE_STATE_DIR": str(folder / "state"),
        "TIMBRESCOPE_CONCURRENCY": "1",
        "TIMBRESCOPE_LOG_LEVEL": "DEBUG",
    }
    with running_stack(folder, **settings) as stack, Redis.from_url(stack.redis_url) as redis:
        yield _moved_in(stack, ApiKeys(redis))
    shutil.rmtree(folder)


def _moved_in(stack: Stack, known: ApiKeys) -> House:
    alice = known.create("Alice", [Scope.INFER])[1]
    lost_key, lost = known.create("lost", Scope)
    known.revoke(lost_key.id)
    opens_nothing = {
        "made up": secrets.token_urlsafe(32),
        "of no id": f"ts_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}",
        "with another secret": f"{alice[:16]}{secrets.token_urlsafe(32)}",
        "cut short": alice[:-1],
        "expired": known.create("old", Scope, expires_at=datetime.now(UTC) - timedelta(seconds=1))[1],
        "revoked": lost,
    }
    others = {
        "Bob": known.create("Bob", [Scope.INFER])[1],
        "Operator": known.create("Operator", [Scope.ADMIN])[1],
        "admin": ADMIN_KEY,
    }
    answer = stack.client.post(
        "/explain",
        files={"file": (FILE_NAME, sounds.audio_file(sounds.tone(2.0)))},
        headers={"Authorization": f"Bearer {alice}", "Prefer": "wait=30"},
    )
    job = answer.json()
    assert (answer.status_code, job["status"]) == (200, "succeeded"), job
    return House(stack, opens_nothing, others, alice, job["id"], ("audio.wav", "overview.png"))


def calls(house: House) -> list[tuple[str, str]]:
    """Every call but those that are open to all, about Alice's job where one is named."""
    values = {"job_id": house.job, "name": "audio.wav", "model_id": "default", "layer": "x", "channel": 0}
    paths = house.client.get("/openapi.json").json()["paths"]
    return [
        (method.upper(), path.format(**values))
        for path, methods in paths.items()
        for method in methods
        if path not in OPEN and method in METHODS
    ]


def test_keys_that_open_nothing(house: House, size: Size, seed: int, report: Report) -> None:
    asked = calls(house)
    assert len(asked) > 15
    for method, path in asked:
        for key in (None, *house.opens_nothing.values()):
            answer = house.ask(method, path, key)
            assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthorized")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert key is None or key not in answer.text
    guessed = random.Random(seed)
    n_guesses = size.of(100, 2_000)
    for _ in range(n_guesses):
        place = guessed.randrange(16, len(house.alice))
        other = guessed.choice((string.ascii_letters + string.digits).replace(house.alice[place], ""))
        guess = f"{house.alice[:place]}{other}{house.alice[place + 1 :]}"
        assert house.ask("GET", f"/jobs/{house.job}", guess).status_code == 401
    n_asked = len(asked) * (1 + len(house.opens_nothing))
    report.keep(
        "access",
        "keys that open nothing",
        f"{n_asked} requests without a valid key and {n_guesses:,} with a key of which one character was "
        "changed: all 401",
        {"requests": n_asked, "guesses": n_guesses},
    )


def test_wrong_scopes(house: House) -> None:
    for path in ("/datasets", "/trainings"):
        for key in (house.alice, house.others["Bob"]):
            answer = house.ask("POST", path, key, json={})
            assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    for path in ("/classify", "/explain", "/explain/check", "/classify/batch", "/explain/batch"):
        answer = house.ask("POST", path, house.others["Operator"], files={"file": ("x", CONTENT)})
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
        assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_anothers_job(house: House, size: Size, report: Report) -> None:
    own = house.ask("GET", f"/jobs/{house.job}", house.alice)
    assert own.json()["result"]["instruments"]
    absent, n_asked = new_job_id(), 0
    about = ["", "/events", *(f"/artifacts/{name}" for name in house.artifacts)]
    for key in house.others.values():
        for call in about:
            for method in ("GET", "DELETE") if not call else ("GET", "HEAD"):
                told = house.ask(method, f"/jobs/{house.job}{call}", key)
                never = house.ask(method, f"/jobs/{absent}{call}", key)
                n_asked += 1
                assert told.status_code == never.status_code == 404
                assert told.text.replace(house.job, "ID") == never.text.replace(absent, "ID")
                assert _plain(told.headers) == _plain(never.headers)
        assert house.job not in house.ask("GET", "/jobs?limit=100", key).text
    for key in (house.others["Operator"], ADMIN_KEY):
        order = {"dataset": house.job, "model_id": "winds"}
        assert house.ask("POST", "/trainings", key, json=order).status_code == 404
    assert house.ask("GET", f"/jobs/{house.job}", house.alice).json() == own.json()
    factor = _medians_apart(house, absent, size.of(100, 1_000))
    assert 1 / ALIKE < factor < ALIKE
    report.keep(
        "access",
        "another's job",
        f"{n_asked} requests of three other keys about a job with result: all 404, word for word as for a "
        f"job that never was, in {factor:.2f} times its median time",
        {"requests": n_asked, "median_time_factor": factor},
    )


def test_nothing_of_it_is_logged(house: House) -> None:
    """Neither of what was sent above, nor of requests that are no HTTP, nor of files that cannot be read."""
    host, port = house.client.base_url.host, house.client.base_url.port or 0
    key = house.alice
    for request in (
        f"GET /jobs?key={key} HTTP/1.1\r\nHost: {host}\r\nAuthorization Bearer {key}\r\n\r\n",
        f"GET /{key} HTTP/9.9\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n",
        f"{key} / HTTP/1.1\r\nHost: {host}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: {key}\r\nAuthorization: Bearer {key}\x00\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key * 2_000}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {key}\r\n\r\n",
    ):
        with socket.create_connection((host, port), timeout=30) as raw:
            raw.sendall(request.encode())
            raw.settimeout(5)
            with suppress(TimeoutError, ConnectionError):  # closed, or waiting for more: nothing is told
                assert raw.recv(1000)[:12] != b"HTTP/1.1 200"
    house.ask("GET", f"/models?access_token={key}", key)
    house.ask("GET", f"/jobs/{key}", key)
    for content in (CONTENT, sounds.nan_file(), b"RIFF\xff\xff\xff\xffWAVE" + CONTENT, b""):
        files = {"file": (FILE_NAME, content)}
        for way in ("/classify", "/explain"):
            headers = {"Authorization": f"Bearer {key}", "Prefer": "wait=20", "Idempotency-Key": key[:20]}
            assert house.client.post(way, files=files, headers=headers).status_code >= 400
    logs = house.stack.api.text() + house.stack.worker.text()
    assert "level=debug" in logs
    assert house.job in logs
    for text in (*house.keys, FILE_NAME, CONTENT.decode()):
        assert text not in logs


def _medians_apart(house: House, absent: str, n: int) -> float:
    """How many times as long it takes to be told nothing of a job as of one that there is not."""
    key = house.others["Bob"]
    took_s: dict[str, list[float]] = {house.job: [], absent: []}
    for _ in range(n):
        for job_id, times_s in took_s.items():
            began_at = time.perf_counter()
            house.ask("GET", f"/jobs/{job_id}", key)
            times_s.append(time.perf_counter() - began_at)
    return statistics.median(took_s[house.job]) / statistics.median(took_s[absent])


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """Headers but for those that are another one with every answer."""
    return {name: value for name, value in headers.items() if name not in ("x-request-id", "date")}
