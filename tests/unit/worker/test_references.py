"""References of concepts: asked for once, kept for a while, or told why not."""

import time
from types import SimpleNamespace

import pytest
from redis import Redis

from worker import keys, references, rendering, tasks
from worker.errors import ModelGoneError, ReferencesWaitError
from worker.problems import problem_of
from worker.questions import ModelRef
from worker.references import Reference, References, Rendered, from_message, to_message


def reference(place: int = 0) -> Reference:
    return Reference(ModelRef("default", "00" * 32, "v1"), "features.conv5", 17, place)


@pytest.fixture
def kept(redis: Redis) -> References:
    return References(redis)


def test_one_of_all_who_want_it_asks(kept: References) -> None:
    assert kept.find(reference()) is None
    assert [kept.ask(reference()) for _ in range(3)] == [True, False, False]
    assert kept.ask(reference(1))


def test_only_a_few_are_asked_for_at_a_time(kept: References) -> None:
    for place in range(references.MOST_ASKED):
        assert kept.ask(reference(place))
    with pytest.raises(ReferencesWaitError, match=f"{references.MOST_ASKED} references"):
        kept.ask(reference(99))
    assert kept.ask(reference(0)) is False  # who wants one of them waits with the others
    kept.fill(reference(0), Rendered(b"sound", b"picture"))
    assert kept.ask(reference(99))
    kept.fail(reference(1), problem_of(ModelGoneError("Gone.")))
    assert kept.ask(reference(100))


def test_what_was_asked_long_ago_makes_room(kept: References, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "ASKED_S", 0.1)
    for place in range(references.MOST_ASKED):
        kept.ask(reference(place))
    assert kept.is_asked(reference(0))
    time.sleep(0.15)
    assert not kept.is_asked(reference(0))
    assert kept.ask(reference(99))
    assert kept.ask(reference(0))


def test_nothing_is_rendered_that_nobody_waits_for(kept: References, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = []

    def render(wanted: Reference, here: object) -> Rendered:
        rendered.append(wanted)
        return Rendered(b"sound", b"picture")

    monkeypatch.setattr(rendering, "render", render)
    monkeypatch.setattr(tasks, "workplace", lambda: SimpleNamespace(references=kept))
    kept.ask(reference())
    for place in (0, 1, 0):  # wanted; of long ago; a second message
        tasks.reference.run(to_message(reference(place)))
    assert rendered == [reference()]
    assert kept.find(reference(1)) is None


def test_it_is_found_once_it_is_rendered(redis: Redis, kept: References) -> None:
    kept.ask(reference())
    kept.fill(reference(), Rendered(b"sound", b"picture"))
    assert kept.find(reference()) == Rendered(b"sound", b"picture")
    assert kept.find(reference(1)) is None
    assert 0 < redis.pttl(keys.reference(reference().name)) <= 3_600_000
    assert not kept.ask(reference())  # who looked just before it was there
    redis.delete(keys.reference(reference().name))  # as it will be once this has expired
    assert kept.ask(reference())


def test_a_problem_is_told_and_soon_forgotten(redis: Redis, kept: References) -> None:
    problem = problem_of(ModelGoneError("Gone.", extra={"unknown": "default"}))
    kept.fail(reference(), problem)
    assert kept.find(reference()) == problem
    assert 0 < redis.pttl(keys.reference(reference().name)) <= 30_000
    kept.fill(reference(), Rendered(b"sound", b"picture"))
    assert kept.find(reference()) == Rendered(b"sound", b"picture")


def test_only_the_newest_are_kept(redis: Redis, kept: References, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MOST_KEPT", 3)
    for place in range(5):
        kept.fill(reference(place), Rendered(b"sound", b"picture"))
    assert [kept.find(reference(place)) is not None for place in range(5)] == [False, False, True, True, True]
    assert redis.zcard(keys.REFERENCES) == 3


def test_messages_carry_it_whole() -> None:
    assert from_message(to_message(reference())) == reference()
