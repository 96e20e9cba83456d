"""The API over real HTTP with a real Redis, but without workers: jobs are accepted and wait."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from redis import Redis

from service.run import Server
from service.settings import ServiceSettings
from worker.catalog import Catalog, model_from_card
from worker.store import JobStore, Lifetimes

CARD = {
    "id": "default",
    "sha256": "ab" * 32,
    "task": "instruments",
    "labels": ["Violin", "Trumpet"],
    "thresholds": {"Violin": 0.5, "Trumpet": 0.4},
}

# Tests send the same sound again and again; those of the result cache override this.
ANEW = {"Cache-Control": "no-cache"}

StartApi = Callable[..., httpx.Client]


@contextmanager
def serving(settings: ServiceSettings) -> Iterator[str]:
    """The API in a thread of this process; yields its URL."""
    server = Server(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def start_api(redis_url: str) -> Iterator[StartApi]:
    """Starts the API with settings of the test's choice."""
    with ExitStack() as stack:

        def start(**settings: Any) -> httpx.Client:
            url = stack.enter_context(
                serving(ServiceSettings(**{"redis_url": redis_url, "port": 0, **settings}))
            )
            return stack.enter_context(httpx.Client(base_url=url, timeout=60.0, headers=ANEW))

        yield start


@pytest.fixture
def models(redis_url: str) -> Catalog:
    """The catalogue, in which a worker has announced a model of two instruments."""
    catalog = Catalog(Redis.from_url(redis_url))
    announced = replace(model_from_card(CARD), layers=("features.conv1", "features.conv2"))
    catalog.announce("worker", [announced])
    return catalog


@pytest.fixture
def store(redis_url: str) -> JobStore:
    """The store behind the API, for a test that plays the worker."""
    return JobStore(Redis.from_url(redis_url), Lifetimes(60.0, 60.0, 60.0))


@pytest.fixture(scope="session")
def shared_url(redis_server: str) -> Iterator[str]:
    """An API with default settings for all tests."""
    with serving(ServiceSettings(redis_url=redis_server, port=0)) as url:
        yield url


@pytest.fixture
def api(shared_url: str, models: Catalog) -> Iterator[httpx.Client]:
    """A client of the shared API; Redis is empty but for a model that is announced."""
    with httpx.Client(base_url=shared_url, timeout=60.0, headers=ANEW) as client:
        yield client
