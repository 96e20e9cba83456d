"""Names: stated where pure and not chance, against what the same instruments play anyway."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest

from ml.concepts.moments import KINDS, Traits
from ml.concepts.naming import MIN_MEASURED, BaseRates, Commonality, name_of

N_CHANNELS = 256
FAMILIES = {"Trumpet": "winds", "Piccolo": "winds", "Violin": "strings", "Celesta": "keys"}
VALUES = (
    ("Trumpet", "Violin", "Celesta", "Piccolo"),
    ("",),  # the family follows from the instrument
    ("onset", "sustain", "sustain", "release"),
    ("low", "middle", "high"),
    ("C4-B4", "C5-B5"),
    ("C", "D", "E", "F", "G", "A"),
    ("soft", "medium", "loud"),
    ("straight", "vibrato"),
)


@pytest.fixture(scope="module")
def rates() -> BaseRates:
    """All combinations, but that no onset has vibrato and a piccolo is always high."""
    counts = Counter(
        combination
        for combination in combinations()
        if (combination[2] != "onset" or combination[7] == "straight")
        and (combination[0] != "Piccolo" or combination[3] == "high")
    )
    return BaseRates(counts, N_CHANNELS)


def combinations() -> list[tuple[str, ...]]:
    return [(instrument, FAMILIES[instrument], *rest) for instrument, _, *rest in product(*VALUES)]


def drawn(n: int, seed: int = 0, **fixed: str) -> list[Traits | None]:
    """References whose traits are drawn blindly but for those that are given."""
    rng = np.random.default_rng(seed)
    references: list[Traits | None] = []
    for _ in range(n):
        traits = {kind: str(rng.choice(values)) for kind, values in zip(KINDS, VALUES, strict=True)}
        traits |= {kind: fixed[kind.replace(" ", "_")] for kind in KINDS if kind.replace(" ", "_") in fixed}
        references.append({**traits, "family": FAMILIES[traits["instrument"]]})
    return references


def stated(found: tuple[Commonality, ...]) -> dict[str, str]:
    return {each.kind: each.value for each in found if each.stated}


def test_what_all_have_in_common_is_stated(rates: BaseRates) -> None:
    found = rates.measure(drawn(50, instrument="Trumpet", phase="onset", register="high", vibrato="straight"))
    assert stated(found) == {
        "instrument": "Trumpet",
        "family": "winds",
        "phase": "onset",
        "register": "high",
    }
    assert name_of(found) == "Trumpet, onset, high"
    by_kind = {each.kind: each for each in found}
    assert by_kind["instrument"].purity == 1.0
    assert by_kind["phase"].base == pytest.approx(1 / 7)  # of sustain's 4 and release's 2 with vibrato, 1
    assert by_kind["register"].base == pytest.approx(1 / 3)


def test_onsets_are_not_called_straight(rates: BaseRates) -> None:
    found = rates.measure(drawn(50, instrument="Violin", phase="onset", vibrato="straight"))
    vibrato = next(each for each in found if each.kind == "vibrato")
    assert (vibrato.purity, vibrato.base, vibrato.stated) == (1.0, 1.0, False)


def test_vibrato_of_sustained_notes_is_stated(rates: BaseRates) -> None:
    found = rates.measure(drawn(50, instrument="Violin", phase="sustain", vibrato="vibrato"))
    assert stated(found)["vibrato"] == "vibrato"


def test_a_piccolo_is_not_called_high(rates: BaseRates) -> None:
    found = rates.measure(drawn(50, instrument="Piccolo", phase="sustain", register="high"))
    assert {"instrument", "phase"} <= stated(found).keys()
    assert "register" not in stated(found)


def test_blind_draws_are_never_named(rates: BaseRates) -> None:
    """Of so many channels as a layer has, by chance none may be."""
    names = [name_of(rates.measure(drawn(50, seed=seed))) for seed in range(N_CHANNELS)]
    assert names == [None] * N_CHANNELS


def test_two_of_a_family_are_named_by_it(rates: BaseRates) -> None:
    both = [*drawn(25, instrument="Trumpet", phase="onset"), *drawn(25, instrument="Piccolo", phase="onset")]
    found = rates.measure(both)
    assert name_of(found) == "Winds, onset"


def test_what_does_not_sound_lowers_purity(rates: BaseRates) -> None:
    alike = drawn(50, instrument="Celesta")
    assert stated(rates.measure(alike))["instrument"] == "Celesta"
    silent: list[Traits | None] = [None] * 13
    found = rates.measure([*alike[:37], *silent])
    assert found[0].purity == pytest.approx(0.74)
    assert "instrument" not in stated(found)
    assert rates.measure(silent) == ()


def test_few_references_state_nothing(rates: BaseRates) -> None:
    alike = drawn(MIN_MEASURED, instrument="Celesta", pitch_class="E")
    assert "instrument" in stated(rates.measure(alike))
    assert stated(rates.measure(alike[1:])) == {}


def test_trying_many_channels_asks_for_more() -> None:
    counts = Counter(combinations())
    references = drawn(20, vibrato="straight", phase="sustain")
    alike = [None if traits is None else {**traits, "velocity": "loud"} for traits in references[:16]]
    mixed: list[Traits | None] = [*alike, *drawn(4, seed=9, velocity="soft")]
    once = {each.kind: each for each in BaseRates(counts, 1).measure(mixed)}
    often = {each.kind: each for each in BaseRates(counts, 10_000).measure(mixed)}
    assert once["velocity"].stated
    assert not often["velocity"].stated


@pytest.mark.parametrize(
    ("stated_of", "name"),
    [
        ({}, None),
        ({"phase": "onset"}, "Onset"),
        ({"family": "winds", "phase": "onset"}, "Winds, onset"),
        ({"instrument": "Violin", "family": "strings"}, "Violin"),
        ({"instrument": "Violin", "register": "high", "octave": "C6-B6"}, "Violin, high"),
        ({"instrument": "Violin", "octave": "C6-B6", "vibrato": "vibrato"}, "Violin, C6-B6, vibrato"),
        ({"register": "low", "octave": "C2-B2"}, "C2-B2"),
        ({"register": "low"}, "Low"),
    ],
)
def test_names(stated_of: dict[str, str], name: str | None) -> None:
    found = [
        Commonality(kind, stated_of.get(kind, "x"), 1.0, 0.1, stated=kind in stated_of) for kind in KINDS
    ]
    assert name_of(found) == name
