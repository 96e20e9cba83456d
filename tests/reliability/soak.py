"""`python -m tests.reliability.soak [--minutes 30]`: mixed load for long; what a service holds stays flat.

Recordings are classified and explained, good ones and broken ones, some jobs are cancelled, some deleted, the
others expire after a minute; clients follow, list and fetch. Every ten seconds everything is counted. From
the fifth minute on the medians of the first and last third are compared, and what a line through all gains.
"""

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import numpy as np

from tests.integration import sounds
from tests.reliability.census import Census, census, keys_by_kind
from tests.reliability.chaos import Service, running_service
from tests.reliability.orders import Order, orders_of
from tests.reliability.report import Report

EVERY_S = 10.0
WARM_UP_SHARE = 5.0 / 30.0
FLAT = 0.10
FULL_MINUTES = 30.0
KEPT_S = "60"
"""How long a result is kept, and then its tombstone: so short that expiry is part of the load."""
WATCHED = (
    "api_rss_bytes",
    "worker_rss_bytes",
    "pool_rss_bytes",
    "decoders_rss_bytes",
    "api_files",
    "worker_files",
    "pool_files",
    "api_processes",
    "pool_processes",
    "decoders_processes",
    "redis_keys",
    "redis_bytes",
    "redis_clients",
)
# Of a few hundred keys or dozens of connections, a handful more or less is chance.
SLACK = {"redis_keys": 60.0, "redis_bytes": 3e6, "redis_clients": 6.0, "decoders_rss_bytes": 30e6}
SLACK |= {name: 6.0 for name in WATCHED if name.endswith(("_files", "_processes"))}


@dataclass
class Load:
    """Clients that go on until they are told to stop, and what they were answered."""

    service: Service
    seed: int
    stopped: threading.Event = field(default_factory=threading.Event)
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def start(self) -> list[threading.Thread]:
        """Starts all clients."""
        doing = (self.ask, self.ask, self.send_broken, self.cancel, self.follow, self.look)
        threads = [
            threading.Thread(target=self._go_on, args=(do, random.Random(self.seed + number)), daemon=True)
            for number, do in enumerate(doing)
        ]
        for thread in threads:
            thread.start()
        return threads

    def ask(self, client: httpx.Client, draw: random.Random) -> None:
        """Has something computed, fetches all of it, and deletes a part of the jobs."""
        kind = draw.choices(("classify", "midi", "explain"), (5, 2, 1))[0]
        answer = self._post(client, draw.choice(orders_of(kind)), {"Prefer": "wait=20"})
        while answer.status_code == 202 and not self.stopped.is_set():
            time.sleep(0.5)
            answer = self._note(client.get(answer.json()["links"]["self"]))
        job = answer.json()
        if answer.status_code != 200 or job.get("status") != "succeeded":
            return
        for artefact in job.get("artifacts", ())[:4]:
            self._note(client.get(artefact["href"]))
        if draw.random() < 0.3:
            self._note(client.delete(f"/jobs/{job['id']}"))

    def send_broken(self, client: httpx.Client, draw: random.Random) -> None:
        """Sends what is no recording, or not quite."""
        data = draw.choice(
            (
                b"no recording",
                sounds.nan_file(),
                sounds.corrupt_flac(),
                sounds.zero_tick_midi(),
                sounds.audio_file(sounds.tone(1.0))[: draw.randrange(20, 4_000)],
                sounds.wav_header(channels=draw.choice((0, 1_024)), rate_hz=draw.choice((1, 44_100))),
            )
        )
        self._note(client.post("/classify", files={"file": ("x", data)}, headers={"Prefer": "wait=10"}))
        self.stopped.wait(0.5)

    def cancel(self, client: httpx.Client, draw: random.Random) -> None:
        """Wants an explanation, and then does not."""
        answer = self._post(client, draw.choice(orders_of("explain")), {})
        self.stopped.wait(draw.uniform(0.0, 2.0))
        if answer.status_code == 202:
            self._note(client.delete(f"/jobs/{answer.json()['id']}"))
        self.stopped.wait(2.0)

    def follow(self, client: httpx.Client, draw: random.Random) -> None:
        """Follows a job's events to its end, or leaves before."""
        answer = self._post(client, draw.choice(orders_of("classify")), {})
        if answer.status_code != 202:
            return
        n_lines = draw.choice((3, 1_000))
        with client.stream("GET", answer.json()["links"]["events"]) as stream:
            for number, _ in enumerate(stream.iter_lines()):
                if number >= n_lines or self.stopped.is_set():
                    break
        self.answers["GET events"] += 1

    def look(self, client: httpx.Client, draw: random.Random) -> None:
        """Lists jobs and looks at the service."""
        for path in ("/jobs?limit=50", "/metrics", "/health/ready", "/instruments", "/models", "/jobs/none"):
            self._note(client.get(path))
        self.stopped.wait(1.0)

    def _post(self, client: httpx.Client, order: Order, headers: dict[str, str]) -> httpx.Response:
        data = {name: list(values) for name, values in order.fields}
        return self._note(client.post(order.path, files=list(order.files), data=data, headers=headers))

    def _note(self, answer: httpx.Response) -> httpx.Response:
        self.answers[f"{answer.request.method} {answer.status_code}"] += 1
        if answer.status_code >= 500 and "Retry-After" not in answer.headers:
            self.faults.append(f"{answer.request.method} {answer.request.url.path}: {answer.text[:200]}")
        return answer

    def _go_on(self, do: Callable[[httpx.Client, random.Random], None], draw: random.Random) -> None:
        while not self.stopped.is_set():
            with self.service.client() as client, suppress(httpx.TransportError):
                for _ in range(50):  # now and then over a new connection
                    if self.stopped.is_set():
                        return
                    do(client, draw)
                continue
            self.answers["broken off"] += 1


def growth(moments: list[Census], name: str) -> dict[str, float]:
    """How a figure went: medians of the first and last third, and what a line through all gains."""
    values = np.array([moment.figures.get(name, 0.0) for moment in moments])
    times_s = np.array([moment.at_s for moment in moments])
    third = max(1, len(values) // 3)
    first, last = float(np.median(values[:third])), float(np.median(values[-third:]))
    slope = float(np.polyfit(times_s, values, 1)[0]) if len(values) > 1 else 0.0
    return {
        "first": first,
        "last": last,
        "highest": float(values.max()),
        "gain": last - first,
        "slope_gain": slope * float(times_s[-1] - times_s[0]),
    }


def leaks(figures: dict[str, dict[str, float]]) -> list[str]:
    """The figures that have grown by more than they may."""
    return [
        name
        for name, each in figures.items()
        if min(each["gain"], each["slope_gain"]) > max(FLAT * each["first"], SLACK.get(name, 0.0))
    ]


def main() -> int:
    """Runs, prints one line, and keeps the figures of a run that was long enough; 1 when something leaks."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=FULL_MINUTES)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    report = Report(asked.minutes >= FULL_MINUTES, asked.seed)
    with running_service(
        TIMBRESCOPE_CONCURRENCY="2", TIMBRESCOPE_RESULT_TTL_S=KEPT_S, TIMBRESCOPE_TOMBSTONE_TTL_S=KEPT_S
    ) as service:
        load = Load(service, asked.seed)
        threads = load.start()
        moments: list[Census] = []
        began_at = time.monotonic()
        while time.monotonic() - began_at < 60.0 * asked.minutes:
            time.sleep(EVERY_S)
            moments.append(census(service, began_at))
            print(json.dumps({"at_s": round(moments[-1].at_s), **moments[-1].figures}), flush=True)
        load.stopped.set()
        for thread in threads:
            thread.join(timeout=120.0)
        with service.connect() as redis:
            left = keys_by_kind(redis)
    steady = [moment for moment in moments if moment.at_s >= WARM_UP_SHARE * 60.0 * asked.minutes]
    figures = {name: growth(steady, name) for name in WATCHED}
    leaking = leaks(figures)
    said = _said(asked.minutes, load, figures, leaking)
    print(dict(load.answers))
    print("\n".join([said, *load.faults[:20]]))
    report.keep(
        "soak",
        "soak",
        said,
        {
            "minutes": asked.minutes,
            "answers": dict(load.answers),
            "faults": len(load.faults),
            "leaking": leaking,
            "figures": figures,
            "keys_at_the_end": left,
        },
    )
    return int(bool(leaking or load.faults))


def _said(minutes: float, load: Load, figures: dict[str, dict[str, float]], leaking: list[str]) -> str:
    changes = ", ".join(
        f"{name.removesuffix('_bytes').replace('_', ' ')} {each['gain'] / max(each['first'], 1.0):+.1%}"
        for name, each in figures.items()
        if name in ("api_rss_bytes", "worker_rss_bytes", "pool_rss_bytes", "redis_keys", "redis_bytes")
    )
    n_answers = sum(load.answers.values())
    verdict = f"leaking: {', '.join(leaking)}" if leaking else "nothing leaks"
    return (
        f"{minutes:g} min, {n_answers:,} answers, {len(load.faults)} of them 5xx without Retry-After: "
        f"{changes}; {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())
